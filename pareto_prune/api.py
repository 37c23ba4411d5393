"""The verbs of the command line, for notebooks and other programs.

Nothing here prints; errors are those of :mod:`pareto_prune.core.errors`. Only :func:`run`,
:func:`work`, :func:`confirm` and :func:`export` load torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.defaults import DEFAULT_OUTPUT, DEFAULT_STORAGE
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.paths import with_absolute_paths
from pareto_prune.core.records import Candidate, Confirmation
from pareto_prune.core.study_state import StudyState
from pareto_prune.results.front import front_of
from pareto_prune.results.records import Front
from pareto_prune.results.status import Status, StudyRow
from pareto_prune.running.output_folder import keep_models_at, models_root, writable
from pareto_prune.running.page import PAGE, place_of_page, write_page, writing
from pareto_prune.running.status import status_of, study_rows
from pareto_prune.storage import StoredStudy, open_storage, verb_of

if TYPE_CHECKING:
    from pareto_prune.core.progress import Progress
    from pareto_prune.results.comparison import Comparison
    from pareto_prune.running.launch import Launcher
    from pareto_prune.running.run_study import Watcher

INTERRUPTED = "Interrupted"


@dataclass(frozen=True)
class Workers:
    """Who runs the trials of a study, on the command line's terms.

    Attributes:
        count: how many; ``None`` for what the launcher thinks right.
        launcher_name: where; ``None`` for this process, or processes where ``count`` is above 1.
        gpus: that each one has.
        threads: that each one computes with.
    """

    count: int | None = None
    launcher_name: str | None = None
    gpus: int | None = None
    threads: int | None = None

    def launcher(self) -> Launcher:
        """Return the launcher.

        Raises:
            UserError: there is none of this name, or it has no such workers.
        """
        from pareto_prune.running.launch import launchers

        given = {
            "workers": self.count,
            "gpus_per_worker": self.gpus,
            "threads": self.threads,
        }
        several = (self.count or 1) > 1 or (self.gpus, self.threads) != (None, None)
        name = self.launcher_name or ("processes" if several else "inline")
        if name == "inline" and several:
            wrong = "has one worker, in this process"
            raise UserError(Problem("--launcher inline", wrong, "allowed: --launcher processes"))
        options = {key: value for key, value in given.items() if value is not None}
        return launchers.create(name, {} if name == "inline" else options, "--launcher")


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        front: of the study as it stands.
        page: the report; ``None`` where none was written.
        stopped_by: why it ended before the study had its trials, if it did.
        state: what the study was told last.
    """

    front: Front
    page: Path | None
    stopped_by: str | None = None
    state: StudyState = StudyState.OPEN


def run(
    study: StudyConfig | Mapping[str, Any] | str | Path,
    storage: str = DEFAULT_STORAGE,
    *,
    output: str | Path = DEFAULT_OUTPUT,
    watcher: Watcher | None = None,
    start_from: str | None = None,
    workers: Workers | None = None,
    artifacts: str | None = None,
) -> Outcome:
    """Run a study, or go on with it, until it has its trials.

    Args:
        study: a configuration, the content of a study file, or its path.
        storage: URL of the database.
        output: folder for models and the page, in a folder of the study's name.
        watcher: told of stages and trials.
        start_from: name of a study whose front gives the first candidates, where this one has no
            trial yet.
        workers: who runs its trials; one in this process by default.
        artifacts: folder or URL for models instead; a study that has begun keeps its own.

    Raises:
        UserError: the study file, model, data, storage or output folder do not serve.
        RepeatedFailureError: three trials in a row failed in the same way.
    """
    from pareto_prune.search.space import SearchSpace

    config = with_absolute_paths(configuration(study))
    chosen = (workers or Workers()).launcher()
    opened = open_storage(storage)
    folder = writable(Path(output).expanduser().resolve() / config.name)
    first = _first_candidates(config, storage, start_from) if start_from else []
    stored = opened.create(config)
    if first:
        stored.enqueue(first, SearchSpace.of(config, _architecture(config)))
    keep_models_at(stored, models_root(artifacts, folder, config.name))
    stopped_by = _worked(stored, storage, watcher, chosen)
    page = write_page(stored, folder / PAGE)
    return Outcome(front_of(stored.read()), page, stopped_by, stored.state)


