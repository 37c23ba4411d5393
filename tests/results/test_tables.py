from __future__ import annotations

import csv
import io
import json

import pytest
from rich.console import Console

from pareto_prune.cli._app import show
from pareto_prune.core.records import TrialState
from pareto_prune.core.registry import Entry
from pareto_prune.results import tables
from pareto_prune.results.front import front_of
from pareto_prune.results.selection import select
from pareto_prune.results.status import Status, StudyRow, WorkerStatus
from pareto_prune.results.tables.text import least_width
from tests import synthetic
from tests.results.test_front import values
from tests.synthetic import study_of, trial

MARKUP = "[bold red]x[/] <b>&\x1b[31m"


def drawn(renderable, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(renderable)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_dense_model_comes_first_and_once():
    lines = drawn(tables.front_table(front_of(synthetic.study())))
    assert lines[1].split() == ["0", "dense", "84.2", "%", "15.0", "ms", "≈80.0", "mJ", "22.5", "M"]
    assert [line.split()[0] for line in lines[2:4]] == ["△", "△"]
    assert sum("dense" in line for line in lines if "△" not in line) == 1


def test_values_stand_with_points_lost_speed_up_and_energy_ratio():
    study = study_of(trial(3, values(0.825, 0.36, 0.25)))
    assert drawn(tables.front_table(front_of(study)))[2].split() == [
        "★", "3", "l1", "82.5", "%", "−1.7", "5.40", "ms", "2.8×",
        "≈20.0", "mJ", "0.25×", "20.0", "M",
    ]  # fmt: skip


def test_only_estimates_are_marked():
    measured = drawn(tables.front_view(front_of(synthetic.study(grade="measured"))))
    assert not any("≈" in line for line in measured)
    estimated = drawn(tables.front_view(front_of(synthetic.study())))
    assert any("good to a factor of about 2" in line for line in estimated)


@pytest.mark.parametrize("every", [False, True])
def test_tables_fit_80_columns_without_losing_a_column(every):
    front = front_of(synthetic.study(), all_trials=True)
    lines = drawn(tables.front_table(front, every))
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[: 3 + every] == ["trial", "strategy", *["state"] * every, "accuracy"]
    numbers = "".join(line for line in lines[1:] if "/" not in line)
    assert "…" not in numbers


@pytest.mark.parametrize("every", [False, True])
def test_a_terminal_that_is_too_narrow_for_a_table_loses_nothing(every, monkeypatch, capsys):
    front = front_of(synthetic.study(), all_trials=True)
    row = StudyRow(
        name="quickstart", created=1.7e9, finished=30, trials_asked=40, running=2, front=5,
        hypervolume=0.2, model="demo:minilm-l6", data="demo:rotten-tomatoes",
    )  # fmt: skip
    monkeypatch.setenv("COLUMNS", "40")
    for table in (tables.front_table(front, every), tables.studies_table([row])):
        assert least_width(table) <= 80
        show(table)
        found = capsys.readouterr().out
        whole = [cell for column in table.columns if column.no_wrap for cell in column.cells]
        assert all(str(cell) in found for cell in whole)
    show(tables.front_view(front, every))
    *_, told = capsys.readouterr().out.partition("hypervolume")
    assert max(map(len, told.splitlines())) <= 40


def test_all_trials_stand_with_their_state():
    front = front_of(synthetic.study(), all_trials=True)
    lines = drawn(tables.front_table(front, every=True))
    assert len(lines) == 2 + len(front.references) + len(front.trials)
    for state in ("reference", "complete", "stopped", "failed", "running", "waiting"):
        assert any(f" {state} " in line for line in lines)


def test_infeasible_trials_are_called_so():
    study = study_of(trial(0, values(0.5, 0.1, 0.1), violations={"accuracy": 0.1}))
    lines = drawn(tables.front_table(front_of(study, all_trials=True), every=True))
    assert "infeasible" in lines[2]


def test_text_from_users_is_never_markup():
    candidate = trial(0, values(0.82, 0.5, 0.5), starter=MARKUP)
    lines = drawn(tables.front_table(front_of(study_of(candidate)), every=False), width=120)
    assert "[bold red]x[/] <b>& [31m" in lines[2]
    assert "\x1b" not in "".join(lines)


def test_summary_of_fronts_of_nothing():
    assert drawn(tables.front_summary(front_of(study_of(reference=None)))) == [
        "0 points on the front of 0 trials",
        "hypervolume: none, the dense model is not measured yet",
    ]
    chance = study_of(reference=synthetic.reference(accuracy=0.5))
    assert "does not beat chance" in drawn(tables.front_summary(front_of(chance)))[1]


def test_summary_says_what_the_front_amounts_to():
    study = study_of(
        trial(3, values(0.835, 0.25, 0.25)),
        trial(4, values(0.82, 0.2, 0.2), state=TrialState.STOPPED),
    )
    lines = drawn(tables.front_summary(front_of(study)), width=200)
    assert lines[0] == "1 point on the front of 2 trials, 1 stopped"
    assert lines[2] == "at most 1 point lost: 4.0× faster (trial 3), 0.25× the energy (trial 3)"
    assert lines[5].startswith("★ recommended: trial 3, the cheapest point within 1.2 points")


def test_models_at_chance_are_left_out_and_said():
    study = study_of(trial(3, values(0.835, 0.25, 0.25)), trial(4, values(0.51, 0.01, 0.01)))
    said = "1 trial at or below 77.4 % accuracy, where a front ends, is left out (--all shows it)"
    assert said in drawn(tables.front_summary(front_of(study)), width=200)
    lines = drawn(tables.front_table(front_of(study, all_trials=True), every=True))
    assert any(" too low " in line for line in lines)
    table = rows(tables.front_csv(front_of(study)))
    assert [row["trial"] for row in table] == ["", "3"]


def test_a_front_of_nothing_says_which_constraint_left_none():
    broken = [trial(n, values(0.8, 0.1, 0.1), violations={"accuracy": 0.1}) for n in range(3)]
    lines = drawn(tables.front_summary(front_of(study_of(*broken))), width=200)
    assert "no point keeps the constraints (accuracy >= 0.6: 3 trials break it)" in lines


def test_candidates_that_no_trial_is_left_for_are_not_waiting():
    done = Status(study="s", states={"complete": 3, "waiting": 3}, trials_asked=3)
    assert "waiting" not in "\n".join(drawn(tables.status_view(done)))
    more = done.model_copy(update={"trials_asked": 6})
    assert "3 waiting" in "\n".join(drawn(tables.status_view(more)))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_plain_numbers_dense_first():
    front = front_of(synthetic.study())
    table = rows(tables.front_csv(front))
    assert table[0]["starter"] == "dense"
    assert table[0]["state"] == "reference"
    assert float(table[0]["latency_ms"]) == 15.0
    assert [int(row["trial"]) for row in table[1:]] == [p.number for p in front.trials]
    for row, point in zip(table[1:], front.trials, strict=True):
        assert float(row["accuracy"]) == point.values["accuracy"]
        assert float(row["energy_j_low"]) == point.intervals["energy_j"][0]
        assert float(row["latency_ms_relative"]) == point.relative["latency_ms"]
    assert [r["trial"] for r in table if r["recommended"] == "true"] == ["17"]


def test_csv_of_every_trial_leaves_unknown_cells_empty():
    front = front_of(synthetic.study(), all_trials=True)
    failed = next(r for r in rows(tables.front_csv(front)) if r["state"] == "failed")
    assert failed["accuracy"] == ""
    assert failed["reason"].startswith("nan_loss")


def test_csv_text_is_never_a_formula():
    study = study_of(trial(0, values(0.82, 0.5, 0.5), starter='=HYPERLINK("x"),1'))
    assert rows(tables.front_csv(front_of(study)))[1]["starter"] == '\'=HYPERLINK("x"),1'


def test_json_is_the_front():
    front = front_of(synthetic.study())
    assert json.loads(tables.front_json(front)) == json.loads(json.dumps(front.to_json()))


def test_selection_shows_its_warnings_last():
    text = drawn(tables.selection_view(select(front_of(synthetic.study()), knee=True)), width=400)
    assert text[0].startswith("Trial 27: the knee")
    assert [line[0] for line in text[-2:]] == ["!", "!"]


def test_status():
    status = Status(
        study=MARKUP,
        states={"complete": 12, "failed": 1, "waiting": 0},
        trials_asked=40,
        trials_per_hour=200.4,
        seconds_left=485,
        hypervolume=0.2,
        front=5,
        workers=(
            WorkerStatus(name="a:1", trial=13, lease_seconds=40),
            WorkerStatus(name="b:2", lease_seconds=-3),
            WorkerStatus(name="waits:3", lease_seconds=0),
        ),
    )
    text = "\n".join(drawn(tables.status_view(status)))
    for part in ("13 of 40 finished", "12 complete, 1 failed", "200 trials/h", "8 min",
                 "0.200 (5 on the front)", "40 s left", "ended", "[bold red]x[/]"):  # fmt: skip
        assert part in text
    assert "waiting" not in text
    (waits,) = (row for row in text.splitlines() if "waits:3" in row)
    assert waits.split() == ["waits:3", "–", "–"]


def test_status_of_a_study_that_nobody_works_at():
    text = "\n".join(drawn(tables.status_view(Status(study="s", states={}, trials_asked=4))))
    assert "no worker is at it" in text
    assert "none yet" in text


def test_studies():
    row = StudyRow(
        name="quickstart", created=1.7e9, finished=30, trials_asked=40, running=2, front=5,
        hypervolume=0.2, model="demo:minilm-l6", data="demo:rotten-tomatoes",
    )  # fmt: skip
    lines = drawn(tables.studies_table([row, row.model_copy(update={"hypervolume": None})]))
    assert max(map(len, lines)) <= 80
    assert "30/40 +2" in lines[1]
    assert "–" in lines[2]
    assert drawn(tables.studies_table([])) == ["no studies yet"]
    assert least_width(tables.studies_table([])) == 0


def test_members_of_a_family():
    entries = [
        Entry("estimate", "CPU seconds times watts per core.", True, None),
        Entry("nvml", "The GPU's energy counter.", False, "no NVIDIA driver"),
    ]
    lines = drawn(tables.entries_table(entries))
    assert lines[1] == "estimate ✓ CPU seconds times watts per core."
    assert lines[3].strip() == "not here: no NVIDIA driver"
    assert json.loads(tables.listed_json(entries))[1] == {
        "name": "nvml", "summary": "The GPU's energy counter.", "available": False,
        "why_not": "no NVIDIA driver",
    }  # fmt: skip


def cold_study():
    """One trial that is 4 times faster back to back, and twice as fast asked once a second."""
    dense = synthetic.reference()
    reading = dense.measurement.readings["latency_ms"].model_copy(update={"value": 20.0})
    readings = {**dense.measurement.readings, "latency_cold_ms": reading}
    measurement = dense.measurement.model_copy(update={"readings": readings})
    both = values(0.835, 0.25, 0.25) | {"latency_cold_ms": 10.0}
    dense = dense.model_copy(update={"measurement": measurement})
    return study_of(trial(3, both), reference=dense)


def test_hot_and_cold_latency_stand_side_by_side():
    front = front_of(cold_study())
    said = "asked back to back 3.75 ms, 4.0× faster; asked once a second (cold caches) 10.0 ms"
    assert any(said in line for line in drawn(tables.front_summary(front), width=200))
    dense, cut = rows(tables.front_csv(front))
    assert (dense["latency_cold_ms"], cut["latency_cold_ms"]) == ("20.0", "10.0")
    found = json.loads(tables.front_json(front))
    assert found["reference"]["latency_cold_ms"] == 20.0
    assert found["trials"][0]["values"]["latency_cold_ms"] == 10.0
    assert front.costs == ("latency_ms", "energy_j")


def test_a_study_without_cold_latency_says_nothing_of_it():
    front = front_of(study_of(trial(3, values(0.835, 0.25, 0.25))))
    assert not any("cold" in line for line in drawn(tables.front_summary(front)))
    assert [row["latency_cold_ms"] for row in rows(tables.front_csv(front))] == ["", ""]


def test_as_an_objective_cold_latency_is_told_apart():
    study = cold_study()
    names = ["accuracy", "latency_ms", "latency_cold_ms"]
    front = front_of(study.model_copy(update={"config": study.config | {"objectives": names}}))
    assert "4.0× faster (latency), 2.0× faster (latency, cold)" in front.recommended.reason
    assert front.trials[0].relative == {"latency_ms": 0.25, "latency_cold_ms": 0.5}
