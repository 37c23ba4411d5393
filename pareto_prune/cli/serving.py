"""The verb that serves: ``serve``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pareto_prune.cli._app import StorageUrl, app
from pareto_prune.core.defaults import DEFAULT_STORAGE


@app.command()
def serve(
    storage: StorageUrl = DEFAULT_STORAGE,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT")] = 8000,
) -> None:
    """Show the studies of a storage in a browser, and steer them.

    Fronts, workers, models to download, Prometheus metrics, Optuna's dashboard. The token in
    PARETO_PRUNE_TOKEN is asked for; without one it listens on this host only and changes nothing.

    Example: pareto-prune serve --port 8000
    """
    from pareto_prune.serve import serve as run

    run(storage, host, port, lambda address: print(address, file=sys.stderr, flush=True))
