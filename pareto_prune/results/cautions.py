"""What is said before a front is believed: too little to tell, or a reference that beats it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pareto_prune.core.records import DENSE_STARTER
from pareto_prune.results.records import Front, NamedReference, Point
from pareto_prune.results.rivals import described

_LISTED = 8


def cautions(front: Front) -> tuple[str, ...]:
    """Return what to know first of a front, in sentences."""
    alone = [f"No point is recommended: {doubt}." for doubt in front.doubts]
    return (*alone, *(s for reference in front.references for s in _outdone(front, reference)))


def _outdone(front: Front, reference: NamedReference) -> Iterable[str]:
    beaten = [
        point
        for point in front.members
        if reference.name in point.beaten_by and point.starter != DENSE_STARTER
    ]
    if beaten:
        yield (
            f"{reference.name} ({described(reference, front)}) is better in every objective than "
            f"{_counted(beaten, front)}."
        )


def _counted(beaten: Sequence[Point], front: Front) -> str:
    """Return which points of the front are beaten, and whether the recommended one is."""
    numbers = [str(point.number) for point in beaten]
    listed = ", ".join(numbers[:_LISTED]) + (", …" if len(numbers) > _LISTED else "")
    if len(beaten) == 1:
        star = front.recommended is not None and front.recommended.trial == beaten[0].number
        return f"trial {listed}, the recommended point" if star else f"trial {listed} of the front"
    star = front.recommended is not None and str(front.recommended.trial) in numbers
    among = ", the recommended one among them" if star else ""
    return f"{len(beaten)} points of the front{among}: trials {listed}"
