"""The application that every verb registers with, and the options that several verbs take."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareto_prune.core.version import __version__

if TYPE_CHECKING:
    from rich.console import RenderableType

INTERRUPTED = 130
PIPED = 200
"""Columns of a table that goes into a pipe or a file."""

PLAIN: dict[str, Any] = {"rich_markup_mode": None, "add_completion": False}
app = typer.Typer(
    name="pareto-prune",
    epilog="First: pareto-prune run studies/quickstart.toml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    **PLAIN,
)

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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Output = Annotated[
    Path,
    typer.Option("--output", metavar="DIR", help="Where models and the page are written."),
]


def show(renderable: RenderableType) -> None:
    """Print tables and text to stdout; into a pipe or a file without breaking lines.

    A terminal that is too narrow for a table breaks its lines; nothing of it is cut off.
    """
    from rich.console import Console, Group

    from pareto_prune.results.tables.text import least_width

    console = Console()
    piped = not console.is_terminal and "COLUMNS" not in os.environ
    width = PIPED if piped else console.width
    for part in renderable.renderables if isinstance(renderable, Group) else [renderable]:
        Console(width=max(width, least_width(part))).print(part)


def print_json(text: str) -> None:
    """Print JSON; what stdout's encoding does not have is escaped, which means the same."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)
    print(text)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False,
) -> None:
    """Search the trade-offs between accuracy, latency and energy of a BERT-family model."""
