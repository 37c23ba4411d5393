"""Which point of the front to take: by budget, by weights, at the knee, or by a starter's name.

A selection explains itself: what was asked, what one more millisecond or joule would buy on either
side, and which other points are the same within the noise of the measurement.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pydantic

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.objectives import OBJECTIVES, Objective
from pareto_prune.core.quantities import change, digits, times, written
from pareto_prune.core.record import Record
from pareto_prune.results.front import Front, Point, Yardstick, gains, tied, yardstick_of

Mode = Literal["budget", "weights", "knee", "starter", "trial"]
_SIZES = ("parameters", "bytes")
_LISTED = 5


class Trade(Record):
    """What the nearest point on one side of a selection gives and takes.

    Attributes:
        cost: the objective that changes.
        side: ``dearer`` or ``cheaper`` than the selection in ``cost``.
        trial: number of that point.
        difference: its cost - the selection's.
        metric_difference: its metric - the selection's.
        rate: metric per unit of cost.
        within_noise: whether the intervals of the two metrics overlap.
    """

    cost: str
    side: Literal["dearer", "cheaper"]
    trial: int
    difference: float
    metric_difference: float
    rate: float
    within_noise: bool


class Selection(Record):
    """The chosen point and why.

    Attributes:
        how: what chose it.
        sentences: the explanation, for people.
        warnings: what to mind before relying on it.
        tied: trials of the front whose intervals overlap with its in every objective.
        tied_metric: trials of the front whose interval of the metric overlaps with its.
        score: F of the weights, if they chose it.
    """

    study: str
    trial: int
    how: Mode
    point: Point
    sentences: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    trades: tuple[Trade, ...] = ()
    tied: tuple[int, ...] = ()
    tied_metric: tuple[int, ...] = ()
    score: float | None = pydantic.Field(default=None)


@dataclass(frozen=True)
class _Choice:
    point: Point
    how: Mode
    why: str
    score: float | None = None


def select(
    front: Front,
    *,
    maximum: Mapping[str, float] | None = None,
    minimum: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    knee: bool = False,
    starter: str | None = None,
) -> Selection:
    """Choose one point of ``front`` and explain it.

    Args:
        front: made with ``all_trials`` where a starter may be asked for that is not on it.
        maximum: greatest values allowed, by objective (``{"latency_ms": 5}``).
        minimum: least values allowed. With a floor on the metric the cheapest point that fits is
            taken (by the geometric mean of its costs), without one the best.
        weights: α of ``F = Σ α_i F_i``, minimised; each F relative to the dense model: a cost as
            its share of the dense model's, the metric as the share that is lost of what the dense
            model has over chance.
        knee: take the knee.
        starter: take the trial that this starter put in.

    Raises:
        UserError: nothing or too much was asked for, a name is unknown, or nothing fits (the
            nearest point is named).
    """
    asked = {
        "--max or --min": bool(maximum or minimum),
        "--weights": bool(weights),
        "--knee": knee,
        "--starter": starter is not None,
    }
    _one_way(asked)
    if starter is not None:
        return _explained(front, _by_starter(front, starter))
    if not front.members:
        raise UserError(_empty(front))
    if weights:
        return _explained(front, _by_weights(front, weights))
    if knee:
        return _explained(front, _by_knee(front))
    return _explained(front, _by_budget(front, maximum or {}, minimum or {}))


def explain(front: Front, number: int) -> Selection:
    """Explain the listed trial ``number`` as if it had been selected.

    Raises:
        UserError: it is not listed, or has no result.
    """
    point = front.point(number)
    if point is None or not point.values:
        listed = ", ".join(str(p.number) for p in front.members) or "none"
        raise UserError(Problem("trial", f"{number} has no result", f"on the front: {listed}"))
    return _explained(front, _Choice(point, "trial", "as asked"))


def parsed(option: str, texts: Iterable[str]) -> dict[str, float]:
    """Read ``["latency_ms=5", "energy_j=0.1"]``, or one text with commas, into numbers.

    Raises:
        UserError: with every text that is not ``NAME=NUMBER``.
    """
    parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    pairs = [_pair(part) for part in parts]
    wrong = [part for part, pair in zip(parts, pairs, strict=True) if pair is None]
    if wrong:
        raise UserError(
            *(Problem(option, f"{w!r} is wrong", "allowed: NAME=NUMBER") for w in wrong)
        )
    return dict(pair for pair in pairs if pair is not None)


def _pair(text: str) -> tuple[str, float] | None:
    name, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        return None
    return (name.strip(), value) if name.strip() and math.isfinite(value) else None


def _one_way(asked: Mapping[str, bool]) -> None:
    chosen = [name for name, given in asked.items() if given]
    if len(chosen) == 1:
        return
    wrong = f"{' and '.join(chosen)} exclude each other" if chosen else "nothing to choose by"
    raise UserError(Problem("select", wrong, f"allowed: one of {', '.join(asked)}"))


def _empty(front: Front) -> str:
    finished = sum(front.counts.get(state, 0) for state in ("complete", "stopped", "failed"))
    if front.counts.get("infeasible"):
        rules = ", ".join(f"{name} {bound}" for name, bound in front.constraints.items())
        return f"study {front.study!r} has no feasible trial (constraints: {rules})"
    return f"study {front.study!r} has no point on its front yet ({finished} trials finished)"


# ---------------------------------------------------------------------------- by budget


def _by_budget(front: Front, maximum: Mapping[str, float], minimum: Mapping[str, float]) -> _Choice:
    _check_bounds(front, maximum, "--max")
    _check_bounds(front, minimum, "--min")
    fitting = [p for p in front.members if _excess(p, maximum, minimum) == 0]
    asked = _asked(maximum, minimum)
    if not fitting:
        raise UserError(_nothing_fits(front, maximum, minimum, asked))
    measure = yardstick_of(front)
    number = f"{len(fitting)} of {len(front.members)} points of the front have {asked}"
    if front.metric in minimum:
        point = min(fitting, key=lambda p: (measure.cost(p.relative), p.number))
        return _Choice(point, "budget", f"{number}; it is the cheapest of them")
    point = min(fitting, key=lambda p: _best_first(p, measure))
    return _Choice(point, "budget", f"{number}; it has the best {measure.metric.label} of them")


def _best_first(point: Point, measure: Yardstick) -> tuple[float, float, int]:
    return -point.values[measure.metric.name], measure.cost(point.relative), point.number


def _check_bounds(front: Front, bounds: Mapping[str, float], option: str) -> None:
    known = (*(o.name for o in front.objectives), *_SIZES)
    problems = [
        Problem(
            option, f"{name!r} is not an objective of this study", f"allowed: {', '.join(known)}"
        )
        for name in bounds
        if name not in known
    ]
    problems += [
        Problem(option, f"{name} = {value:g} is above 1", "allowed: a fraction such as 0.82")
        for name, value in bounds.items()
        if name in known and OBJECTIVES[name].unit == "fraction" and value > 1
    ]
    if problems:
        raise UserError(*problems)


def _asked(maximum: Mapping[str, float], minimum: Mapping[str, float]) -> str:
    parts = [f"{name} <= {value:g}" for name, value in maximum.items()]
    parts += [f"{name} >= {value:g}" for name, value in minimum.items()]
    return " and ".join(parts)


def _excess(point: Point, maximum: Mapping[str, float], minimum: Mapping[str, float]) -> float:
    """Return by how much a point breaks the bounds, each relative to the bound; 0 if it fits."""
    over = [_beyond(point.value(name), bound, 1) for name, bound in maximum.items()]
    under = [_beyond(point.value(name), bound, -1) for name, bound in minimum.items()]
    return sum(over + under)


def _beyond(value: float | None, bound: float, sign: int) -> float:
    if value is None:
        return math.inf
    return max(0.0, sign * (value - bound)) / max(abs(bound), 1e-12)


def _nothing_fits(
    front: Front, maximum: Mapping[str, float], minimum: Mapping[str, float], asked: str
) -> Problem:
    nearest = min(front.members, key=lambda p: (_excess(p, maximum, minimum), p.number))
    values = ", ".join(
        f"{name} = {digits(value)}"
        for name in (*maximum, *minimum)
        if (value := nearest.value(name)) is not None
    )
    return Problem(
        "select",
        f"no point of the front has {asked}",
        f"the nearest is trial {nearest.number} with {values}",
    )


# ---------------------------------------------------------------- by weights, knee, starter


def _by_weights(front: Front, weights: Mapping[str, float]) -> _Choice:
    measure = yardstick_of(front)
    _check_weights(measure, weights)
    scores = {point.number: _score(point, measure, weights) for point in front.members}
    point = min(front.members, key=lambda p: (scores[p.number], p.number))
    total = sum(weights.values())
    said = " + ".join(f"{digits(w / total)} × {name}" for name, w in weights.items() if w)
    why = f"least F = {said}, each relative to the dense model: F = {digits(scores[point.number])}"
    return _Choice(point, "weights", why, scores[point.number])


def _check_weights(measure: Yardstick, weights: Mapping[str, float]) -> None:
    allowed = f"allowed: {', '.join(measure.names)}"
    problems = [
        Problem("--weights", f"{name!r} is not an objective of this study", allowed)
        for name in weights
        if name not in measure.names
    ]
    if any(value < 0 for value in weights.values()) or sum(weights.values()) <= 0:
        problems.append(Problem("--weights", "they must be 0 or more, and not all 0"))
    if not measure.beats_chance:
        problems.append(Problem("--weights", "the dense model of this study does not beat chance"))
    if problems:
        raise UserError(*problems)


def _score(point: Point, measure: Yardstick, weights: Mapping[str, float]) -> float:
    """Return F of a point: the weighted mean of its objectives relative to the dense model."""
    total = sum(weights.values())
    return (
        sum(
            weight * _relative(point, OBJECTIVES[name], measure) for name, weight in weights.items()
        )
        / total
    )


def _relative(point: Point, objective: Objective, measure: Yardstick) -> float:
    if objective.kind == "quality":
        dense = measure.reference[objective.name]
        return (dense - point.values[objective.name]) / (dense - measure.chance)
    ratio: float = point.relative[objective.name] ** objective.sign
    return ratio


def _by_knee(front: Front) -> _Choice:
    point = front.point(front.knee) if front.knee is not None else None
    if point is None:
        raise UserError(Problem("--knee", "this front has no knee: no point keeps a useful metric"))
    return _Choice(
        point, "knee", "the knee of the front: nearest to the best of every objective at once"
    )


def _by_starter(front: Front, name: str) -> _Choice:
    started = [point for point in front.trials if point.starter == name and point.values]
    if not started:
        known = sorted({point.starter for point in front.trials if point.starter})
        allowed = f"allowed: {', '.join(known)}" if known else "no starter has finished"
        raise UserError(
            Problem("--starter", f"no finished trial comes from starter {name!r}", allowed)
        )
    measure = yardstick_of(front)
    metric = measure.metric.name
    started.sort(key=lambda p: (not p.on_front, -p.values.get(metric, -math.inf), p.number))
    others = [str(point.number) for point in started[1:]]
    why = f"the trial of starter {name!r}"
    if others:
        why = f"the best of the trials of starter {name!r} (others: {', '.join(others)})"
    return _Choice(started[0], "starter", why)


# ------------------------------------------------------------------------- explanation


def _explained(front: Front, choice: _Choice) -> Selection:
    point, measure = choice.point, yardstick_of(front)
    others = [p for p in front.members if p.number != point.number]
    trades = tuple(_trades(point, others, measure))
    tied_metric = [p for p in others if tied(point, p, [measure.metric.name])]
    tied_all = [p for p in tied_metric if tied(point, p, measure.names)]
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
            *(_trade_sentence(trade, measure) for trade in trades),
            *_noise_sentences(point, tied_all, tied_metric, measure),
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
        yield f"That is {against}; {gains(point, measure)}."


def _trades(point: Point, others: Sequence[Point], measure: Yardstick) -> Iterable[Trade]:
    for cost in measure.costs:
        for side in ("dearer", "cheaper"):
            trade = _trade(point, others, cost, side, measure.metric.name)
            if trade is not None:
                yield trade


def _trade(
    point: Point,
    others: Sequence[Point],
    cost: Objective,
    side: Literal["dearer", "cheaper"],
    metric: str,
) -> Trade | None:
    """Return the trade with the nearest point that is dearer and better, or cheaper and worse."""
    turn = 1 if side == "dearer" else -1
    if cost.name not in point.values or metric not in point.values:
        return None
    beside = [
        other
        for other in others
        if turn * cost.sign * (other.values[cost.name] - point.values[cost.name]) > 0
        and turn * (other.values[metric] - point.values[metric]) > 0
    ]
    if not beside:
        return None
    near = min(beside, key=lambda p: (abs(p.values[cost.name] - point.values[cost.name]), p.number))
    difference = near.values[cost.name] - point.values[cost.name]
    metric_difference = near.values[metric] - point.values[metric]
    return Trade(
        cost=cost.name,
        side=side,
        trial=near.number,
        difference=difference,
        metric_difference=metric_difference,
        rate=metric_difference / difference,
        within_noise=tied(point, near, [metric]),
    )


def _trade_sentence(trade: Trade, measure: Yardstick) -> str:
    more = "more" if trade.difference > 0 else "less"
    verb = "buys" if trade.metric_difference > 0 else "costs"
    moved = change(measure.metric.name, trade.metric_difference)
    noise = ", within noise" if trade.within_noise else ""
    return (
        f"{change(trade.cost, trade.difference)} {more} {OBJECTIVES[trade.cost].label} "
        f"(trial {trade.trial}) {verb} {moved} of {measure.metric.label}: "
        f"{_rate(trade, measure)}{noise}."
    )


def _rate(trade: Trade, measure: Yardstick) -> str:
    """Say the rate of a trade per a step of the cost's unit that a person would turn."""
    step, name = _STEPS[OBJECTIVES[trade.cost].unit]
    rate = abs(trade.rate) * step
    if measure.metric.unit == "fraction":
        return f"{digits(100 * rate, 2)} points per {name}"
    return f"{digits(rate, 2)} per {name}"


