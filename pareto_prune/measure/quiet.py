"""Quiet: while one process measures a device, training on it waits at its next step.

Two files a device, locked with ``flock`` so that a lock dies with its process::

    gate    exclusive: the one who measures, or waits to. Training looks at it before every step.
    steps   shared by all who are within a step; the one who measures waits until nobody is.

Taking the gate first is the announcement: from then on no step begins, so a stream of steps
cannot starve a measurement. Whoever waits for long says for whom.
"""

from __future__ import annotations

import functools
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pareto_prune.core import locks

VARIABLE = "PARETO_PRUNE_LOCKS"
PATIENCE = 60.0
_POLL_S = 0.002
_ADVICE = (
    f"allowed: a folder of your own in {VARIABLE}, or, for all users of the host, "
    "one of root's with mode 1777"
)


class Quiet:
    """The locks of one device. One object a process and device: :func:`quiet`.

    Args:
        device: what the files are named after (``cpu``, the UUID of a GPU).
        folder: where they lie; all processes of the host must see the same one.

    Raises:
        UserError: other users could turn the folder on this one, or it cannot be written.
    """

    def __init__(self, device: str, folder: Path) -> None:
        name = re.sub(r"[^A-Za-z0-9._-]", "-", device)
        self._within_step = False
        self._paths = folder / f"{name}.gate", folder / f"{name}.steps"
        self._begin()

    @contextmanager
    def measuring(self, patience: float = PATIENCE) -> Iterator[None]:
        """Hold the device: nobody else measures it, and no step of training runs on it.

        Args:
            patience: seconds to wait for a step under way; behind that the measurement begins,
                and what the step disturbs is seen as foreign load.
        """
        with self._thread:
            self._depth += 1
            try:
                if self._depth == 1:
                    self._take(patience)
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    locks.give(self._steps)
                    locks.give(self._gate)

    @contextmanager
    def training(self) -> Iterator[Callable[[], None]]:
        """Yield what to call before every step of training, for the length of a ``with`` block.

        The call waits while somebody measures, here or in another process.
        """
        try:
            yield self._next_step
        finally:
            self._end_step()

    def pause(self) -> None:
        """Wait while another process measures.

        For loops that :meth:`training` cannot enclose: what measures does not wait for such a
        loop's step under way.
        """
        if not self._open_gate():
            self._wait()

    def _next_step(self) -> None:
        if self._within_step and self._open_gate():
            return
        self._end_step()
        self._wait()
        locks.take(self._steps, locks.SHARED, self._paths[1])
        self._within_step = True

    def _end_step(self) -> None:
        if self._within_step:
            locks.give(self._steps)
            self._within_step = False

    def _open_gate(self) -> bool:
        """Whether nobody measures, this thread excepted."""
        if not self._thread.acquire(blocking=False):
            return False
        try:
            if self._depth > 0:
                return True
            is_open = locks.try_to_take(self._gate, locks.SHARED)
            locks.give(self._gate)
            return is_open
        finally:
            self._thread.release()

    def _wait(self) -> None:
        with self._thread:
            if self._depth == 0:
                locks.take(self._gate, locks.SHARED, self._paths[0])
                locks.give(self._gate)

    def _take(self, patience: float) -> None:
        self._end_step()
        locks.take(self._gate, locks.EXCLUSIVE, self._paths[0])
        until = time.monotonic() + patience
        while time.monotonic() < until and not locks.try_to_take(self._steps, locks.EXCLUSIVE):
            time.sleep(_POLL_S)

    def after_fork(self) -> None:
        """Open the files anew in a forked child: it must not keep its parent's locks alive."""
        os.close(self._gate)
        os.close(self._steps)
        self._begin()

    def _begin(self) -> None:
        self._gate, self._steps = (locks.open_shared(path, _ADVICE) for path in self._paths)
        self._within_step = False
        self._thread = threading.RLock()
        self._depth = 0


def quiet(device: str) -> Quiet:
    """Return the locks of a device in this process."""
    return _quiet(device, folder())


def folder() -> Path:
    """Return where the locks of this host lie (``PARETO_PRUNE_LOCKS``, else the system's)."""
    return Path(os.environ.get(VARIABLE) or Path(tempfile.gettempdir()) / "pareto_prune_locks")


@functools.cache
def _quiet(device: str, where: Path) -> Quiet:
    made = Quiet(device, where)
    os.register_at_fork(after_in_child=made.after_fork)
    return made
