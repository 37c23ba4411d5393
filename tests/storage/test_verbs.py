"""What each verb of a study does, on every database."""

from __future__ import annotations

import json
import threading

import optuna
import pytest
from optuna.storages import RDBStorage
from sqlalchemy import Connection

from pareto_prune.core.errors import MismatchError, UserError
from pareto_prune.core.records import Candidate, Failure, TrialState
from pareto_prune.storage import (
    LeaseLostError,
    Storage,
    StoredStudy,
    events,
    open_storage,
    schema,
    trial_rows,
)
from tests.storage.scripted import (
    reference,
    result_of,
    rung_of,
    space_of,
    study_config,
    values_of,
)

CONFIG = study_config()
SPACE = space_of(CONFIG)


def candidate(share: float = 0.5, **changes: object) -> Candidate:
    params = {gene.name: gene.only if gene.choices else share for gene in SPACE.genes}
    return SPACE.to_candidate(params).model_copy(update=changes)


def finished(study: StoredStudy, share: float = 0.5, **changes: object) -> int:
    trial = study.claim("w")
    assert trial is not None
    told = study.assign(trial, candidate(share), SPACE)
    assert told is not None
    assert study.tell(told, result_of(candidate(share), **changes))
    return trial.number


def test_numbers_have_no_gaps_and_end_where_asked(study: StoredStudy) -> None:
    numbers = [finished(study) for _ in range(12)]
    assert numbers == list(range(12))
    assert study.claim("w") is None
    assert study.counts()[TrialState.COMPLETE] == 12


def test_more_trials_can_be_asked_for(study: StoredStudy) -> None:
    study.ask_for(1)
    assert finished(study) == 0
    assert study.claim("w") is None
    study.ask_for(2)
    assert finished(study) == 1
    assert study.trials_asked == 2
    with pytest.raises(UserError, match="1 or more"):
        study.ask_for(0)


def test_a_result_is_read_back_whole(study: StoredStudy) -> None:
    finished(study, violations={"accuracy": -0.1}, rungs=(rung_of(0), rung_of(10)))
    read = study.read()
    assert read.trials[0].state is TrialState.COMPLETE
    assert read.trials[0].candidate == candidate()
    assert read.trials[0].result == result_of(
        candidate(), violations={"accuracy": -0.1}, rungs=(rung_of(0), rung_of(10))
    )
    assert read.trials[0].worker == "w"
    assert read.trials_asked == 12
    assert read.config["name"] == "scripted"


def test_reading_again_takes_in_what_changed(study: StoredStudy) -> None:
    first = study.claim("w")
    assert first is not None
    finished(study)
    assert [trial.state for trial in study.read().trials] == [
        TrialState.RUNNING,
        TrialState.COMPLETE,
    ]
    assigned = study.assign(first, candidate(0.1), SPACE)
    assert assigned is not None
    study.tell(assigned, result_of(candidate(0.1)))
    assert [trial.state for trial in study.read().trials] == [TrialState.COMPLETE] * 2
    assert study.read().trials[0].result == result_of(candidate(0.1))


def test_waiting_trials_come_first_with_their_candidate(study: StoredStudy) -> None:
    starters = [candidate(0.1, starter="uniform"), candidate(0.2, starter="uniform")]
    for _ in range(2):
        study.enqueue(starters, SPACE)
        assert study.counts()[TrialState.WAITING] == 2
    claimed = [study.claim("w") for _ in range(3)]
    assert [trial.number for trial in claimed if trial] == [0, 1, 2]
    assert [trial.candidate for trial in claimed if trial] == [*starters, None]


def test_more_starters_than_trials_do_not_count(study: StoredStudy) -> None:
    study.ask_for(1)
    study.enqueue([candidate(0.1), candidate(0.2)], SPACE)
    assert study.claim("w") is not None
    assert study.claim("w") is None


