"""Confirming: what is retrained, what it finds, and where that shows."""

from __future__ import annotations

import csv
import io
import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import pareto_prune
from pareto_prune import api
from pareto_prune.core.errors import ParetoPruneError, TrialError, UserError
from pareto_prune.core.records import Confirmation, Interval, Quality, TrialState
from pareto_prune.export.kept_models.store import CONFIRMED, Artifacts, Kept, opened
from pareto_prune.models.families import architecture
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.results import tables
from pareto_prune.results.front import front_of
from pareto_prune.results.selection import explain
from pareto_prune.running import confirm
from pareto_prune.running.confirm import to_confirm, together
from pareto_prune.running.lease_keeper import Keeper
from pareto_prune.storage import StoredStudy, open_storage, schema
from pareto_prune.trials import bench
from tests.full_disk import full_disk
from tests.small_study import ScriptedMeasurer, make_study
from tests.synthetic import study_of, trial
from tests.tiny import tiny_model

pytestmark = pytest.mark.slow


def values(accuracy: float, latency: float) -> dict[str, float]:
    return {"accuracy": accuracy, "latency_ms": latency, "energy_j": latency / 200}


def confirmation(number: int, accuracy: float, latency: float, half: float = 0.01) -> Confirmation:
    known = values(accuracy, latency)
    intervals: dict[str, Interval] = {"accuracy": (accuracy - half, accuracy + half)}
    costs = ("latency_ms", "energy_j")
    intervals |= {name: (0.98 * known[name], 1.02 * known[name]) for name in costs}
    return Confirmation(
        number=number, steps=180, metrics=(accuracy,) * 3, values=known, intervals=intervals
    )


def test_the_front_is_confirmed_but_for_the_dense_model_and_what_is_done() -> None:
    made = study_of(
        trial(0, values(0.842, 15.0), starter="dense"),
        trial(1, values(0.80, 5.0)),
        trial(2, values(0.82, 8.0)),
        trial(3, values(0.70, 9.0)),
        confirmations=(confirmation(2, 0.81, 8.0),),
    )
    assert [one.number for one in to_confirm(made)] == [1]
    assert [one.number for one in to_confirm(made, [3, 2, 3])] == [3, 2]


def test_a_front_of_nothing_to_confirm_says_so() -> None:
    dense = trial(0, values(0.842, 15.0), starter="dense")
    with pytest.raises(UserError, match="confirm: the dense model alone is on the front"):
        to_confirm(study_of(dense))
    with pytest.raises(UserError, match=r"confirm: study .* no point on its front yet \(0 trials"):
        to_confirm(study_of())


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "is the dense model"), (1, "is failed"), (9, "there is no such trial")],
)
def test_what_cannot_be_confirmed_says_what_can(number: int, said: str) -> None:
    made = study_of(
        trial(0, values(0.842, 15.0), starter="dense"),
        trial(1, {}, state=TrialState.FAILED),
        trial(2, values(0.80, 5.0)),
    )
    with pytest.raises(UserError, match=rf"trial {number}: .*{said}.*on the front: 2"):
        to_confirm(made, [number])


def test_together_is_the_mean_with_both_kinds_of_noise() -> None:
    """Of 80, 82 and 84 %: the mean 82 %, ± 1.96 √(1 % ² + (2 % / √3)²)."""
    found = [
        Quality(
            metrics={"accuracy": a},
            intervals={"accuracy": (a - 0.0196, a + 0.0196)},
            examples=9,
            loss=0.5,
        )
        for a in (0.80, 0.82, 0.84)
    ]
    mean = together(found, "accuracy")
    half = 1.96 * (0.01**2 + 0.02**2 / 3) ** 0.5
    assert mean.metrics["accuracy"] == pytest.approx(0.82)
    assert mean.intervals["accuracy"] == pytest.approx((0.82 - half, 0.82 + half))
    assert together(found[:1], "accuracy").intervals["accuracy"] == pytest.approx((0.7804, 0.8196))


