"""Prints the lowest versions that pyproject.toml allows, one a line, as constraints of pip.

`make lowest` installs these and runs the suite with them. A bound is therefore a version that
exists, written in full where it is not the first of its number.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
BOUND = re.compile(r"(?P<name>[\w-]+)(\[[\w,-]+\])?>=(?P<version>[\w.]+)(,<[\w.]+)?")


def requirements() -> Iterator[str]:
    """Yield each requirement of the package and of its extras, as pyproject.toml has it."""
    with PROJECT.open("rb") as file:
        project = tomllib.load(file)["project"]
    yield from project["dependencies"]
    for extra in project["optional-dependencies"].values():
        yield from extra


def lowest() -> list[str]:
    """Return a constraint for each requirement that has a lower bound."""
    found = filter(None, map(BOUND.fullmatch, requirements()))
    return sorted({f"{bound['name']}=={bound['version']}" for bound in found})


if __name__ == "__main__":
    print("\n".join(lowest()))
