"""What stands below the table of a front: what the front amounts to."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import ESTIMATED, times, written
from pareto_prune.results.cautions import cautions
from pareto_prune.results.cold import hot_and_cold
from pareto_prune.results.hypervolume import volume_v1_told
from pareto_prune.results.records import AtPointsLost, Front
from pareto_prune.results.rivals import beside_fastest
from pareto_prune.results.tables.text import shown_lines

RECOMMENDED = "★"


def front_summary(front: Front) -> Text:
    """Return hypervolume, what little is lost for how much, and the recommended point."""
    lines = [_counted(front), _volume(front), *map(_at_loss, _known(front))]
    lines += [_why_none(front)] if not front.members and front.finished else []
    lines += _left_out(front)
    lines += _ties(front)
    lines += [f"! {caution}" for caution in cautions(front)]
    if front.recommended:
        chosen = front.recommended
        lines.append(f"{RECOMMENDED} recommended: trial {chosen.trial}, {chosen.reason}")
        lines += _either_way(front, chosen.trial)
        lines += _beside_rival(front, chosen.trial)
    if any(front.estimated(o.name) for o in front.objectives):
        lines.append(f"{ESTIMATED} an estimate, good to a factor of about 2")
    return shown_lines(lines)


def _either_way(front: Front, number: int) -> list[str]:
    """Return how fast a point is hot and cold, where both are known."""
    point = front.point(number)
    said = hot_and_cold(front, point) if point else None
    return [f"  {said}"] if said else []


def _beside_rival(front: Front, number: int) -> list[str]:
    """Return what a point costs against the fastest reference, where one is faster than dense."""
    point = front.point(number)
    said = beside_fastest(front, point) if point else None
    return [f"  {said}"] if said else []


def _counted(front: Front) -> str:
    finished = {s: n for s, n in front.counts.items() if n and s in ("stopped", "failed")}
    finished |= {s: n for s, n in front.counts.items() if n and s == "infeasible"}
    rest = "".join(f", {n} {state}" for state, n in finished.items())
    members = len(front.members)
    noun = "point" if members == 1 else "points"
    native = "native " if front.native else ""
    return f"{members} {native}{noun} on the front of {front.finished} trials{rest}"


def _volume(front: Front) -> str:
    if front.hypervolume is None or front.hypervolume_v1 is None:
        why = "does not beat chance" if front.reference else "is not measured yet"
        return f"hypervolume: none, the dense model {why}"
    return f"hypervolume {front.hypervolume:.3f} ({volume_v1_told(front.hypervolume_v1)})"


def _why_none(front: Front) -> str:
    """Say which constraints left no point, where they did."""
    if not front.counts.get("infeasible"):
        return ""
    broken = ", ".join(
        f"{OBJECTIVES[name].label} {front.constraints[name]}: {count} trials break it"
        for name, count in front.broken.items()
        if name in front.constraints
    )
    return f"no point keeps the constraints ({broken})"


def _left_out(front: Front) -> list[str]:
    """Return what is known of trials that lost too much to be points."""
    if not front.below_floor:
        return []
    at = f"at or below {written(front.metric, front.floor)} {OBJECTIVES[front.metric].label}"
    noun, verb, them = (
        ("trial", "is", "it") if front.below_floor == 1 else ("trials", "are", "them")
    )
    many = f"{front.below_floor} {noun} {at}, where a front ends, {verb} left out"
    return [f"{many} (--all shows {them})"]


def _ties(front: Front) -> list[str]:
    """Return which confirmed points are not better, or no different, beyond noise."""
    label = OBJECTIVES[front.metric].label
    lines, told = [], set()
    for point in front.members:
        if not (found := point.confirmation):
            continue
        fresh = [n for n in found.tied if frozenset((n, point.number)) not in told]
        told |= {frozenset((n, point.number)) for n in fresh}
        if fresh:
            noted = "" if found.paired else " (by 95 % intervals, not paired by example)"
            lines.append(f"statistically tied: trials {_listed([point.number, *fresh])}{noted}")
        if found.matched_by is not None and found.matched_by not in found.tied:
            than = f"trial {found.matched_by}, which is cheaper"
            noted = "" if found.paired else " (95 % intervals overlap, not paired by example)"
            lines.append(f"trial {point.number}: {label} within noise of {than}{noted}")
    return lines


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _known(front: Front) -> list[AtPointsLost]:
    given = front.at_points_lost if front.members else ()
    return [at for at in given if at.speedup is not None or at.energy_ratio is not None]


def _at_loss(at: AtPointsLost) -> str:
    parts = []
    if at.speedup is not None:
        parts.append(f"{times(at.speedup)} faster{_whose(at.speedup_trial)}")
    if at.energy_ratio is not None:
        parts.append(f"{times(at.energy_ratio)} the energy{_whose(at.energy_trial)}")
    lost = f"{at.points} point{'s' * (at.points > 1)}"
    return f"at most {lost} lost: {', '.join(parts)}"


def _whose(trial: int | None) -> str:
    return "" if trial is None else f" (trial {trial})"
