"""One small study, run once, and what it exports."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from pareto_prune import api
from pareto_prune.trials import bench
from tests.small_study import ScriptedMeasurer, make_study


@dataclass(frozen=True)
class Exported:
    """Folders of one trial of a small study."""

    huggingface: Path
    onnx: Path
    root: Path
    url: str


@pytest.fixture(scope="session")
def _exported(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    url = f"sqlite:///{root}/study.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARETO_PRUNE_CACHE", str(root / "cache"))
        patch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
        outcome = api.run(make_study(root), url, output=root / "out")
        best = max(outcome.front.members, key=lambda point: point.values["accuracy"])
        for format_ in ("huggingface", "onnx"):
            api.export("small", best.number, root / format_, format_, url)
    return Exported(root / "huggingface", root / "onnx", root, url)


@pytest.fixture
def exported(_exported, tmp_path, monkeypatch):
    """Copies that a test may change; the study and its dense model stay where they are."""
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(_exported.root / "cache"))
    for name in ("huggingface", "onnx"):
        shutil.copytree(_exported.root / name, tmp_path / name)
    return Exported(tmp_path / "huggingface", tmp_path / "onnx", _exported.root, _exported.url)
