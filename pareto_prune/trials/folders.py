"""Names of the folders of a study's dense models, beside the models of its trials."""

from __future__ import annotations

DENSE_FOLDER = "dense"
"""The dense model's; those of folds begin with it."""


def fold_folder(index: int) -> str:
    """Return the name of the folder of the dense model of a fold."""
    return f"{DENSE_FOLDER}-fold-{index}"
