"""The page is one file that holds everything and lets nothing out of its place."""

from __future__ import annotations

import json
import re
from graphlib import CycleError
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pareto_prune.results.front import front_of
from pareto_prune.results.report import page as page_module
from pareto_prune.results.report import view_of, write_report
from pareto_prune.results.report.page import embedded, page_of
from pareto_prune.results.report.script import bundled, modules
from tests import synthetic
from tests.results.test_front import values
from tests.synthetic import study_of, trial

EVIL = "</script><script>alert(1)</script><!--view--><img src=x onerror=alert(2)>&\u2028\u2029\"'"


class Page(HTMLParser):
    """Collects the elements of a page, and the text of its scripts and of its title."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "title": [], "style": []}
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in self.texts:
            self._inside = tag
            self.texts[tag].append("")

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside:
            self.texts[self._inside][-1] += data


def evil_study():
    return study_of(
        trial(0, values(0.82, 0.5, 0.5), starter=EVIL, stop_reason=EVIL),
        name=EVIL,
        config=synthetic.config(EVIL) | {EVIL: EVIL},
    )


def made(study) -> str:
    return page_of(view_of(front_of(study), study))


def test_the_view_comes_back_out_of_the_page():
    study = synthetic.study()
    view = view_of(front_of(study), study)
    page = Page(page_of(view))
    data = next(i for i, (t, a) in enumerate(scripts(page)) if a.get("id") == "view")
    assert json.loads(page.texts["script"][data]) == json.loads(json.dumps(view))


def scripts(page: Page) -> list[tuple[str, dict[str, str | None]]]:
    return [(tag, attributes) for tag, attributes in page.tags if tag == "script"]


def test_texts_from_users_stay_text():
    page = Page(made(evil_study()))
    assert len(scripts(page)) == 3
    assert not any(tag == "img" for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.texts["title"] == [f"{EVIL} – Pareto front"]
    assert json.loads(page.texts["script"][0])["study"] == EVIL


def test_embedded_json_has_no_character_that_ends_it():
    text = embedded({"a": EVIL})
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == {"a": EVIL}


def test_numbers_that_json_does_not_know_are_refused():
    with pytest.raises(ValueError, match="JSON compliant"):
        embedded({"a": float("nan")})


def test_the_page_fetches_nothing():
    page = Page(made(synthetic.study()))
    for tag, attributes in page.tags:
        assert "src" not in attributes, tag
        assert tag != "a" or (attributes["href"] or "").startswith("#")
        assert tag != "link" or attributes["href"] == "data:,"
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "connect-src" not in policy
    assert "http" not in policy


def test_every_template_has_its_place():
    text = made(synthetic.study())
    assert "<!--" not in text.partition("<script")[0]
    assert text.rstrip().endswith("</html>")


TEMPLATES = Path(page_module.__file__).parent / "templates"


def test_every_file_of_the_templates_is_in_the_page():
    text = made(synthetic.study())
    left = {file.relative_to(TEMPLATES) for file in TEMPLATES.rglob("*") if file.is_file()}
    for file in sorted(left):
        parts = re.split(
            r"<!--\w+-->|^import [^;]*;|^export ", (TEMPLATES / file).read_text(), flags=re.M
        )
        assert all(part in text for part in parts), file
    assert {file.name for file in left if file.suffix == ".js"} == set(modules())


def test_modules_stand_behind_what_they_import():
    page = Page(made(synthetic.study()))
    script = page.texts["script"][-1]
    places = {name: script.index(f'modules["{name}"] = ') for name in modules()}
    for name, source in modules().items():
        imported = re.findall(r'^(?:import|\}) .*"\./(.*)";$', source, re.MULTILINE)
        assert all(places[other] < places[name] for other in imported), name
    assert max(places, key=places.__getitem__) == "main.js"
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)


def test_nothing_in_the_script_is_left_unused():
    sources = modules()
    reached, waiting = set(), ["main.js"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += re.findall(r'"\./(.*)";$', sources[name], re.MULTILINE)
    assert reached == set(sources)
    for name, source in sources.items():
        others = "".join(text for other, text in sources.items() if other != name)
        taken = set(re.findall(r"[\w$]+", " ".join(re.findall(r"import \{([^}]*)\}", others))))
        exported = re.findall(
            r"^export (?:async )?(?:const|function) ([\w$]+)", source, re.MULTILINE
        )
        assert set(exported) <= taken, name


def test_a_module_takes_what_the_others_give():
    script = bundled(
        {
            "last.js": 'import {\n  a, b\n} from "./first.js";\nimport "./other.js";\nlast(a, b);',
            "first.js": "export const a = 1;\nexport async function b() {}",
            "other.js": "other();",
        }
    )
    first, other, last = (
        script.index(f'modules["{name}.js"] = ') for name in ("first", "other", "last")
    )
    assert max(first, other) < last
    assert "const a = 1;\nasync function b() {}\nreturn { a, b };" in script[first:]
    assert 'const {\n  a, b\n} = modules["first.js"];\nlast(a, b);' in script[last:]


def test_modules_that_import_each_other_are_refused():
    circle = {"a.js": 'import { b } from "./b.js";\n', "b.js": 'import { a } from "./a.js";\n'}
    with pytest.raises(CycleError):
        bundled(circle)
    with pytest.raises(KeyError):
        bundled({"a.js": 'import { b } from "./b.js";\n'})


def test_the_library_is_there_once():
    assert made(synthetic.study()).count("plotly.js v") == 1


def test_the_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    study = synthetic.study()
    path = tmp_path / "deep" / "front.html"
    assert write_report(front_of(study), study, path) == path
    before = path.read_text(encoding="utf-8")

    def broken(view):
        raise RuntimeError("no disk")

    monkeypatch.setattr("pareto_prune.results.report.page.page_of", broken)
    with pytest.raises(RuntimeError):
        write_report(front_of(study), study, str(path))
    assert path.read_text(encoding="utf-8") == before
    assert [p.name for p in path.parent.iterdir()] == ["front.html"]


@pytest.mark.slow
def test_ten_thousand_trials_stay_under_ten_megabytes():
    assert len(made(synthetic.many(10_000)).encode()) < 10_000_000
