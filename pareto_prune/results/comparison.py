"""Studies beside each other: what each was taken on, what each reached, what each has at a level.

Relative numbers of two studies are each against its own dense model; absolute ones are comparable
where both were measured alike on the same data. What is unlike is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.paths import public_name
from pareto_prune.core.record import Record
from pareto_prune.core.records import Study
from pareto_prune.results.measured_as import measured_as
from pareto_prune.results.records import AtPointsLost, Front

BELOW_BEST = (0, 1, 2, 3, 5, 10)
"""Points below the best dense model at which the cheapest of each study is looked for."""


class Cheapest(Record):
    """The cheapest that a study has at a level of the metric.

    Attributes:
        level: the least that the metric may be.
        value: of the cost; ``None`` where the study has nothing at this level.
        trial: whose it is; ``None``: the dense model's own.
    """

    level: float
    value: float | None = None
    trial: int | None = None


class Side(Record):
    """One of the studies.

    Attributes:
        model, data: by the names that the study file has.
        device, engine, dtype: that its costs were taken on.
        dense: values of its dense model by objective.
        hypervolume: against its own dense model.
        at_points_lost: likewise.
        cheapest: in absolute numbers, at every level.
    """

    study: str
    model: str
    data: str
    device: str
    engine: str
    dtype: str
    dense: dict[str, int | float]
    finished: int
    points: int
    hypervolume: float | None
    at_points_lost: tuple[AtPointsLost, ...]
    cheapest: tuple[Cheapest, ...]


class Comparison(Record):
    """Several studies of one metric.

    Attributes:
        metric: that all of them have.
        cost: that the cheapest is looked for by.
        unlike: what they do not have in common, so that absolute numbers do not compare.
    """

    metric: str
    cost: str
    sides: tuple[Side, ...]
    unlike: tuple[str, ...]


def comparison(
    fronts: Sequence[Front], studies: Sequence[Study], cost: str | None = None
) -> Comparison:
    """Return studies beside each other.

    Args:
        fronts: of the studies.
        studies: two or more, whose dense models are measured.
        cost: by which the cheapest is looked for; their first common one by default.

    Raises:
        UserError: a study has no dense model yet, or another metric or no common cost.
    """
    _check(fronts)
    chosen = _cost(fronts, cost)
    metric = fronts[0].metric
    best = max(float((front.reference or {})[metric]) for front in fronts)
    levels = [best - points / 100 for points in BELOW_BEST]
    pairs = zip(fronts, studies, strict=True)
    sides = tuple(_side(front, study, chosen, levels) for front, study in pairs)
    return Comparison(metric=metric, cost=chosen, sides=sides, unlike=tuple(_unlike(sides)))


def _check(fronts: Sequence[Front]) -> None:
    if len(fronts) < 2:
        raise UserError(Problem("compare", f"{len(fronts)} study", "allowed: two or more"))
    for front in fronts:
        if not front.reference:
            wrong = "its dense model is not measured yet"
            raise UserError(Problem(f"study {front.study!r}", wrong, "allowed: run it first"))
        if front.metric != fronts[0].metric:
            wrong = f"its metric is {front.metric}"
            allowed = f"allowed: {fronts[0].metric}, as of {fronts[0].study!r}"
            raise UserError(Problem(f"study {front.study!r}", wrong, allowed))


def _cost(fronts: Sequence[Front], asked: str | None) -> str:
    common = [name for name in fronts[0].costs if all(name in front.costs for front in fronts)]
    if not common or (asked is not None and asked not in common):
        wrong = f"{asked!r} is no cost of all of them" if asked else "no cost in common"
        raise UserError(
            Problem("compare", wrong, f"allowed: {', '.join(common) or 'other studies'}")
        )
    return asked or common[0]


def _side(front: Front, study: Study, cost: str, levels: Sequence[float]) -> Side:
    ran = measured_as(study, {})
    config = study.config
    return Side(
        study=front.study,
        model=_named(config, "model"),
        data=_named(config, "data"),
        device=study.reference.environment.device if study.reference else "unknown",
        engine=ran.engine or "unknown",
        dtype=ran.dtype,
        dense=dict(front.reference or {}),
        finished=front.finished,
        points=len(front.members),
        hypervolume=front.hypervolume,
        at_points_lost=front.at_points_lost if front.members else (),
        cheapest=tuple(_cheapest(front, cost, level) for level in levels),
    )


def _named(config: dict[str, object], table: str) -> str:
    found = config.get(table)
    return public_name(str(found["path"])) if isinstance(found, dict) else "unknown"


def _cheapest(front: Front, cost: str, level: float) -> Cheapest:
    """Return the cheapest of the dense model and the points whose metric is at a level."""
    dense: tuple[dict[str, int | float], int | None] = (front.reference or {}, None)
    values = [dense, *((dict(point.values), point.number) for point in front.members)]
    enough = [(v[cost], number) for v, number in values if v[front.metric] >= level - 1e-9]
    if not enough:
        return Cheapest(level=level)
    value, trial = min(enough, key=lambda found: OBJECTIVES[cost].sign * found[0])
    return Cheapest(level=level, value=value, trial=trial)


def _unlike(sides: Sequence[Side]) -> Iterator[str]:
    for name in ("data", "device", "engine", "dtype"):
        found = list(dict.fromkeys(str(getattr(side, name)) for side in sides))
        if len(found) > 1:
            yield f"{name}: {' / '.join(found)}"
