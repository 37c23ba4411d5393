"""Options that give numbers by name: ``NAME=NUMBER``."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pareto_prune.core.errors import Problem, UserError


def parsed(option: str, texts: Iterable[str]) -> dict[str, float]:
    """Read ``["latency_ms=5", "energy_j=0.1"]``, or one text with commas, into numbers.

    Raises:
        UserError: with every text that is not ``NAME=NUMBER``.
    """
    parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    pairs = [_pair(part) for part in parts]
    wrong = [part for part, pair in zip(parts, pairs, strict=True) if pair is None]
    if wrong:
        raise UserError(
            *(Problem(option, f"{w!r} is wrong", "allowed: NAME=NUMBER") for w in wrong)
        )
    return dict(pair for pair in pairs if pair is not None)


def _pair(text: str) -> tuple[str, float] | None:
    name, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        return None
    return (name.strip(), value) if name.strip() and math.isfinite(value) else None
