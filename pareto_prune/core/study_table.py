"""What all tables of the study file are: frozen records that know every one of their keys."""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

import pydantic
from pydantic import Field

from pareto_prune.core.record import Record

Share = Annotated[float, Field(ge=0.0, le=1.0)]
MOST = 2**31 - 1
"""Highest whole number of a study file: what databases and libraries hold."""
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=MOST)]


class Table(Record):
    """A table of the study file: frozen, no unknown keys, no silent conversions.

    The text under each field is its description in ``docs/study-file.md``.
    """

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read plain JSON types, where lists stand for tuples."""
        return cls.model_validate_json(json.dumps(data))
