"""Early stopping with several objectives: whether a trial can still be of use.

::

    shape ─► predicted costs ─► cut ─► sizes ─► measured costs ─► plan ─► rung 0 ─► rungs … ─► end
             break a                   break a constraint?        tried    dominated, or a
             constraint?                                          before?  constraint out of reach,
             nothing was run yet                                           even at an optimistic
                                                                           estimate of the end?

Decisions are pure functions of what is known of the trial and of the trials that ran to their end
(:class:`StopRule`). A share of what would be stopped runs on as an audit, so that
:func:`pareto_prune.results.savings.savings` can tell how often a stop was wrong. Loads neither
torch nor Optuna.
"""

from __future__ import annotations

from pareto_prune.search.early_stopping._completed import Completed
from pareto_prune.search.early_stopping._prediction import PREDICTABLE, TABLED, predict
from pareto_prune.search.early_stopping._referee import Referee, StoppedEarlyError, audited
from pareto_prune.search.early_stopping._rule import Progress, Stop, StopRule, rung_steps

__all__ = [
    "PREDICTABLE",
    "TABLED",
    "Completed",
    "Progress",
    "Referee",
    "Stop",
    "StopRule",
    "StoppedEarlyError",
    "audited",
    "predict",
    "rung_steps",
]
