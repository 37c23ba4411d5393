"""A folder's model on as many threads as one likes, and random texts for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pareto_prune.export.deployed._folder import ONNX
from pareto_prune.export.deployed._measuring import engine_of, graph_session
from pareto_prune.export.deployed._tokens import FILE
from pareto_prune.export.manifest import Manifest
from pareto_prune.measure.engines import Session, Settings, engines

_FEW = 100
"""Tokens that every vocabulary has, where the folder does not tell its own."""


def engine_name(manifest: Manifest) -> str:
    """Return the engine that a folder runs on."""
    return engine_of(manifest) if manifest.format == ONNX else "eager"


def runner_of(folder: Path, manifest: Manifest) -> Callable[[int], Session]:
    """Return what makes a session of so many threads."""
    name = engine_name(manifest)
    if manifest.format == ONNX:
        dtype = manifest.card.dtype or manifest.dtype
        return lambda threads: graph_session(folder, name, threads, dtype)
    from pareto_prune.export.loading import load

    def eager(threads: int) -> Session:
        settings = Settings(threads=threads, dtype=manifest.dtype)
        return engines.create(name).prepare(load(folder), settings)

    return eager


def inputs_of(
    folder: Path, manifest: Manifest, batch: int, tokens: int
) -> dict[str, NDArray[np.int64]]:
    """Return random texts of a folder's vocabulary, int64, (batch, tokens)."""
    ids = np.random.default_rng(0).integers(_vocabulary(folder, manifest), size=(batch, tokens))
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


def _vocabulary(folder: Path, manifest: Manifest) -> int:
    if manifest.plan.rows is not None:
        return len(manifest.plan.rows)
    if not (folder / FILE).is_file():
        return _FEW
    from tokenizers import Tokenizer

    return int(Tokenizer.from_file(str(folder / FILE)).get_vocab_size())
