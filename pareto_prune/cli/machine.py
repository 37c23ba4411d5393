"""Verbs on this installation and machine: ``list``, ``doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

from pareto_prune.cli._app import AsJson, StorageUrl, app, print_json, show
from pareto_prune.core.defaults import DEFAULT_STORAGE
from pareto_prune.core.errors import UserError, unknown_name


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
    from pareto_prune.core.families import FAMILIES, entries
    from pareto_prune.results import tables

    if family not in FAMILIES:
        raise UserError(unknown_name("family", family, list(FAMILIES)))
    found = entries(family)
    if as_json:
        print_json(tables.listed_json(found))
    else:
        show(tables.entries_table(found))


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