def test_a_trial_handed_back_keeps_number_candidate_and_rungs(study: StoredStudy) -> None:
    trial = study.claim("w")
    assert trial is not None
    trial = study.assign(trial, candidate(0.3), SPACE)
    assert trial is not None
    assert study.report(trial, rung_of(0))
    finished(study)
    assert study.hand_back(trial)
    again = study.claim("v")
    assert again is not None
    assert (again.number, again.candidate) == (0, candidate(0.3))
    assert study.rungs(0) == [rung_of(0)]
    assert not study.hand_back(trial.model_copy(update={"number": 7}))


def test_a_rung_reported_twice_is_kept_once(study: StoredStudy) -> None:
    trial = study.claim("w")
    assert trial is not None
    study.report(trial, rung_of(5, 0.1))
    study.report(trial, rung_of(5, 0.2))
    assert study.rungs(0) == [rung_of(5, 0.2)]


def test_leaving_puts_back_what_the_worker_held(study: StoredStudy) -> None:
    study.claim("w")
    study.leave("w")
    assert study.counts()[TrialState.WAITING] == 1
    assert study.workers()[0].ended is not None
    assert study.workers()[0].number is None


def test_the_registry_says_who_works_on_what(study: StoredStudy) -> None:
    study.claim("w")
    study.claim("v")
    assert {(worker.name, worker.number) for worker in study.workers()} == {("w", 0), ("v", 1)}
    assert all(worker.lease and 0 < worker.lease <= 60 for worker in study.workers())


@pytest.mark.parametrize(
    ("changes", "state", "optuna_state"),
    [
        ({}, TrialState.COMPLETE, "COMPLETE"),
        ({"stop_reason": "dominated"}, TrialState.STOPPED, "PRUNED"),
        ({"failure": Failure(kind="k", reason="r")}, TrialState.FAILED, "FAIL"),
    ],
)
def test_optuna_reads_what_was_told(
    optunas: RDBStorage,
    storage: Storage,
    changes: dict[str, object],
    state: TrialState,
    optuna_state: str,
) -> None:
    study = storage.create(CONFIG)
    finished(study, 0.25, violations={"accuracy": 0.5, "latency_ms": -1.0}, **changes)
    theirs = optuna.load_study(study_name="scripted", storage=optunas).trials[0]
    assert study.counts()[state] == 1
    assert theirs.state.name == optuna_state
    assert theirs.number == 0
    assert theirs.params == SPACE.to_params(candidate(0.25))
    assert theirs.constraints == {"accuracy": 0.5, "latency_ms": -1.0}
    if state is not TrialState.FAILED:
        assert theirs.values == list(values_of(candidate(0.25)).values())
    if state is TrialState.FAILED:
        assert theirs.user_attrs["failure"] == "k: r"
    assert theirs.datetime_start is not None
    assert theirs.datetime_complete is not None


def test_optuna_knows_the_objectives(optunas: RDBStorage, study: StoredStudy) -> None:
    finished(study)
    theirs = optuna.load_study(study_name="scripted", storage=optunas)
    assert [direction.name for direction in theirs.directions] == [
        "MAXIMIZE",
        "MINIMIZE",
        "MINIMIZE",
    ]
    assert theirs.metric_names == list(CONFIG.objectives)
    assert len(theirs.best_trials) == 1


def test_optuna_numbers_on_where_we_stopped(optunas: RDBStorage, study: StoredStudy) -> None:
    finished(study)
    theirs = optuna.load_study(study_name="scripted", storage=optunas)
    assert theirs.ask().number == 1
    assert finished(study) == 2


