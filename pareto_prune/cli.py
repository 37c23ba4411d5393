"""The command line: a skin over :mod:`pareto_prune.api`, and the only place that prints and exits.

Exit codes: 0 done, 1 the work failed, 2 the user must change something, 130 interrupted.
Progress and logs go to stderr, results to stdout.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareto_prune import __version__
from pareto_prune.errors import ParetoPruneError, UserError, unknown_name

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pareto_prune.config import StudyConfig

DEFAULT_STORAGE = "sqlite:///pareto_prune.db"
DEFAULT_OUTPUT = Path("pareto_prune_output")
INTERRUPTED = 130

PLAIN: dict[str, Any] = {"rich_markup_mode": None, "add_completion": False}
app = typer.Typer(
    name="pareto-prune",
    epilog="First: pareto-prune run studies/quickstart.toml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    **PLAIN,
)
studies_app = typer.Typer(invoke_without_command=True, **PLAIN)
app.add_typer(studies_app, name="studies")

StorageUrl = Annotated[
    str,
    typer.Option(
        "--storage",
        envvar="PARETO_PRUNE_STORAGE",
        metavar="URL",
        help="Database: sqlite:///FILE or postgresql+psycopg://…",
    ),
]
StudyPath = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study file.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a study in the storage.")]
Number = Annotated[int, typer.Argument(metavar="TRIAL", help="Number of a trial.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Output = Annotated[
    Path,
    typer.Option("--output", metavar="DIR", help="Where models and the page are written."),
]


def main() -> None:
    """Run the command line and exit with its code."""
    _share_cores()
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        _complain(error)
        sys.exit(error.exit_code if isinstance(error, ParetoPruneError) else 1)


def _share_cores() -> None:
    """Let idle threads of torch sleep instead of spin.

    Must be set before torch is loaded. On cores that another process wants, too, spinning made
    matrix products three times slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _complain(error: Exception) -> None:
    if isinstance(error, UserError):
        lines = [str(problem) for problem in error.problems]
    elif isinstance(error, ParetoPruneError):
        lines = [str(error)]
    else:
        hint = "(not expected; --debug shows where)"
        lines = [f"{type(error).__name__}: {error} {hint}"]
    for line in lines:
        print(line, file=sys.stderr)


def _show(renderable: RenderableType) -> None:
    from rich.console import Console

    Console().print(renderable)


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[  # noqa: ARG001, main reads it wherever it stands
        bool, typer.Option("--debug", help="Show where an error arose.")
    ] = False,
) -> None:
    """Search the trade-offs between accuracy, latency and energy of a BERT-family model."""
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def validate(study: StudyPath) -> None:
    """Check a study file and report all its problems at once.

    Example: pareto-prune validate studies/quickstart.toml
    """
    from pareto_prune.study_file import read_study

    config = read_study(study)
    print(f"{study}: study {config.name!r} is valid")


@app.command()
def run(
    study: StudyPath,
    storage: StorageUrl = DEFAULT_STORAGE,
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Trials in all, instead of the file's.")
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="Wall-clock limit: 90s, 12min, 2h.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run, how long, how much disk.")
    ] = False,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Run a study, or go on with it, and show its front.

    Ctrl-C ends the trial in hand and leaves the study whole; the same command goes on.

    Example: pareto-prune run studies/quickstart.toml --trials 40
    """
    from pareto_prune.study_file import read_study, with_limits

    config = with_limits(read_study(study), trials, time_limit)
    if dry_run:
        from pareto_prune import dry_run as dry

        print(dry.estimate(config, storage, output))
        return
    _work(config, storage, output)


@app.command()
def worker(
    name: Name,
    storage: StorageUrl = DEFAULT_STORAGE,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Work on a study that is in the storage, until it has its trials.

    Example: pareto-prune worker quickstart --storage postgresql+psycopg://localhost/studies
    """
    from pareto_prune.storage import open_storage

    _work(open_storage(storage).open_study(name).config, storage, output)


def _work(config: StudyConfig, storage: str, output: Path) -> None:
    from pareto_prune import api
    from pareto_prune.config import seconds
    from pareto_prune.display import Display

    limit = None if config.limits.time is None else seconds(config.limits.time)
    with Display(time_limit=limit) as display:
        outcome = api.run(config, storage, output=output, watcher=display)
    from pareto_prune.tables import front_view

    _show(front_view(outcome.front))
    print(f"\nThe page: {outcome.page}")
    if outcome.stopped_by is not None:
        print(f"{outcome.stopped_by}; the same command goes on.", file=sys.stderr)
    if outcome.stopped_by == "Interrupted":
        raise typer.Exit(INTERRUPTED)


@studies_app.callback()
def studies(
    context: typer.Context,
    storage: StorageUrl = DEFAULT_STORAGE,
    as_json: AsJson = False,
) -> None:
    """List the studies of a storage, or delete or copy one.

    Example: pareto-prune studies --json
    """
    if context.invoked_subcommand is not None:
        return
    from pareto_prune import api
    from pareto_prune.tables import listed_json, studies_table

    rows = api.studies(storage)
    if as_json:
        print(listed_json(rows))
    else:
        _show(studies_table(rows))


