"""The errors a user can meet, and the exit code that each one ends the command line with.

::

    ParetoPruneError                     exit 1   the work failed
    ├── UserError                        exit 2   the user must change something
    │   ├── StudyFileError                        a study file has problems (all of them at once)
    │   ├── UnknownNameError                      no member of a family has this name
    │   ├── MissingExtraError                     an optional package is not installed
    │   └── MismatchError                         a study, device or data set is not the one it was
    ├── TrialError                                one trial failed; the study goes on
    ├── StorageError                              the database failed; no trial did
    │   └── StorageAwayError                      it did not answer for long
    └── RepeatedFailureError         exit 3   too many trials in a row failed the same way
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where it stands, what is wrong, what is allowed."""

    where: str
    wrong: str
    allowed: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.wrong}" if self.where else self.wrong
        return f"{text}, {self.allowed}" if self.allowed else text


class ParetoPruneError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[ParetoPruneError], args: Any, state: dict[str, Any]) -> ParetoPruneError:
    """Return an error that came from another process, whatever its constructor asks for."""
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


class UserError(ParetoPruneError):
    """The user must change something. Holds one or more problems, printed a line each."""

    exit_code = 2

    def __init__(self, *problems: Problem | str) -> None:
        self.problems: tuple[Problem, ...] = tuple(
            p if isinstance(p, Problem) else Problem("", p) for p in problems
        )
        super().__init__("\n".join(str(p) for p in self.problems))

    def listed(self) -> list[dict[str, str]]:
        """Return the problems in plain values: ``where``, ``wrong``, ``allowed``."""
        return [asdict(problem) for problem in self.problems]


class StudyFileError(UserError):
    """A study file does not say what a study needs."""


class MismatchError(UserError):
    """What stands in the storage is not what was asked for; nothing was changed."""


class UnknownNameError(UserError):
    """A family has no member of this name. Names the nearest one and lists them all."""

    def __init__(self, family: str, name: str, known: Iterable[str], where: str = "") -> None:
        self.name = name
        super().__init__(unknown_name(family, name, sorted(known), where))


class MissingExtraError(UserError):
    """An optional package is needed; names the extra that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed, allowed: pip install 'pareto-prune[{extra}]'"
        )


class TrialError(ParetoPruneError):
    """One trial failed.

    Args:
        kind: short, stable name of the failure (``"out_of_memory"``, ``"nan_loss"``), so that
            repeated failures can be recognised.
        reason: what a person reads.
    """

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        self.reason = reason
        super().__init__(f"{kind}: {reason}")


class StorageError(ParetoPruneError):
    """The database failed: no trial's failure."""


class StorageAwayError(StorageError):
    """The database did not answer for as long as one waits. It may later."""


class RepeatedFailureError(ParetoPruneError):
    """Several trials in a row failed in the same way, so the next one would too.

    Its exit code is one that whoever starts workers again can tell from a passing failure.
    """

    exit_code = 3


def unknown_name(family: str, name: str, known: Sequence[str], where: str = "") -> Problem:
    """Return the problem of a name that no member of ``known`` bears."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return Problem(where, f"unknown {family} {name!r}{hint}", f"allowed: {', '.join(known)}")
