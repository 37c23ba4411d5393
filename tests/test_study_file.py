"""Every problem of a study file at once, each with its place and what is allowed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pareto_prune.core.config import flatten
from pareto_prune.core.errors import StudyFileError
from pareto_prune.running.study_file import parse_study, read_study, with_limits

SHIPPED = sorted((Path(__file__).parents[1] / "studies").glob("*.toml"))


def study(**tables: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "name": "mine",
        "model": {"path": "some/model"},
        "data": {"path": "some/data"},
    }
    for table, content in tables.items():
        merged = isinstance(content, dict) and table in base
        base[table] = {**base[table], **content} if merged else content
    return base


def problems(content: dict[str, Any]) -> list[str]:
    with pytest.raises(StudyFileError) as raised:
        parse_study(content, "s.toml")
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_study_is_valid(path: Path) -> None:
    assert read_study(path).name == path.stem


def test_every_shipped_study_is_in_the_table() -> None:
    table = (SHIPPED[0].parent / "README.md").read_text(encoding="utf-8")
    for path in SHIPPED:
        [row] = [line for line in table.splitlines() if f"]({path.name})" in line]
        assert row.count("|") == 4


def test_every_strategy_has_a_study_of_its_own() -> None:
    from pareto_prune.pruning.strategies import strategies

    alone = [read_study(path).search.strategies for path in SHIPPED]
    assert {found[0] for found in alone if len(found) == 1} == set(strategies.names())


def test_a_text_column_may_be_a_string() -> None:
    one, same = (parse_study(study(data={"text": text})) for text in ("review", ["review"]))
    assert one.data.text == ("review",)
    assert one.canonical() == same.canonical()


def test_the_least_limit_fills_every_split() -> None:
    shares = {"train": 0.5, "validation": 0.25, "test": 0.25}
    config = parse_study(study(data={"limit": 16, "splits": shares}))
    assert config.data.limit == 16
    names = {"train": "a", "validation": "b", "test": "c"}
    assert parse_study(study(data={"limit": 8, "splits": names})).data.limit == 8


def test_name_model_and_data_are_all_that_is_needed() -> None:
    config = parse_study(study())
    assert config.metric == "accuracy"
    assert config.limits.trials == 40


@pytest.mark.parametrize(
    ("content", "where", "said"),
    [
        (study(serach={}), "s.toml: serach", "did you mean 'search'"),
        (study(model={"pth": "x"}), "s.toml: model.pth", "did you mean 'path'"),
        (study(search={"shapes": "even"}), "s.toml: search.shapes", "'uneven' or 'native'"),
        (study(search={"strategies": ["l3"]}), "s.toml: search.strategies", "did you mean 'l"),
        (study(search={"importances": ["fischer"]}), "s.toml: search.importances", "'fisher'"),
        (study(search={"sparsity": {"low": 0.9, "high": 0.1}}), "s.toml: search.sparsity", "low"),
        (study(search={"sparsity": {"low": 0.1, "high": 1.5}}), "sparsity.high", "less than"),
        (study(search={"cost_target": [0.1, 0.5]}), "search.cost_target", "{ low = 0.1, high"),
        (study(limits={"trials": 0}), "s.toml: limits.trials", "greater than or equal to 1"),
        (study(limits={"trials": "9"}), "s.toml: limits.trials", "valid integer"),
        (study(limits={"time": "12"}), "s.toml: limits.time", "12min"),
        (study(limits={"plateau": 0}), "s.toml: limits.plateau", "greater than or equal to 1"),
        (study(early_stopping={"rungs": [0.5, 1.0]}), "s.toml: early_stopping.rungs", "below 1"),
        (study(early_stopping={"rungs": [0.5, 0.2]}), "s.toml: early_stopping.rungs", "rising"),
        (study(constraints={"accuracy": "0.8"}), "s.toml: constraints.accuracy", ">= 0.80"),
        (study(constraints={"latency_ms": "<= 5 ms"}), "constraints.latency_ms", "and a number"),
        (study(search={"deployment": {"threads": [True]}}), "deployment.threads.0", "True is"),
        (study(search={"deployment": {"dtype": [["int8"]]}}), "deployment.dtype.0", "a number for"),
        (study(search={"deployment": {"dtype": "int8"}}), "search.deployment.dtype", "valid array"),
        (
            study(constraints={"accuracy": ">= 85"}),
            "s.toml: constraints",
            "accuracy = 85 is above 1, allowed: a fraction such as 0.82",
        ),
        (
            study(constraints={"mcc": "<= 60"}, objectives=["mcc", "bytes"]),
            "s.toml: constraints",
            "mcc = 60 is above 1, allowed: a fraction such as 0.82",
        ),
        (
            study(data={"path": "d", "limit": 8}),
            "s.toml: data",
            "limit = 8 is too few for these shares, allowed: 15 or more",
        ),
        (study(data={"path": "d", "text": []}), "s.toml: data.text", "one column, or two"),
        (study(data={"path": "d", "text": "label"}), "s.toml: data.text", "'label' is the label"),
        (study(data={"path": "d", "text": ["a", "a"]}), "s.toml: data.text", "'a' stands twice"),
        (study(data={"path": "d", "splits": {"dev": 1}}), "s.toml: data.splits.dev", "'train'"),
        (study(constraints={"speed": "<= 1"}), "s.toml: constraints", "latency_ms"),
        (study(objectives=["latency_ms"]), "s.toml: objectives", "exactly one quality metric"),
        (study(objectives=["span_f1", "latency_ms"]), "s.toml: objectives", "accuracy"),
        (study(data={"splits": {"train": 0.9, "test": 0.1}}), "data.splits", "validation missing"),
        (study(data={"splits": {"train": 0.9, "validation": 0.3, "test": 0.1}}), "", "add up"),
        (study(data={"task": "nre"}), "s.toml: data.task", "did you mean 'ner'"),
        (study(sampler={"name": "nsga"}), "s.toml: sampler.name", "did you mean 'nsga2'"),
        (study(sampler={"name": "nsga2", "popul": 9}), "s.toml: sampler.popul", "population"),
        (study(strategy={"l1": {"bye": "x"}}), "s.toml: strategy.l1.bye", "did you mean 'by'"),
        (study(strategy={"l1": {"by": "x"}}), "s.toml: strategy.l1.by", "sparsity"),
        (study(strategy={"l9": {}}), "s.toml: strategy.l9", "unknown strategy"),
        (study(measure={"engine": "onnx"}), "s.toml: measure.engine", "onnxruntime"),
        (study(measure={"meter": "nvm"}), "s.toml: measure.meter", "did you mean 'nvml'"),
        *(
            (study(name=name), "s.toml: name", f"{name!r} is wrong, allowed: up to 100 letters")
            for name in ("a b", "..", "-x", "ü", "a\n", "", "a" * 101)
        ),
        (study(search={"vocabulary": "sean"}), "search.vocabulary", "allowed: 'seen', or {"),
        (study(search={"vocabulary": 0.5}), "search.vocabulary", "allowed: 'seen', or {"),
        (study(search={"vocabulary": {"low": 0.2, "high": 1.5}}), "search.vocabulary", "high: "),
        (study(search={"vocabulary": {"low": -0.1, "high": 1}}), "search.vocabulary", "low: "),
        (study(search={"vocabulary": {"low": 0.6, "high": 0.5}}), "search.vocabulary", "low <= "),
        (study(data={"corpus": ["more.txt"]}), "data.corpus", "search.vocabulary"),
        (study(search={"deployment": {"dtype": ["int4"]}}), "search.deployment.dtype", "bfloat16"),
        (study(search={"deployment": {"max_length": [4096]}}), "max_length", "4 to 128"),
        (study(search={"deployment": {"threads": [0]}}), "search.deployment.threads", "1 to"),
        (study(search={"references": ["int9"]}), "search.references", "int8"),
        (study(search={"deployment": {"threads": []}}), "search.deployment", "at least one value"),
        (study(search={"deployment": {"dtype": []}}), "search.deployment", "at least one value"),
        (study(search={"deployment": {"threads": [2, 2]}}), "search.deployment", "each once"),
        (study(seed=10**23), "s.toml: seed", "less than or equal to 2147483647"),
        (study(seed=-1), "s.toml: seed", "greater than or equal to 0"),
        (study(limits={"trials": 10**10}), "s.toml: limits.trials", "less than or equal"),
        (study(data={"max_length": 10**19}), "s.toml: data.max_length", "less than or equal"),
        *(
            (study(measure={"device": name}), "s.toml: measure.device", "auto, cpu, cuda or cuda:N")
            for name in ("gpu", "cuda:", "cuda:x", "CPU", "", "mps", "cuda:99999")
        ),
    ],
)
def test_a_problem_says_where_and_what_is_allowed(
    content: dict[str, Any], where: str, said: str
) -> None:
    [problem] = problems(content)
    assert where in problem
    assert said in problem
    assert "\n" not in problem


def test_words_that_are_tagged_keep_what_is_seen() -> None:
    ner = {"objectives": ["span_f1", "bytes"], "data": {"path": "d", "task": "ner"}}
    [problem] = problems(study(**ner, search={"vocabulary": {"low": 0.1, "high": 0.5}}))
    assert "search.vocabulary: words in more pieces could be cut off" in problem
    assert parse_study(study(**ner, search={"vocabulary": "seen"})).search.vocabulary == "seen"


def test_all_problems_are_reported_at_once() -> None:
    content = study(
        nmae="x",
        search={"strategies": ["l3"], "sparsity": {"low": 1.0, "high": 0.5}},
        limits={"trials": 0},
    )
    del content["data"]
    found = problems(content)
    for where in ("data", "nmae", "search.strategies", "search.sparsity", "limits.trials"):
        assert any(problem.startswith(f"s.toml: {where}") for problem in found), where


@pytest.mark.parametrize("text", ["name = ", "name = 'a'\nname = 'b'"])
def test_what_is_not_toml_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(StudyFileError, match="not TOML"):
        read_study(path)


def test_a_byte_order_mark_is_no_part_of_a_study(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    text = 'name = "ü"\r\n[model]\r\npath = "m"\r\n[data]\r\npath = "d"\r\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("ü", "u").encode())
    assert read_study(path).name == "u"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StudyFileError, match=r"is not UTF-8 \(line 1, byte 0xfc at 9\), allowed"):
        read_study(path)
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(StudyFileError, match=r"s\.toml: is UTF-16, allowed: text in UTF-8"):
        read_study(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"gone\.toml: no such file"):
        read_study(tmp_path / "gone.toml")


def test_limits_are_not_part_of_what_makes_a_study() -> None:
    one = parse_study(study(limits={"trials": 5}))
    other = with_limits(one, 9, "3min")
    assert other.limits.trials == 9
    assert one.canonical() == other.canonical()
    with pytest.raises(StudyFileError, match="12min"):
        with_limits(one, None, "soon")


def test_flatten_names_every_key() -> None:
    flat = flatten(tomllib.loads("a = 1\n[b.c]\nd = [1]"))
    assert flat == {"a": 1, "b.c.d": [1]}
