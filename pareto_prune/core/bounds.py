"""Bounds on objectives, as a study file writes them: an operator and a number."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import pydantic

_CONSTRAINT = re.compile(r"^(<=|>=)\s*(\S+)$")


def bound(text: str) -> tuple[Literal["<=", ">="], float]:
    """Return the operator and the number of a constraint such as ``">= 0.80"``.

    Raises:
        ValueError: it is not one.
    """
    match = _CONSTRAINT.match(text.strip())
    try:
        number = float(match[2]) if match else float("nan")
    except ValueError:
        number = float("nan")
    if match is None or number != number:
        raise ValueError("allowed: '<=' or '>=' and a number, such as '>= 0.80'")
    return ("<=" if match[1] == "<=" else ">="), number


def _checked_bound(value: str) -> str:
    bound(value)
    return value


Bound = Annotated[str, pydantic.AfterValidator(_checked_bound)]
