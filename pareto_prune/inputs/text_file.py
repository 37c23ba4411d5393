"""Files of plain text: their lines, and where they stop to be UTF-8."""

from __future__ import annotations

import codecs
from pathlib import Path

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def not_utf8(path: Path) -> str | None:
    """Return what keeps a file from being text in UTF-8; ``None`` if nothing does."""
    with path.open("rb") as file:
        if file.read(2) in _UTF_16:
            return "is UTF-16"
        file.seek(0)
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x} at {error.start + 1}"
                return f"is not UTF-8 (line {number}, {byte})"
    return None


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file that have something in them.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [line for line in lines if line.strip()]