def confirmed_front() -> Any:
    """1 and 2 cannot be told apart, 3 is no better than 1 and dearer, 4 is better than all."""
    return front_of(
        study_of(
            trial(1, values(0.80, 5.0)),
            trial(2, values(0.81, 5.1)),
            trial(3, values(0.82, 8.0)),
            trial(4, values(0.84, 9.0)),
            trial(5, values(0.70, 14.0)),
            confirmations=(
                confirmation(1, 0.800, 5.0),
                confirmation(2, 0.801, 5.05),
                confirmation(3, 0.805, 8.0),
                confirmation(4, 0.840, 9.0),
                confirmation(5, 0.800, 1.0),
            ),
        )
    )


def test_the_front_says_which_points_are_tied() -> None:
    points = {point.number: point for point in confirmed_front().members}
    assert set(points) == {1, 2, 3, 4}
    found = {number: point.confirmation for number, point in points.items()}
    assert all(point.confirmed for point in points.values())
    assert {number: one.tied for number, one in found.items()} == {1: (2,), 2: (1,), 3: (), 4: ()}
    assert {n: one.matched_by for n, one in found.items()} == {1: None, 2: 1, 3: 1, 4: None}
    assert found[3].relative["latency_ms"] == pytest.approx(8 / 15)


def test_search_values_and_what_is_made_of_them_stay() -> None:
    plain = study_of(trial(1, values(0.80, 5.0)), trial(2, values(0.81, 5.1)))
    more = plain.model_copy(update={"confirmations": (confirmation(1, 0.5, 5.0),)})
    before, after = front_of(plain), front_of(more)
    assert after.hypervolume == before.hypervolume
    assert [p.values for p in after.members] == [p.values for p in before.members]
    assert [p.confirmed for p in after.members] == [False, True]


def test_the_table_shows_both_and_says_what_is_tied() -> None:
    from rich.console import Console

    console = Console(width=120, record=True, file=io.StringIO())
    console.print(tables.front_view(confirmed_front()))
    text = console.export_text()
    assert text.count("confirmed ×3") == 4
    assert "statistically tied: trials 2, 1" in text
    assert "trial 3: accuracy within noise of trial 1, which is cheaper" in text


