"""The device profile of a study: what must be the same on every worker for numbers to compare."""

from __future__ import annotations

from collections.abc import Mapping

from pareto_prune.core.errors import MismatchError, Problem


def check_profile(study: Mapping[str, str], mine: Mapping[str, str]) -> None:
    """Check that this worker measures as the study's other workers do.

    Raises:
        MismatchError: it does not; one line says what differs.
    """
    keys = [key for key in {**study, **mine} if study.get(key) != mine.get(key)]
    if keys:
        parts = (f"{key} is {mine.get(key)!r} here, {study.get(key)!r} there" for key in keys)
        raise MismatchError(
            Problem(
                "device profile",
                f"this worker's numbers would not compare: {'; '.join(parts)}",
                "allowed: the study's device, or a new study started --from this one",
            )
        )
