"""Measurements on disk: a shape that was measured on a device need not be again."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pareto_prune.core import cache
from pareto_prune.core.records import Measurement
from pareto_prune.models.families import family_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def shape_of(model: PreTrainedModel) -> str:
    """Return a digest of what a model's cost depends on: shapes of its weights, class, windows."""
    family = family_of(model)
    layers = family.layers(model)
    spans = [family.span(layer) for layer in layers]
    positions = [family.position_scores(layer) for layer in layers]
    own = [kinds for kinds in (spans, positions) if any(kinds)]
    shapes = [(name, list(weight.shape)) for name, weight in model.named_parameters()]
    activation = getattr(model.config, "hidden_act", None)
    attention = model.config._attn_implementation
    text = json.dumps([type(model).__name__, activation, attention, shapes, *own])
    return hashlib.sha256(text.encode()).hexdigest()


def read(path: Path) -> Measurement | None:
    """Return the measurement that a file holds, if it does; it took no time."""
    try:
        content = json.loads(path.read_text())
        return Measurement.from_json(content).model_copy(update={"seconds": 0.0})
    except (OSError, ValueError):
        return None


def write(path: Path, measurement: Measurement) -> None:
    """Write a measurement, whole or not at all: a full disk costs no trial what it found."""
    with suppress(OSError), cache.replacing(path) as beside:
        beside.write_text(json.dumps(measurement.to_json()))
