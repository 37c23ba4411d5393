"""The command line: a skin over :mod:`pareto_prune.api`, and the only place that prints and exits.

Exit codes: 0 done, 1 the work failed, 2 the user must change something, 130 interrupted.
Progress and logs go to stderr, results to stdout. Each file holds the verbs of one subject; help
lists them in the order of the imports below.
"""

from __future__ import annotations

import io
import os
import sys

from pareto_prune.cli import running, studies, results, deployed, serving, machine  # isort: skip  # noqa: F401
from pareto_prune.cli._app import app
from pareto_prune.cli._errors import told
from pareto_prune.core import system

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line and exit with its code."""
    _share_cores()
    _say_what_can_be_said()
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        system.check()
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        lines, code = told(error)
        for line in lines:
            print(line, file=sys.stderr)
        sys.exit(code)


def _share_cores() -> None:
    """Let idle threads of torch sleep instead of spin.

    Must be set before torch is loaded. On cores that another process wants, too, spinning made
    matrix products three times slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _say_what_can_be_said() -> None:
    """Let what the encoding of the terminal does not have be a question mark, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
