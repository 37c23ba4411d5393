"""How long and how fast a cut model trains, by how much of the dense model is left of it.

The smaller a model, the further the cut has taken it, the less a step costs, and the higher a
learning rate it bears: at a fifteenth of the dense model three times the steps at three times the
rate win back some three points of accuracy, for the price of a few steps of the dense model. A
model that has hardly been cut loses by long or fast training what the repair has given it.
"""

from __future__ import annotations

from dataclasses import dataclass

PIVOT = 0.35
"""Share of the dense model's multiply-accumulates at which steps and rate are as the study says."""
LONGEST, FASTEST, LEAST = 5.0, 3.0, 0.5


@dataclass(frozen=True)
class Allotment:
    """What a fine-tune is given.

    Attributes:
        longer: times the steps of the study.
        faster: times the learning rate of the candidate.
    """

    longer: float = 1.0
    faster: float = 1.0

    @classmethod
    def of(cls, share: float) -> Allotment:
        """Return what is given where ``share`` of the multiply-accumulates is left, in (0, 1]."""
        smaller = PIVOT / max(share, 1e-9)
        return cls(min(LONGEST, max(LEAST, smaller)), min(FASTEST, max(LEAST, smaller)))


AS_ASKED = Allotment()