def test_json_and_csv_hold_both() -> None:
    found = json.loads(tables.front_json(confirmed_front()))
    point = next(one for one in found["trials"] if one["number"] == 3)
    assert point["confirmed"] is True
    assert point["values"]["accuracy"] == 0.82
    assert point["confirmation"]["values"]["accuracy"] == 0.805
    rows = list(csv.DictReader(io.StringIO(tables.front_csv(confirmed_front()))))
    assert [row["accuracy_confirmed"] for row in rows] == ["", "0.84", "0.805", "0.801", "0.8"]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished tiny study; its URL."""
    monkeypatch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    url = f"sqlite:///{tmp_path}/study.db"
    api.run(make_study(tmp_path, limits={"trials": 3}), url, output=tmp_path / "out")
    return url


def test_a_study_is_confirmed_and_goes_on_as_if_nothing_had_been(
    tmp_path: Path, study: str
) -> None:
    before = open_storage(study).open_study("small").read()
    members = [p.number for p in api.front("small", study).members if p.starter != "dense"]
    assert members
    found = api.confirm("small", (), study, output=tmp_path / "out")
    assert sorted(one.number for one in found) == sorted(members)
    after = open_storage(study).open_study("small").read()
    assert after.trials == before.trials
    assert list(after.confirmations) == sorted(found, key=lambda one: one.number)
    for one in found:
        assert one.steps == 9
        assert len(one.metrics) == len(one.outcomes) == 3
        kept = after.trials[one.number].result.quality.outcomes
        assert kept.examples == after.reference.quality.outcomes.examples > 0
        right = kept.array()[:, 0] == kept.array()[:, 1]
        assert right.mean() == after.trials[one.number].result.values["accuracy"]
        assert all(r.quality.outcomes is None for r in after.trials[one.number].result.rungs)
        assert one.values["accuracy"] == pytest.approx(sum(one.metrics) / 3)
        assert one.values["latency_ms"] == after.trials[one.number].result.values["latency_ms"]
    assert api.confirm("small", (), study, output=tmp_path / "out") == []


def test_the_page_is_written_anew_with_what_was_confirmed(tmp_path: Path, study: str) -> None:
    page = tmp_path / "out/small/report.html"
    assert api.page_of("small", study) == page
    assert '"again":{' not in page.read_text(encoding="utf-8")
    (found,) = api.confirm("small", [1], study)
    seen = page.read_text(encoding="utf-8")
    assert '"again":{"retrainings":3,"values":[' in seen
    accuracy = float(f"{found.values['accuracy']:.6g}")
    assert f'"values":[{accuracy},' in seen
    api.confirm("small", [1], study, output=tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/small/report.html").is_file()


def test_a_selection_says_what_was_confirmed() -> None:
    sentences = explain(confirmed_front(), 3).sentences
    assert (
        "Retrained 3 times and measured afresh it has accuracy 80.5 %, latency 8.00 ms, "
        "energy ≈40.0 mJ." in sentences
    )
    assert any(s.startswith("Its confirmed accuracy is within noise of") for s in sentences)


def test_a_trial_whose_weights_are_gone_gets_new_ones(tmp_path: Path, study: str) -> None:
    front = api.front("small", study, every=True)
    number = next(p.number for p in front.trials if p.starter != "dense")
    for kept in (tmp_path / "out/small/trials").glob(f"{number}-*"):
        shutil.rmtree(kept)
    with pytest.raises(UserError, match=f"retrain it: pareto-prune confirm small {number}"):
        api.export("small", number, tmp_path / "to", storage=study)
    (found,) = api.confirm("small", [number], study, output=tmp_path / "out")
    folder = api.export("small", number, tmp_path / "to", storage=study)
    model = pareto_prune.load(folder)
    assert sum(p.numel() for p in model.parameters()) == front.point(number).parameters
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"| accuracy | {found.values['accuracy']:.4g} |" in card


def test_a_trial_is_confirmed_by_one_at_a_time_and_its_model_replaced(
    tmp_path: Path, study: str
) -> None:
    other = open_storage(study).open_study("small")
    assert other.acquire("confirm:1", "other")
    with pytest.raises(ParetoPruneError, match="trial 1: elsewhere: another process"):
        api.confirm("small", [1], study, output=tmp_path / "out")
    other.release("confirm:1")
    (first,) = api.confirm("small", [1], study, output=tmp_path / "out")
    (second,) = api.confirm("small", [1], study, output=tmp_path / "out")
    assert first.artifact != second.artifact
    (third,) = api.confirm("small", [1], study, output=tmp_path / "out")
    kept = {str(path) for path in (tmp_path / "out/small/confirmed").iterdir()}
    assert kept == {second.artifact, third.artifact}
    assert open_storage(study).open_study("small").read().confirmations == (third,)
    _check_that_a_copy_is_minded(tmp_path / "out/small/confirmed", study, second, third)


def _check_that_a_copy_is_minded(
    folder: Path, study: str, second: Confirmation, third: Confirmation
) -> None:
    """What was left stays while a copy confirms the trial, and what it counts on for good."""
    copy = open_storage(study).copy("small", "copy")
    assert copy.acquire("confirm:1", "other")
    (fourth,) = api.confirm("small", [1], study)
    kept = {second.artifact, third.artifact, fourth.artifact}
    assert {str(path) for path in folder.iterdir()} == kept
    copy.release("confirm:1")
    (fifth,) = api.confirm("small", [1], study)
    kept = {third.artifact, fourth.artifact, fifth.artifact}
    assert {str(path) for path in folder.iterdir()} == kept


def test_a_full_disk_costs_one_confirmation_and_leaves_what_was_confirmed(
    tmp_path: Path, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = api.confirm("small", [1], study, output=tmp_path / "out")
    real = Artifacts.keep

    def keep(self: Artifacts, number: int, *arguments: Any) -> Kept:
        with full_disk() if number == 1 else nullcontext():
            return real(self, number, *arguments)

    monkeypatch.setattr(Artifacts, "keep", keep)
    with pytest.raises(ParetoPruneError, match=r"not confirmed: trial 1: not_kept: .*OSError"):
        api.confirm("small", [1, 2], study, output=tmp_path / "out")
    found = open_storage(study).open_study("small").read().confirmations
    assert [one.number for one in found] == [1, 2]
    assert found[0] == before
    with opened(before.artifact, before.artifact_digest) as folder:
        assert [path.name for path in folder.parent.glob("*1-*")] == [folder.name]


def test_who_lost_the_lease_destroys_no_model_and_writes_nothing(
    tmp_path: Path, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped when it had just got the lease; another has kept its model by then."""
    other, kept = open_storage(study).open_study("small"), []
    real = confirm._standing

    def stopped(stored: StoredStudy, number: int) -> list[str]:
        standing = real(stored, number)
        other._database.write(lambda c: c.execute(schema.leases.update().values(expires=1)))
        assert other.acquire("confirm:1", "other")
        place = Artifacts(other.artifacts)
        model = tiny_model()
        plan = PruningPlan.dense(architecture(model))
        kept.append(place.keep(number, model, None, plan, CONFIRMED))
        return standing

    monkeypatch.setattr(confirm, "_standing", stopped)
    with pytest.raises(ParetoPruneError, match="another process has taken over confirming it"):
        api.confirm("small", [1], study, output=tmp_path / "out")
    found = Confirmation(
        number=1,
        steps=9,
        metrics=(0.8,),
        values={"accuracy": 0.8},
        artifact=kept[0].place,
        artifact_digest=kept[0].digest,
    )
    other.confirm(found, "confirm:1")
    assert other.read().confirmations == (found,)
    with opened(kept[0].place, kept[0].digest) as folder:
        assert folder.is_dir()