@studies_app.command("delete")
def studies_delete(name: Name, storage: StorageUrl = DEFAULT_STORAGE) -> None:
    """Delete a study from the storage; exported models and pages stay.

    Example: pareto-prune studies delete quickstart
    """
    from pareto_prune.storage import open_storage

    open_storage(storage).delete(name)
    print(f"deleted study {name!r}")


@studies_app.command("copy")
def studies_copy(
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Name of the copy.")],
    storage: StorageUrl = DEFAULT_STORAGE,
) -> None:
    """Copy a study, with its finished trials, under a new name.

    Example: pareto-prune studies copy quickstart second
    """
    from pareto_prune.storage import open_storage

    open_storage(storage).copy(name, new)
    print(f"copied study {name!r} to {new!r}")


@app.command()
def status(name: Name, storage: StorageUrl = DEFAULT_STORAGE, as_json: AsJson = False) -> None:
    """Show how a study stands.

    States, rate, time left, hypervolume so far, workers and their leases.

    Example: pareto-prune status quickstart
    """
    from pareto_prune import api
    from pareto_prune.tables import status_view

    found = api.status(name, storage)
    if as_json:
        print(found.model_dump_json(indent=1))
    else:
        _show(status_view(found))


@app.command()
def front(
    name: Name,
    storage: StorageUrl = DEFAULT_STORAGE,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every trial with its state, not only the front.")
    ] = False,
) -> None:
    """Show the Pareto front of a study, the dense model first.

    Example: pareto-prune front quickstart --json
    """
    from pareto_prune import api, tables

    if as_json and as_csv:
        raise UserError("--json and --csv: both given, allowed: one of them")
    found = api.front(name, storage, every=every)
    if as_json:
        print(tables.front_json(found))
    elif as_csv:
        print(tables.front_csv(found), end="")
    else:
        _show(tables.front_view(found, every))


@app.command()
def select(
    name: Name,
    storage: StorageUrl = DEFAULT_STORAGE,
    maximum: Annotated[
        list[str] | None,
        typer.Option("--max", metavar="OBJECTIVE=X", help="At most; may be given several times."),
    ] = None,
    minimum: Annotated[
        list[str] | None,
        typer.Option("--min", metavar="OBJECTIVE=X", help="At least; may be given several times."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="OBJECTIVE=W,…", help="Weigh the objectives.")
    ] = None,
    knee: Annotated[bool, typer.Option("--knee", help="Take the knee of the front.")] = False,
    starter: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take what this starter put in.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Choose one point of the front and explain it.

    Says what its neighbours would buy and cost, and what is within noise.

    Example: pareto-prune select quickstart --max latency_ms=5 --min accuracy=0.82
    """
    from pareto_prune import api, selection, tables

    chosen = selection.select(
        api.front(name, storage, every=starter is not None),
        maximum=selection.parsed("--max", maximum or []),
        minimum=selection.parsed("--min", minimum or []),
        weights=selection.parsed("--weights", [weights] if weights else []),
        knee=knee,
        starter=starter,
    )
    if as_json:
        print(chosen.model_dump_json(indent=1))
    else:
        _show(tables.selection_view(chosen))


@app.command()
def export(
    name: Name,
    trial: Number,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A new folder.")],
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="See `list exporters`.")
    ] = "huggingface",
    storage: StorageUrl = DEFAULT_STORAGE,
) -> None:
    """Write the model of a trial into a folder that loads.

    Example: pareto-prune export quickstart 7 --to smaller-model
    """
    from pareto_prune import api

    print(api.export(name, trial, to, format_, storage))


@app.command()
def report(
    name: Name,
    to: Annotated[Path, typer.Option("--to", metavar="FILE.html", help="The page.")],
    storage: StorageUrl = DEFAULT_STORAGE,
) -> None:
    """Write the page of a study: one self-contained HTML file.

    Example: pareto-prune report quickstart --to front.html
    """
    from pareto_prune import api

    print(api.report(name, to, storage))


@app.command("list")
def list_(
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="Such as strategies.")],
    as_json: AsJson = False,
) -> None:
    """List what there is of a family, such as strategies.

    Says what each member is and, where it cannot be used here, why.

    Families: strategies, importances, samplers, starters, meters, engines, tasks, models,
    launchers, exporters.

    Example: pareto-prune list strategies
    """
    from pareto_prune import tables
    from pareto_prune.families import FAMILIES, entries

    if family not in FAMILIES:
        raise UserError(unknown_name("family", family, list(FAMILIES)))
    found = entries(family)
    if as_json:
        print(tables.listed_json(found))
    else:
        _show(tables.entries_table(found))


@app.command()
def doctor(
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Measure a model against itself.")
    ] = False,
    storage: StorageUrl = DEFAULT_STORAGE,
    as_json: AsJson = False,
) -> None:
    """Show device, engines, energy meters and storage.

    Says for each that cannot be used here why, and what would change that.

    Example: pareto-prune doctor --self-test
    """
    from pareto_prune.display import Display
    from pareto_prune.doctor import diagnose

    with Display() as display:
        found = diagnose(storage, self_test=self_test, progress=display)
    print(found.model_dump_json(indent=1) if as_json else found.text())
    if found.self_test is not None and not found.self_test.passed:
        raise typer.Exit(1)
