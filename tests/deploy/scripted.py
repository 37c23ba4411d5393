"""What runs trials as in a real run, but for the clock; loads no torch before it is asked to."""

from __future__ import annotations

from pareto_prune.core.progress import Progress
from pareto_prune.running import run_study as running
from pareto_prune.running.assignment import RunTrial

_prepare = running.prepare


def prepare(url: str, name: str, progress: Progress) -> RunTrial:
    """Return what runs the trials of a study, measured by the script."""
    from pareto_prune.trials import bench
    from tests.launch.small import scripted

    bench._measurer = scripted
    return _prepare(url, name, progress)
