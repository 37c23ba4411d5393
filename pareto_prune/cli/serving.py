"""Verbs of a service and of those who use it: ``serve``, ``submit``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from pareto_prune.cli._app import Output, StorageUrl, StudyPath, app
from pareto_prune.core.defaults import DEFAULT_OUTPUT, DEFAULT_STORAGE

Sources = Annotated[
    list[str] | None,
    typer.Option(metavar="SOURCE", help="Folder, hub id or demo that studies may name."),
]


@app.command()
def serve(
    storage: StorageUrl = DEFAULT_STORAGE,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT")] = 8000,
    accept_model: Sources = None,
    accept_data: Sources = None,
    output: Output = DEFAULT_OUTPUT,
    artifacts: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Folder or fsspec URL for models, instead of DIR."),
    ] = None,
) -> None:
    """Show the studies of a storage in a browser, and steer them.

    Fronts, workers, models to download, Prometheus metrics, Optuna's dashboard. The token in
    PARETO_PRUNE_TOKEN is asked for; without one it listens on this host only and changes nothing.

    Under a token it takes studies (`submit --to`) whose files name nothing but what --accept-model
    and --accept-data say.

    Example: pareto-prune serve --port 8000
    """
    from pareto_prune.running import submission
    from pareto_prune.serve import serve as run

    sources = submission.Sources.of(accept_model or (), accept_data or ())
    intake = submission.Intake(sources, output, artifacts)
    run(storage, host, port, lambda address: print(address, file=sys.stderr, flush=True), intake)


@app.command()
def submit(
    study: StudyPath,
    to: Annotated[
        str | None, typer.Option(metavar="URL", help="A service that takes studies (`serve`).")
    ] = None,
    storage: StorageUrl = DEFAULT_STORAGE,
    output: Output = DEFAULT_OUTPUT,
    artifacts: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Folder or fsspec URL for models, instead of DIR."),
    ] = None,
) -> None:
    """Put a study into a storage, for workers that serve all.

    With --to it is sent to a service: its paths are those of the service's workers then, and the
    token is taken from PARETO_PRUNE_TOKEN.

    Example: pareto-prune submit studies/quickstart.toml
    """
    from pareto_prune.running.study_file import read_study

    config = read_study(study)
    if to is not None:
        from pareto_prune.running.sending import send

        print(send(study.read_bytes(), to, os.environ.get("PARETO_PRUNE_TOKEN", "")))
        return
    from pareto_prune import api

    name = api.submit(config, storage, output=output, artifacts=artifacts).name
    print(f"study {name!r} is in the queue: `pareto-prune worker --any` runs its trials")
