"""All that answers for an exported model says of odd texts what the search would have scored.

The search's own evaluation is the measure; `predict` in both formats, the example of a folder for
ONNX Runtime, and `pareto_prune.load` with the tokenizer of the folder are held to it.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

import pareto_prune
from pareto_prune.core.errors import StudyFileError, UserError
from pareto_prune.core.records import SEEN
from pareto_prune.export.card import Card
from pareto_prune.export.deployed._texts import Text
from pareto_prune.export.deployed._tokens import words_of
from pareto_prune.export.deployed.predict import predict
from pareto_prune.export.formats import exporters
from pareto_prune.export.loading import load_tokenizer
from pareto_prune.export.manifest import Manifest
from pareto_prune.inputs.checkpoint import Checkpoint
from pareto_prune.inputs.examples import IGNORED, Rows
from pareto_prune.inputs.tasks import tasks
from pareto_prune.inputs.tokens import Tokens
from pareto_prune.inputs.vocabularies import Vocabularies
from pareto_prune.models.families import families
from pareto_prune.pruning.surgery import cut
from pareto_prune.trials.evaluation import logits_of
from tests.deployed.folders import NAMES, PLAN
from tests.deployed.tokenizers import VOCABULARY, tokenizer_for
from tests.tiny import MODEL_TYPES, tiny_model

LONGEST = 12
TEXTS = 200
ONE, TWO = ("text",), ("first", "second")

CASES = [
    ("bert", "classification", TWO, "right"),
    ("bert", "ner", ONE, "left"),
    ("roberta", "ner", ONE, "right"),
    ("roberta", "classification", TWO, "left"),
    ("xlm-roberta", "classification", ONE, "right"),
    ("camembert", "ner", ONE, "right"),
    ("electra", "ner", ONE, "right"),
    ("distilbert", "classification", ONE, "left"),
    ("gpt2", "classification", ONE, "right"),
    ("modernbert", "ner", ONE, "right"),
    ("mpnet", "classification", TWO, "left"),
    ("deberta", "classification", TWO, "left"),
    ("deberta-v2", "ner", ONE, "right"),
]

SMALLER = [CASES[1], CASES[2], CASES[4], CASES[8], CASES[10]]
"""One of every kind of tokenizer, and every way of counting positions."""

ODD = [
    "the film was good", "bad", "anna films", "not", "paris", "U.S.", "wait...", "(acme)", "don't",
    '"quoted"', "“so”", "'", '"', "«da»", "¿qué?", "naïve", "nai\u0308ve", "e\u0301", "\u0301",
    "महिमा", "हिनता", "ภาษาไทย", "ที่นี่", "مَرْحَبًا", "שָׁלוֹם", "日本語",
    "😀", "👩\u200d🚀", "❤\ufe0f", "\u200d", "\ufe0f", "a\u200bb", "\u00ad", "\u202bgood\u202c",
    "x" * 150, "état", "ÉTAT", "ﬁlm", "İstanbul", "ß", "5%", "$5", "--", "\x07", "\u00a0good",
    "[SEP]", "[UNK]", "<s>", "</s>", "<|endoftext|>", "state-of-the-art", "a.m.,",
]  # fmt: skip


def odd_texts(count: int, seed: int, longest: int) -> list[str]:
    """Return texts of one to so many odd parts, each with something in it."""
    drawn = random.Random(seed)
    texts = [*ODD, *(f"{part} good" for part in ODD)]
    while len(texts) < count:
        texts.append(
            drawn.choice((" ", "  ")).join(drawn.choices(ODD, k=drawn.randint(1, longest)))
        )
    return texts[:count]


@dataclass(frozen=True)
class Case:
    """One model, as the search has it, and its folders."""

    task: Any
    model: Any
    tokenizer: Any
    columns: tuple[str, ...]
    huggingface: Path
    onnx: Path
    names: tuple[str, ...]
    texts: list[str]

    def parts(self, text: str) -> list[str]:
        return text.split("\t") if len(self.columns) == 2 else [text]

    def words(self, text: str) -> list[Any]:
        return words_of(Text("here", (text,)))


def made(
    root: Path,
    model_type: str,
    task_name: str,
    columns: tuple[str, ...],
    side: str,
    corpus: tuple[str, ...] = (),
) -> Case:
    """Take the way of a trial: a checkpoint, a model that is kept, its exports.

    With a ``corpus`` the vocabulary is cut down to its tokens.
    """
    model = tiny_model(model_type, task_name, labels=len(NAMES[task_name]), vocab_size=VOCABULARY)
    model.config.id2label = dict(enumerate(NAMES[task_name]))
    given = tokenizer_for(model_type)
    model.config.save_pretrained(root / "checkpoint")
    given.save_pretrained(root / "checkpoint")
    settings = root / "checkpoint" / "tokenizer_config.json"
    said = {**json.loads(settings.read_text()), "truncation_side": side}
    settings.write_text(json.dumps(said))
    task = tasks.create(task_name)
    tokenizer = Checkpoint(str(root / "checkpoint")).tokenizer(task)
    assert tokenizer.truncation_side == side
    model.config.pad_token_id = tokenizer.pad_token_id
    plan = PLAN
    if corpus:
        texts = [text.split() for text in corpus] if task.splits_words else list(corpus)
        smaller = Vocabularies(tokenizer, model.config, task, [Rows("corpus", (texts,))]).of(SEEN)
        assert len(smaller.rows) < len(tokenizer)
        plan, tokenizer = PLAN.with_rows(smaller.rows), smaller.tokenizer
    model = cut(model, plan)
    exporters.create("huggingface").export(model, tokenizer, plan, root / "kept", Card())
    card = Card(task=task_name, settings={"max_length": LONGEST, "text": list(columns)})
    for name in ("huggingface", "onnx"):
        kept, saved = pareto_prune.load(root / "kept"), load_tokenizer(root / "kept")
        plan = Manifest.read(root / "kept").plan
        exporters.create(name).export(kept, saved, plan, root / name, card)
    # tokenizers makes every pair of the parts that are left over: long pairs take long
    longest = 60 if len(columns) == 1 else 6
    sides = [odd_texts(TEXTS, seed, longest) for seed in range(len(columns))]
    random.Random(2).shuffle(sides[-1])
    texts = ["\t".join(pair) for pair in zip(*sides, strict=True)]
    names = NAMES[task_name]
    return Case(task, model, tokenizer, columns, root / "huggingface", root / "onnx", names, texts)


def searched(case: Case) -> list[tuple[Any, dict[str, Any]]]:
    """Return what the search's evaluation says: probabilities or tags, and the prediction."""
    if case.task.splits_words:
        words = [[word.text for word in case.words(text)] for text in case.texts]
        rows = Rows("odd", (words,), [["O"] * len(row) for row in words])
    else:
        columns = zip(*(case.parts(text) for text in case.texts), strict=True)
        rows = Rows("odd", tuple(map(list, columns)), [case.names[0]] * len(case.texts))
    split = case.task.encode(rows, case.tokenizer, case.names, LONGEST)
    logits = logits_of(case.model, split)
    return [_said(case, split, logits, row) for row in range(len(split))]


