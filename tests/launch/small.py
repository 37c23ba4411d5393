"""The small study in real worker processes, measured by the script: ``STUDY.toml URL OUTPUT``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pareto_prune import api
from pareto_prune.core.progress import Progress
from pareto_prune.running import run_study as running
from pareto_prune.running.assignment import RunTrial
from pareto_prune.trials import bench
from tests.small_study import ScriptedMeasurer

_prepare = running.prepare


class Shelf(LocalFileSystem):
    """A file system that is no folder to us, though several processes see it: ``shelf:///…``."""

    protocol = "shelf"

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        return LocalFileSystem._strip_protocol(str(path).removeprefix("shelf://"))


fsspec.register_implementation("shelf", Shelf)


def prepare(url: str, name: str, progress: Progress) -> RunTrial:
    """As in a real run, but for the clock."""
    bench._measurer = scripted
    return _prepare(url, name, progress)


def scripted(_config: Any, dense: Any, _data: Any, _progress: Any) -> ScriptedMeasurer:
    return ScriptedMeasurer(dense.model)


def run(study: Path, url: str, output: Path, **options: Any) -> api.Outcome:
    """Run a study with workers that measure by the script."""
    running.prepare = prepare
    try:
        return api.run(study, url, output=output, **options)
    finally:
        running.prepare = _prepare


if __name__ == "__main__":
    study, url, output = sys.argv[1:]
    print(run(Path(study), url, Path(output)).stopped_by)
