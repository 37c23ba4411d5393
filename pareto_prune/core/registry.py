"""Families of interchangeable parts: one file a member, found by its name.

A member is a frozen dataclass in a module of the family's package. Its fields are its options in
the study file, the first line of its docstring is its summary. Adding a member is adding a file.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import json
import pkgutil
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import pydantic

from pareto_prune.core.errors import Problem, StudyFileError, UnknownNameError

T = TypeVar("T")
C = TypeVar("C", bound=type)


@dataclasses.dataclass(frozen=True)
class Entry:
    """How a member of a family stands in ``pareto-prune list``."""

    name: str
    summary: str
    available: bool
    why_not: str | None


class Registry(Generic[T]):
    """The members of one family.

    Args:
        family: what one member is called (``"strategy"``).
        package: the package whose modules hold the members; imported at the first look-up, so
            that members may import this registry.
    """

    def __init__(self, family: str, package: str) -> None:
        self.family = family
        self._package = package
        self._members: dict[str, type] = {}
        self._loaded = False
        self._lock = threading.RLock()

    def register(self, name: str) -> Callable[[C], C]:
        """Register a frozen dataclass under ``name``."""

        def decorate(member: C) -> C:
            if name in self._members:
                raise ValueError(f"{self.family} {name!r} is registered twice")
            self._members[name] = member
            return member

        return decorate

    def names(self) -> list[str]:
        """Return every name, sorted."""
        self._load()
        return sorted(self._members)

    def member(self, name: str, where: str = "") -> type:
        """Return the class registered under ``name``.

        Raises:
            UnknownNameError: with the nearest name and the full list.
        """
        self._load()
        if name not in self._members:
            raise UnknownNameError(self.family, name, self._members, where)
        return self._members[name]

    def create(self, name: str, options: Mapping[str, Any] | None = None, where: str = "") -> T:
        """Return the member ``name`` with its options checked against its fields.

        Raises:
            UnknownNameError: no such member.
            StudyFileError: an option is unknown, of the wrong type or out of range; all at once.
        """
        member = self.member(name, where)
        options = dict(options or {})
        allowed = [field.name for field in dataclasses.fields(member)]
        problems = [unknown_key(where, key, allowed) for key in options if key not in allowed]
        known = {key: value for key, value in options.items() if key in allowed}
        try:
            created: T = _adapter(member).validate_json(json.dumps(known, default=str), strict=True)
        except pydantic.ValidationError as error:
            problems += validation_problems(error, where)
        if problems:
            raise StudyFileError(*problems)
        return created

    def entries(self) -> list[Entry]:
        """Return every member with its summary and, where it cannot be used here, the reason."""
        self._load()
        return [self._entry(name, self._members[name]) for name in self.names()]

    def _entry(self, name: str, member: type) -> Entry:
        why_not = getattr(member, "why_not", lambda: None)()
        summary = (member.__doc__ or "").strip().splitlines()[0]
        return Entry(name, summary, why_not is None, why_not)

    def _load(self) -> None:
        """Import every member once; other threads wait until all are there."""
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                if not module.name.startswith("_"):
                    importlib.import_module(f"{self._package}.{module.name}")


UNKNOWN_KEY = "unknown key"


def unknown_key(where: str, key: str, allowed: Sequence[str]) -> Problem:
    """Return the problem of a key that nothing reads, with the nearest one that something does."""
    near = difflib.get_close_matches(key, allowed, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    listed = ", ".join(allowed) if allowed else "no options"
    return Problem(_join(where, key), f"{UNKNOWN_KEY}{hint}", f"allowed: {listed}")


def validation_problems(error: pydantic.ValidationError, where: str) -> list[Problem]:
    """Translate what pydantic found into one problem a line, each at its ``table.key``."""
    return [Problem(_join(where, *_place(item["loc"])), _sentence(item)) for item in error.errors()]


def _place(parts: Sequence[str | int]) -> list[str]:
    """Return where a value stands; a key that is wrong itself stands at its own place."""
    return [str(part) for part in parts if part != "[key]"]


def _sentence(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return UNKNOWN_KEY
    message = str(item["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    given = item.get("input")
    return message if isinstance(given, dict) else f"{given!r} is wrong, {message}"


def _join(where: str, *parts: str) -> str:
    if not where or where.endswith(": "):
        return where + ".".join(parts)
    return ".".join((where, *parts))


@functools.cache
def _adapter(member: type) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(member)
