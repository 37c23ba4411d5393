"""What a folder's model takes of a process that does nothing else: run as one, it prints JSON.

``python -m pareto_prune.export.deployed._footprint DIR TOKENS``
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.record import Record
from pareto_prune.export.deployed._running import inputs_of, runner_of
from pareto_prune.export.manifest import Manifest

_STATM = Path("/proc/self/statm")


class Footprint(Record):
    """What a folder's model takes of a process that does nothing else.

    Attributes:
        disk_bytes: of its weights and tokenizer.
        load_seconds: from nothing to the first answer, the engine's libraries included.
        resident_bytes: of that process behind the first answer; ``None`` where it is not told.
    """

    disk_bytes: int
    load_seconds: float
    resident_bytes: int | None


def footprint(folder: Path, tokens: int) -> Footprint:
    """Return what a folder's model takes, looked at in a process of its own.

    Raises:
        UserError: that process failed; the last line that it wrote.
    """
    asked = [sys.executable, "-m", __name__, str(folder), str(tokens)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise UserError(Problem(str(folder), f"cannot be loaded alone: {said[-1]}"))
    return Footprint.from_json(json.loads(done.stdout.splitlines()[-1]))


def here(folder: Path, tokens: int) -> Footprint:
    """Return what loading a folder takes in this process."""
    manifest = Manifest.read(folder)
    began = time.perf_counter()
    runner_of(folder, manifest)(1).bind(inputs_of(folder, manifest, 1, tokens))()
    return Footprint(
        disk_bytes=sum((folder / name).stat().st_size for name in manifest.weights),
        load_seconds=time.perf_counter() - began,
        resident_bytes=_resident(),
    )


def _resident() -> int | None:
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


if __name__ == "__main__":
    print(json.dumps(here(Path(sys.argv[1]), int(sys.argv[2])).to_json()))
