"""Which systems this runs on."""

from __future__ import annotations

import platform

from pareto_prune.core.errors import UserError

SUPPORTED = {"Linux": "Linux", "Darwin": "macOS"}


def check() -> None:
    """Do nothing on a system that has what is needed: file locks, signals and forks of POSIX.

    Raises:
        UserError: it is another one.
    """
    name = platform.system() or "this system"
    if name not in SUPPORTED:
        allowed = " or ".join(SUPPORTED.values())
        raise UserError(f"{name} is not supported, allowed: {allowed}; on Windows, Linux in WSL 2")
