"""Redeployments: which models are tried in another number format, once each, untrained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pareto_prune import api
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import Measurement, Trial, TrialState
from pareto_prune.export.manifest import Manifest
from pareto_prune.results.front import front_of
from pareto_prune.results.tables.front import made_by
from pareto_prune.search.promotion import Promotions, promoted
from pareto_prune.search.redeployment import Redeployments, redeployed
from pareto_prune.storage import PromotedError, open_storage
from pareto_prune.trials import bench
from tests.small_study import ScriptedMeasurer, make_study
from tests.storage.scripted import result_of, space_of, study_config
from tests.synthetic import study_of, trial

FORMATS = {"deployment": {"dtype": ("float32", "int8")}}


def values(accuracy: float, latency: float) -> dict[str, float]:
    return {"accuracy": accuracy, "latency_ms": latency, "energy_j": latency / 200}


def kept(number: int, accuracy: float, latency: float, **fields: Any) -> Trial:
    """Return a trial in float32 whose model is kept."""
    found = trial(number, values(accuracy, latency), artifact=f"/models/{number}", **fields)
    deployed = found.candidate.model_copy(update={"deployment": {"dtype": "float32"}})
    result = found.result.model_copy(update={"candidate": deployed})
    return found.model_copy(update={"candidate": deployed, "result": result})


def again(parent: Trial, number: int, **changes: Any) -> Trial:
    """Return the redeployment of a trial."""
    candidate = redeployed(parent, "int8")
    result = parent.result.model_copy(
        update={
            "candidate": candidate,
            "values": values(0.79, 2.0),
            "artifact": f"/models/{number}",
        }
    )
    update = {"number": number, "candidate": candidate, "result": result}
    return parent.model_copy(update=update | changes)


DENSE = trial(0, values(0.842, 15.0), starter="dense")
GOOD, FAR, BEATEN = kept(1, 0.83, 8.0), kept(2, 0.80, 4.0), kept(3, 0.79, 9.0)


def next_of(*trials: Trial, search: dict[str, Any] = FORMATS) -> tuple[int | None, Any] | None:
    """Return (parent, format) of what is redeployed next."""
    config = study_config(search=search)
    found = Redeployments(config, space_of(config)).next(study_of(*trials))
    return None if found is None else (found.parent, found.deployment["dtype"])


def test_what_nothing_beats_is_tried_once_in_every_other_format() -> None:
    assert next_of(DENSE) is None
    assert next_of(DENSE, GOOD, FAR, BEATEN) == (1, "int8")
    running = again(GOOD, 4, state=TrialState.RUNNING, result=None)
    assert next_of(DENSE, GOOD, FAR, BEATEN, running) == (2, "int8")
    assert next_of(DENSE, GOOD, FAR, BEATEN, again(GOOD, 4), again(FAR, 5)) is None


def test_studies_of_one_format_or_with_folds_have_none() -> None:
    assert next_of(DENSE, GOOD, search={}) is None
    assert next_of(DENSE, GOOD, search={"deployment": {"dtype": ("float32",)}}) is None
    assert next_of(DENSE, GOOD, search={**FORMATS, "folds": 3}) is None


def test_a_model_that_was_not_kept_or_cannot_be_had_is_passed_over() -> None:
    lost = trial(1, values(0.83, 8.0))
    assert next_of(DENSE, lost, FAR) == (2, "int8")
    config = study_config(search=FORMATS)
    gone = Redeployments(config, space_of(config))
    assert gone.next(study_of(DENSE, GOOD), lambda _: False) is None
    assert gone.next(study_of(DENSE, GOOD)).parent == 1


def test_what_is_kept_from_ask_to_ask_says_what_the_whole_study_says() -> None:
    config = study_config(search=FORMATS)
    asked = Redeployments(config, space_of(config))
    trials = [DENSE, GOOD, FAR, again(GOOD, 3), kept(4, 0.82, 3.0), again(FAR, 5)]
    for count in range(1, len(trials) + 1):
        study = study_of(*trials[:count])
        assert asked.next(study) == Redeployments(config, space_of(config)).next(study)


def test_a_redeployment_is_on_no_rung() -> None:
    study = study_of(DENSE, GOOD, FAR, again(FAR, 4))
    assert Promotions(StudyConfig.from_json(study.config)).next(study) is None


def test_a_storage_refuses_the_same_twice_and_nothing_else(tmp_path: Path) -> None:
    study = open_storage(f"sqlite:///{tmp_path}/s.db").create(study_config(search=FORMATS))
    space = space_of(study.config)
    candidate = space.to_candidate({gene.name: gene.only for gene in space.genes})
    first = study.claim("v")
    study.tell(study.assign(first, candidate, space), result_of(candidate))
    parent = study.read().trials[0]
    one, two, three = (study.claim(name) for name in "vwx")
    assert study.assign(one, redeployed(parent, "int8"), space) is not None
    with pytest.raises(PromotedError):
        study.assign(two, redeployed(parent, "int8"), space)
    assert study.assign(two, promoted(parent), space) is not None
    assert study.assign(three, redeployed(parent, "float32"), space) is not None


class Cheaper(ScriptedMeasurer):
    """Whatever runs in int8 costs half."""

    def measure(self, model: Any, cache_key: Any = None, **knobs: Any) -> Measurement:
        share = 0.5 if knobs.get("dtype") == "int8" else 1.0
        return self._measurement(share * self._size(model) / self._dense)


def test_a_study_finds_its_front_in_both_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bench, "_measurer", lambda _c, dense, *_: Cheaper(dense.model))
    search = {"deployment": {"dtype": ["float32", "int8"]}, "starters": ["dense", "uniform"]}
    file = make_study(tmp_path, search=search, limits={"trials": 5}, promotion={"enabled": False})
    url = f"sqlite:///{tmp_path}/study.db"
    outcome = api.run(file, url, output=tmp_path / "out")
    study = open_storage(url).open_study("small").read()
    again = [one for one in study.trials if one.candidate.redeployed]
    assert again
    for one in again:
        parent = study.trials[one.candidate.parent]
        assert one.result.plan_digest == parent.result.plan_digest
        assert one.result.steps == parent.result.steps
        assert one.result.timings.get("finetune", 0.0) == 0.0
        assert one.result.quality is not None
        cost = parent.result.values["latency_ms"] / one.result.values["latency_ms"]
        assert cost == pytest.approx(2.0 if one.candidate.deployment["dtype"] == "int8" else 0.5)
    said = {point.number: made_by(point) for point in front_of(study, all_trials=True).trials}
    for one in again:
        dtype = one.candidate.deployment["dtype"]
        assert said[one.number].endswith(f", from {one.candidate.parent}, {dtype}")
    best = next(p for p in outcome.front.members if study.trials[p.number].candidate.redeployed)
    folder = api.export("small", best.number, tmp_path / "exported", "huggingface", url)
    assert Manifest.read(folder).plan is not None
