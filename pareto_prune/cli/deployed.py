"""Verbs on an exported folder: ``predict``, ``test``, ``curve``, ``refresh``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from pareto_prune.cli._app import AsJson, app, print_json, show
from pareto_prune.cli._numbers import parsed
from pareto_prune.core.errors import ParetoPruneError, Problem, UserError

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A folder written by `pareto-prune export`.")
]


@app.command()
def predict(
    folder: Folder,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT…",
            help="Texts, behind -- if one begins with -; or - for lines of standard input.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="F", help="Texts, one a line; or CSV, TSV, JSON lines, Parquet."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Texts run together.")] = 32,
) -> None:
    """Predict with an exported model: one line of JSON a text.

    Example: pareto-prune predict smaller-model "a film to remember"
    """
    from pareto_prune.export.deployed.predict import predict as predictions

    given = texts or []
    if bool(given) == (file is not None):
        have = "texts and --file, both given" if given else "no text"
        raise UserError(Problem("predict", have, "allowed: TEXT…, --file F, or -"))
    stream: Any = sys.stdin.buffer if given == ["-"] else None
    cut, wrong, total = Counter[str](), 0, 0
    for prediction in predictions(folder, given, file=file, stream=stream, batch=batch):
        print_json(json.dumps(prediction, ensure_ascii=False))
        if stream is not None:
            sys.stdout.flush()
        wrong, total = wrong + ("error" in prediction), total + 1
        if "truncated" in prediction:
            cut[prediction["truncated"]["part"]] += 1
    for part, count in cut.items():
        said = f"{count} of {total} texts were too long: the model read their {part}"
        print(said, file=sys.stderr)
    if wrong:
        print(f"{wrong} of {total} lines have no prediction but an error", file=sys.stderr)
        raise typer.Exit(UserError.exit_code)


@app.command("test")
def score(
    folder: Folder,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Labelled texts, instead of the study's test split."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Take latency and joules again.")
    ] = True,
    maximum: Annotated[
        list[str] | None, typer.Option("--max", metavar="NAME=X", help="Exit 1 above: latency_ms=5")
    ] = None,
    minimum: Annotated[
        list[str] | None, typer.Option("--min", metavar="NAME=X", help="Exit 1 below: accuracy=0.8")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score an exported model on data that the search has not seen.

    Against the dense model, with paired intervals; by class; latency and joules again. Ends with 1
    where a bound on a metric or a cost is broken, and says which.

    Example: pareto-prune test smaller-model --max latency_ms=5 --min accuracy=0.8
    """
    from pareto_prune.export.deployed import bounds, scoring
    from pareto_prune.export.deployed.views import scorecard_view
    from pareto_prune.running.display import Display

    most, least = parsed("--max", maximum or []), parsed("--min", minimum or [])
    bounds.check_names([*most, *least])
    with Display() as display:
        card = scoring.score(folder, data, measure=measure, progress=display)
    if as_json:
        print_json(card.model_dump_json(indent=1))
    else:
        show(scorecard_view(card))
    broken = bounds.broken(card, most, least)
    for line in broken:
        print(line, file=sys.stderr)
    if broken:
        raise typer.Exit(ParetoPruneError.exit_code)


@app.command()
def curve(
    folder: Folder,
    against: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Another folder: the dense model in the same format."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0, metavar="S", help="Of timing in all; more tells p95 and p99.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Time an exported model by batch, threads and length.

    Median, p95, p99 and texts a second, with what it takes on disk, in memory and to load, and the
    knee: the batch from which more is not worth it. Beside another folder, run in turn with it.

    Example: pareto-prune curve smaller-model --against dense-model
    """
    from pareto_prune.export.deployed.curve import curve as taken
    from pareto_prune.export.deployed.curve_view import curve_view
    from pareto_prune.running.display import Display

    with Display() as display:
        found = taken(folder, against, seconds=seconds, progress=display)
    if as_json:
        print_json(found.model_dump_json(indent=1))
    else:
        show(curve_view(found))


@app.command()
def refresh(
    folder: Folder,
    data: Annotated[Path, typer.Option(metavar="FILE", help="New labelled texts.")],
    to: Annotated[Path, typer.Option(metavar="NEW", help="A new folder.")],
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, metavar="X", help="How much of the metric may be lost.")
    ] = 0.01,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="Of the new folder.")
    ] = "huggingface",
    dtype: Annotated[str, typer.Option(metavar="DTYPE", help="Of its weights.")] = "float32",
    as_json: AsJson = False,
) -> None:
    """Fine-tune an exported model again, on new labelled data.

    The new version stands beside the old one. Refuses where it is worse on the study's test split
    or on held-out new texts.

    Example: pareto-prune refresh smaller-model --data march.csv --to smaller-model-2
    """
    from pareto_prune.export.deployed import refreshing
    from pareto_prune.export.deployed.views import refresh_view
    from pareto_prune.running.display import Display

    with Display() as display:
        found = refreshing.refresh(
            folder,
            data,
            to,
            tolerance=tolerance,
            exporter=format_,
            dtype=dtype,
            progress=display,
        )
    if as_json:
        print_json(found.model_dump_json(indent=1))
    else:
        show(refresh_view(found))
        print(f"\n{to}")