_STEPS = {
    "ms": (1.0, "ms"),
    "J/sample": (1e-3, "mJ"),
    "samples/s": (1.0, "sample/s"),
    "count": (1e6, "million parameters"),
    "B": (1e6, "MB"),
}


def _noise_sentences(
    point: Point, tied_all: Sequence[Point], tied_metric: Sequence[Point], measure: Yardstick
) -> Iterable[str]:
    if tied_all:
        yield (
            f"Within noise of it in every objective: {_trials(tied_all)} (95 % intervals overlap)."
        )
    if point.values and measure.metric.name in point.intervals:
        only = [p for p in tied_metric if p not in tied_all]
        cheaper = [p for p in only if measure.cost(p.relative) < measure.cost(point.relative)]
        if cheaper:
            yield _cheaper_sentence(point, cheaper, measure)


def _cheaper_sentence(point: Point, cheaper: Sequence[Point], measure: Yardstick) -> str:
    best = min(cheaper, key=lambda p: measure.cost(p.relative))
    less = times(measure.cost(point.relative) / measure.cost(best.relative))
    within = f"Its {measure.metric.label} is within noise of that of"
    if len(cheaper) == 1:
        return f"{within} trial {best.number}, which costs {less} less."
    listed = f"{len(cheaper)} cheaper points, {_trials(cheaper)}"
    return f"{within} {listed}; the cheapest, trial {best.number}, costs {less} less."


def _trials(found: Sequence[Point]) -> str:
    numbers = [str(point.number) for point in found[:_LISTED]]
    rest = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f"trial{'s' if len(found) > 1 else ''} {', '.join(numbers)}{rest}"


def _warnings(front: Front, point: Point) -> Iterable[str]:
    label = OBJECTIVES[front.metric].label
    if not point.on_front:
        reason = point.reason or "another point is nowhere worse and somewhere better"
        yield f"Trial {point.number} is not on the front: {reason}."
    if not point.confirmed:
        seen = f" on {front.examples} validation examples" if front.examples else ""
        yield (
            f"Its {label} was picked among many trials{seen}, so it is optimistic: "
            "score what is exported on data that the search has not seen."
        )
    for objective in front.objectives:
        if objective.grade == "estimated":
            source = f" from {objective.source}" if objective.source else ""
            yield (
                f"{OBJECTIVES[objective.name].label.capitalize()} is an estimate{source}, "
                "good to a factor of about 2."
            )
