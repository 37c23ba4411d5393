"""The table ``[data]`` of the study file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from pareto_prune.core.study_table import MOST, Share, Table

_FEWEST_ROWS = {"train": 8, "validation": 2, "test": 1}
"""Rows that a split needs at least; of the first two there must be two classes."""


class DataTable(Table):
    """``[data]``: the labelled data set and how it is read."""

    path: str
    """A hub id, a local folder or file (CSV, JSON lines, Parquet, CoNLL, or
    plain text, a text a line, where no labels are needed), or a `demo:` name."""
    name: str | None = None
    """Configuration of a hub data set, such as `sst2` of `glue`."""
    task: str = "classification"
    """What is learned; see `pareto-prune list tasks`."""
    text: tuple[str, ...] = ("text",)
    """The text column, or a list of two for sentence pairs."""
    label: str | tuple[str, ...] = "label"
    """The label column, or a list of them where every one holds a number or a label."""
    splits: dict[Literal["train", "validation", "test"], Share | str] = {
        "train": 0.8,
        "validation": 0.1,
        "test": 0.1,
    }
    """Shares of one table, or the names of the splits or files that hold each."""
    max_length: Annotated[int, Field(ge=4, le=MOST)] = 128
    """Tokens after which a text is cut off."""
    limit: Annotated[int, Field(ge=8, le=MOST)] | None = None
    """Use at most this many examples: of each split, or of the one table that shares divide."""
    corpus: tuple[str, ...] = ()
    """Files of more texts whose tokens stay where `search.vocabulary` cuts others: plain text
    (`.txt`, one text a line), or tables with the text columns."""

    @pydantic.field_validator("text", mode="before")
    @classmethod
    def _column(cls, value: Any) -> Any:
        """Let one column be a plain string."""
        return (value,) if isinstance(value, str) else _tuple(value)

    @pydantic.field_validator("text")
    @classmethod
    def _one_or_two(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) not in (1, 2):
            raise ValueError("allowed: one column, or two for sentence pairs")
        return value

    @pydantic.field_validator("label", mode="before")
    @classmethod
    def _labels(cls, value: Any) -> Any:
        return _tuple(value)

    @pydantic.field_validator("label")
    @classmethod
    def _differ(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not value or (isinstance(value, tuple) and len(set(value)) < len(value)):
            raise ValueError("allowed: a column, or a list of columns, each once")
        return value

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the label columns."""
        return (self.label,) if isinstance(self.label, str) else self.label

    @pydantic.field_validator("splits")
    @classmethod
    def _whole(cls, value: dict[str, float | str]) -> dict[str, float | str]:
        missing = [name for name in ("train", "validation", "test") if name not in value]
        if missing:
            raise ValueError(f"{', '.join(missing)} missing, allowed: train, validation and test")
        shares = [share for share in value.values() if isinstance(share, float)]
        if shares and len(shares) != len(value):
            raise ValueError("allowed: three shares, or three names")
        if shares and (min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6):
            raise ValueError(f"shares add up to {sum(shares):g}, allowed: above 0, 1 in all")
        return value

    @pydantic.model_validator(mode="after")
    def _enough(self) -> Self:
        """Refuse a limit of which the shares leave a split without rows, or with one class."""
        shares = {name: share for name, share in self.splits.items() if isinstance(share, float)}
        if self.limit is not None and shares and not _fills(self.limit, shares):
            least = next(rows for rows in itertools.count(self.limit) if _fills(rows, shares))
            raise ValueError(
                f"limit = {self.limit} is too few for these shares, allowed: {least} or more"
            )
        return self


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _fills(rows: int, shares: Mapping[Any, float]) -> bool:
    counts = {name: round(shares[name] * rows) for name in ("validation", "test")}
    counts["train"] = rows - sum(counts.values())
    return all(counts[name] >= least for name, least in _FEWEST_ROWS.items())