def test_a_starter_outside_the_ranges_is_stored_as_it_is(
    optunas: RDBStorage, study: StoredStudy
) -> None:
    dropped = candidate(1.0, strategy="balanced", starter="drop_layers")
    study.enqueue([dropped], SPACE)
    theirs = optuna.load_study(study_name="scripted", storage=optunas).trials[0]
    assert theirs.params["sublayer_00"] == 1.0
    assert theirs.params["strategy"] == "balanced"
    assert theirs.user_attrs == {"starter": "drop_layers"}
    assert study.read().trials[0].candidate == dropped


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_complete_trial_without_a_finite_value_has_failed(
    study: StoredStudy, value: float | None
) -> None:
    values = {"accuracy": 0.8, "latency_ms": 3.0} | ({} if value is None else {"energy_j": value})
    finished(study, values=values)
    result = study.read().trials[0].result
    assert result is not None
    assert result.failure == Failure(kind="no_value", reason="energy_j is not a finite number")
    assert study.counts()[TrialState.FAILED] == 1


def test_a_stopped_trial_may_lack_a_value(optunas: RDBStorage, study: StoredStudy) -> None:
    finished(study, values={"latency_ms": 3.0}, stop_reason="too slow by the tables")
    theirs = optuna.load_study(study_name="scripted", storage=optunas).trials[0]
    assert study.counts()[TrialState.STOPPED] == 1
    assert theirs.state.name == "PRUNED"
    assert theirs.values is None


def test_samplers_learn_the_optimistic_metric(study: StoredStudy) -> None:
    finished(study, stop_reason="dominated", optimistic=0.95, violations={"a": 0.5, "b": -2.0})
    (past,) = study.history(SPACE)
    assert past.state is TrialState.STOPPED
    assert past.values is not None
    assert past.values["accuracy"] == 0.95
    assert past.violation == 0.5
    assert past.params == SPACE.to_params(candidate())


def test_history_gives_what_is_new_and_what_was_open(study: StoredStudy) -> None:
    trial = study.claim("w")
    assert trial is not None
    finished(study)
    assert [past.number for past in study.history(SPACE)] == [0, 1]
    assert [past.number for past in study.history(SPACE, 1, {0})] == [0]
    finished(study)
    assert [past.number for past in study.history(SPACE, 1)] == [2]
    assert [past.number for past in study.history(SPACE, 2, set(range(2000)))] == [0, 1, 2]


def test_attributes_of_a_sampler_come_back(study: StoredStudy) -> None:
    trial = study.claim("w")
    assert trial is not None
    study.assign(trial, candidate(), SPACE, {"generation": 3})
    assert study.history(SPACE)[0].attributes == {"generation": 3}


def test_going_on_takes_over_the_limits(storage: Storage) -> None:
    storage.create(study_config(trials=5))
    study = storage.create(study_config(limits={"trials": 8, "time": "2h"}))
    assert study.trials_asked == 8
    assert storage.open_study("scripted").config.limits.time == "2h"


@pytest.mark.parametrize("begun", ["dense model", "lease"])
def test_another_study_file_is_refused_with_its_differences(storage: Storage, begun: str) -> None:
    study = storage.create(study_config())
    if begun == "lease":
        assert study.acquire("dense", "w")
    else:
        study.set_reference(reference())
    other = study_config(seed=3, search={"strategies": ("l1",)})
    with pytest.raises(MismatchError) as caught:
        storage.create(other)
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == 3
    assert said[0].startswith("study 'scripted': search.strategies: ['l1'], it was started with")
    assert said[1] == "study 'scripted': seed: 3, it was started with 0"
    assert "only [limits] may change" in said[2]
    assert storage.open_study("scripted").config == study_config()


def test_a_study_file_that_was_put_right_before_the_study_began(storage: Storage) -> None:
    study = storage.create(study_config())
    study.enqueue([candidate()], SPACE)
    assert study.acquire("dense", "w")
    study.release("dense")
    other = study_config(seed=3, objectives=("accuracy", "bytes"))
    assert storage.create(other).read().trials == ()
    assert storage.open_study("scripted").config == other
    with pytest.raises(UserError, match="it was deleted"):
        study.read()


def test_a_study_that_optuna_made_is_not_taken_over(optunas: RDBStorage, storage: Storage) -> None:
    optuna.create_study(study_name="scripted", storage=optunas)
    with pytest.raises(MismatchError, match="pareto-prune did not make"):
        storage.create(study_config())


