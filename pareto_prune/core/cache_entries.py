"""What is cached, where, and what each entry is determined by: one function a kind.

::

    ROOT/encoded/…npz                tokenised data sets
    ROOT/teacher/…npz                logits of a dense model, for distillation
    ROOT/calibration/…safetensors    what a dense model is calibrated with: moments, gradients, …
    ROOT/costs/…json                 cost tables of an architecture on a device
    ROOT/measurements/…json          latency and joules of a shape of model
    ROOT/studies/…                   this host's copy of dense models that are kept at a URL

An entry is never changed: whatever else would decide its content belongs into its key. All are
keys of JSON values; the root is that of :mod:`pareto_prune.core.cache`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pareto_prune.core.cache import entry


def encoded(key: Mapping[str, Any]) -> Path:
    """Return where a tokenised data set lies.

    Args:
        key: digests of sources and tokenizer, version of the encoding, ``[data]``, seed and the
            order of the classes.
    """
    return entry("encoded", key, ".npz")


def teacher(dense: str, texts: str) -> Path:
    """Return where the logits of a dense model lie.

    Args:
        dense: digest of its weights.
        texts: digest of the training split.
    """
    return entry("teacher", [dense, texts], ".npz")


def calibration(what: str, key: Any) -> Path:
    """Return where tensors that a dense model was calibrated with lie.

    Args:
        what: they are (``"gradients"``, ``"channels-l1"``).
        key: digests of its weights, of the texts and of the code that makes them, and the seed.
    """
    return entry("calibration", [what, key], f".{what}.safetensors")


def costs(architecture: Mapping[str, Any], source: Any) -> Path:
    """Return where the cost tables of an architecture lie.

    Args:
        architecture: of the dense model.
        source: key of what measures them: device, engine and inputs.
    """
    return entry("costs", [architecture, source], ".json")


def measurement(key: Mapping[str, Any]) -> Path:
    """Return where what a model costs lies.

    Args:
        key: the device profile, the shapes of the dense model and of the model, dtype, threads,
            shape of the inputs, and what else makes its cost its own.
    """
    return entry("measurements", key, ".json")


def study_folder(root: str) -> Path:
    """Return the folder for this host's copy of a study's dense models.

    Args:
        root: URL at which they are kept.
    """
    return entry("studies", root)