def _said(case: Case, split: Any, logits: Any, row: int) -> tuple[Any, dict[str, Any]]:
    if not split.by_token:
        tokens = Tokens((), (), (), (), 0)
        said = case.task.prediction(logits[row], tokens, case.names)
        return list(said["scores"].values()), said
    inside = slice(*split.offsets[row : row + 2])
    first = np.flatnonzero(split.labels[inside] != IGNORED)
    words = case.words(case.texts[row])
    begin = len(words) - len(first) if case.tokenizer.truncation_side == "left" else 0
    word_of: list[int | None] = [None] * len(split.ids[inside])
    for at, token in enumerate(first):
        word_of[token] = begin + at
    tokens = Tokens(split.ids[inside], (), words, word_of, 0)
    tags = [case.names[tag] for tag in logits[inside][first].argmax(-1)]
    said = case.task.prediction(logits[inside], tokens, case.names)
    cut_off = ["cut"] * (len(words) - len(tags))
    return (cut_off + tags if begin else tags + cut_off), said


def same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Return whether two predictions say the same, probabilities within 1e-4."""
    if "entities" not in wanted:
        return found["label"] == wanted["label"] and found["scores"] == pytest.approx(
            wanted["scores"], abs=1e-4
        )
    sides = zip(found["entities"], wanted["entities"], strict=True)
    return all(
        {**one, "score": 0} == {**two, "score": 0}
        and one["score"] == pytest.approx(two["score"], abs=1e-4)
        for one, two in sides
    )


def printed_by_example(case: Case, monkeypatch: Any, capsys: Any) -> list[str]:
    """Return the lines of the folder's example, run in this process."""
    spec = importlib.util.spec_from_file_location("example", case.onnx / "example.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(sys, "argv", ["example.py", *case.texts])
    capsys.readouterr()
    example.main()
    return capsys.readouterr().out.split("\n")[: len(case.texts)]


def loaded(case: Case) -> list[Any]:
    """Return what the model says to one who loads it: probabilities, or tags by word.

    Nothing stands for a text whose tokenizer drops a word: transformers says nothing of it.
    """
    model, tokenizer = (
        pareto_prune.load(case.huggingface),
        AutoTokenizer.from_pretrained(case.huggingface),
    )
    words = case.task.splits_words
    given = [[word.text for word in case.words(text)] for text in case.texts] if words else None
    columns = list(zip(*(case.parts(text) for text in case.texts), strict=True))
    inputs = tokenizer(
        *([given] if words else map(list, columns)),
        is_split_into_words=words, truncation=True, max_length=LONGEST, padding=True,
        return_tensors="pt",
    )  # fmt: skip
    with torch.no_grad():
        found = model(**inputs).logits.softmax(-1).numpy()
    if not words:
        return [row.tolist() for row in found]
    counts = map(len, given)
    return [
        _tags(case, count, inputs.word_ids(at), row)
        for at, (count, row) in enumerate(zip(counts, found, strict=True))
    ]


def _tags(case: Case, count: int, word_of: list[int | None], shares: Any) -> Any:
    first: dict[int, int] = {}
    for at, word in enumerate(word_of):
        if word is not None:
            first.setdefault(word, at)
    if not first or set(range(min(first), max(first) + 1)) != set(first):
        return None
    left = case.tokenizer.truncation_side == "left"
    if (max(first) < count - 1) if left else min(first) > 0:
        return None
    return [case.names[shares[at].argmax()] for at in first.values()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join((*case[:2], case[3])))
def test_one_answer(case, tmp_path, monkeypatch, capsys):
    check_one_answer(made(tmp_path, *case), monkeypatch, capsys)


@pytest.mark.parametrize("case", SMALLER, ids=lambda case: "-".join((*case[:2], case[3])))
def test_one_answer_with_a_smaller_vocabulary(case, tmp_path, monkeypatch, capsys):
    check_one_answer(made(tmp_path, *case, corpus=("the film", "paris")), monkeypatch, capsys)


def check_one_answer(case: Case, monkeypatch: Any, capsys: Any) -> None:
    """All that answers for a case says the same."""
    wanted = searched(case)
    for folder in (case.huggingface, case.onnx):
        for text, found, (_, expected) in zip(
            case.texts, predict(folder, case.texts), wanted, strict=True
        ):
            assert same(found, expected), (folder.name, text)
    lines = printed_by_example(case, monkeypatch, capsys)
    for text, line, (shares, _) in zip(case.texts, lines, wanted, strict=True):
        if case.task.splits_words:
            pairs = zip(case.words(text), shares, strict=True)
            assert line == " ".join(f"{word.text}/{tag}" for word, tag in pairs)
        else:
            label, share, _ = line.split(" ", 2)
            assert label == case.names[int(np.argmax(shares))]
            assert float(share) == pytest.approx(max(shares), abs=6e-4)
    compared = [pair for pair in zip(loaded(case), wanted, strict=True) if _comparable(*pair)]
    assert len(compared) > TEXTS / 3
    for answer, (shares, _) in compared:
        if case.task.splits_words:
            assert answer == [tag for tag in shares if tag != "cut"]
        else:
            assert answer == pytest.approx(shares, abs=1e-4)


def _comparable(answer: Any, wanted: tuple[Any, Any]) -> bool:
    """Return whether no word had to be filled in: probabilities, or as many tags on both sides."""
    shares, said = wanted
    if "entities" not in said:
        return True
    return answer is not None and len(answer) == sum(tag != "cut" for tag in shares)


def test_every_family_and_task_has_a_case():
    assert {model_type for model_type, *_ in CASES} == set(MODEL_TYPES)
    assert {task for _, task, *_ in CASES} == {"classification", "ner"}
    supported = {
        name for family in families.names() for name in families.member(family).model_types
    }
    assert set(MODEL_TYPES) == supported


def test_an_empty_side_of_a_pair_is_refused_by_both(tmp_path):
    case = made(tmp_path, *CASES[0])
    with pytest.raises(StudyFileError, match="texts missing"):
        case.task.encode(Rows("r", (["good"], [""]), ["neg"]), case.tokenizer, case.names, LONGEST)
    with pytest.raises(UserError, match="text 1: is empty"):
        predict(case.onnx, ["good\t"])
