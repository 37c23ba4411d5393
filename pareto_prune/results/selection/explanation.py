"""Why a point was chosen, and what to mind before relying on it, in sentences."""

from __future__ import annotations

from collections.abc import Iterable

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import change, written
from pareto_prune.core.records import DENSE_STARTER
from pareto_prune.results.gains import gains
from pareto_prune.results.records import Front, Point
from pareto_prune.results.rivals import described
from pareto_prune.results.selection.noise import noise_sentences
from pareto_prune.results.selection.records import Choice, Selection
from pareto_prune.results.selection.trades import trade_sentence, trades_of
from pareto_prune.results.ties import same_metric, tied
from pareto_prune.results.yardstick import Yardstick, yardstick_of


def explained(front: Front, choice: Choice) -> Selection:
    """Return a choice with the sentences and warnings that go with it."""
    point, measure = choice.point, yardstick_of(front)
    others = [p for p in front.members if p.number != point.number]
    trades = tuple(trades_of(point, others, measure))
    tied_metric = [p for p in others if same_metric(point, p, measure.metric.name)]
    tied_all = [p for p in tied_metric if tied(point, p, [o.name for o in measure.costs])]
    return Selection(
        study=front.study,
        trial=point.number,
        how=choice.how,
        point=point,
        score=choice.score,
        trades=trades,
        tied=tuple(p.number for p in tied_all),
        tied_metric=tuple(p.number for p in tied_metric),
        sentences=(
            f"Trial {point.number}: {choice.why}.",
            *_standing(front, point, measure),
            *_better(front, point),
            *_again(front, point),
            *(trade_sentence(trade, measure) for trade in trades),
            *noise_sentences(point, tied_all, tied_metric, measure),
        ),
        warnings=tuple(_warnings(front, point)),
    )


def _standing(front: Front, point: Point, measure: Yardstick) -> Iterable[str]:
    values = ", ".join(
        f"{o.label} {written(o.name, point.values[o.name], front.estimated(o.name))}"
        for o in measure.objectives
        if o.name in point.values
    )
    yield f"It has {values}."
    metric = measure.metric
    if metric.name in measure.reference and metric.name in point.values:
        lost = measure.reference[metric.name] - point.values[metric.name]
        side = "below" if lost >= 0 else "above"
        against = f"{change(metric.name, lost)} of {metric.label} {side} the dense model"
        yield f"That is {against}{_beyond_noise(point)}; {gains(point, measure)}."


def _better(front: Front, point: Point) -> Iterable[str]:
    for reference in front.references:
        if reference.name in point.beaten_by:
            yield (
                f"The reference {reference.name} is better in every objective: "
                f"{described(reference, front)}."
            )


def _again(front: Front, point: Point) -> Iterable[str]:
    """Yield what a confirmed point was found to be, and what is as good for less."""
    found = point.confirmation
    if found is None:
        return
    values = ", ".join(
        f"{OBJECTIVES[o.name].label} {written(o.name, value, front.estimated(o.name))}"
        for o in front.objectives
        if (value := found.values.get(o.name)) is not None
    )
    yield f"Retrained {found.retrainings} times and measured afresh it has {values}."
    if found.matched_by is not None:
        by = "paired by example" if found.paired else "95 % intervals overlap; not paired"
        yield (
            f"Its confirmed {OBJECTIVES[front.metric].label} is within noise of that of trial "
            f"{found.matched_by}, which is cheaper ({by})."
        )


def _beyond_noise(point: Point) -> str:
    if point.like_dense is None or point.starter == DENSE_STARTER:
        return ""
    return ", within noise of it" if point.like_dense else ", beyond noise"


def _warnings(front: Front, point: Point) -> Iterable[str]:
    label = OBJECTIVES[front.metric].label
    if not point.on_front:
        reason = point.reason or "another point is nowhere worse and somewhere better"
        yield f"Trial {point.number} is not on the front: {reason}."
    yield from (f"This says little: {doubt}." for doubt in front.doubts)
    if not point.confirmed:
        seen = f" on {front.examples} validation examples" if front.examples else ""
        yield (
            f"Its {label} was picked among many trials{seen}, so it is optimistic, and so are its "
            "costs, a little: `confirm` it, and score what is exported on data that the search has "
            "not seen."
        )
    for objective in front.objectives:
        if objective.grade == "estimated":
            source = f" from {objective.source}" if objective.source else ""
            yield (
                f"{OBJECTIVES[objective.name].label.capitalize()} is an estimate{source}, "
                "good to a factor of about 2."
            )
