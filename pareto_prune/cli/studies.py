"""Verbs on studies as a whole: what there is, how one stands, and what one is told to do."""

from __future__ import annotations

from typing import Annotated

import typer

from pareto_prune.cli._app import PLAIN, AsJson, Name, StorageUrl, app, print_json, show
from pareto_prune.core.defaults import DEFAULT_STORAGE
from pareto_prune.core.errors import Problem, UserError

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
        _pass_on(context, storage, as_json)
        return
    from pareto_prune import api
    from pareto_prune.results.tables import listed_json, studies_table

    rows = api.studies(storage)
    if as_json:
        print_json(listed_json(rows))
    else:
        show(studies_table(rows))


def _pass_on(context: typer.Context, storage: str, as_json: bool) -> None:
    """Keep what stands before a verb for it; refuse what it has no use for."""
    if as_json:
        verb = f"studies {context.invoked_subcommand}"
        raise UserError(Problem("--json", f"{verb} prints none", "allowed: studies --json"))
    if _is_given(context):
        context.obj = storage


def _is_given(context: typer.Context) -> bool:
    source = context.get_parameter_source("storage")
    return source is not None and source.name == "COMMANDLINE"


def _storage(context: typer.Context, storage: str) -> str:
    """Return the storage that is meant: what stands behind the verb, before it, by default."""
    return storage if context.obj is None or _is_given(context) else str(context.obj)


@studies_app.command("delete")
def studies_delete(
    context: typer.Context, name: Name, storage: StorageUrl = DEFAULT_STORAGE
) -> None:
    """Delete a study from the storage; exported models and pages stay.

    Example: pareto-prune studies delete quickstart
    """
    from pareto_prune.storage import open_storage

    open_storage(_storage(context, storage)).delete(name)
    print(f"deleted study {name!r}")


@studies_app.command("copy")
def studies_copy(
    context: typer.Context,
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Name of the copy.")],
    storage: StorageUrl = DEFAULT_STORAGE,
) -> None:
    """Copy a study, with its finished trials, under a new name.

    Example: pareto-prune studies copy quickstart second
    """
    from pareto_prune.storage import open_storage

    open_storage(_storage(context, storage)).copy(name, new)
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


@app.command()
def pause(name: Name, storage: StorageUrl = DEFAULT_STORAGE) -> None:
    """Begin no new trials of a study until `resume`.

    Running ones end; workers wait.

    Example: pareto-prune pause quickstart
    """
    _steer(name, "pause", storage, "running trials end, and workers wait for `resume`")


@app.command()
def resume(name: Name, storage: StorageUrl = DEFAULT_STORAGE) -> None:
    """Let a study that was paused go on.

    Workers that wait take trials again within seconds. What was stopped or cancelled is final:
    `studies copy` makes a study of it that goes on with its trials.

    Example: pareto-prune resume quickstart
    """
    _steer(name, "resume", storage, "trials are begun again")


@app.command()
def stop(name: Name, storage: StorageUrl = DEFAULT_STORAGE) -> None:
    """End a study for good; its running trials end.

    None is begun any more, and workers leave.

    Example: pareto-prune stop quickstart
    """
    _steer(name, "stop", storage, "running trials end, and workers leave")


@app.command()
def cancel(name: Name, storage: StorageUrl = DEFAULT_STORAGE) -> None:
    """End a study for good, and its running trials at once.

    They are handed back, and workers leave when they next renew their leases, within a quarter
    of a minute.

    Example: pareto-prune cancel quickstart
    """
    _steer(name, "cancel", storage, "running trials were handed back, and workers leave")


def _steer(name: str, verb: str, storage: str, then: str) -> None:
    from pareto_prune import api

    print(f"study {name!r} is {api.steer(name, verb, storage).value}: {then}")
