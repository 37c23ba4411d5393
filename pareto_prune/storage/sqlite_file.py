"""An SQLite file: its connections, with a write-ahead log, or to look at only.

A file that may not be written is opened for reading. Where its folder may not be written either,
SQLite could not make the files beside it that it shares with others; nobody else writes then, and
it is told so (``immutable``).
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

BUSY_SECONDS = 60
"""How long SQLite itself waits for a lock."""


class WriteAhead(sqlite3.Connection):
    """An SQLite connection with a write-ahead log, flushed to disk at checkpoints.

    The log is a setting of the file, so one that holds only tables of another program has none.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self._is_for_studies():
            self.execute("PRAGMA journal_mode=WAL")
            self.execute("PRAGMA synchronous=NORMAL")

    def _is_for_studies(self) -> bool:
        """Return whether there are tables of studies, or none yet."""
        tables = {name for (name,) in self.execute("SELECT name FROM sqlite_master")}
        return not tables or "pareto_schema" in tables


def may_write(file: Path) -> bool:
    """Return whether a file may be written, or made."""
    return not file.exists() or os.access(file, os.W_OK)


def connected(file: Path) -> sqlite3.Connection:
    """Return a new connection to a file, whose transactions are begun by hand."""
    arguments: dict[str, Any] = {
        "timeout": BUSY_SECONDS,
        "check_same_thread": False,
        "isolation_level": None,
    }
    if may_write(file):
        return sqlite3.connect(file, factory=WriteAhead, **arguments)
    return sqlite3.connect(f"{file.resolve().as_uri()}?{_mode(file)}", uri=True, **arguments)


def _mode(file: Path) -> str:
    log = file.with_name(f"{file.name}-wal")
    alone = not os.access(file.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
    return "mode=ro&immutable=1" if alone else "mode=ro"
