"""The command line: exit codes, one clear line a problem, help that starts fast."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from typer.main import get_command

from pareto_prune import api, cli
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.families import FAMILIES, entries
from pareto_prune.storage import open_storage
from tests.small_study import make_study
from tests.storage.scripted import study_config


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run a command line in this process; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["pareto-prune", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


def verbs():
    root = get_command(cli.app)
    for name, command in root.commands.items():
        yield (name,)
        for sub in getattr(command, "commands", {}):
            yield (name, sub)


@pytest.mark.parametrize("verb", list(verbs()), ids=" ".join)
def test_every_verb_has_help_with_an_example(call, verb):
    code, out, _ = call(*verb, "--help")
    assert code == 0
    assert "Example: pareto-prune " + " ".join(verb) in " ".join(out.split())


def test_no_short_help_is_cut_off(call):
    _, out, _ = call("--help")
    assert "..." not in out.partition("Commands:")[2]


@pytest.mark.parametrize("family", list(FAMILIES))
def test_list_says_what_each_member_is(call, family):
    code, out, _ = call("list", family, "--json")
    assert code == 0
    assert all(entry.summary and entry.name in out for entry in entries(family))
    assert call("list", family)[0] == 0
    assert json.loads(call("list", "--json")[1])[family] == [one["name"] for one in json.loads(out)]
    assert family in call("list")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "strategy"), "did you mean 'strategies'"),
        (("front", "gone"), "unknown study 'gone'"),
        (("front", "gone"), "another database is named by --storage"),
        (("status", "gone"), "unknown study 'gone'"),
        (("export", "gone", "0", "--to", "x"), "unknown study 'gone'"),
        (("report", "gone", "--to", "x.html"), "unknown study 'gone'"),
        (("studies", "delete", "gone"), "unknown study 'gone'"),
        (("front", "s", "--json", "--csv"), "one of them"),
        (("validate", "gone.toml"), "gone.toml: no such file"),
        (("submit", "gone.toml"), "gone.toml: no such file"),
        (("pause", "gone"), "unknown study 'gone'"),
        (("cancel", "gone"), "unknown study 'gone'"),
        (("front", "s", "--storage", "sqlite:////no/such/folder/s.db"), "no folder"),
        (("front", "s", "--storage", "mysql://u:secret@h/d"), "not supported"),
        (("front", "s", "--storage", "nonsense"), "not a database URL"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(call, arguments, said):
    code, out, err = call(*arguments)
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1
    assert "secret" not in err
    assert out == ""


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"model": {"path": "/no/such/folder"}}, "model.path: no such folder"),
        ({"data": {"path": "/no/such/file.csv"}}, "data.path: no such file"),
        ({"data": {"text": ["txt"]}}, "no column 'txt'"),
        ({"data": {"label": "lable"}}, "no column 'lable'"),
        ({"data": {"splits": {"train": "a", "validation": "b", "test": "c"}}}, "data.splits"),
        ({"model": {"path": "demo:nothing"}}, "minilm-l6"),
        ({"limits": {"trials": 0}}, "limits.trials"),
    ],
)
def test_what_a_run_cannot_start_from(call, tmp_path, tables, said):
    study = make_study(tmp_path, **tables)
    code, _, err = call("run", study, "--output", tmp_path / "out")
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_a_checkpoint_without_weights(call, tmp_path):
    study = make_study(tmp_path)
    (tmp_path / "model/model.safetensors").unlink()
    code, _, err = call("run", study, "--output", tmp_path / "out")
    assert code == 2
    assert "no weights" in err or "safetensors" in err


def test_an_unsupported_family_is_named_with_the_list(call, tmp_path):
    study = make_study(tmp_path)
    (tmp_path / "model/config.json").write_text('{"model_type": "t5"}')
    code, _, err = call("run", study, "--output", tmp_path / "out")
    assert code == 2
    assert "'t5'" in err
    assert "bert" in err


def test_a_damaged_configuration_is_one_line(call, tmp_path):
    study = make_study(tmp_path)
    config = tmp_path / "model/config.json"
    config.write_text(config.read_text().replace('"model_type": "bert"', '"model_type": "t5"'))
    code, _, err = call("run", study, "--output", tmp_path / "out")
    assert code == 2
    assert "model.path" in err
    assert "Traceback" not in err


def test_one_class_only(call, tmp_path):
    study = make_study(tmp_path)
    data = tmp_path / "data.csv"
    data.write_text(data.read_text().replace(",neg", ",pos"))
    code, _, err = call("run", study, "--output", tmp_path / "out")
    assert code == 2
    assert "one class" in err


def test_an_output_folder_that_cannot_be_written(call, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = call("run", make_study(tmp_path), "--output", tmp_path / "file")
    assert code == 2
    assert "cannot be written" in err


@pytest.mark.parametrize("storage", ["studies.db", "sqlite:///nowhere/s.db", "sqlite:///a?b.db"])
def test_a_storage_that_does_not_open_leaves_no_folder(call, tmp_path, storage):
    output = tmp_path / "out"
    code, _, err = call("run", make_study(tmp_path), "--storage", storage, "--output", output)
    assert code == 2
    assert err.splitlines()[-1].startswith("storage: ")
    assert not output.exists()


def test_problems_of_a_file_come_as_json(call, tmp_path):
    file = tmp_path / "s.toml"
    file.write_text('name = "s"\n[model]\npath = "m"\n[data]\npath = "d"\n[limits]\ntrials = 0\n')
    code, out, err = call("validate", str(file), "--json")
    assert (code, err) == (2, "")
    [problem] = json.loads(out)["problems"]
    assert problem["where"] == f"{file}: limits.trials"
    assert set(problem) == {"where", "wrong", "allowed"}


def test_an_unexpected_error_is_one_line_unless_debugged(call, monkeypatch):
    from pareto_prune.running import study_file

    def broken(path):
        raise RuntimeError("boom")

    monkeypatch.setattr(study_file, "read_study", broken)
    code, _, err = call("validate", "s.toml")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "RuntimeError: boom" in err
    with pytest.raises(RuntimeError):
        call("validate", "s.toml", "--debug")


HEAVY = ("torch", "transformers", "datasets", "optuna", "onnxruntime")


@pytest.mark.parametrize("arguments", [["--help"], ["validate", "x.toml"], ["front", "x"]])
def test_reading_commands_load_nothing_heavy(arguments, tmp_path):
    program = (
        "import sys\nfrom pareto_prune import cli\n"
        f"sys.argv = ['pareto-prune', *{arguments!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.stderr.splitlines()[-1] == "[]"


def test_export_takes_the_recommended_trial_where_none_is_named(call, monkeypatch, tmp_path):
    """What is recommended is what is handed on; nothing else of an export is looked at here."""
    front = SimpleNamespace(recommended=SimpleNamespace(trial=7))
    asked = []

    def export(name, trial, *_, **__):
        asked.append((name, trial))
        raise UserError(Problem("to", "enough", "allowed: no more"))

    monkeypatch.setattr(api, "front", lambda *_: front)
    monkeypatch.setattr(api, "export", export)
    assert call("export", "some", "--to", str(tmp_path / "new"))[0] == 2
    assert call("export", "some", "3", "--to", str(tmp_path / "new"))[0] == 2
    assert asked == [("some", 7), ("some", 3)]


@pytest.fixture
def two_storages(tmp_path):
    """Two storages with a study of one name each; returns their URLs."""
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("one", "two")]
    for url in urls:
        open_storage(url).create(study_config("mine"))
    return urls


@pytest.mark.parametrize("order", ["before", "behind", "both"])
def test_a_storage_before_the_verb_is_the_one_that_is_meant(call, two_storages, monkeypatch, order):
    one, two = two_storages
    monkeypatch.setenv("PARETO_PRUNE_STORAGE", one)
    before = {"before": two, "both": one}.get(order)
    given = () if before is None else ("--storage", before)
    behind = () if order == "before" else ("--storage", two)
    assert call("studies", *given, "copy", "mine", "other", *behind)[0] == 0
    assert call("studies", *given, "delete", "mine", *behind)[0] == 0
    assert [row.name for row in api.studies(one)] == ["mine"]
    assert [row.name for row in api.studies(two)] == ["other"]


def test_what_a_verb_prints_no_json_of_is_not_done(call, two_storages, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_STORAGE", two_storages[0])
    code, _, err = call("studies", "--json", "delete", "mine")
    assert (code, err.count("\n")) == (2, 1)
    assert "--json: studies delete prints none" in err
    assert [row.name for row in api.studies(two_storages[0])] == ["mine"]
