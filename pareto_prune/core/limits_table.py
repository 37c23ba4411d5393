"""The table of the study file that says how long a study goes on."""

from __future__ import annotations

from pareto_prune.core.durations import Duration
from pareto_prune.core.study_table import Count, Positive, Table


class LimitsTable(Table):
    """``[limits]``: how long a study goes on; the only table that may change later."""

    trials: Count = 40
    """Trials in all; complete, early-stopped and failed ones count."""
    time: Duration | None = None
    """Wall-clock limit of one `run`, such as `12min`."""
    trial_time: Duration | None = None
    """Wall-clock limit of one trial; of a promoted one as many times as much as it has steps."""
    priority: Positive = 1.0
    """Part of the workers of all studies (`worker --any`), against that of the others."""
    plateau: Count | None = None
    """Stop once this many trials in a row have raised the hypervolume by less than 1 %."""
