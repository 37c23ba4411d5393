"""Verbs on an exported folder: ``predict``, ``test``, ``refresh``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pareto_prune.cli._app import app
from pareto_prune.errors import Problem, UserError

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A folder written by `pareto-prune export`.")
]


@app.command()
def predict(
    folder: Folder,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT…", help="Texts, or - for lines of standard input."),
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
    from pareto_prune.deployed.predict import predict as predictions

    given = texts or []
    if bool(given) == (file is not None):
        wrong = "texts and --file, both given" if given else "no text"
        raise UserError(Problem("predict", wrong, "allowed: TEXT…, --file F, or -"))
    stream = sys.stdin.buffer if given == ["-"] else None
    cut = total = 0
    for prediction in predictions(folder, given, file=file, stream=stream, batch=batch):
        print(json.dumps(prediction, ensure_ascii=False), flush=stream is not None)
        cut, total = cut + ("truncated" in prediction), total + 1
    if cut:
        print(f"{cut} of {total} texts were too long: the model read their start", file=sys.stderr)
