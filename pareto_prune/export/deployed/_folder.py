"""An exported folder, opened: its manifest, checked, and what runs its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_prune.core.errors import MissingExtraError
from pareto_prune.export.deployed._tokens import (
    FILE,
    LONGEST,
    FolderTokenizer,
    SlowTokenizer,
    Tokenizer,
)
from pareto_prune.export.manifest import Manifest
from pareto_prune.inputs.tasks import tasks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Call = Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]

GRAPH = "model.onnx"
ONNX = "onnx"


def opened(folder: Path) -> Manifest:
    """Return the manifest of a folder whose weights are those that were exported.

    Raises:
        UserError: not an exported folder, or its weights were changed.
    """
    manifest = Manifest.read(folder)
    manifest.verify(folder)
    return manifest


def tokenizer_of(folder: Path, manifest: Manifest) -> Tokenizer:
    """Return the tokenizer of a folder; one that runs in Python only as transformers has it.

    Raises:
        UserError: there is none.
    """
    card = manifest.card
    length = int(card.settings.get("max_length", LONGEST))
    if manifest.format != ONNX and not (folder / FILE).is_file():
        from pareto_prune.export.loading import load_tokenizer

        return SlowTokenizer(load_tokenizer(folder), length)
    words = tasks.create(card.task).splits_words
    return FolderTokenizer(folder, length, words, manifest.tokenization)


def columns_of(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of the columns of texts that a model was made for."""
    return tuple(manifest.card.settings.get("text", ("text",)))


def call_of(folder: Path, manifest: Manifest, threads: int = 0) -> Call:
    """Return what runs the model: from inputs (texts, tokens) to logits.

    Args:
        folder: whose manifest was checked.
        manifest: of the folder.
        threads: of the engine; 0: as many as it likes.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    return _by_onnx(folder, threads) if manifest.format == ONNX else _by_torch(folder)


def session_of(folder: Path, threads: int = 0) -> Any:
    """Return an ``onnxruntime.InferenceSession`` of a folder's graph."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    path = str(folder / GRAPH)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _by_onnx(folder: Path, threads: int) -> Call:
    running = session_of(folder, threads)
    names = [given.name for given in running.get_inputs()]
    return lambda inputs: running.run(None, {name: inputs[name] for name in names})[0]


def _by_torch(folder: Path) -> Call:
    import torch

    from pareto_prune.export.loading import load
    from pareto_prune.models.onnx_graph import input_names

    model = load(folder)
    names = input_names(model)

    def call(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(inputs[name]) for name in names}
            found: NDArray[np.float32] = model(**tensors).logits.float().numpy()
            return found

    return call