def submit(
    study: StudyConfig | Mapping[str, Any] | str | Path,
    storage: str = DEFAULT_STORAGE,
    *,
    output: str | Path = DEFAULT_OUTPUT,
    artifacts: str | None = None,
) -> StoredStudy:
    """Put a study into a storage for the workers that serve all of its studies, and return it.

    Arguments and errors as of :func:`run`, which runs it as well.
    """
    from pareto_prune.running.submission import put_in

    config = with_absolute_paths(configuration(study))
    folder = writable(Path(output).expanduser().resolve() / config.name)
    return put_in(open_storage(storage), config, models_root(artifacts, folder, config.name))


def work(
    name: str,
    storage: str = DEFAULT_STORAGE,
    *,
    watcher: Watcher | None = None,
    workers: Workers | None = None,
) -> Outcome:
    """Work on a study that another host may have begun, until it has its trials.

    Raises:
        UserError: no such study, or it was never run, or its models are not in reach.
        RepeatedFailureError: three trials in a row failed in the same way.
    """
    chosen = (workers or Workers()).launcher()
    stored = open_storage(storage).open_study(name)
    if not stored.artifacts:
        wrong = "has no place for its models yet"
        raise UserError(Problem(f"study {name!r}", wrong, "allowed: begin it with `run`"))
    stopped_by = _worked(stored, storage, watcher, chosen)
    return Outcome(front_of(stored.read()), None, stopped_by, stored.state)


def _worked(
    stored: StoredStudy, url: str, watcher: Watcher | None, launcher: Launcher
) -> str | None:
    """Work on a study; return what stopped it before it had its trials, if something did."""
    from pareto_prune.running.run_study import run_study, why_left

    try:
        run_study(stored, url, watcher, launcher)
    except KeyboardInterrupt:
        return INTERRUPTED
    study = stored.read()
    done = sum(trial.state.finished for trial in study.trials)
    if done >= study.trials_asked:
        return None
    return f"{done} of {study.trials_asked} trials: {why_left(study, stored.config.limits.plateau)}"


def front(
    name: str, storage: str = DEFAULT_STORAGE, *, every: bool = False, native: bool = False
) -> Front:
    """Return the front of a study.

    Args:
        name: of the study.
        storage: URL of the database.
        every: list every trial with its state, not only the front.
        native: of the trials alone that transformers loads by the name of their architecture.

    Raises:
        UserError: no such study, or the storage does not open.
    """
    study = open_storage(storage).open_study(name).read()
    return front_of(study, all_trials=every, native=native)


def compare(
    names: Sequence[str],
    storage: str = DEFAULT_STORAGE,
    *,
    cost: str | None = None,
    to: str | Path | None = None,
) -> Comparison:
    """Return studies of one storage beside each other.

    Args:
        names: two or more.
        storage: URL of the database.
        cost: by which the cheapest at a level of the metric is looked for; the first one of the
            first study that all have unless given.
        to: where a page of it is written, one self-contained HTML file; none unless given.

    Raises:
        UserError: no such study, one has no dense model yet or another metric, or the page
            cannot be written.
    """
    from pareto_prune.results.comparison import comparison

    opened = open_storage(storage)
    read = [opened.open_study(name).read() for name in names]
    fronts = [front_of(study) for study in read]
    found = comparison(fronts, read, cost)
    if to is not None:
        from pareto_prune.results.report.comparison import write_comparison

        with writing(Path(to)):
            write_comparison(found, fronts, read, Path(to))
    return found


def confirm(
    name: str,
    trials: Sequence[int] = (),
    storage: str = DEFAULT_STORAGE,
    *,
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Confirmation]:
    """Retrain trials with three seeds and three times the steps, and measure them afresh.

    The page is written anew with what was found, also where a retraining failed.

    Args:
        name: of the study.
        trials: their numbers; by default those on the front that are not confirmed yet.
        storage: URL of the database.
        output: folder for the page, in a folder of the study's name, and for models where the study
            has no place for them; by default where its page is.
        progress: told what is going on.

    Raises:
        UserError: no such study or trial, or the device is not the study's.
        ParetoPruneError: a retraining failed.
    """
    from pareto_prune.running.confirm import confirm_study

    stored = open_storage(storage).open_study(name)
    page = page_of(name, storage, output)
    if not stored.artifacts:
        keep_models_at(stored, str(writable(page.parent)))
    try:
        return confirm_study(stored, trials, progress)
    finally:
        if stored.read().confirmations:
            writable(page.parent)
            write_page(stored, page)