def test_an_unknown_study_names_the_nearest(storage: Storage) -> None:
    with pytest.raises(UserError, match=r"unknown study 'nothing', there are none; .*--storage"):
        storage.open_study("nothing")
    storage.create(study_config("quickstart"))
    with pytest.raises(UserError, match="did you mean 'quickstart'"):
        storage.open_study("quickstar")


def test_two_studies_in_one_database_do_not_meet(storage: Storage) -> None:
    one, two = (storage.create(study_config(name)) for name in ("one", "two"))
    finished(one, 0.1)
    finished(two, 0.2)
    finished(two, 0.3)
    assert [len(study.read().trials) for study in (one, two)] == [1, 2]
    assert [past.number for past in two.history(SPACE)] == [0, 1]
    assert one.read().trials[0].candidate == candidate(0.1)


def test_studies_are_listed_with_their_counts(storage: Storage) -> None:
    assert storage.studies() == []
    finished(storage.create(study_config("b")))
    storage.create(study_config("a"))
    listed = storage.studies()
    assert [(one.name, one.finished, one.trials_asked) for one in listed] == [
        ("a", 0, 12),
        ("b", 1, 12),
    ]


def test_a_deleted_study_is_gone_and_the_other_is_not(
    optunas: RDBStorage, storage: Storage
) -> None:
    finished(storage.create(study_config("a")))
    kept = storage.create(study_config("b"))
    finished(kept)
    storage.delete("a")
    assert [one.name for one in storage.studies()] == ["b"]
    assert optuna.get_all_study_names(optunas) == ["b"]
    assert len(kept.read().trials) == 1
    fresh = storage.create(study_config("a"))
    assert fresh.read().trials == ()
    assert finished(fresh) == 0


def test_a_study_deleted_by_another_tool_is_noticed(optunas: RDBStorage, storage: Storage) -> None:
    study = storage.create(study_config("a"))
    finished(study)
    optuna.delete_study(study_name="a", storage=optunas)
    with pytest.raises(UserError, match="it was deleted"):
        study.claim("w")
    assert storage.create(study_config("c")).read().trials == ()


def attempts(storage: Storage, study: StoredStudy, number: int) -> int:
    row = storage._database.read(lambda c: trial_rows.row_of(c, study.identity.study, number))
    return int(row.attempts)


def test_a_copy_stands_alone(optunas: RDBStorage, storage: Storage) -> None:
    study = storage.create(study_config("a"))
    study.set_reference(reference())
    finished(study, 0.1, violations={"accuracy": -1.0})
    study.claim("w")
    copy = storage.copy("a", "b")
    assert copy.reference == reference()
    assert [trial.state for trial in copy.read().trials] == [
        TrialState.COMPLETE,
        TrialState.WAITING,
    ]
    theirs = optuna.load_study(study_name="b", storage=optunas).trials
    assert theirs[0].params == SPACE.to_params(candidate(0.1))
    assert [attempts(storage, one, 1) for one in (study, copy)] == [1, 0]
    assert theirs[0].constraints == {"accuracy": -1.0}
    assert [trial.state.name for trial in theirs] == ["COMPLETE", "WAITING"]
    again = copy.claim("w")
    assert again is not None
    assert again.number == 1
    assert finished(copy) == 2
    assert len(study.read().trials) == 2
    with pytest.raises(UserError, match="already"):
        storage.copy("a", "b")
    with pytest.raises(UserError, match="'no name'"):
        storage.copy("a", "no name")


def test_what_is_written_once_stands(study: StoredStudy) -> None:
    assert study.reference is None
    study.set_reference(reference())
    other = reference().model_copy(update={"digest": "other"})
    assert study.set_reference(other).digest == "d"
    assert study.read().reference == reference()


