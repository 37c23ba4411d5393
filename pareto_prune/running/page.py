"""Where the page of a study is, and writing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pareto_prune.core.defaults import DEFAULT_OUTPUT
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.export.kept_models.places import local_path
from pareto_prune.results.front import front_of
from pareto_prune.results.report import write_report
from pareto_prune.storage import StoredStudy

PAGE = "report.html"


def place_of_page(stored: StoredStudy, output: str | Path | None = None) -> Path:
    """Return where the page of a study is, or is to be written.

    Args:
        stored: the study.
        output: folder in which it is, in a folder of the study's name; by default that of the
            study's models, where a page is there, else the usual one.
    """
    if output is None:
        models = local_path(stored.artifacts or "")
        # A copy keeps its models with those of the study that it was copied from.
        for folder in () if models is None else (models, models.parent):
            if folder.name == stored.name and (folder / PAGE).is_file():
                return folder / PAGE
    return Path(output or DEFAULT_OUTPUT).expanduser().resolve() / stored.name / PAGE


def write_page(stored: StoredStudy, path: Path) -> Path:
    """Write the page of a study and return its path.

    Raises:
        UserError: it cannot be written.
    """
    study = stored.read()
    with writing(path):
        return write_report(front_of(study, all_trials=True), study, path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one line that a file cannot be written.

    Raises:
        UserError: it cannot be.
    """
    try:
        yield
    except OSError as error:
        raise UserError(Problem(str(path), f"cannot be written: {error.strerror}")) from None
