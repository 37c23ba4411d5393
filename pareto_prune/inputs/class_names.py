"""Names of classes, which one table or checkpoint may write in another way than the next."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")


def plain(label: str) -> str:
    """Return a label that is text as a class's name, a whole number without its point.

    Tables are written with ``1.0`` for 1 where a column of numbers had missing values.

    >>> plain(" 1.0"), plain("-0.0"), plain("1.5"), plain("v1.0")
    ('1', '0', '1.5', 'v1.0')
    """
    name = label.strip()
    found = _WHOLE.fullmatch(name)
    return str(int(found[1])) if found else name


def folded(name: str) -> str:
    """Return what names of one class have in common, however it is written."""
    return plain(name).casefold()
