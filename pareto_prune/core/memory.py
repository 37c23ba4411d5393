"""Memory that was freed, and that the C library keeps for later."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Return freed memory to the system, where the C library can (glibc); else do nothing.

    After a stage that held much more than the next one will: glibc keeps what lies between blocks
    that are still in use, up to gigabytes beside models of BERT's size.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
