"""Trade-offs between accuracy, latency and energy of pruned BERT-family models.

The verbs for notebooks; :mod:`pareto_prune.api` has them all.

>>> import pareto_prune
>>> outcome = pareto_prune.run("small.toml")
>>> front = pareto_prune.front("small")
>>> bool(front.accuracy.max() > 0.9)
True
>>> pareto_prune.plot(front).layout.xaxis.title.text
'latency (ms)'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pareto_prune.core import objectives
from pareto_prune.core.defaults import DEFAULT_OUTPUT, DEFAULT_STORAGE
from pareto_prune.core.version import __version__

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure
    from transformers import PreTrainedModel

    from pareto_prune.api import Outcome
    from pareto_prune.core.config import StudyConfig
    from pareto_prune.core.progress import Progress
    from pareto_prune.core.study_state import StudyState
    from pareto_prune.results.records import Front
    from pareto_prune.running.optuna_objective import Objective
    from pareto_prune.running.run_study import Watcher

    Study: TypeAlias = StudyConfig | Mapping[str, Any] | str | Path
    Drawn: TypeAlias = DataFrame | Front | str

__all__ = [
    "__version__",
    "cancel",
    "front",
    "load",
    "objective",
    "pause",
    "plot",
    "resume",
    "run",
    "stop",
]


def _metrics() -> Mapping[str, objectives.Objective]:
    from pareto_prune.inputs.tasks import metrics

    return metrics()


objectives.OBJECTIVES.told_by(_metrics)  # core knows no task, and reading results no metric


def run(
    study: Study,
    storage: str | None = None,
    *,
    output: str | Path = DEFAULT_OUTPUT,
    watcher: Watcher | None = None,
) -> Outcome:
    """Run a study in this process, or go on with it; see :func:`pareto_prune.api.run`.

    Args:
        study: the path of a study file, its content as a dictionary, or a configuration.
        storage: URL of the database; ``PARETO_PRUNE_STORAGE`` or a file here by default.
        output: folder for models and the page.
        watcher: told of stages and trials; see :class:`pareto_prune.running.display.Display`.

    >>> outcome = run("small.toml")
    >>> outcome.page.name
    'report.html'
    >>> outcome.front.hypervolume > 0
    True
    """
    from pareto_prune import api

    return api.run(study, _storage(storage), output=output, watcher=watcher)


def front(
    name: str, storage: str | None = None, *, every: bool = False, native: bool = False
) -> DataFrame:
    """Return the front of a study as a DataFrame, the best metric first.

    Args:
        name: of the study.
        storage: URL of the database; ``PARETO_PRUNE_STORAGE`` or a file here by default.
        every: all trials with their state, not only the front.
        native: of the trials alone that transformers loads by the name of their architecture.

    Raises:
        UserError: no such study, or the storage does not open.

    >>> found = front("small")
    >>> found.index.name, bool(found.on_front.all())
    ('trial', True)
    >>> list(found.columns[7:10])
    ['accuracy', 'accuracy_low', 'accuracy_high']
    >>> sorted(found.attrs["reference"])
    ['accuracy', 'bytes', 'energy_j', 'latency_ms', 'parameters']
    >>> len(front("small", every=True))
    4
    """
    from pareto_prune import api
    from pareto_prune.results.frames import frame

    return frame(api.front(name, _storage(storage), every=every, native=native))


def plot(
    front: Drawn | Sequence[Drawn],
    *,
    cost: str | None = None,
    three: bool = False,
    storage: str | None = None,
) -> Figure:
    """Return a Plotly figure of a front, or of several laid over each other.

    Args:
        front: what :func:`front` or ``run(…).front`` gave, or the name of a study; or several.
        cost: the objective across; the first cost by default.
        three: whether to draw the metric over two costs, in 3-D.
        storage: URL of the database, for names.

    Raises:
        UserError: no such study or objective, or the studies have other objectives.

    >>> figure = plot("small")
    >>> [trace.name for trace in figure.data]
    ['small', 'small, dense']
    >>> plot("small", cost="energy_j").layout.xaxis.title.text
    'energy (J/sample)'
    >>> plot(["small", "small"], three=True).data[0].type
    'scatter3d'
    """
    from pareto_prune.results.figures import figure

    drawn = front if isinstance(front, list | tuple) else [front]
    return figure([_frame(each, storage) for each in drawn], cost, three)


def load(
    folder: str | Path, attention: Literal["sdpa", "eager"] = "sdpa", device: str = "cpu"
) -> PreTrainedModel:
    """Return the model of a folder that ``pareto-prune export`` wrote, in eval mode.

    See :func:`pareto_prune.export.loading.load`.

    >>> from pareto_prune import api
    >>> best = int(front("small").index[0])
    >>> model = load(api.export("small", best, "smaller-model"))
    >>> type(model).__mro__[1].__name__
    'BertForSequenceClassification'
    """
    from pareto_prune.export import loading

    return loading.load(folder, attention, device)


def objective(
    study: Study, *, output: str | Path = DEFAULT_OUTPUT, progress: Progress | None = None
) -> Objective:
    """Return the trials of a study as a function for Optuna's own ``study.optimize``.

    Args:
        study: the path of a study file, its content as a dictionary, or a configuration.
        output: folder for the dense model, in a folder of the study's name.
        progress: told what is going on.

    Raises:
        UserError: the study file does not serve.

    >>> import optuna
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> pruned = objective("small.toml")
    >>> study = optuna.create_study(directions=pruned.directions)
    >>> study.optimize(pruned, n_trials=2)
    >>> len(study.trials), len(study.trials[0].values)
    (2, 3)
    """
    from pareto_prune import api
    from pareto_prune.running.optuna_objective import Objective

    config = api.configuration(study)
    return Objective(config, Path(output).expanduser().resolve() / config.name, progress)


def pause(name: str, storage: str | None = None) -> StudyState:
    """Begin no new trials of a study until it is resumed; running ones end, workers wait.

    Args:
        name: of the study.
        storage: URL of the database; ``PARETO_PRUNE_STORAGE`` or a file here by default.

    Raises:
        UserError: no such study, or it has ended for good.

    >>> pause("small").value, resume("small").value
    ('paused', 'open')
    """
    return _steered(name, "pause", storage)


def resume(name: str, storage: str | None = None) -> StudyState:
    """Let a study that was paused go on; arguments and errors as of :func:`pause`."""
    return _steered(name, "resume", storage)


def stop(name: str, storage: str | None = None) -> StudyState:
    """End a study for good: running trials end, workers leave; arguments as of :func:`pause`."""
    return _steered(name, "stop", storage)


def cancel(name: str, storage: str | None = None) -> StudyState:
    """End a study for good and hand running trials back; arguments as of :func:`pause`."""
    return _steered(name, "cancel", storage)


def _steered(name: str, verb: str, storage: str | None) -> StudyState:
    from pareto_prune import api

    return api.steer(name, verb, _storage(storage))


def _storage(given: str | None) -> str:
    import os

    return given or os.environ.get("PARETO_PRUNE_STORAGE") or DEFAULT_STORAGE


def _frame(given: Any, storage: str | None) -> DataFrame:
    from pareto_prune.results.frames import frame
    from pareto_prune.results.records import Front

    if isinstance(given, str):
        return front(given, storage)
    return frame(given) if isinstance(given, Front) else given
