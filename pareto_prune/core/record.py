"""The base of every value that survives JSON."""

from __future__ import annotations

from typing import Any, Self

import pydantic


class Record(pydantic.BaseModel):
    """A frozen value that survives JSON and refuses what it does not know."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what :meth:`to_json` wrote. Raises ``pydantic.ValidationError`` otherwise."""
        return cls.model_validate(data)
