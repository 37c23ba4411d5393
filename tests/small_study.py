"""A whole study at a tiny scale: a checkpoint, a CSV file and a study file in one folder."""

from __future__ import annotations

import csv
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

from pareto_prune.core.records import Measurement, Reading
from pareto_prune.measure import BlockCosts, Measurer
from pareto_prune.measure.engines import Settings
from pareto_prune.measure.engines.eager import Eager
from tests.tasks.words import sentiment, words_tokenizer
from tests.tiny import tiny_model

ROWS = 240


def make_study(folder: Path, **tables: dict[str, Any]) -> Path:
    """Write everything into ``folder`` and return the path of the study file."""
    tiny_model().base_model.save_pretrained(folder / "model")
    words_tokenizer().save_pretrained(folder / "model")
    rows = sentiment(ROWS)
    with (folder / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(zip(rows.texts[0], rows.labels or (), strict=True))
    content = {
        "model": {"path": str(folder / "model")},
        "data": {"path": str(folder / "data.csv"), "max_length": 16},
        "dense": {"epochs": 3, "learning_rate": 3e-3, "batch": 16},
        "search": {
            "strategies": ["layer_wise", "l1"],
            "importances": ["l2", "l1"],
            "starters": ["dense"],
            "references": [],
        },
        "calibration": {"samples": 32, "sensitivity_samples": 16},
        "finetune": {"steps": 3, "batch": 8, "by_size": False, "find_rate": False},
        "limits": {"trials": 4},
    }
    for name, table in tables.items():
        content[name] = {**content.get(name, {}), **table}
    path = folder / "small.toml"
    path.write_text('name = "small"\n' + "".join(_table(n, t) for n, t in content.items()))
    return path


def _table(name: str, table: dict[str, Any]) -> str:
    lines = [f"{key} = {_toml(value)}" for key, value in table.items()]
    return "\n".join((f"[{name}]", *lines, ""))


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return repr(value).replace("'", '"') if isinstance(value, str) else str(value).lower()


def model_of(trials: Path, number: int) -> Path:
    """Return the folder of the one model that is kept of a trial."""
    (folder,) = trials.glob(f"{number}-*")
    return folder


class ScriptedMeasurer(Measurer):
    """Costs in proportion to the parameters of the encoder: no clock, no engine."""

    FORMATS: ClassVar[dict[str | None, float]] = {"int8": 0.5}

    def __init__(self, dense: Any) -> None:
        self._dense = self._size(dense)

    def training(self) -> Any:
        return nullcontext(lambda: None)

    def profile(self) -> dict[str, str]:
        return {"device": "scripted"}

    @property
    def device(self) -> str:
        return "cpu"

    def dtypes(self) -> tuple[str, ...]:
        return ("float32", "int8")

    def session(self, model: Any, dtype: str | None = None, **_: Any) -> Any:
        return Eager().prepare(model, Settings(dtype=dtype or "float32"))

    def details(self) -> dict[str, str]:
        return {"meter": "script"}

    def reference(self, long: bool = True) -> Measurement:
        return self._measurement(1.0)

    def measure(
        self, model: Any, cache_key: Any = None, dtype: str | None = None, **_: Any
    ) -> Measurement:
        return self._measurement(self.FORMATS.get(dtype, 1.0) * self._size(model) / self._dense)

    def block_costs(self, heads: Any, neurons: Any, batch: str = "throughput") -> BlockCosts:
        """A head costs as much as 139 neurons, embeddings and head nothing."""
        return BlockCosts(
            {kept: (139e-6 * kept, 139e-6 * kept) for kept in heads},
            {kept: (1e-6 * kept, 1e-6 * kept) for kept in neurons},
            (0.0, 0.0),
        )

    def _size(self, model: Any) -> int:
        return sum(p.numel() for p in model.base_model.parameters())

    def _measurement(self, ratio: float) -> Measurement:
        def reading(value: float, unit: str) -> Reading:
            span = (value * 0.99, value * 1.01)
            return Reading(value=value, unit=unit, grade="measured", source="script", interval=span)

        return Measurement(
            readings={
                "latency_ms": reading(10.0 * ratio, "ms"),
                "energy_j": reading(0.1 * ratio, "J/sample"),
            },
            ratios={"latency_ms": reading(ratio, "ratio"), "energy_j": reading(ratio, "ratio")},
            protocol=0,
            seconds=0.0,
        )
