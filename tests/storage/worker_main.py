"""One real worker process with scripted trials: ``URL [--say | --block] [--lease S] [--name N]
[--ahead S]``.

Says ``running N`` for every trial under ``--say``, and waits for a line on standard input as well
under ``--block``; says at the end how many trials it told. Exits with 130 when interrupted. Under
``--ahead`` its own clock is fast, or slow where the number is negative.
"""

from __future__ import annotations

import argparse
import sys
import time

from pareto_prune.running.assignment import RunTrial
from pareto_prune.running.worker import work
from pareto_prune.running.worker_events import WorkerEvent
from pareto_prune.storage import open_storage
from tests.storage.scripted import run_blocking, run_saying, run_scripted, space_of


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--block", action="store_true")
    parser.add_argument("--say", action="store_true")
    parser.add_argument("--lease", type=float, default=60.0)
    parser.add_argument("--name", default=None)
    parser.add_argument("--ahead", type=float, default=0.0)
    options = parser.parse_args()
    true = time.time
    time.time = lambda: true() + options.ahead
    study = open_storage(options.url, lease_seconds=options.lease).open_study("scripted")
    told = work(
        study,
        _runner(options),
        space_of(study.config),
        worker_name=options.name,
        on_event=_say,
        poll=0.05,
    )
    print(f"told {told}", flush=True)


def _runner(options: argparse.Namespace) -> RunTrial:
    if options.say:
        return run_saying
    return run_blocking if options.block else run_scripted


def _say(event: WorkerEvent) -> None:
    if event.kind in ("lost", "handed_back"):
        print(f"{event.kind} {event.trial.number if event.trial else ''}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
