"""The colours of the states of trials."""

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
