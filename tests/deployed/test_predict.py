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
    assert line["truncated"] == {"tokens": 10002, "read": 8}
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
    with pytest.raises(UserError, match="no such file"):
        predict(tmp_path / "out", file=tmp_path / "nothing.txt")
    (tmp_path / "other.csv").write_text("review\ngood\n")
    with pytest.raises(UserError, match="no column 'text', there: review"):
        predict(tmp_path / "out", file=tmp_path / "other.csv")
    (tmp_path / "out" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"has no tokenizer\.json"):
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


def test_byte_level_tokenizers_part_words_as_in_training(tmp_path):
    words = ["a", "b", "Ġ", "Ġa", "Ġb", "ab", "Ġab"]
    vocabulary = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *words])}
    merges = [("Ġ", "a"), ("Ġ", "b"), ("a", "b"), ("Ġa", "b")]
    tokenizer = RobertaTokenizerFast(vocab=vocabulary, merges=merges, add_prefix_space=True)
    tokenizer.save_pretrained(tmp_path)
    ours = FolderTokenizer(tmp_path, 8, by_word=True, pad=1)
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
