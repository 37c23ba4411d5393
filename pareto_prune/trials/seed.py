"""The seed of a trial, from which everything random in it comes."""

from __future__ import annotations

import hashlib


def trial_seed(seed: int, number: int) -> int:
    """Return a trial's seed, in [0, 2³¹): a hash of the study's seed and the trial's number."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
