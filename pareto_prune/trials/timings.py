"""How long the stages of a trial take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter


@dataclass
class Timings:
    """Seconds by stage; a stage inside another one is not counted twice."""

    seconds: dict[str, float] = field(default_factory=dict)
    _inner: list[float] = field(default_factory=list)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time that the ``with`` block takes, less that of stages within, to ``stage``."""
        start = perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            spent = perf_counter() - start
            own = spent - self._inner.pop()
            if self._inner:
                self._inner[-1] += spent
            self.seconds[stage] = self.seconds.get(stage, 0.0) + own