def page_of(name: str, storage: str = DEFAULT_STORAGE, output: str | Path | None = None) -> Path:
    """Return where the page of a study is, or is to be written.

    Args:
        name: of the study.
        storage: URL of the database.
        output: folder in which it is, in a folder of the study's name; by default that of the
            study's models, where a page is there, else the usual one.

    Raises:
        UserError: no such study, or the storage does not open.
    """
    return place_of_page(open_storage(storage).open_study(name), output)


def status(name: str, storage: str = DEFAULT_STORAGE) -> Status:
    """Return how a study stands: states, rate, time left, hypervolume, workers.

    Raises:
        UserError: no such study, or the storage does not open.
    """
    stored = open_storage(storage).open_study(name)
    return status_of(stored, stored.read())


def steer(name: str, verb: str, storage: str = DEFAULT_STORAGE) -> StudyState:
    """Let a study pause, resume, stop or cancel, and return where it stands then.

    Raises:
        UserError: no such study or verb, or the study has ended for good.
    """
    return open_storage(storage).steer(name, verb_of(verb))


def studies(storage: str = DEFAULT_STORAGE) -> list[StudyRow]:
    """Return a line for every study of a storage, by name.

    Raises:
        UserError: the storage does not open.
    """
    return study_rows(open_storage(storage))


def report(name: str, to: str | Path, storage: str = DEFAULT_STORAGE) -> Path:
    """Write the page of a study and return its path.

    Raises:
        UserError: no such study, or the page cannot be written.
    """
    return write_page(open_storage(storage).open_study(name), Path(to))


def export(
    name: str,
    trial: int | Literal["dense"],
    to: str | Path,
    exporter: str | None = None,
    storage: str = DEFAULT_STORAGE,
    *,
    dtype: str | None = None,
) -> Path:
    """Write the model of a trial into a new folder and return its path.

    Args:
        name: of the study.
        trial: its number; ``dense`` for the dense model.
        to: a new folder.
        exporter: ``huggingface`` or ``onnx``; that of the engine which the study measured on
            unless given.
        storage: URL of the database.
        dtype: of the weights: ``float32``, ``float16``, ``bfloat16`` for ``huggingface``, ``int8``
            for ``onnx``; what the trial was measured in unless given, where the format has it.

    Raises:
        UserError: no such study, trial, exporter or dtype; the trial failed or its weights are
            not kept; the folder is there already.
        InexactGraphError: the graph does not give the logits of PyTorch.
    """
    from pareto_prune.export.export_trial import export_trial

    stored = open_storage(storage).open_study(name)
    return export_trial(stored.read(), trial, Path(to), stored.artifacts, exporter, dtype)


def configuration(study: StudyConfig | Mapping[str, Any] | str | Path) -> StudyConfig:
    """Return a study's configuration, from itself, the content of a study file, or its path.

    Raises:
        UserError: the study file has problems.
    """
    from pareto_prune.running.study_file import parse_study, read_study

    if isinstance(study, StudyConfig):
        return study
    if isinstance(study, Mapping):
        return parse_study(dict(study))
    return read_study(Path(study))


def _first_candidates(config: StudyConfig, storage: str, source: str) -> list[Candidate]:
    """Return the candidates that a study starts from another's front with."""
    from pareto_prune.search.warm_start import OPTION, warm_candidates

    if source == config.name:
        wrong = "a study cannot start from itself"
        raise UserError(Problem(f"{OPTION} {source}", wrong, "allowed: another study"))
    other = open_storage(storage).open_study(source).read()
    return warm_candidates(other, config, _architecture(config))


def _architecture(config: StudyConfig) -> Architecture:
    from pareto_prune.inputs.checkpoint import Checkpoint

    model = config.model
    return Checkpoint.find(model.path, model.revision, model.attention).architecture()
