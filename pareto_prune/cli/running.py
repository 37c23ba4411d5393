"""Verbs that run a study: ``init``, ``validate``, ``run``, ``worker``, ``confirm``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pareto_prune.cli._app import (
    INTERRUPTED,
    AsJson,
    Name,
    Output,
    StorageUrl,
    StudyPath,
    app,
    print_json,
    show,
)
from pareto_prune.core.defaults import BUDGET, DEFAULT_OUTPUT, DEFAULT_STORAGE
from pareto_prune.core.errors import Problem, UserError

if TYPE_CHECKING:
    from pareto_prune.api import Outcome, Workers
    from pareto_prune.core.config import StudyConfig
    from pareto_prune.running.display import Display

Count = Annotated[
    int | None, typer.Option("--workers", min=1, metavar="N", help="How many work at once.")
]
LauncherName = Annotated[
    str | None, typer.Option("--launcher", metavar="NAME", help="See `list launchers`.")
]
Gpus = Annotated[
    int | None, typer.Option("--gpus-per-worker", min=1, metavar="N", help="That each one has.")
]
Threads = Annotated[
    int | None,
    typer.Option("--threads-per-worker", min=1, metavar="N", help="That each computes with."),
]


@app.command()
def init(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder or hub id.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="A file, folder or hub id.")],
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="By default NAME.toml in this folder.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the study; by default the data's.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="See `list tasks`; guessed if left out.")
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Of texts; twice for pairs. Guessed if left out."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Of labels; guessed if left out.")
    ] = None,
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="Wall-clock time of a run: 15min, 2h.")
    ] = BUDGET,
) -> None:
    """Write a study file for a model and data, with guesses.

    What is not said is guessed from the data. Each guess stands in the file with its reason, to
    be changed there.

    Example: pareto-prune init my-bert reviews.csv --budget 1h
    """
    from pareto_prune.running import draft

    made = draft.draft(
        model, data, name=name, task=task, text=text or (), label=label, budget=budget
    )
    place = to or Path(f"{made.name}.toml")
    draft.keep(made, place, anew=True)
    print(made.text(), end="")
    print(f"Written to {place}", file=sys.stderr)


@app.command()
def validate(study: StudyPath, as_json: AsJson = False) -> None:
    """Check a study file and what it names, all problems at once.

    Files and folders of this host are read, with their columns and labels; what is on the hub is
    not looked at.

    Example: pareto-prune validate studies/quickstart.toml
    """
    try:
        name, notes = _checked(study)
    except UserError as error:
        if not as_json:
            raise
        print_json(json.dumps({"problems": error.listed()}, indent=1))
        raise typer.Exit(error.exit_code) from None
    if as_json:
        print_json(json.dumps({"study": name, "problems": [], "notes": notes}, indent=1))
        return
    print(f"{study}: study {name!r} is valid")
    for note in notes:
        print(note, file=sys.stderr)


def _checked(study: Path) -> tuple[str, list[str]]:
    """Return the name of a study and what to know of its inputs; its file is read first."""
    from pareto_prune.running.study_file import read_study

    config = read_study(study)
    from pareto_prune.running.study_inputs import check_inputs

    return config.name, check_inputs(config)


@app.command()
def run(
    study: Annotated[str, typer.Argument(metavar="STUDY.toml|MODEL", help="A study, or a model.")],
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="With a model: a file, folder or hub id.")
    ] = None,
    storage: StorageUrl = DEFAULT_STORAGE,
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Trials in all, instead of the file's.")
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="Wall-clock limit: 90s, 12min, 2h.")
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="Start from the front of another study."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run, how long, how much disk.")
    ] = False,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="Try the whole path in a minute on few texts; keep nothing."),
    ] = False,
    output: Output = DEFAULT_OUTPUT,
    artifacts: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Folder or fsspec URL for models, instead of DIR."),
    ] = None,
    workers: Count = None,
    launcher: LauncherName = None,
    gpus_per_worker: Gpus = None,
    threads_per_worker: Threads = None,
) -> None:
    """Run a study, or go on with it, and show its front.

    Ctrl-C ends the trial in hand and leaves the study whole; the same command goes on. Several
    hosts may run one study at once, on a storage and artifacts that all of them reach.

    A model and data instead of a study file make one, as `init` does: NAME.toml in this folder.

    Example: pareto-prune run studies/quickstart.toml --trials 40
    """
    from pareto_prune.running.study_file import read_study, with_limits

    file = Path(study) if data is None else _drafted(study, data, time_limit)
    config = with_limits(read_study(file), trials, time_limit)
    if dry_run:
        from pareto_prune.running import dry_run as dry

        print(dry.estimate(config, storage, output))
        return
    from pareto_prune import api

    chosen = api.Workers(workers, launcher, gpus_per_worker, threads_per_worker)
    if smoke:
        _try_out(config, chosen)
        return
    with _display(config) as display:
        outcome = api.run(
            config,
            storage,
            output=output,
            watcher=display,
            start_from=start_from,
            workers=chosen,
            artifacts=artifacts,
        )
    _end(outcome, storage)


@app.command()
def worker(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of a study in the storage.")
    ] = None,
    storage: StorageUrl = DEFAULT_STORAGE,
    every: Annotated[
        bool, typer.Option("--any", help="Work on all studies of the storage, whatever comes.")
    ] = False,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="That it has, such as gpu=h100, with --any."),
    ] = None,
    idle: Annotated[
        str | None, typer.Option(metavar="TIME", help="End after so long without a trial.")
    ] = None,
    workers: Count = None,
    launcher: LauncherName = None,
    gpus_per_worker: Gpus = None,
    threads_per_worker: Threads = None,
) -> None:
    """Work on a study that is in the storage, or on all.

    On one until it has its trials. With --any on those that this device and the labels fit: each
    trial is of the study that has had least of its part of the workers so far, by the priorities
    of their files. Studies that come later are taken up. It ends on --idle, or when it is stopped.

    Example: pareto-prune worker quickstart --storage postgresql+psycopg://localhost/studies
    """
    from pareto_prune import api
    from pareto_prune.storage import open_storage

    chosen = api.Workers(workers, launcher, gpus_per_worker, threads_per_worker)
    _check_whose(name, every, label, idle)
    if name is None:
        _work_on_all(storage, label or [], idle, chosen)
        return
    with _display(open_storage(storage).open_study(name).config) as display:
        outcome = api.work(name, storage, watcher=display, workers=chosen)
    _end(outcome, storage)


def _check_whose(name: str | None, every: bool, labels: list[str] | None, idle: str | None) -> None:
    """Refuse what is of one study and of all, or of neither."""
    if (name is None) != every:
        wrong = "names one study and all of them" if name else "names no study"
        raise UserError(Problem("worker", wrong, "allowed: NAME, or --any"))
    if name and (labels or idle):
        wrong = "--label and --idle are of workers of all studies"
        raise UserError(Problem("worker", wrong, "allowed: with --any"))


def _work_on_all(storage: str, labels: list[str], idle: str | None, chosen: Workers) -> None:
    from pareto_prune.core.durations import seconds
    from pareto_prune.running.all_studies import Service, work_on_all
    from pareto_prune.running.display import Display

    try:
        longest = None if idle is None else seconds(idle)
    except ValueError as error:
        raise UserError(Problem("--idle", f"{idle!r}", str(error))) from None
    try:
        with Display() as display:
            ran = work_on_all(Service(storage, display, labels, longest), chosen.launcher())
    except KeyboardInterrupt:
        print("Interrupted; trials in hand were handed back.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print(f"{ran} trials; then none came for {idle}", file=sys.stderr)


@app.command()
def confirm(
    name: Name,
    trials: Annotated[
        list[int] | None,
        typer.Argument(metavar="[TRIAL…]", help="Numbers of trials; by default the front's."),
    ] = None,
    storage: StorageUrl = DEFAULT_STORAGE,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the page is written anew; by default where it is."),
    ] = None,
) -> None:
    """Retrain the front longer, and measure it afresh.

    Three seeds, three times the steps. What is found stands beside the values of the search, and
    `export` takes the model that is kept here. A trial whose model was not kept gets one. Points
    that are confirmed are left out, so the same command goes on after Ctrl-C.

    Example: pareto-prune confirm quickstart
    """
    from pareto_prune import api
    from pareto_prune.results.tables import front_view
    from pareto_prune.running.display import Display

    interrupted = False
    with Display() as display:
        try:
            api.confirm(name, trials or (), storage, output=output, progress=display)
        except KeyboardInterrupt:
            interrupted = True
    found = api.front(name, storage)
    show(front_view(found))
    if any(point.confirmed for point in found.members):
        print(f"\nThe page: {api.page_of(name, storage, output)}")
    if interrupted:
        print("Interrupted; the same command goes on.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)


def _try_out(config: StudyConfig, workers: Workers) -> None:
    """Run a short study of a configuration in a folder that does not stay, export and load it."""
    import tempfile

    from pareto_prune import api, load
    from pareto_prune.results.tables import front_view
    from pareto_prune.running.smoke import shortened

    short = shortened(config)
    with tempfile.TemporaryDirectory(prefix="pareto-prune-") as folder:
        storage = f"sqlite:///{folder}/smoke.db"
        with _display(short) as display:
            outcome = api.run(short, storage, output=folder, watcher=display, workers=workers)
        if outcome.stopped_by is not None:
            print(f"{outcome.stopped_by}; nothing is kept.", file=sys.stderr)
            raise typer.Exit(INTERRUPTED)
        to = Path(folder) / "model"
        load(api.export(short.name, _any_trial(outcome), to, "huggingface", storage))
    show(front_view(outcome.front))
    print("\nThe whole path works; these numbers mean nothing, and nothing is kept.")


def _any_trial(outcome: Outcome) -> int | Literal["dense"]:
    return outcome.front.members[-1].number if outcome.front.members else "dense"


def _drafted(model: str, data: str, time_limit: str | None) -> Path:
    """Return the study file of a model and data, written unless it is there; say its guesses."""
    from pareto_prune.running import draft

    made = draft.draft(model, data, budget=time_limit or BUDGET)
    place = Path(f"{made.name}.toml")
    draft.keep(made, place)
    for guess in (*made.guesses(), f"study file: {place}"):
        print(guess, file=sys.stderr)
    return place


def _display(config: StudyConfig) -> Display:
    from pareto_prune.core.durations import seconds
    from pareto_prune.running.display import Display

    limit = None if config.limits.time is None else seconds(config.limits.time)
    return Display(time_limit=limit)


def _end(outcome: Outcome, storage: str) -> None:
    """Show what a run came to, and exit as it ended."""
    from pareto_prune.api import INTERRUPTED as BY_SIGNAL
    from pareto_prune.cli._next import next_commands
    from pareto_prune.results.tables import front_view

    show(front_view(outcome.front))
    if outcome.page is not None:
        print(f"\nThe page: {outcome.page}")
    if commands := list(next_commands(outcome.front, storage)):
        print("\nNext:", *commands, sep="\n  ")
    if outcome.stopped_by is not None:
        same = "the same command goes on."
        copied = f"`pareto-prune studies copy {outcome.front.study} NEW` goes on with its trials."
        then = copied if outcome.state.final else same
        print(f"{outcome.stopped_by}; {then}", file=sys.stderr)
    if outcome.stopped_by == BY_SIGNAL:
        raise typer.Exit(INTERRUPTED)
