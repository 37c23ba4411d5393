"""Verbs on what a study found: ``front``, ``select``, ``export``, ``report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from pareto_prune.cli._app import AsJson, Name, StorageUrl, app, print_json, show
from pareto_prune.cli._numbers import parsed
from pareto_prune.core.defaults import DEFAULT_STORAGE
from pareto_prune.core.errors import Problem, UserError


@app.command()
def front(
    name: Name,
    storage: StorageUrl = DEFAULT_STORAGE,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Every trial with its state, not only the front.")
    ] = False,
    native: Annotated[
        bool,
        typer.Option("--native", help="Of what transformers loads by its architecture's name."),
    ] = False,
) -> None:
    """Show the Pareto front of a study, the dense model first.

    Example: pareto-prune front quickstart --json
    """
    from pareto_prune import api
    from pareto_prune.results import tables

    if as_json and as_csv:
        raise UserError("--json and --csv: both given, allowed: one of them")
    found = api.front(name, storage, every=every, native=native)
    if as_json:
        print_json(tables.front_json(found))
    elif as_csv:
        print(tables.front_csv(found), end="")
    else:
        show(tables.front_view(found, every))


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

    The recommended one, unless something is asked for. Says what its neighbours would buy and
    cost, and what is within noise.

    Example: pareto-prune select quickstart --max latency_ms=5 --min accuracy=0.82
    """
    from pareto_prune import api
    from pareto_prune.results import tables
    from pareto_prune.results.selection import select as choose

    chosen = choose(
        api.front(name, storage, every=starter is not None),
        maximum=parsed("--max", maximum or []),
        minimum=parsed("--min", minimum or []),
        weights=parsed("--weights", [weights] if weights else []),
        knee=knee,
        starter=starter,
    )
    if as_json:
        print_json(chosen.model_dump_json(indent=1))
    else:
        show(tables.selection_view(chosen))


@app.command()
def export(
    name: Name,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A new folder.")],
    trial: Annotated[
        str | None,
        typer.Argument(
            metavar="TRIAL",
            help="Number of a trial; dense for the dense model; by default the recommended one.",
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="onnx or huggingface; what was measured on."
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="DTYPE",
            help="float32, float16, bfloat16 (huggingface), int8 (onnx); what was measured in.",
        ),
    ] = None,
    storage: StorageUrl = DEFAULT_STORAGE,
) -> None:
    """Write the model of a trial, or the dense one, into a folder.

    As the study measured it, unless told otherwise: for its engine, in its number format. What is
    not PyTorch any more is compared with it first.

    Example: pareto-prune export quickstart 7 --to smaller-model
    """
    from pareto_prune import api
    from pareto_prune.export.manifest import Manifest

    number = _recommended(name, storage) if trial is None else _which(trial)
    folder = api.export(name, number, to, format_, storage, dtype=dtype)
    made = Manifest.read(folder)
    print(f"{made.format}, {made.dtype}", file=sys.stderr)
    if made.check is not None:
        print(made.check.sentence(made.dtype), file=sys.stderr)
    print(folder)


def _recommended(name: str, storage: str) -> int:
    """Return the trial that `select` takes when nothing is asked for, and say which it is."""
    from pareto_prune import api

    recommended = api.front(name, storage).recommended
    if recommended is None:
        allowed = f"allowed: the number of a trial, or dense; see: front {name}"
        raise UserError(Problem("TRIAL", "none is given, and none is recommended", allowed))
    print(f"trial {recommended.trial}, the recommended one", file=sys.stderr)
    return recommended.trial


def _which(trial: str) -> int | Literal["dense"]:
    if trial == "dense":
        return "dense"
    if not trial.isdecimal():
        raise UserError(Problem("TRIAL", f"{trial!r}", "allowed: the number of a trial, or dense"))
    return int(trial)


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Two studies or more.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    cost: Annotated[
        str | None, typer.Option(metavar="COST", help="Compare by it; by default the first one.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with their fronts, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show studies beside each other, and what each reached.

    Dense models, fronts, hypervolume; what each reached against its own dense model, and what it
    has at a level of the metric, in absolute numbers.

    Example: pareto-prune compare minilm mpnet --to both.html
    """
    from pareto_prune import api
    from pareto_prune.results import tables

    found = api.compare(names, storage, cost=cost, to=to)
    if as_json:
        print_json(found.model_dump_json(indent=1))
    else:
        show(tables.comparison_view(found))


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
