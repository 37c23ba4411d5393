"""Predictions of exported folders: those of the model, from any source of texts."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
import torch
from transformers import RobertaTokenizerFast

from pareto_prune.core.errors import UserError
from pareto_prune.export.deployed._texts import Text
from pareto_prune.export.deployed._tokens import FolderTokenizer, words_of
from pareto_prune.export.deployed.predict import Predictor, predict
from pareto_prune.export.manifest import Tokenization
from tests.deployed.folders import NAMES, make_folder
from tests.tasks.words import words_tokenizer

FORMATS = ("onnx", "huggingface")
TEXTS = ["the film was good", "bad", "anna films the plot"]


def expected(model, *text, **options):
    encoded = words_tokenizer()(
        *text, truncation=True, max_length=8, return_tensors="pt", **options
    )
    with torch.no_grad():
        return model(**encoded).logits[0].softmax(-1)


@pytest.mark.parametrize("format_", FORMATS)
def test_every_class_has_the_models_probability(tmp_path, format_):
    model = make_folder(tmp_path / "out", format_)
    found = list(predict(tmp_path / "out", TEXTS, batch=2))
    assert [line["text"] for line in found] == TEXTS
    for line, text in zip(found, TEXTS, strict=True):
        shares = expected(model, text)
        assert list(line["scores"].values()) == pytest.approx(shares.tolist(), abs=1e-5)
        assert line["label"] == NAMES["classification"][int(shares.argmax())]
        assert line["score"] == max(line["scores"].values())
        assert "truncated" not in line
    json.dumps(found, allow_nan=False)


def test_pairs_are_read_with_a_tab_between(tmp_path):
    model = make_folder(tmp_path / "out", text=["first", "second"])
    [line] = predict(tmp_path / "out", ["good film\tbad plot"])
    assert line["text"] == ["good film", "bad plot"]
    shares = expected(model, "good film", "bad plot")
    assert line["score"] == pytest.approx(float(shares.max()), abs=1e-5)
    with pytest.raises(UserError, match="text 1: is one text, but the model takes pairs"):
        predict(tmp_path / "out", ["alone"])


@pytest.mark.parametrize("format_", FORMATS)
def test_entities_are_runs_of_tags(tmp_path, format_):
    model = make_folder(tmp_path / "out", format_, "ner")
    text = "anna, was not paris films"
    [line] = predict(tmp_path / "out", [text])
    words = ["anna", ",", "was", "not", "paris", "films"]
    shares = expected(model, words, is_split_into_words=True)
    tags = [NAMES["ner"][int(row.argmax())] for row in shares[1:]]
    assert {entity["type"] for entity in line["entities"]} <= {"LOC", "PER"}
    covered = sum(len(entity["text"].split()) for entity in line["entities"])
    assert covered == sum(tag != "O" for tag in tags[:6])
    for entity in line["entities"]:
        inside = text[entity["start"] : entity["end"]]
        assert inside.replace(",", " ,").split() == entity["text"].split()
        assert 0 < entity["score"] <= 1


def scripted_tags(tags):
    """A predictor whose model says these tags of the words of one text."""
    import numpy as np

    names = NAMES["ner"]
    logits = np.full((1, len(tags) + 2, len(names)), -4.0, dtype=np.float32)
    logits[0, 0, 0] = logits[0, -1, 0] = 4
    for at, tag in enumerate(tags, start=1):
        logits[0, at, names.index(tag)] = 4
    return lambda _: logits


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        (("B-PER", "I-PER", "O", "B-LOC"), [("PER", "anna was"), ("LOC", "paris")]),
        (("B-PER", "B-PER", "O", "O"), [("PER", "anna"), ("PER", "was")]),
        (("I-PER", "I-LOC", "I-LOC", "O"), [("PER", "anna"), ("LOC", "was not")]),
        (("O", "O", "O", "O"), []),
    ],
)
def test_spans_by_hand(tmp_path, tags, entities):
    make_folder(tmp_path / "out", task="ner")
    model = Predictor(tmp_path / "out")
    model._call = scripted_tags(tags)
    [line] = model(["anna was not paris"])
    assert [(e["type"], e["text"]) for e in line["entities"]] == entities


@pytest.mark.parametrize("format_", FORMATS)
def test_a_text_of_ten_thousand_words_says_that_it_was_cut(tmp_path, format_):
    model = make_folder(tmp_path / "out", format_)
    text = "good film " * 5000
    [line, short] = predict(tmp_path / "out", [text, "good"])
    assert line["truncated"] == {"tokens": 10002, "read": 8, "part": "start"}
    assert line["score"] == pytest.approx(float(expected(model, text).max()), abs=1e-5)
    assert "truncated" not in short


def test_files_and_streams_say_the_same_as_arguments(tmp_path):
    make_folder(tmp_path / "out")
    found = list(predict(tmp_path / "out", TEXTS))
    lines = tmp_path / "texts.txt"
    lines.write_bytes(("\ufeff" + "\r\n".join(TEXTS)).encode())
    rows = tmp_path / "texts.csv"
    rows.write_text("label,text\n" + "".join(f"?,{text}\n" for text in TEXTS))
    stream = io.BytesIO("\n".join(TEXTS).encode())
    assert list(predict(tmp_path / "out", file=lines)) == found
    assert list(predict(tmp_path / "out", file=rows)) == found
    assert list(predict(tmp_path / "out", stream=stream)) == found


class Slow(io.BytesIO):
    """A stream that gives what it has line by line, as a terminal does."""

    def read1(self, size=-1):
        return self.readline()


def test_a_line_is_answered_as_it_comes(tmp_path):
    make_folder(tmp_path / "out")
    stream = Slow(b"good\nbad\nfilm")
    found = predict(tmp_path / "out", stream=stream)
    assert (next(found)["text"], stream.tell()) == ("good", 5)
    assert [line["text"] for line in found] == ["bad", "film"]


@pytest.mark.parametrize("kind", [io.BytesIO, Slow])
def test_a_line_that_does_not_serve_ends_no_stream(tmp_path, kind):
    make_folder(tmp_path / "out")
    stream = kind(b"good\n\nnaiv\xef\nbad\n \n")
    good, empty, latin, bad, blank = predict(tmp_path / "out", stream=stream)
    assert (good["text"], bad["text"]) == ("good", "bad")
    assert empty == {
        "error": "standard input, line 2: is empty, allowed: a text with something in it"
    }
    assert "line 3: is not UTF-8 (byte 0xef at 5)" in latin["error"]
    assert "line 5: is empty" in blank["error"]


def test_the_exit_code_says_that_lines_had_no_answer(tmp_path, monkeypatch, capsys):
    from pareto_prune.cli import main

    make_folder(tmp_path / "out")
    stream = io.TextIOWrapper(io.BytesIO(b"good\n\nbad\n"))
    monkeypatch.setattr("sys.stdin", stream)
    monkeypatch.setattr("sys.argv", ["pareto-prune", "predict", str(tmp_path / "out"), "-"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 3
    assert said.err == "1 of 3 lines have no prediction but an error\n"


@pytest.mark.parametrize("name", ["texts.xlsx", "texts.conll", "texts.csv.gz"])
def test_a_file_of_another_kind_is_not_read_as_lines(tmp_path, name):
    make_folder(tmp_path / "out")
    (tmp_path / name).write_text("anna B-PER\n")
    with pytest.raises(UserError, match=r"cannot read \.\w+, allowed: \.txt, \.csv"):
        predict(tmp_path / "out", file=tmp_path / name)


def test_words_in_columns_are_tagged_as_they_stand(tmp_path):
    make_folder(tmp_path / "out", task="ner")
    (tmp_path / "texts.conll").write_text("anna B-PER\nU.S. B-LOC\n\nparis B-LOC\n")
    first, second = predict(tmp_path / "out", file=tmp_path / "texts.conll")
    assert (first["text"], second["text"]) == (("anna", "U.S."), ("paris",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("naïve nai\u0308ve", ["naïve", "nai\u0308ve"]),
        ("महिमा हिनता", ["महिमा", "हिनता"]),
        ("ภาษา ที่นี่", ["ภาษา", "ที่นี่"]),
        ("שָׁלוֹם مَرْحَبًا", ["שָׁלוֹם", "مَرْحَبًا"]),
        ("the U.S., (a.m.) and U.N.", ["the", "U.S.", ",", "(", "a.m.", ")", "and", "U.N."]),
        (
            "so it ended... state-of-the-art!",
            [*["so", "it", "ended", ".", ".", "."], "state-of-the-art", "!"],
        ),
        ("the the", ["the", "the"]),
        ("“don't”", ["“", "don't", "”"]),
        (" . ", ["."]),
    ],
)
def test_words_stand_between_spaces_less_punctuation_at_their_ends(text, words):
    found = words_of(Text("here", (text,)))
    assert [word.text for word in found] == words
    assert [text[word.start : word.end] for word in found] == words


@pytest.mark.parametrize("format_", FORMATS)
def test_texts_are_cut_where_the_tokenizer_says(tmp_path, format_):
    tokenizer = words_tokenizer()
    tokenizer.truncation_side = "left"
    model = make_folder(tmp_path / "out", format_, tokenizer=tokenizer)
    [line] = predict(tmp_path / "out", ["a " * 30 + "the film was good"])
    with torch.no_grad():
        read = words_tokenizer()("a a the film was good", return_tensors="pt")
        shares = model(**read).logits[0].softmax(-1)
    assert list(line["scores"].values()) == pytest.approx(shares.tolist(), abs=1e-5)
    assert line["truncated"] == {"tokens": 36, "read": 8, "part": "end"}


def test_special_tokens_in_a_text_are_read_as_the_tokenizer_says(tmp_path):
    tokenizer = words_tokenizer()
    tokenizer.split_special_tokens = True
    tokenizer.save_pretrained(tmp_path)
    wanted = tokenizer("good [SEP] bad")["input_ids"]
    ours = FolderTokenizer(tmp_path, 16, False, Tokenization(split_special_tokens=True))
    [found] = ours([Text("here", ("good [SEP] bad",))])
    assert list(found.ids) == wanted
    assert wanted != words_tokenizer()("good [SEP] bad")["input_ids"]


def phobert(folder):
    """A tokenizer that transformers has in Python only."""
    (folder / "vocab.txt").write_text("good 9\nbad 9\nfi@@ 9\nlm 9\n")
    (folder / "bpe.codes").write_text("g o 9\ngo o 9\ngoo d</w> 9\n")
    from transformers import PhobertTokenizer

    return PhobertTokenizer(str(folder / "vocab.txt"), str(folder / "bpe.codes"))


def test_a_tokenizer_in_python_predicts_by_transformers(tmp_path):
    tokenizer = phobert(tmp_path)
    model = make_folder(tmp_path / "out", "huggingface", "classification", "roberta", tokenizer)
    assert not (tmp_path / "out" / "tokenizer.json").exists()
    [line, long] = predict(tmp_path / "out", ["good bad", "good " * 20])
    with torch.no_grad():
        shares = model(**tokenizer("good bad", return_tensors="pt")).logits[0].softmax(-1)
    assert list(line["scores"].values()) == pytest.approx(shares.tolist(), abs=1e-5)
    assert long["truncated"] == {"tokens": 22, "read": 8, "part": "start"}
    with pytest.raises(
        UserError, match=r"tokenizer\.json that this needs, allowed: --format huggingface"
    ):
        make_folder(tmp_path / "other", "onnx", "classification", "roberta", tokenizer)


def edited(folder, change):
    content = json.loads((folder / "plan.json").read_text())
    change(content)
    (folder / "plan.json").write_text(json.dumps(content))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan.update(labels=["pos", "neg"]),
        lambda plan: plan.update(pad=3),
        lambda plan: plan["card"]["settings"].update(max_length=4),
        lambda plan: plan["tokenization"].update(truncation_side="left"),
    ],
)
def test_what_was_edited_in_the_plan_is_noticed(tmp_path, format_, change):
    make_folder(tmp_path / "out", format_)
    edited(tmp_path / "out", change)
    with pytest.raises(UserError, match=r"plan\.json: says other class names, padding or settings"):
        predict(tmp_path / "out", ["good"])


def test_class_names_of_the_configuration_are_those_of_the_plan(tmp_path):
    make_folder(tmp_path / "out", "huggingface")
    content = json.loads((tmp_path / "out" / "config.json").read_text())
    content["id2label"] = {"0": "pos", "1": "neg"}
    (tmp_path / "out" / "config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"config\.json: does not hold the class names of plan"):
        predict(tmp_path / "out", ["good"])


def test_lists_of_words_are_tagged_as_they_are(tmp_path):
    make_folder(tmp_path / "out", task="ner")
    rows = tmp_path / "texts.jsonl"
    rows.write_text(json.dumps({"text": ["anna", "U.N.", "paris"]}) + "\n")
    [line] = predict(tmp_path / "out", file=rows)
    assert line["text"] == ("anna", "U.N.", "paris")
    [whole] = [words_of(Text("here", (("anna", "U.N.", "paris"),)))]
    assert [(word.text, word.start, word.end) for word in whole][1] == ("U.N.", 5, 9)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"good\n\nbad\n", r"texts.txt, line 2: is empty"),
        (b"good\nnaiv\xef\n", r"texts.txt, line 2: is not UTF-8 \(byte 0xef at 5\)"),
        (b"  \n", r"line 1: is empty"),
        (b"", r"texts.txt: is an empty file"),
    ],
)
def test_a_file_that_does_not_serve_is_refused_before_anything_is_said(tmp_path, content, said):
    make_folder(tmp_path / "out")
    (tmp_path / "texts.txt").write_bytes(content)
    with pytest.raises(UserError, match=said):
        predict(tmp_path / "out", file=tmp_path / "texts.txt")


def test_what_is_not_there_is_named(tmp_path):
    make_folder(tmp_path / "out")
    with pytest.raises(UserError, match="text 2: is empty"):
        predict(tmp_path / "out", ["good", " "])
    with pytest.raises(UserError, match="text 1: is not UTF-8"):
        predict(tmp_path / "out", ["caf\udce9"])
    with pytest.raises(UserError, match="no such file"):
        predict(tmp_path / "out", file=tmp_path / "nothing.txt")
    (tmp_path / "other.csv").write_text("review\ngood\n")
    with pytest.raises(UserError, match="no column 'text', there: review"):
        predict(tmp_path / "out", file=tmp_path / "other.csv")
    (tmp_path / "out" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json: is missing"):
        predict(tmp_path / "out", ["good"])
    with pytest.raises(UserError, match=r"has no plan\.json"):
        predict(tmp_path, ["good"])


@pytest.mark.parametrize("format_", FORMATS)
def test_tampered_weights_are_refused(tmp_path, format_):
    make_folder(tmp_path / "out", format_)
    name = "model.onnx" if format_ == "onnx" else "model.safetensors"
    content = bytearray((tmp_path / "out" / name).read_bytes())
    content[-9] ^= 1
    (tmp_path / "out" / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}: is not the file that was exported"):
        predict(tmp_path / "out", ["good"])


@pytest.mark.parametrize("format_", FORMATS)
def test_another_tokenizer_is_refused(tmp_path, format_):
    make_folder(tmp_path / "out", format_)
    file = tmp_path / "out" / "tokenizer.json"
    file.write_text(file.read_text().replace('"good"', '"fine"'))
    with pytest.raises(UserError, match=r"tokenizer\.json: is not the file that was exported"):
        predict(tmp_path / "out", ["good"])


@pytest.mark.parametrize("format_", FORMATS)
def test_without_a_tokenizer_nothing_is_made_up(tmp_path, format_):
    """Also where the plan, of an earlier version, does not know of one."""
    make_folder(tmp_path / "out", format_)
    edited(tmp_path / "out", lambda plan: plan["weights"].pop("tokenizer.json"))
    predict(tmp_path / "out", ["good"])
    (tmp_path / "out" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"out: has no tokenizer(\.json)?, allowed"):
        predict(tmp_path / "out", ["good"])


def test_byte_level_tokenizers_part_words_as_in_training(tmp_path):
    words = ["a", "b", "Ġ", "Ġa", "Ġb", "ab", "Ġab"]
    vocabulary = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *words])}
    merges = [("Ġ", "a"), ("Ġ", "b"), ("a", "b"), ("Ġa", "b")]
    tokenizer = RobertaTokenizerFast(vocab=vocabulary, merges=merges, add_prefix_space=True)
    tokenizer.save_pretrained(tmp_path)
    ours = FolderTokenizer(tmp_path, 8, by_word=True)
    sentence = ("ab", "a", "b", "ab")
    [found] = ours([Text("here", (sentence,))])
    wanted = tokenizer([list(sentence)], is_split_into_words=True, truncation=True, max_length=8)
    assert list(found.ids) == wanted["input_ids"][0]
    assert list(found.word_of) == wanted.word_ids(0)


def test_an_onnx_folder_predicts_without_torch(tmp_path):
    make_folder(tmp_path / "out")
    code = (
        "import sys; from pareto_prune.cli import main\n"
        f"sys.argv = ['pareto-prune', 'predict', {str(tmp_path / 'out')!r}, 'good', '{'a ' * 9}']\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code, ended.code\n"
        "heavy = {'torch', 'transformers', 'datasets', 'optuna', 'sqlalchemy', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["text"] == "good"
    assert done.stderr == "1 of 2 texts were too long: the model read their start\n"
