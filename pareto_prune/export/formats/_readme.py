"""The model card of an exported folder, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pareto_prune.core.architecture import LayerShape
from pareto_prune.export.card import Card, CardObjective
from pareto_prune.export.manifest import Manifest
from pareto_prune.inputs.tasks import tasks
from pareto_prune.results.cold import COLD, MEANING

_ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "eager": "PyTorch"}
_RUN_ON = {"onnx": ("onnxruntime", "openvino"), "huggingface": ("eager",)}


def write_card(folder: Path, manifest: Manifest, remote_code: bool = False) -> None:
    """Write ``README.md`` into ``folder``; arguments as in :func:`model_card`."""
    (folder / "README.md").write_text(model_card(manifest, remote_code), encoding="utf-8")


def model_card(manifest: Manifest, remote_code: bool = False) -> str:
    """Return the card: what was removed, what it reached, where it comes from, how to load it.

    Args:
        manifest: what is exported.
        remote_code: whether loading runs the modelling file in the folder: the shape is uneven,
            not native.
    """
    parts = [
        *_header(manifest, remote_code),
        f"# {manifest.card.title}",
        "",
        _summary(manifest),
        "",
        *_vocabulary(manifest),
        *_objectives(manifest),
        *_layers(manifest),
        *_origin(manifest),
        *(_running(manifest) if manifest.format == "onnx" else _loading(manifest, remote_code)),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _header(manifest: Manifest, remote_code: bool) -> Iterator[str]:
    card = manifest.card
    yield "---"
    task = tasks.create(card.task)
    yield f"library_name: {'onnx' if manifest.format == 'onnx' else task.library}"
    yield f"pipeline_tag: {task.pipeline}"
    if card.licence:
        yield f"license: {card.licence}"
    local = card.parent_is_local or str(card.parent).startswith(("/", ".", "~", "demo:"))
    if card.parent and not local:
        yield f"base_model: {card.parent}"
    yield "tags:"
    yield "- pruned"
    if remote_code:
        yield "- custom_code"
    yield "---"
    yield ""


def _summary(manifest: Manifest) -> str:
    dense, now = manifest.dense, manifest.architecture
    dropped = sum(layer.dropped for layer in now.layers)
    layers = f"{len(now.layers) - dropped} of {len(now.layers)} layers"
    heads = f"{now.heads} of {dense.heads} attention heads"
    neurons = f"{now.neurons} of {dense.neurons} FFN neurons"
    hidden = f"{now.hidden} of {dense.hidden} hidden channels"
    size = f"{manifest.parameters:,} parameters in {manifest.dtype}"
    if now == dense and manifest.plan.rows is None:
        return f"The dense model of a study, {len(now.layers)} layers: {size}. Nothing was removed."
    return (
        f"Keeps {layers}, {heads}, {neurons} and {hidden} of the dense model: {size}. What was "
        "removed is gone from the weights, not masked."
    )


def _vocabulary(manifest: Manifest) -> Iterator[str]:
    if manifest.card.vocabulary is not None:
        yield manifest.card.vocabulary.sentence()
        yield ""
    elif manifest.plan.rows is not None:
        yield f"Its vocabulary has {len(manifest.plan.rows):,} tokens; others are gone."
        yield ""


def _objectives(manifest: Manifest) -> Iterator[str]:
    if not manifest.card.objectives:
        return
    yield "| | this model | 95 % interval | dense model | unit | how it was obtained |"
    yield "|---|---|---|---|---|---|"
    for objective in manifest.card.objectives:
        yield _objective_row(objective)
    yield ""
    if any(objective.name == COLD for objective in manifest.card.objectives):
        yield MEANING
        yield ""
    if manifest.card.machine:
        yield f"Measured on: {manifest.card.machine}."
        yield ""
    if manifest.card.dtype and manifest.card.engine:
        yield _measured(manifest)
        yield ""


def _run_on(manifest: Manifest) -> str:
    """Return the engine that a folder is for: what was measured on, where that runs its format."""
    able, measured = _RUN_ON[manifest.format], manifest.card.engine
    return measured if measured in able else able[0]


def _measured(manifest: Manifest) -> str:
    """Say in what the numbers above were taken, and whether that is what the folder holds."""
    card = manifest.card
    taken = f"in {card.dtype} on {_ENGINES.get(str(card.engine), card.engine)}"
    ours = _run_on(manifest)
    if (card.dtype, card.engine) == (manifest.dtype, ours):
        return f"These numbers were taken {taken}, as this folder holds the model."
    holds = f"{manifest.dtype} for {_ENGINES[ours]}"
    return (
        f"**These numbers were taken {taken}; this folder holds {holds}.** "
        "`pareto-prune test FOLDER` takes those of this folder."
    )


def _objective_row(objective: CardObjective) -> str:
    low_high = objective.interval
    interval = f"{low_high[0]:.4g} to {low_high[1]:.4g}" if low_high else "not known"
    reference = "not known" if objective.reference is None else f"{objective.reference:.4g}"
    how = ", ".join(part for part in (objective.grade, objective.source) if part) or "counted"
    cells = (objective.label, f"{objective.value:.4g}", interval, reference, objective.unit, how)
    return "| " + " | ".join(cells) + " |"


def _layers(manifest: Manifest) -> Iterator[str]:
    yield "| layer | heads | neurons | |"
    yield "|---|---|---|---|"
    shapes = zip(manifest.architecture.layers, manifest.dense.layers, strict=True)
    for index, (now, dense) in enumerate(shapes):
        counts = f"{now.heads} of {dense.heads} | {now.neurons} of {dense.neurons}"
        yield f"| {index} | {counts} | {_removed(now)} |"
    yield ""


def _removed(layer: LayerShape) -> str:
    if layer.dropped:
        return "layer dropped"
    if not layer.heads:
        return "attention dropped"
    return "" if layer.neurons else "FFN dropped"


def _origin(manifest: Manifest) -> Iterator[str]:
    card = manifest.card
    known = {
        "Parent": card.parent and f"{card.parent} (licence: {card.licence or 'not known'})",
        "Data": card.data,
        "Study": card.study and _study(card),
        "Strategy": card.strategy,
        "Importance": card.importance,
    }
    lines = [f"* {name}: {value}" for name, value in known.items() if value]
    if lines:
        yield "## Where it comes from"
        yield ""
        yield from lines
        yield ""


def _study(card: Card) -> str:
    what = "the dense model" if card.trial is None else f"trial {card.trial}"
    return f"{card.study}, {what}"


def _loading(manifest: Manifest, remote_code: bool) -> Iterator[str]:
    trust = ", trust_remote_code=True" if remote_code else ""
    yield "## Loading"
    yield ""
    yield "```python"
    yield from tasks.create(manifest.card.task).loading(trust)
    yield "```"
    yield ""
    if remote_code:
        yield (
            "Uneven: its layers are of unlike width, which no stock class holds; "
            "`modeling_pruned.py` narrows one. "
            '`pareto_prune.load("FOLDER")` loads it without running that file.'
        )
    else:
        yield (
            "Native: loads with transformers alone, and in servers that know the architecture by "
            "its name; no code of the folder is run."
        )


def _running(manifest: Manifest) -> Iterator[str]:
    yield "## Running"
    yield ""
    yield f"`example.py` needs numpy, {_run_on(manifest)} and tokenizers, nothing else:"
    yield ""
    yield "```console"
    yield '$ python example.py "a text" "another text"'
    yield "```"
    yield ""
    if manifest.check is not None:
        yield manifest.check.sentence(manifest.dtype)
