"""Verbs on studies as a whole: ``studies``, ``status``."""

from __future__ import annotations

from typing import Annotated

import typer

from pareto_prune.cli._app import PLAIN, AsJson, Name, StorageUrl, app, print_json, show
from pareto_prune.core.defaults import DEFAULT_STORAGE

studies_app = typer.Typer(invoke_without_command=True, **PLAIN)
app.add_typer(studies_app, name="studies")


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
    from pareto_prune.results.tables import listed_json, studies_table

    rows = api.studies(storage)
    if as_json:
        print_json(listed_json(rows))
    else:
        show(studies_table(rows))


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
    from pareto_prune.results.tables import status_view

    found = api.status(name, storage)
    if as_json:
        print_json(found.model_dump_json(indent=1))
    else:
        show(status_view(found))
