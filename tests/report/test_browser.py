"""The page in a real headless Chromium: it draws, filters, selects, sorts, and stays quiet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pareto_prune.core.records import Confirmation
from pareto_prune.results.front import front_of
from pareto_prune.results.report import write_report
from pareto_prune.results.report.script import modules
from tests import synthetic
from tests.report.browser import Browser, chromium
from tests.report.test_page import EVIL, evil_study
from tests.results.test_front import values
from tests.synthetic import DENSE_VALUES, study_of, trial

PROGRAM = chromium()
ARTEFACTS = Path(__file__).parents[2] / "build" / "report-screenshots"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed"),
]


@pytest.fixture(scope="module")
def browser():
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    with Browser(PROGRAM) as started:
        yield started


@pytest.fixture(scope="module")
def study():
    return synthetic.study()


@pytest.fixture(scope="module")
def page(study, tmp_path_factory):
    return written(study, tmp_path_factory.mktemp("page") / "front.html")


@pytest.fixture(autouse=True)
def no_noise(browser):
    """Every test must end without a console error and without a request to a network."""
    yield
    assert browser.errors == []
    assert browser.requests == []
    assert browser.data("errors") == "0"


def written(study, path: Path) -> Path:
    return write_report(front_of(study), study, path)


def drawn(browser, change: str) -> None:
    """Do something in the page and wait until it has redrawn."""
    before = int(browser.data("drawn"))
    browser.run(change)
    browser.until(f"Number(document.body.dataset.drawn) > {before}")


def rows(browser) -> list[int]:
    return browser.run(
        "[...document.querySelectorAll('#table tr[data-trial]')].map(r => +r.dataset.trial)"
    )


def plotted(browser) -> set[int]:
    """Return the numbers of the trials that the plot has markers for."""
    script = "document.getElementById('plot').data.flatMap(t => [...(t.customdata ?? [])])"
    return set(browser.run(script))


@pytest.mark.parametrize(
    ("name", "width", "height", "dark"),
    [
        ("desktop-light", 1280, 900, False),
        ("desktop-dark", 1280, 900, True),
        ("phone-light", 390, 844, False),
        ("phone-dark", 390, 844, True),
    ],
)
def test_it_renders(browser, page, name, width, height, dark):
    browser.open(page, width=width, height=height, dark=dark)
    assert browser.run("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.run("document.querySelectorAll('#plot .scatterlayer .point').length") >= 10
    assert browser.run("document.querySelectorAll('#lines path').length") >= 8
    assert browser.run("document.querySelectorAll('#pictures svg').length") == 8
    assert browser.run("document.querySelectorAll('#over-time .scatterlayer path').length") > 0
    browser.picture(ARTEFACTS / f"{name}.png", whole=True)
    assert (ARTEFACTS / f"{name}.png").stat().st_size > 20_000


def test_every_module_runs_and_the_console_stays_quiet(browser, page):
    browser.open(page)
    assert page.as_uri().startswith("file://")
    assert set(browser.run("Object.keys(modules)")) == set(modules())
    for control in ("every", "relative", "log", "whole", "tab-3d", "tab-2d", "theme"):
        drawn(browser, f"document.getElementById('{control}').click()")
    assert browser.errors == []


def test_it_shows_the_front(browser, page, study):
    browser.open(page)
    front = front_of(study)
    members = [p.number for p in front.trials]
    assert browser.data("visiblePoints") == str(len(members))
    assert rows(browser) == members[1:]
    assert plotted(browser) == set(members[1:])
    first = browser.run("document.querySelector('#table tbody tr').innerText")
    assert "dense model" in first
    assert "84.2 %" in first
    assert browser.data("selected") == str(front.recommended.trial)
    assert browser.run("document.getElementById('choice-title').textContent") == (
        f"Recommended: trial {front.recommended.trial}"
    )


def test_numbers_read_the_same_as_on_the_command_line(browser, page, study):
    from pareto_prune.core.quantities import written as words

    browser.open(page)
    point = front_of(study).trials[1]
    text = browser.run(f"document.querySelector('tr[data-trial=\"{point.number}\"]').innerText")
    for name, value in point.values.items():
        assert words(name, value, estimated=name == "energy_j") in text


def test_every_unit_is_written_as_by_the_package(browser, tmp_path):
    from pareto_prune.core.objectives import OBJECTIVES
    from pareto_prune.core.quantities import written as words

    names = ["accuracy", *(name for name, o in OBJECTIVES.items() if o.kind != "quality")]
    config = {"objectives": names}
    browser.open(written(study_of(config=config), tmp_path / "units.html"))
    values = [
        0.0,
        1.0,
        999.7,
        1000.0,
        *(m * 10.0**k for k in range(-11, 11) for m in (1.234, 8.766)),
    ]
    write = "modules['study.js'].names.map((_, i) => modules['quantities.js'].bare(i, value))"
    seen = browser.run(f"{json.dumps(values)}.map(value => {write})")
    order = browser.run("modules['study.js'].names")
    assert sorted(order) == sorted(names)
    assert seen == [[words(name, value) for name in order] for value in values]


def test_budgets_in_the_address_filter_plot_and_table(browser, page, study):
    browser.open(page, mark="#latency_ms<=5.9&accuracy>=0.8")
    expected = {
        p.number
        for p in front_of(study).trials
        if p.values["latency_ms"] <= 5.9 and p.values["accuracy"] >= 0.8
    }
    assert 1 <= len(expected) < len(front_of(study).trials)
    assert set(rows(browser)) == plotted(browser) == expected
    assert browser.data("visiblePoints") == str(len(expected))
    outputs = browser.run(
        "[...document.querySelectorAll('#budget output')].map(o => o.textContent)"
    )
    assert outputs == ["5.90 ms (2.5×)", "any", "80.0 %"]


def test_sliders_filter_by_mouse_and_keyboard(browser, page, study):
    browser.open(page)
    members = str(len(front_of(study).members))
    slider = "document.querySelector('[data-objective=latency_ms]')"
    drawn(browser, f"{slider}.value = 60, {slider}.dispatchEvent(new Event('input'))")
    fewer = int(browser.data("visiblePoints"))
    assert 1 <= fewer < int(members)
    assert len(rows(browser)) == fewer
    assert browser.run("decodeURIComponent(location.hash)").startswith("#latency_ms<=")
    drawn(
        browser, f"{slider}.focus(), {slider}.value = 0, {slider}.dispatchEvent(new Event('input'))"
    )
    assert browser.data("visiblePoints") == "1"
    before = browser.data("drawn")
    browser.key("End")
    browser.until(f"Number(document.body.dataset.drawn) > {before}")
    assert browser.data("visiblePoints") == members
    drawn(browser, f"{slider}.value = 0, {slider}.dispatchEvent(new Event('input'))")
    drawn(browser, "document.querySelector('#budget button').click()")
    assert browser.data("visiblePoints") == members
    assert browser.run("location.hash") == ""


def test_nothing_left_says_so(browser, page):
    browser.open(page, mark="#latency_ms<=0.1")
    assert browser.data("visiblePoints") == "0"
    assert "No point keeps these budgets" in browser.run(
        "document.getElementById('table').innerText"
    )


def test_all_trials_can_be_shown(browser, page, study):
    browser.open(page)
    drawn(browser, "document.getElementById('every').click()")
    known = [t.number for t in study.trials if t.result and t.result.values]
    assert browser.data("visiblePoints") == str(len(known))
    assert set(rows(browser)) == set(known) - {0}
    assert "stopped" in browser.run("document.getElementById('table').innerText")


def test_costs_are_logarithmic_until_the_reader_says_otherwise(browser, page):
    axis = "document.getElementById('plot').layout.xaxis.type"
    browser.open(page)
    assert browser.run(axis) == "log"
    drawn(browser, "document.getElementById('log').click()")
    assert browser.run(axis) == "linear"
    assert browser.run("location.hash") == "#linear=1"
    browser.open(page, mark="#linear=1")
    assert browser.run(axis) == "linear"
    assert not browser.run("document.getElementById('log').checked")


def test_a_model_at_chance_is_an_arrow_at_the_edge(browser, tmp_path):
    made = study_of(trial(1, values(0.83, 0.5, 0.5)), trial(2, values(0.501, 0.02, 0.02)))
    lowest = (
        "Math.min(...document.getElementById('plot').data.filter(t => t.mode === 'markers')"
        ".flatMap(t => t.y))"
    )
    browser.open(written(made, tmp_path / "low.html"), mark="#all=1")
    assert browser.run(lowest) == pytest.approx(77.4)
    assert "triangle-down-open" in browser.run(
        "document.getElementById('plot').data.flatMap(t => t.marker?.symbol ?? [])"
    )
    assert "too low" in browser.run("document.querySelector('[data-trial=\"2\"]').innerText")
    drawn(browser, "document.getElementById('whole').click()")
    assert browser.run(lowest) == pytest.approx(50.1)


@pytest.mark.parametrize("width", [1280, 390])
def test_names_of_references_do_not_meet(browser, tmp_path, width):
    study = synthetic.study()
    first = study.references[0]
    near = [
        first.model_copy(
            update={
                "candidate": first.candidate.model_copy(update={"starter": name}),
                "values": {k: v * (1 + 0.004 * n) for k, v in first.values.items()},
            }
        )
        for n, name in enumerate(("int8", "float16", "short_texts", "unstructured"))
    ]
    crowded = study.model_copy(update={"references": tuple(near)})
    browser.open(written(crowded, tmp_path / "crowd.html"), width=width)
    boxes = browser.run(
        "[...document.querySelectorAll('#plot .annotation-text')].map(e => {"
        "const b = e.getBoundingClientRect(); return [b.left, b.right, b.top, b.bottom] })"
    )
    assert len(boxes) == 5
    for k, a in enumerate(boxes):
        for b in boxes[k + 1 :]:
            assert not (a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3])


def test_confirmed_values_stand_beside_the_searched_ones(browser, tmp_path):
    known = values(0.812, 0.45, 0.45)
    made = study_of(
        trial(1, values(0.83, 0.5, 0.5)),
        confirmations=(Confirmation(number=1, steps=9, metrics=(0.812,) * 3, values=known),),
    )
    browser.open(written(made, tmp_path / "confirmed.html"))
    row = browser.run("document.querySelector('[data-trial=\"1\"]').innerText")
    for part in ("83.0 %", "81.2 %", "7.50 ms", "6.75 ms", "confirmed ×3"):
        assert part in row
    assert "measured afresh it has accuracy 81.2 %" in browser.run(
        "document.getElementById('choice').innerText"
    )


def test_the_table_sorts_and_says_how(browser, page, study):
    browser.open(page)
    head = "document.querySelectorAll('#table th')[3]"
    browser.run(f"{head}.querySelector('button').click()")
    latency = {p.number: p.values["latency_ms"] for p in front_of(study).trials}
    assert rows(browser) == sorted(rows(browser), key=latency.__getitem__)
    assert browser.run(f"{head}.getAttribute('aria-sort')") == "ascending"
    browser.run(f"{head}.querySelector('button').click()")
    assert rows(browser) == sorted(rows(browser), key=latency.__getitem__, reverse=True)


def test_a_point_is_selected_by_keyboard(browser, page):
    browser.open(page)
    browser.run("document.querySelector('[data-pick=\"9\"]').focus()")
    before = browser.data("drawn")
    browser.key("Enter")
    browser.until(f"Number(document.body.dataset.drawn) > {before}")
    assert browser.data("selected") == "9"
    assert browser.run("document.activeElement.dataset.pick") == "9"
    assert browser.run("document.getElementById('choice-title').textContent") == "Trial 9"
    assert "export synthetic 9 --to" in browser.run("document.getElementById('choice').innerText")
    assert browser.run("location.hash") == "#trial=9"


def test_a_point_is_selected_by_a_click_and_shows_its_model_on_hover(browser, page):
    browser.open(page)
    x, y = browser.run(
        "(() => { document.getElementById('front').scrollIntoView();"
        "const found = [...document.querySelectorAll('#plot .scatterlayer .trace')]"
        ".find(t => t.querySelectorAll('.point').length > 5).querySelectorAll('.point')[3];"
        "const box = found.getBoundingClientRect();"
        "return [box.x + box.width / 2, box.y + box.height / 2] })()"
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    browser.until("document.querySelector('#plot .hoverlayer text')")
    hover = browser.run("document.querySelector('#plot .hoverlayer').textContent")
    assert "trial 9" in hover
    assert "heads: 4 4 4 5 3 4" in hover
    assert "neurons: 456 392 536 600 504 376" in hover
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    browser.until("document.body.dataset.selected === '9'")


def test_it_turns_to_three_dimensions(browser, page):
    browser.open(page, mark="#view=3d")
    assert browser.data("view") == "3d"
    kinds = browser.run("[...new Set(document.getElementById('plot').data.map(t => t.type))]")
    assert kinds == ["scatter3d"]
    assert browser.run("document.getElementById('tab-3d').getAttribute('aria-selected')") == "true"
    browser.picture(ARTEFACTS / "desktop-3d.png", whole=True)
    drawn(browser, "document.getElementById('tab-2d').click()")
    assert browser.data("view") == "2d"
    assert browser.run("document.querySelectorAll('#plot .scatterlayer .point').length") >= 10


def test_estimates_are_hollow_and_measurements_are_not(browser, page, tmp_path):
    symbols = (
        "document.getElementById('plot').data.filter(t => t.customdata?.length)"
        ".flatMap(t => t.marker.symbol)"
    )
    browser.open(page)
    assert all(symbol.endswith("-open") for symbol in browser.run(symbols))
    assert "energy, mJ/sample (est.)" in browser.run("document.getElementById('plot').textContent")
    browser.open(written(synthetic.study(grade="measured"), tmp_path / "m.html"))
    assert set(browser.run(symbols)) == {"circle"}
    assert "est." not in browser.run("document.body.innerText")


def test_the_theme_switch_goes_round(browser, page):
    browser.open(page, dark=False)
    themes = []
    for _ in range(3):
        drawn(browser, "document.getElementById('theme').click()")
        themes.append(browser.run("document.documentElement.dataset.theme"))
    assert themes == ["light", "dark", "light"]
    assert browser.run("document.getElementById('theme').textContent") == "Theme: automatic"


def test_every_control_has_a_name(browser, page):
    browser.open(page)
    nameless = browser.run(
        "[...document.querySelectorAll('main button, main input, main select, main svg[role=img]')]"
        ".filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length"
        " || e.closest('label') || e.closest('.modebar'))).map(e => e.outerHTML.slice(0, 80))"
    )
    assert nameless == []


def test_it_prints_in_light_colours(browser, page):
    browser.open(page, dark=True)
    browser.printed(ARTEFACTS / "printed.pdf")
    assert (ARTEFACTS / "printed.pdf").read_bytes().startswith(b"%PDF")
    browser.until("document.documentElement.dataset.theme === 'dark'")


def test_texts_from_users_are_shown_as_they_are(browser, tmp_path):
    browser.open(written(evil_study(), tmp_path / "evil.html"))
    assert browser.run("document.getElementById('name').textContent") == EVIL
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert EVIL[:20] in browser.run("document.getElementById('table').textContent")
    x = browser.run("document.getElementById('plot').data.flatMap(t => t.text ?? [])")
    assert not any("<script" in text or "<img" in text for text in x)


@pytest.mark.parametrize(
    ("study", "points"),
    [
        (study_of(), 0),
        (study_of(reference=None), 0),
        (study_of(trial(0, dict(DENSE_VALUES), starter="dense")), 1),
        (study_of(trial(0, values(0.5, 0.1, 0.1), violations={"accuracy": 1.0})), 0),
        (study_of(trial(0, values(0.8, 0.5, 0.5)), reference=None), 1),
        (
            study_of(
                trial(0, {"accuracy": 0.8, "latency_ms": 7.0}),
                config={"objectives": ["accuracy", "latency_ms"]},
            ),
            1,
        ),
    ],
    ids=["empty", "no-dense", "only-dense", "infeasible", "unmeasured", "two-objectives"],
)
def test_ugly_studies_open(browser, tmp_path, study, points):
    browser.open(written(study, tmp_path / "ugly.html"))
    assert browser.data("visiblePoints") == str(points)


def test_an_empty_study_turns_to_three_dimensions(browser, tmp_path):
    browser.open(written(study_of(reference=None), tmp_path / "empty.html"), mark="#view=3d")
    assert browser.data("view") == "3d"


def test_ten_thousand_trials_open(browser, tmp_path):
    study = synthetic.many(10_000)
    page = written(study, tmp_path / "big.html")
    assert page.stat().st_size < 10_000_000
    browser.open(page, mark="#all=1")
    known = sum(1 for t in study.trials if t.result and t.result.values)
    assert browser.data("visiblePoints") == str(known)
    assert len(rows(browser)) == 200
    browser.run("document.getElementById('more').click()")
    assert len(rows(browser)) == 400
    assert "are drawn" in browser.run("document.getElementById('shown').textContent")
    assert json.loads(browser.run("document.getElementById('view').textContent"))["points"]
