"""Number formats that are searched: those in which the dense model itself is cheaper here.

A format in which it is not would only take up trials: what it rounds costs quality, and a smaller
model gains no more by it than the dense one does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pareto_prune.core.objectives import OBJECTIVES

Formats = Mapping[str, Mapping[str, float]]
"""Format → cost → its ratio to that of the dense model, as a study's reference has them."""
CHEAPER = 0.97
"""Share of a cost from which a format is cheaper: measurements agree within three per cent."""

Knob = TypeVar("Knob", bound=str | int)


def worth_searching(dtypes: Sequence[Knob], formats: Formats) -> tuple[Knob, ...]:
    """Return the formats that are cheaper, with those of which nothing is known; all where none."""
    kept = tuple(dtype for dtype in dtypes if not _in_vain(formats.get(str(dtype))))
    return kept or tuple(dtypes)


def mean_shares(formats: Formats) -> dict[str, float]:
    """Return the mean share of the dense model's costs by format."""
    return {dtype: sum(of.values()) / len(of) for dtype, of in formats.items() if of}


def left_out(dtypes: Sequence[Knob], formats: Formats) -> list[str]:
    """Return a sentence for every format of a study that is not searched."""
    kept = worth_searching(dtypes, formats)
    return [_said(str(dtype), formats[str(dtype)]) for dtype in dtypes if dtype not in kept]


def _said(dtype: str, shares: Mapping[str, float]) -> str:
    costs = ", ".join(f"{name} {share:.2f}×" for name, share in shares.items())
    return (
        f"{dtype} is not searched: the dense model is not cheaper in it on this machine ({costs})"
    )


def _in_vain(shares: Mapping[str, float] | None) -> bool:
    costs = [share ** OBJECTIVES[name].sign for name, share in (shares or {}).items()]
    return bool(costs) and min(costs) > CHEAPER
