"""What a model said to each example, packed into a few hundred bytes of text."""

from __future__ import annotations

import base64
import zlib
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.record import Record

_Number = Literal["|u1", "<u2", "<i4", "<f4"]
_WHOLE: tuple[_Number, ...] = ("|u1", "<u2", "<i4")


class Outcomes(Record):
    """What became of each example of a split, as a task tells it; two models can be paired by it.

    Attributes:
        examples: how many.
        dtype: of the numbers, as NumPy writes it.
        packed: numbers of all examples, column by column, by zlib and base64.
    """

    examples: int
    dtype: _Number
    packed: str

    @classmethod
    def of(cls, array: NDArray[np.generic]) -> Self:
        """Pack ``array``, shape (examples, numbers), into the narrowest numbers that hold it."""
        columns = np.ascontiguousarray(array.T)
        exact = (d for d in _WHOLE if np.array_equal(columns.astype(d), columns))
        dtype: _Number = next(exact, "<f4")
        packed = base64.b64encode(zlib.compress(columns.astype(dtype).tobytes(), 9))
        return cls(examples=len(array), dtype=dtype, packed=packed.decode("ascii"))

    def array(self) -> NDArray[np.generic]:
        """Return the numbers, shape (examples, numbers)."""
        content = zlib.decompress(base64.b64decode(self.packed))
        return np.frombuffer(content, self.dtype).reshape(-1, self.examples).T
