"""What to type next: commands with the program as it was called here."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pareto_prune.core.defaults import DEFAULT_STORAGE
from pareto_prune.results.records import Front

PROGRAM = "pareto-prune"


def next_commands(front: Front, storage: str) -> Iterator[str]:
    """Yield the commands that follow a run: explain its best point, and take it home."""
    found = front.recommended.trial if front.recommended else front.knee
    if found is None:
        return
    name, tail = shlex.quote(front.study), _stored(storage)
    knee = "" if front.recommended else " --knee"
    yield f"{program()} select {name}{knee}{tail}"
    yield f"{program()} export {name} {found} --to {name}-{found}{tail}"


def _stored(storage: str) -> str:
    """Return the option that names the storage, where it is not the usual one; never a password."""
    if storage == DEFAULT_STORAGE:
        return ""
    return " --storage URL" if "@" in storage else f" --storage {shlex.quote(storage)}"


def program() -> str:
    """Return how this program is called from here."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(_from_here(Path(sys.executable)))} -m pareto_prune.cli"
    if called.name != PROGRAM or not called.is_file():
        return PROGRAM
    known = shutil.which(PROGRAM)
    if known is not None and Path(known).samefile(called):
        return PROGRAM
    return shlex.quote(_from_here(called))


def _from_here(path: Path) -> str:
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