def test_a_study_belongs_to_one_device(study: StoredStudy) -> None:
    profile = {"model": "EPYC", "engine": "eager", "threads": "2"}
    study.bind_profile(profile)
    study.bind_profile(dict(profile))
    with pytest.raises(MismatchError) as caught:
        study.bind_profile(profile | {"threads": "8"})
    moved = profile | {"latency_input": "1 × 8"}
    with pytest.raises(MismatchError, match="was measured on texts of other lengths") as error:
        study.bind_profile(moved)
    assert "allowed: the same data" in str(error.value)
    assert str(caught.value).count("\n") == 0
    assert "threads '2' there, '8' here" in str(caught.value)
    assert "EPYC" not in str(caught.value)


def test_named_references_are_kept(study: StoredStudy) -> None:
    half = result_of(candidate(0.5, starter="half_depth"))
    study.keep_reference("half_depth", half)
    study.keep_reference("half_depth", half)
    assert study.read().references == (half,)


def test_a_named_lease_has_one_holder(storage_url: str, study: StoredStudy) -> None:
    other = open_storage(storage_url).open_study("scripted")
    assert study.acquire("dense", "w")
    assert not other.acquire("dense", "v")
    assert study.keep("dense")
    assert not other.keep("dense")
    study.release("dense")
    assert other.acquire("dense", "v")
    study.release("dense")
    assert other.keep("dense")


def test_what_is_done_under_a_lease_is_not_once_it_is_lost(
    storage_url: str, study: StoredStudy
) -> None:
    """Its worker was stopped for longer than it lasts, and another has taken it."""
    other = open_storage(storage_url).open_study("scripted")
    assert study.acquire("dense", "w")
    study._database.write(lambda c: c.execute(schema.leases.update().values(expires=1)))
    assert other.acquire("dense", "v")
    late = (
        lambda: study.bind_profile({"device": "one"}, "dense"),
        lambda: study.enqueue([candidate()], SPACE, "dense"),
        lambda: study.keep_reference("int8", result_of(candidate()), "dense"),
    )
    for write in late:
        with pytest.raises(LeaseLostError):
            write()
    other.bind_profile({"device": "two"}, "dense")
    assert study.read().trials == ()
    assert study.named_references() == []


def test_an_event_of_an_attempt_that_has_not_ended_is_not_written_again(
    study: StoredStudy,
) -> None:
    """Its COMMIT hangs, as for a standby, and its connection was cut off."""
    written, goes_on = threading.Event(), threading.Event()

    def write(connection: Connection) -> None:
        events.record_once(connection, study.identity.study, 1.0, "note", "text", None)
        written.set()
        goes_on.wait(timeout=30)

    attempts = [threading.Thread(target=study._write, args=(write,)) for _ in range(2)]
    attempts[0].start()
    assert written.wait(timeout=30)
    attempts[1].start()
    attempts[1].join(timeout=0.2)
    goes_on.set()
    for attempt in attempts:
        attempt.join(timeout=30)
    assert [event.text for event in study.events()] == ["text"]


def test_events_are_told_in_order(study: StoredStudy) -> None:
    study.event("note", "begun", "w")
    finished(study, failure=Failure(kind="nan_loss", reason="step 3"))
    assert [(event.kind, event.text, event.number) for event in study.events()] == [
        ("note", "begun", None),
        ("failed", "nan_loss: step 3", 0),
    ]


def test_names_are_data(storage: Storage) -> None:
    study = storage.create(study_config("a"))
    study.claim("w'); DROP TABLE pareto_trials; --")
    assert study.workers()[0].name == "w'); DROP TABLE pareto_trials; --"
    with pytest.raises(UserError, match="unknown study"):
        storage.open_study("a' OR '1'='1")


def test_the_stored_study_file_is_plain_json(study: StoredStudy) -> None:
    assert json.loads(json.dumps(study.read().config))["limits"] == {
        "trials": 12,
        "time": None,
        "trial_time": None,
        "plateau": None,
        "priority": 1.0,
    }
