"""Whether a file is text in UTF-8, and if not, where it stops to be."""

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
