"""Where things are kept unless something else is said; both lie in the working directory."""

from __future__ import annotations

from pathlib import Path

DEFAULT_STORAGE = "sqlite:///pareto_prune.db"
"""URL of the database of studies."""
DEFAULT_OUTPUT = Path("pareto_prune_output")
"""Folder of models and pages, in a folder of the study's name each."""
BUDGET = "15min"
"""Wall-clock time of a run of a study that was made from a model and data alone."""
