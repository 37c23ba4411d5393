"""Studies that were deleted under those who work on them, by us or by Optuna's own tools."""

from __future__ import annotations

import optuna
import pytest
from optuna.storages import RDBStorage

from pareto_prune.core.errors import UserError
from pareto_prune.storage import Storage, StoredStudy, open_storage
from tests.storage.scripted import reference, result_of, rung_of, space_of, study_config

SPACE = space_of(study_config())
CANDIDATE = SPACE.to_candidate({g.name: g.only for g in SPACE.genes})


def running(study: StoredStudy):
    trial = study.claim("w")
    assert trial is not None
    assigned = study.assign(trial, CANDIDATE, SPACE)
    assert assigned is not None
    return assigned


def test_a_worker_does_not_go_on_in_a_study_of_the_same_name(
    storage_url: str, storage: Storage
) -> None:
    old = storage.create(study_config("mine", seed=1))
    trial = running(old)
    elsewhere = open_storage(storage_url)
    elsewhere.delete("mine")
    new = elsewhere.create(study_config("mine", seed=2))
    verbs = (
        lambda: old.claim("w"),
        lambda: old.renew(trial),
        lambda: old.report(trial, rung_of(0)),
        lambda: old.tell(trial, result_of(CANDIDATE)),
        lambda: old.set_reference(reference()),
        lambda: old.ask_for(99),
        lambda: old.acquire("dense", "w"),
        lambda: old.event("kind", "text"),
        old.read,
        old.counts,
    )
    for verb in verbs:
        with pytest.raises(UserError, match="'mine' is no longer in the storage: it was deleted"):
            verb()
    assert new.read().trials == ()
    assert new.reference is None
    assert new.trials_asked == 12
    assert new.events() == []


@pytest.fixture
def taken(optunas: RDBStorage, storage: Storage) -> StoredStudy:
    """A study that Optuna deleted; on SQLite another program's study has its id by now."""
    study = storage.create(study_config("orphan"))
    trial = running(study)
    study.tell(trial, result_of(CANDIDATE))
    optuna.delete_study(study_name="orphan", storage=optunas)
    theirs = optuna.create_study(study_name="theirs", storage=optunas)
    for _ in range(3):
        theirs.tell(theirs.ask(), 1.0)
    return study


def test_it_is_not_there(storage: Storage, taken: StoredStudy) -> None:
    assert storage.studies() == []
    with pytest.raises(UserError, match="unknown study 'orphan'"):
        storage.open_study("orphan")
    for verb in (lambda: storage.delete("orphan"), lambda: storage.copy("orphan", "copy")):
        with pytest.raises(UserError, match="unknown study"):
            verb()
    with pytest.raises(UserError, match="it was deleted"):
        taken.claim("w")


def test_the_study_that_has_its_id_is_left_alone(
    optunas: RDBStorage, storage: Storage, taken: StoredStudy
) -> None:
    again = storage.create(study_config("orphan"))
    assert again.read().trials == ()
    trial = running(again)
    assert trial.number == 0
    assert again.tell(trial, result_of(CANDIDATE))
    theirs = optuna.load_study(study_name="theirs", storage=optunas)
    assert [trial.value for trial in theirs.trials] == [1.0] * 3
    storage.delete("orphan")
    assert optuna.get_all_study_names(optunas) == ["theirs"]
