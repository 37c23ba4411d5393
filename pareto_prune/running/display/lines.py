"""What the display says of a trial and of the front, in a line each."""

from __future__ import annotations

from rich.text import Text

from pareto_prune.core.quantities import ESTIMATED, times, written
from pareto_prune.core.records import Candidate, Trial, TrialState
from pareto_prune.results.gains import gains
from pareto_prune.results.members import competes
from pareto_prune.results.records import Front, Point
from pareto_prune.results.tables import shown
from pareto_prune.results.yardstick import yardstick_of


def made_from(candidate: Candidate) -> str:
    """Return what a candidate is made from, in a word or two."""
    if candidate.starter:
        return candidate.starter
    if candidate.redeployed:
        return f"{candidate.strategy}, {candidate.parent} in {candidate.deployment['dtype']}"
    if candidate.parent is not None:
        return f"{candidate.strategy}, from {candidate.parent}"
    return "/".join(dict.fromkeys((candidate.strategy, candidate.importance)))


def found(front: Front) -> str | None:
    """Say what the front amounts to so far, in one line."""
    if not front.members:
        return None
    count = len(front.members)
    parts = [f"front {count}"]
    if front.hypervolume is not None:
        parts.append(f"hypervolume {front.hypervolume:.3f}")
    best = front.point(front.recommended.trial) if front.recommended else None
    if best is not None:
        gain = gains(best, yardstick_of(front))
        metric = written(front.metric, best.values[front.metric])
        parts.append(f"best {metric} {gain} (trial {best.number})")
    return " · ".join(parts)


def trial_line(trial: Trial, front: Front, total: int = 0) -> Text:
    """Return one line: number, strategy, metric, latency and energy ratio, and where it stands."""
    point = front.point(trial.number)
    candidate = trial.candidate or (trial.result.candidate if trial.result else None)
    of = f"/{total}" if total else ""
    text = Text(f"trial {trial.number}{of}".ljust(13))
    text.append_text(shown((made_from(candidate) if candidate else "?").ljust(20)))
    for part in _figures(trial, front):
        text.append(f"  {part}")
    text.append("  ")
    text.append_text(_standing(trial, front, point))
    return text


def _figures(trial: Trial, front: Front) -> list[str]:
    values = trial.result.values if trial.result else {}
    if not values:
        return []
    measure = yardstick_of(front)
    shares = measure.relative(values)
    figures = [written(front.metric, values.get(front.metric))]
    for objective in measure.costs:
        if objective.name in shares:
            mark = ESTIMATED if front.estimated(objective.name) else ""
            figures.append(f"{objective.label} {mark}{times(shares[objective.name])}")
    return figures


def _standing(trial: Trial, front: Front, point: Point | None) -> Text:
    result = trial.result
    if trial.state is TrialState.FAILED:
        failure = result.failure if result else None
        reason = f"failed: {failure.kind}: {failure.reason}" if failure else "failed"
        return Text(shown(reason).plain, style="red")
    if trial.state is TrialState.STOPPED:
        reason = result.stop_reason if result and result.stop_reason else ""
        return Text(shown(f"stopped early {reason}".strip()).plain, style="yellow")
    if point is not None and point.on_front:
        return Text("on the front", style="green")
    if not competes(trial, yardstick_of(front)):
        return Text("breaks a constraint", style="magenta")
    return Text("dominated", style="dim")
