"""Whether a scorecard keeps within bounds: for a pipeline that must not deploy what breaks one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pareto_prune.core.errors import Problem, UserError, unknown_name
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.export.deployed.scoring import Scorecard


def check_names(names: Iterable[str]) -> None:
    """Refuse, before anything is scored, bounds on what no scorecard has.

    Raises:
        UserError: a name is that of no metric or cost; one line for each.
    """
    unknown = sorted(set(names) - set(OBJECTIVES))
    if unknown:
        raise UserError(*(unknown_name("objective", name, list(OBJECTIVES)) for name in unknown))


def broken(
    card: Scorecard, maximum: Mapping[str, float], minimum: Mapping[str, float]
) -> list[str]:
    """Return a line for each bound that a scorecard breaks.

    Args:
        card: of an exported model.
        maximum: the highest value allowed, by name of a metric or a cost.
        minimum: the lowest.

    Raises:
        UserError: a bound is on what the scorecard does not have.
    """
    values = _values(card)
    unknown = sorted({*maximum, *minimum} - values.keys())
    if unknown:
        raise UserError(*(Problem(name, "was not taken", _allowed(values)) for name in unknown))
    return [*_beyond(values, maximum, "most", 1), *_beyond(values, minimum, "least", -1)]


def _values(card: Scorecard) -> dict[str, float]:
    measured = {} if card.measurement is None else card.measurement.readings
    known = {name: found.value for name, found in measured.items() if found.value is not None}
    return {**card.model.metrics, **known}


def _allowed(values: Mapping[str, float]) -> str:
    return f"allowed: bounds on {', '.join(values)}"


def _beyond(
    values: Mapping[str, float], bounds: Mapping[str, float], what: str, sign: int
) -> Iterator[str]:
    for name, bound in bounds.items():
        if sign * (values[name] - bound) > 0:
            yield f"{name} = {values[name]:.6g}, asked: at {what} {bound:g}"
