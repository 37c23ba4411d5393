"""The command line as it is, in a process of its own, but for the clock: the script measures."""

from __future__ import annotations

from pareto_prune import cli
from pareto_prune.running import run_study as running
from tests.deploy import scripted

if __name__ == "__main__":
    running.prepare = scripted.prepare
    cli.main()
