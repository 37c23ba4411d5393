"""What to know before the numbers of a study are believed, in sentences."""

from __future__ import annotations

from collections.abc import Iterable

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import ESTIMATE_FACTOR, ESTIMATED, points, written
from pareto_prune.core.records import Reading, Study
from pareto_prune.results.cold import COLD, MEANING
from pareto_prune.results.hypervolume import box_told, volume_v1_told
from pareto_prune.results.records import Front


def notes_of(front: Front, study: Study) -> list[str]:
    """Return what to know before believing the numbers."""
    label = OBJECTIVES[front.metric].label
    notes = list(_noise_note(front, label))
    for objective in front.objectives:
        reading = _readings(study).get(objective.name)
        if reading is not None:
            notes.append(_reading_note(objective.name, reading))
    notes.append(
        "Latency and energy are the ratio to the dense model, taken in turn with it in the same "
        "process, times the dense model's own value."
    )
    notes.append(
        "Intervals of costs hold for a second run: the spread between runs of this machine is in "
        "them, as far as it is known."
    )
    notes += [MEANING] if COLD in (front.reference or {}) else []
    notes += _box_note(front, label)
    return notes


def _box_note(front: Front, label: str) -> Iterable[str]:
    if front.chance is None or front.hypervolume_v1 is None:
        return
    told = box_told(label, written(front.metric, front.chance))
    yield f"{told} This front has {volume_v1_told(front.hypervolume_v1)}."


def _noise_note(front: Front, label: str) -> Iterable[str]:
    interval = front.reference_intervals.get(front.metric)
    seen = f" on {front.examples} validation examples" if front.examples else ""
    if interval is not None:
        half = points((interval[1] - interval[0]) / 2)
        yield (
            f"The {label} of one model{seen} is known to ± {half} (95 %). Two models on the same "
            "examples are compared example by example, which tells smaller differences."
        )
    unconfirmed = sum(not point.confirmed for point in front.members)
    if unconfirmed:
        yield (
            f"The front is the best of many trials on the same validation examples, so its {label} "
            f"is optimistic, and its costs are a little; {unconfirmed} of its points are not "
            "confirmed by a longer retraining."
        )


def _reading_note(name: str, reading: Reading) -> str:
    label = OBJECTIVES[name].label.capitalize()
    how = f"{label} is {reading.grade} ({reading.source}, {reading.scope})"
    if reading.interval and reading.value:
        half = 100 * (reading.interval[1] - reading.interval[0]) / (2 * reading.value)
        how += f", the dense model's own value to ± {half:.1f} % in {reading.repeats} repeats"
    if reading.grade == "estimated":
        how += f"; an estimate, good to a factor of about {ESTIMATE_FACTOR} (×/÷)"
        how += f", shown with {ESTIMATED}"
    if reading.flags:
        how += f"; flagged: {', '.join(reading.flags)}"
    return how + "."


def _readings(study: Study) -> dict[str, Reading]:
    return study.reference.measurement.readings if study.reference else {}
