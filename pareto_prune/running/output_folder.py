"""Where the models and the page of a study go."""

from __future__ import annotations

from pathlib import Path

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.storage import StoredStudy


def models_root(artifacts: str | None, folder: Path, name: str) -> str:
    """Return where the models of a study go: into its folder, or below a folder or URL instead.

    Raises:
        UserError: the URL is not one that models can be kept at.
    """
    from pareto_prune.export.kept_models.places import check_root

    return str(folder) if artifacts is None else check_root(f"{artifacts.rstrip('/')}/{name}")


def keep_models_at(stored: StoredStudy, root: str) -> None:
    """Give a study that has no place for its models one at ``root``."""
    from pareto_prune.export.kept_models.owner import claimed

    if not stored.artifacts:
        stored.keep_artifacts_at(claimed(root, stored.name, stored.identity.created))


def writable(folder: Path) -> Path:
    """Make ``folder`` and return it.

    Raises:
        UserError: it cannot be made, or nothing can be written in it.
    """
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        wrong = f"cannot be written: {error.strerror}"
        raise UserError(Problem(str(folder), wrong, "allowed: --output DIR elsewhere")) from None
    return folder
