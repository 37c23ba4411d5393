"""The colours of states."""

from __future__ import annotations

STATE_STYLES = {
    "complete": "green",
    "running": "cyan",
    "waiting": "dim",
    "stopped": "yellow",
    "failed": "red",
    "infeasible": "magenta",
    "too low": "magenta",
}
"""Of trials."""
STUDY_STYLES = {"paused": "yellow", "stopped": "dim", "cancelled": "dim"}
"""Of studies that begin no trial."""
