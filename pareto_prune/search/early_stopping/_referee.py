"""One trial and the rule: asked at every stage, and what comes of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from pareto_prune.search.early_stopping._rule import Stop, StopRule


class StoppedEarlyError(Exception):
    """The trial in hand is hopeless and ends here; it is no failure."""


@dataclass
class Referee:
    """Asks the rule at each stage of one trial.

    Attributes:
        rule: the rule as the study stands now; ``None`` where trials are not stopped.
        audited: whether this trial would run on.
        stop: the first decision against it, once there was one.
    """

    rule: Callable[[], StopRule] | None = None
    audited: bool = False
    stop: Stop | None = None

    def ask(self, question: Callable[[StopRule], Stop | None]) -> None:
        """Decide.

        Raises:
            StoppedEarlyError: the trial ends here; an audited one never does.
        """
        if self.rule is None or self.stop is not None:
            return
        self.stop = question(self.rule())
        if self.stop is not None and not self.audited:
            raise StoppedEarlyError(self.stop.reason)


def audited(seed: int, share: float) -> bool:
    """Return whether the trial of this seed is one of the ``share`` that runs on if stopped."""
    return random.Random(f"audit:{seed}").random() < share