class Lost(Keeper):
    """Finds at once that its lease is lost."""

    def __enter__(self) -> Lost:
        self.lost.set()
        return super().__enter__()


def test_who_lost_the_lease_ends_at_the_next_step(
    study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Any] = []
    monkeypatch.setattr(confirm, "Keeper", Lost)
    monkeypatch.setattr(confirm, "_retrained", lambda *given: trained.append(given))
    with pytest.raises(ParetoPruneError, match="another process has taken over confirming it"):
        api.confirm("small", [1], study)
    assert trained == []


def test_one_retraining_that_fails_does_not_cost_the_others(
    tmp_path: Path, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, wanted = confirm._again, [1, 2]

    def fails_once(given: Any, one: Any, seed: int, check: Any) -> Any:
        if one.number == wanted[0]:
            raise TrialError("other_plan", "the candidate ends in another plan")
        return real(given, one, seed, check)

    monkeypatch.setattr(confirm, "_again", fails_once)
    with pytest.raises(ParetoPruneError, match="not confirmed: trial 1: other_plan"):
        api.confirm("small", wanted, study, output=tmp_path / "out")
    stored = open_storage(study).open_study("small").read()
    assert [one.number for one in stored.confirmations] == [2]


def test_what_another_confirmed_meanwhile_is_not_retrained(
    study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another began with the same front, and is one trial ahead."""
    other, theirs = open_storage(study).open_study("small"), confirmation(2, 0.8, 5.0)
    real, trained = confirm._again, []

    def again(given: Any, one: Any, seed: int, check: Any) -> Any:
        trained.append(one.number)
        other.confirm(theirs)
        return real(given, one, seed, check)

    monkeypatch.setattr(confirm, "_again", again)
    found = api.confirm("small", [1, 2], study)
    assert trained == [1]
    assert found[1] == theirs
    assert other.read().confirmations == tuple(found)
    api.confirm("small", [2], study)
    assert trained == [1, 2]


def test_a_plan_that_is_another_now_is_noticed(tmp_path: Path, study: str) -> None:
    made = open_storage(study).open_study("small").read()
    changed = made.trials[1].result.model_copy(update={"plan_digest": "other"})
    other = made.trials[1].model_copy(update={"result": changed})
    config = open_storage(study).open_study("small").config
    held = bench.prepare(config, tmp_path / "out/small", confirm.Silent())
    with pytest.raises(TrialError, match="another plan"):
        confirm._again(held, other, 1, lambda: None)
