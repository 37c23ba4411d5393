"""What is said before a front is believed: in its table, in selections and on the page."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from pareto_prune.core.records import Candidate, TrialResult
from pareto_prune.results import tables
from pareto_prune.results.cautions import cautions
from pareto_prune.results.front import front_of
from pareto_prune.results.records import Front
from pareto_prune.results.report import view_of
from pareto_prune.results.rivals import beside_fastest
from pareto_prune.results.selection import explain
from pareto_prune.results.status import Status
from tests import synthetic
from tests.results.test_front import values
from tests.synthetic import study_of, trial


def drawn(renderable: RenderableType) -> str:
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def int8(accuracy: float, cost: float) -> TrialResult:
    candidate = Candidate(strategy="none", importance="none", starter="int8")
    return TrialResult(candidate=candidate, values=values(accuracy, cost, cost))


def three(*references: TrialResult) -> Any:
    return study_of(
        trial(0, values(0.842, 1.0, 1.0), starter="dense"),
        trial(1, values(0.836, 0.5, 0.5)),
        trial(2, values(0.80, 0.3, 0.3)),
        trial(3, values(0.79, 0.1, 0.1)),
        references=references,
    )


def test_a_point_is_held_against_the_fastest_reference() -> None:
    study = three(int8(0.80, 0.8), int8(0.81, 0.4))
    front = front_of(study)
    said = {p.number: beside_fastest(front, p) for p in front.members}
    assert said[3] == "against the reference int8: 4.0× faster, 0.25× the energy"
    assert said[1] == "against the reference int8: 1.2× slower, 1.2× the energy"
    assert front.recommended is not None
    assert str(said[front.recommended.trial]) in drawn(tables.front_summary(front))
    drawn_points = {p["number"]: p for p in view_of(front, study)["points"]}
    assert drawn_points[3]["rival"] == f"A{said[3][1:]}."
    assert beside_fastest(front_of(three(int8(0.84, 1.0))), front.members[-1]) is None
    assert beside_fastest(front_of(three()), front.members[-1]) is None


def test_a_reference_that_beats_the_star_is_named_wherever_it_is_recommended() -> None:
    study = three(int8(0.84, 0.2))
    front = front_of(study)
    assert {p.number: p.beaten_by for p in front.members} == {
        0: (), 1: ("int8",), 2: ("int8",), 3: (),
    }  # fmt: skip
    assert front.recommended is not None
    assert front.recommended.reason.endswith("; but int8 is better in every objective")
    said = (
        "int8 (accuracy 84.0 %, latency 3.00 ms, energy ≈16.0 mJ) is better in every objective "
        "than 2 points of the front, the recommended one among them: trials 1, 2."
    )
    assert f"! {said}" in drawn(tables.front_summary(front))
    assert "△       int8" in drawn(tables.front_table(front))
    assert view_of(front, study)["cautions"] == [said]
    better = "The reference int8 is better in every objective: accuracy 84.0 %"
    assert any(s.startswith(better) for s in explain(front, 1).sentences)
    assert not any("reference int8" in s for s in explain(front, 3).sentences)
    status = Status(study="s", states={}, trials_asked=4, cautions=cautions(front))
    assert said in drawn(tables.status_view(status))


def test_a_reference_that_beats_nothing_is_only_listed() -> None:
    front = front_of(three(int8(0.78, 0.2)))
    assert cautions(front) == ()
    assert front.recommended is not None
    assert "int8" not in front.recommended.reason


def few(examples: int, accuracy: float = 0.842) -> dict[str, Any]:
    dense = synthetic.reference(accuracy=accuracy)
    quality = synthetic.quality(accuracy, examples)
    return {"reference": dense.model_copy(update={"quality": quality})}


def no_star(front: Front, why: str) -> None:
    assert front.recommended is None
    assert any(why in caution for caution in cautions(front))
    assert f"! No point is recommended: {why}" in drawn(tables.front_summary(front))


def test_few_examples_give_no_star() -> None:
    searched = trial(1, values(0.836, 0.5, 0.5))
    front = front_of(study_of(searched, **few(40)))
    no_star(front, "40 validation examples tell the accuracy to ± 5.8 points (standard error)")
    assert any(w.startswith("This says little: 40 valid") for w in explain(front, 1).warnings)
    assert front_of(study_of(searched, **few(400))).recommended is not None


def test_a_dense_model_at_chance_gives_no_star() -> None:
    searched = trial(1, values(0.51, 0.5, 0.5))
    no_star(
        front_of(study_of(searched, **few(853, accuracy=0.52))),
        "the dense model's accuracy, 52.0 %, cannot be told from that of a model that learned "
        "nothing (50.2 %)",
    )


@pytest.mark.parametrize(("count", "said"), [(1, "the only trial was"), (3, "all 3 trials were")])
def test_starters_alone_give_no_star(count: int, said: str) -> None:
    started = [trial(n, values(0.836, 0.5 - n / 10, 0.5), starter="uniform") for n in range(count)]
    no_star(front_of(study_of(*started)), f"{said}")
    more = trial(9, values(0.82, 0.9, 0.9))
    assert front_of(study_of(*started, more)).recommended is not None
