"""Errors keep what they say on the way from one process to another."""

from __future__ import annotations

import pickle

import pytest

from pareto_prune.core.errors import (
    MissingExtraError,
    ParetoPruneError,
    Problem,
    RepeatedFailureError,
    StudyFileError,
    TrialError,
    UnknownNameError,
)

ERRORS = [
    StudyFileError(
        Problem("data.path", "is missing", "allowed: a folder"), Problem("", "and that")
    ),
    UnknownNameError("sampler", "nsga3", ["nsga2", "random"], "sampler.name"),
    MissingExtraError("ray", "ray"),
    TrialError("nan_loss", "the loss is nan at step 3"),
    RepeatedFailureError("10 trials in a row failed the same way"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_through_a_pickle_as_it_was(error: ParetoPruneError) -> None:
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.args == error.args
    assert vars(found) == vars(error)
    assert found.exit_code == error.exit_code
