"""Latency and joules of an exported model against its dense model, in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.progress import Progress
from pareto_prune.core.records import Measurement
from pareto_prune.export.deployed._folder import GRAPH, ONNX, session_of
from pareto_prune.export.manifest import Manifest
from pareto_prune.measure import Measurer, Workload
from pareto_prune.measure.engines import Session, Settings, engines
from pareto_prune.measure.environment import environment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pareto_prune.inputs.examples import Split
    from pareto_prune.trials.dense import DenseModel

    Inputs = Mapping[str, NDArray[np.int64]]

OPENVINO = "openvino"


@dataclass(frozen=True, eq=False)
class Texts:
    """The same texts by the tokens of a folder's model and by those of the dense one."""

    own: Split
    dense: Split


def measured(
    folder: Path,
    manifest: Manifest,
    config: StudyConfig,
    dense: DenseModel,
    texts: Texts,
    progress: Progress,
) -> tuple[Measurement, str]:
    """Return what a folder's model costs against the dense one, and the machine.

    A graph is measured as it stands in the folder, on what the study measured with where that runs
    graphs and is here, else on ONNX Runtime; so is the dense model beside it.

    Raises:
        UserError: the study's engine, meter or device cannot be used here.
    """
    progress.stage("measuring")
    progress.quiet()
    own, workload = (
        Workload.of(split, config.measure, config.seed) for split in (texts.own, texts.dense)
    )
    if manifest.format == ONNX:
        engine = engine_of(manifest)
        table = config.measure.model_copy(update={"engine": engine, "device": "cpu"})
        measurer = Measurer(table, dense.model, workload)
        threads = int(measurer.profile()["threads"])
        dtype = manifest.card.dtype or table.dtype
        found = measurer.measure_session(graph_session(folder, engine, threads, dtype), own)
    else:
        from pareto_prune.export.loading import load

        measurer = Measurer(config.measure, dense.model, workload)
        knobs = {
            name: value
            for name, value in manifest.card.settings.get("deployment", {}).items()
            if name in ("dtype", "threads")
        }
        found = measurer.measure(load(folder), workload=own, fresh=True, **knobs)
    return found, environment(details=measurer.details()).device


def engine_of(manifest: Manifest) -> str:
    """Return the engine that a folder's graph is measured on."""
    own = manifest.card.engine == OPENVINO and engines.create(OPENVINO).why_not() is None
    return OPENVINO if own else "onnxruntime"


def graph_session(folder: Path, engine: str, threads: int, dtype: str) -> Session:
    """Return a session of a folder's graph."""
    if engine != OPENVINO:
        return FolderSession.of(folder, threads)
    from pareto_prune.measure.engines.openvino import OpenVinoSession

    return OpenVinoSession.read(folder / GRAPH, Settings(threads=threads, dtype=dtype))


@dataclass(frozen=True)
class FolderSession:
    """The graph of a folder as a :class:`pareto_prune.measure.engines.Session`."""

    folder: Path
    threads: int
    running: Any

    @classmethod
    def of(cls, folder: Path, threads: int) -> FolderSession:
        """Start a session of a folder's graph."""
        return cls(folder, threads, session_of(folder, threads))

    def bind(self, inputs: Inputs) -> Callable[[], Any]:
        """Return a call that runs the graph."""
        names = [given.name for given in self.running.get_inputs()]
        run, feed = self.running.run, {name: inputs[name] for name in names}
        return lambda: run(None, feed)

    def logits(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the logits of these inputs."""
        logits: NDArray[np.float32] = self.bind(inputs)()[0]
        return logits

    def twin(self) -> FolderSession:
        """Return another session of the same graph."""
        return self.of(self.folder, self.threads)
