"""What is said of a data file that does not serve: the line, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pareto_prune.core.errors import Problem, StudyFileError, UserError
from pareto_prune.export.deployed._texts import from_file
from pareto_prune.inputs import data
from pareto_prune.inputs.sources import file_source
from pareto_prune.running.study_file import parse_study


def refused(path: Path) -> Problem:
    with pytest.raises(StudyFileError) as error:
        file_source(path, words=path.suffix == ".conll").table()
    (problem,) = error.value.problems
    assert problem.where == "data.path"
    assert str(path) in problem.wrong
    assert "\n" not in str(problem)
    return problem


ROWS = {
    "csv": "text,label\ngood film,1\ncaf\u00e9,0\n",
    "tsv": "text\tlabel\ngood film\t1\ncaf\u00e9\t0\n",
    "jsonl": '{"text": "good"}\n\n{"text": "caf\u00e9"}\n',
    "json": '[{"text": "good"},\n{"text":\n"caf\u00e9"}]\n',
    "conll": "anna B-PER\n\ncaf\u00e9 O\n",
}


class TestEncodings:
    @pytest.mark.parametrize("kind", ROWS)
    def test_another_code_page_is_named_by_its_line(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / f"d.{kind}"
        path.write_bytes(ROWS[kind].encode("cp1252"))
        problem = refused(path)
        assert "is not UTF-8 (line 3, byte 0xe9 at " in problem.wrong
        assert problem.allowed == "allowed: text in UTF-8"

    @pytest.mark.parametrize("kind", ROWS)
    @pytest.mark.parametrize("order", ["le", "be"])
    def test_what_excel_calls_unicode(self, tmp_path: Path, kind: str, order: str) -> None:
        path = tmp_path / f"d.{kind}"
        path.write_bytes(f"\ufeff{ROWS[kind]}".encode(f"utf-16-{order}"))
        assert refused(path).wrong == f"{path}: is UTF-16"

    def test_other_errors_are_told_as_they_are(self, tmp_path: Path) -> None:
        path = tmp_path / "d.parquet"
        path.write_bytes(b"\xff\xfePAR1")
        assert "cannot be read" in refused(path).wrong


@pytest.mark.parametrize("kind", [*ROWS, "parquet"])
def test_a_file_that_git_lfs_did_not_fetch(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"d.{kind}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:46\nsize 4404\n")
    problem = refused(path)
    assert problem.wrong == f"{path} is a pointer of Git LFS, not the file itself"
    assert "git lfs pull" in problem.allowed


class TestRaggedRows:
    def write(self, path: Path, delimiter: str, wrong: str) -> Path:
        lines = ["text,label", '"two\nlines",1', "", "good,1", wrong, "bad,0"]
        path.write_text("\n".join(lines).replace(",", delimiter), encoding="utf-8")
        return path

    @pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
    @pytest.mark.parametrize(("wrong", "cells"), [("the film,was good,1", 3), ("good", 1)])
    def test_the_line_is_named(
        self, tmp_path: Path, suffix: str, delimiter: str, wrong: str, cells: int
    ) -> None:
        problem = refused(self.write(tmp_path / f"d.{suffix}", delimiter, wrong))
        assert f"line 6 has {cells} cells, the header 2" in problem.wrong
        assert {"csv": "a comma", "tsv": "a tab"}[suffix] in problem.allowed

    def test_without_quotes_in_tsv(self, tmp_path: Path) -> None:
        (tmp_path / "d.tsv").write_text("text\tlabel\ngood\t1\nbad\n", encoding="utf-8")
        assert "line 3 has 1 cells, the header 2" in refused(tmp_path / "d.tsv").wrong

    def test_behind_a_cell_longer_than_the_csv_module_reads(self, tmp_path: Path) -> None:
        text = "good " * 60_000
        (tmp_path / "d.csv").write_text(f"text,label\n{text},1\na,b,0\n", encoding="utf-8")
        assert "line 3 has 3 cells" in refused(tmp_path / "d.csv").wrong


class TestNamesOfColumns:
    def test_a_name_that_is_there_twice(self, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text("text,label,text\na,1,b\n", encoding="utf-8")
        assert refused(tmp_path / "d.csv").wrong.endswith("its header has text more than once")

    def test_columns_without_a_name_are_no_matter(self, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text("text,label,,\ngood,1,,\nbad,0,,\n", encoding="utf-8")
        assert file_source(tmp_path / "d.csv").table().read("label") == ["1", "0"]

    @pytest.mark.parametrize("name", [" label", "label\u00a0", "label\u200b", "label "])
    def test_spaces_at_the_ends_of_a_name_are_seen(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "d.csv"
        path.write_text(f"text,{name}\ngood,1\n", encoding="utf-8")
        named = {"name": "n", "model": {"path": "m"}, "data": {"path": str(path)}}
        with pytest.raises(StudyFileError) as error:
            data.rows_of(file_source(path).table(), parse_study(named).data)
        assert error.value.problems[0].allowed == f"there: text, {name!r}"
        with pytest.raises(UserError) as error:
            from_file(path, ["label"], words=False)
        assert error.value.problems[0].allowed == f"there: text, {name!r}"


class TestJson:
    @pytest.mark.parametrize(
        ("content", "wrong"),
        [
            (
                '{"text": {"0": "a"}, "label": {}}',
                "is one object around the rows or columns",
            ),
            ('{"data":\n [{"text": "a"}]}', "is one object around the rows or columns"),
            ('["a", "b"]', "is not a list of objects"),
            ('{"text": "a"}\n"b"\n', "is not a list of objects"),
            ("[]", "holds no rows"),
            ("", "holds no rows"),
        ],
    )
    def test_what_is_no_list_of_objects(self, tmp_path: Path, content: str, wrong: str) -> None:
        (tmp_path / "d.json").write_text(content)
        problem = refused(tmp_path / "d.json")
        assert problem.wrong == f"{tmp_path / 'd.json'}: {wrong}"
        assert "a list of objects, or an object a line" in problem.allowed

    @pytest.mark.parametrize("content", ['{"text":\n ["a"]}', '{"text": ["a"], "of": {"id": 1}}'])
    def test_one_row(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "d.jsonl").write_text(content)
        assert file_source(tmp_path / "d.jsonl").table().read("text") == [["a"]]

    def test_half_a_character_is_replaced(self, tmp_path: Path) -> None:
        text = r'{"text": "a \ud83d", "words": ["\ude00", "\ud83d\ude00"]}'
        (tmp_path / "d.jsonl").write_text(text)
        table = file_source(tmp_path / "d.jsonl").table()
        assert table.read("text") == ["a \ufffd"]
        assert table.read("words") == [["\ufffd", "\U0001f600"]]


class TestTextsToPredict:
    """A file of the command line is called by its option, and once."""

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"text\ncaf\xe9\n", "is not UTF-8 (line 2, byte 0xe9 at 4)"),
            (b"text\na,b\n", "line 2 has 2 cells, the header 1"),
        ],
    )
    def test_what_cannot_be_read(self, tmp_path: Path, content: bytes, said: str) -> None:
        path = tmp_path / "d.csv"
        path.write_bytes(content)
        with pytest.raises(UserError) as error:
            from_file(path, ["text"], words=False)
        (problem,) = error.value.problems
        assert (problem.where, problem.wrong) == (f"--file {path}", said)

    def test_of_a_pair_the_column_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "d.csv"
        path.write_text("claim,premise\ngood,bad\ngood,\n")
        with pytest.raises(UserError, match=r"d\.csv, row 2, column 'premise': is empty"):
            from_file(path, ["premise", "claim"], words=False)

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("3", "holds 3, which is no text"),
            ("0", "holds 0, which is no text"),
            ("null", "is empty"),
            ('["a", 2020]', "holds 2020, which is no text"),
            ('["a", ""]', "is empty"),
            ("[]", "is empty"),
        ],
    )
    def test_what_is_no_text(self, tmp_path: Path, value: str, said: str) -> None:
        path = tmp_path / "d.jsonl"
        path.write_text(f'{{"text": "good"}}\n{{"text": {value}}}\n')
        with pytest.raises(UserError) as error:
            from_file(path, ["text"], words=True)
        (problem,) = error.value.problems
        assert (problem.where, problem.wrong) == ("d.jsonl, row 2", said)
