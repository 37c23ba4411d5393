"""A storage to serve: a study of scripted trials, the model of one of them, and a few odd names."""

from __future__ import annotations

from pathlib import Path

from pareto_prune.core.records import TrialResult
from pareto_prune.export.kept_models.store import Artifacts
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut_copy
from pareto_prune.running.assignment import Assignment
from pareto_prune.running.worker import work
from pareto_prune.storage import StoredStudy, open_storage
from tests.storage.scripted import reference, result_of, space_of, study_config
from tests.tiny import tiny_model, tiny_tokenizer

PLAN = PruningPlan.of([([0, 2], range(0, 64, 3)), ([], [1, 2]), ([3], [])])
TRIALS = 6


def make(folder: Path, artifacts: str | None = None) -> tuple[str, StoredStudy]:
    """Fill a storage and return its URL and the study ``scripted``.

    Args:
        folder: of the database, and of the models where they go nowhere else.
        artifacts: where the models go.
    """
    url = f"sqlite:///{folder / 'study.db'}"
    study = open_storage(url).create(study_config(trials=TRIALS))
    root = artifacts or str(folder / "models")
    (folder / "models/dense").mkdir(parents=True)
    study.keep_artifacts_at(root)
    study.set_reference(reference())
    kept = Artifacts(root)

    def run(assignment: Assignment) -> TrialResult:
        model = cut_copy(tiny_model(), PLAN)
        found = kept.keep(assignment.number, model, tiny_tokenizer(folder), PLAN)
        changes = {"artifact": found.place, "artifact_digest": found.digest}
        return result_of(assignment.candidate, **changes)

    work(study, run, space_of(study.config))
    return url, study
