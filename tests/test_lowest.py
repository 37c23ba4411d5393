"""The lowest versions that `make lowest` installs are the bounds of pyproject.toml, all of them."""

from __future__ import annotations

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.lowest import lowest, requirements

NOT_BOUND = {
    "fsspec": "datasets says which versions it takes",
    "pareto-prune": "its own extras",
}


def test_every_requirement_has_a_lowest_version_that_it_allows():
    versions = dict(line.split("==") for line in lowest())
    asked = [Requirement(line) for line in requirements()]
    for requirement in asked:
        if requirement.name in NOT_BOUND:
            assert not requirement.specifier
            assert requirement.name not in versions
        elif "==" not in str(requirement.specifier):
            assert f">={versions[requirement.name]}" in str(requirement.specifier).split(",")
    assert set(versions) <= {requirement.name for requirement in asked}


def test_no_requirement_has_two_lowest_versions():
    names = [canonicalize_name(line.partition("==")[0]) for line in lowest()]
    assert len(names) == len(set(names)) > 30
