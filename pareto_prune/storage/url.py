"""Which storage URLs are taken, and how one is shown: never with its password."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from pareto_prune.core.errors import Problem, UserError

ALLOWED = "allowed: sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"

_POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")
_MYSQL_REASON = (
    "MySQL and MariaDB are not supported: they hold 64 kB in a text column and fail concurrent "
    'claims with "Record has changed since last read"'
)


def checked(text: str) -> URL:
    """Return the parsed URL, with the driver that is used.

    Raises:
        UserError: it is no URL, or of a database that is not supported.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UserError(Problem("storage", "not a database URL", ALLOWED)) from None
    if url.drivername == "sqlite":
        return _file(text, url)
    if url.drivername in _POSTGRESQL:
        _check_escaped(text, url)
        return _server(url)
    wrong = f"{url.drivername!r} is not supported"
    if url.drivername.startswith(("mysql", "mariadb")):
        wrong = _MYSQL_REASON
    raise UserError(Problem("storage", wrong, ALLOWED))


def shown(url: URL) -> str:
    """Return the URL as it may be printed: without password and options."""
    return url.set(query={}).render_as_string(hide_password=True)


def file_of(url: URL) -> Path | None:
    """Return the file of an SQLite URL, ``None`` for a server."""
    return Path(url.database) if url.drivername == "sqlite" and url.database else None


def _file(text: str, url: URL) -> URL:
    if url.host:
        wrong = f"{url.host!r} stands where a host would, behind two slashes"
        raise UserError(Problem("storage", wrong, f"allowed: three, as in sqlite:///{url.host}"))
    if "?" in text:
        wrong = f"{shown(url)}: what stands behind a '?' is not taken"
        raise UserError(Problem("storage", wrong, "allowed: sqlite:///FILE, no '?' in FILE"))
    if not url.database or url.database == ":memory:":
        wrong = "a database in memory cannot be shared by workers"
        raise UserError(Problem("storage", wrong, ALLOWED))
    folder = Path(url.database).parent
    if not folder.is_dir():
        raise UserError(Problem("storage", f"{shown(url)}: there is no folder {str(folder)!r}"))
    if Path(url.database).is_dir():
        raise UserError(Problem("storage", f"{shown(url)}: is a folder, allowed: a file"))
    return url


def _check_escaped(text: str, url: URL) -> None:
    """Refuse, and show nothing of, a URL in which a part of the password may pass for a host."""
    if text.count("@") > 1 or "@" in f"{url.host}{url.database}":
        wrong = "has an '@' that is not part of a host"
        advice = "allowed: %40 for an '@' and %2F for a '/', or the password in PGPASSWORD"
        raise UserError(Problem("storage", wrong, advice))


def _server(url: URL) -> URL:
    if not url.database:
        raise UserError(Problem("storage", f"{shown(url)}: names no database", ALLOWED))
    return url.set(drivername="postgresql+psycopg")
