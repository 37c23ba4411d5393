"""Verbs on this installation and machine: ``list``, ``doctor``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pareto_prune.cli._app import AsJson, StorageUrl, app, print_json, show
from pareto_prune.core.defaults import DEFAULT_STORAGE
from pareto_prune.core.errors import UserError, unknown_name


@app.command("list")
def list_(
    family: Annotated[
        str | None, typer.Argument(metavar="FAMILY", help="Such as strategies; by default all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what there is, of one family or of all.

    Says what each member is and, where it cannot be used here, why.

    Families: strategies, importances, samplers, starters, references, meters, engines, tasks,
    models, launchers, exporters.

    Example: pareto-prune list strategies
    """
    from pareto_prune.core.families import FAMILIES, entries
    from pareto_prune.results import tables

    if family is None:
        _list_families(as_json)
        return
    if family not in FAMILIES:
        raise UserError(unknown_name("family", family, list(FAMILIES)))
    found = entries(family)
    if as_json:
        print_json(tables.listed_json(found))
    else:
        show(tables.entries_table(found))


def _list_families(as_json: bool) -> None:
    from pareto_prune.core.families import FAMILIES, entries

    members = {family: [one.name for one in entries(family)] for family in FAMILIES}
    if as_json:
        print_json(json.dumps(members, indent=1))
        return
    width = max(map(len, members))
    for family, names in members.items():
        print(f"{family:<{width}}  {', '.join(names)}")


@app.command()
def doctor(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="A folder or hub id: how fast it is on every engine here."
        ),
    ] = None,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Measure a model against itself.")
    ] = False,
    max_length: Annotated[
        int, typer.Option("--max-length", min=1, metavar="N", help="Tokens of MODEL's texts.")
    ] = 128,
    threads: Annotated[
        int, typer.Option(min=0, metavar="N", help="Threads MODEL runs on; 0: a study's default.")
    ] = 0,
    storage: StorageUrl = DEFAULT_STORAGE,
    as_json: AsJson = False,
) -> None:
    """Show what this machine has, or how fast MODEL is on it.

    Device, engines, energy meters and storage; of each that cannot be used here why, and what
    would change that. With MODEL it runs that on random texts, on every engine that is installed,
    in every number format it has, in under a minute: milliseconds of one text, asked back to back
    and once a second, and texts a second.

    Example: pareto-prune doctor --self-test

    Example: pareto-prune doctor my-model --max-length 64
    """
    if model is not None:
        _speeds(model, max_length, threads, as_json)
        return
    from pareto_prune.running.display import Display
    from pareto_prune.running.doctor import diagnose

    with Display() as display:
        found = diagnose(storage, self_test=self_test, progress=display)
    if as_json:
        print_json(found.model_dump_json(indent=1))
    else:
        print(found.text())
    if found.self_test is not None and not found.self_test.passed:
        raise typer.Exit(1)


def _speeds(model: str, max_length: int, threads: int, as_json: bool) -> None:
    from pareto_prune.core.config import MeasureTable
    from pareto_prune.running.display import Display
    from pareto_prune.running.speeds import model_speeds, speeds_view

    table = MeasureTable(threads=threads)
    with Display() as display:
        found = model_speeds(model, max_length=max_length, table=table, progress=display)
    if as_json:
        print_json(found.model_dump_json(indent=1))
    else:
        show(speeds_view(found))
