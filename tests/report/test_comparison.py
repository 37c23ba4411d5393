"""Studies beside each other: what is comparable, what each has at a level, the page of it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pareto_prune.core.errors import UserError
from pareto_prune.results.comparison import comparison
from pareto_prune.results.frames import against_dense, frame
from pareto_prune.results.front import front_of
from pareto_prune.results.report.comparison import write_comparison
from pareto_prune.results.tables import comparison_view
from tests.synthetic import reference, study, study_of, trial


def named(name, *trials, **fields):
    return study_of(*trials, name=name, **fields)


def point(number, accuracy, latency):
    values = {"accuracy": accuracy, "latency_ms": latency, "energy_j": 0.01 * latency}
    return trial(number, values)


SMALL = named("small", point(0, 0.80, 5.0), point(1, 0.84, 9.0))
LARGE = named("large", point(0, 0.86, 9.0), point(1, 0.89, 12.0), reference=reference(accuracy=0.9))


def compared(*studies, **options):
    return comparison([front_of(each) for each in studies], studies, **options)


def cheapest(found):
    return [[(each.value, each.trial) for each in side.cheapest] for side in found.sides]


def test_the_cheapest_at_levels_below_the_best_dense_model():
    found = compared(SMALL, LARGE)
    assert [each.level for each in found.sides[0].cheapest] == pytest.approx(
        [0.90, 0.89, 0.88, 0.87, 0.85, 0.80]
    )
    small, large = cheapest(found)
    assert small == [(None, None)] * 5 + [(5.0, 0)]
    assert large == [(15.0, None), (12.0, 1), (12.0, 1), (12.0, 1), (9.0, 0), (9.0, 0)]


def test_what_is_unlike_is_said():
    other = LARGE.model_copy(update={"config": {**LARGE.config, "data": {"path": "owner/other"}}})
    assert compared(SMALL, LARGE).unlike == ()
    [line] = compared(SMALL, other).unlike
    assert line.startswith("data: ")
    assert line.endswith("/ owner/other")


@pytest.mark.parametrize(
    ("studies", "cost", "said"),
    [
        ((SMALL,), None, "1 study, allowed: two or more"),
        ((SMALL, named("new", reference=None)), None, "dense model is not measured yet"),
        ((SMALL, LARGE), "bytes", "'bytes' is no cost of all of them, allowed: latency_ms"),
    ],
)
def test_what_cannot_be_compared_is_refused(studies, cost, said):
    with pytest.raises(UserError, match=said):
        compared(*studies, cost=cost)


def test_a_frame_against_dense():
    table = against_dense(frame(front_of(SMALL)))
    dense = SMALL.reference
    assert table.loc[0, "accuracy"] == pytest.approx(-4.2)
    assert table.loc[0, "latency_ms"] == pytest.approx(5.0 / 15.0)
    assert table.attrs["reference"] == {"accuracy": 0.0, "latency_ms": 1.0, "energy_j": 1.0}
    assert dense == SMALL.reference


def test_the_table_has_a_column_a_study():
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(comparison_view(compared(SMALL, LARGE)))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert lines[0] == "small large"
    assert "dense accuracy 84.2 % 90.0 %" in lines
    assert "latency at ≥ 85.0 % – 9.00 ms (trial 0)" in lines


def test_the_page_stands_alone(tmp_path):
    studies = [study(), study(seed=1, name="other", references=False)]
    fronts = [front_of(each) for each in studies]
    found = comparison(fronts, studies)
    write_comparison(found, fronts, studies, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>synthetic · other</title>" in page
    assert page.count("Plotly.newPlot(") >= 3
    assert "<script src" not in page
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
