from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pareto_prune.core.errors import StudyFileError
from pareto_prune.inputs.examples import IGNORED, Rows
from pareto_prune.inputs.tasks import tasks
from pareto_prune.inputs.tokens import Tokens, Word
from tests.tasks.words import entities, words_tokenizer

TASK = tasks.create("ner")
NAMES = ("O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER")


def encoded(rows=None, max_length=32, names=NAMES):
    return TASK.encode(rows or entities(), words_tokenizer(), names, max_length)


def perfect(split):
    logits = np.zeros((len(split.ids), len(split.label_names)), dtype=np.float32)
    known = split.labels != IGNORED
    logits[known, split.labels[known]] = 5
    return logits


def test_names_are_outside_and_both_tags_of_every_type():
    assert TASK.label_names({"train": entities()}) == NAMES


def test_types_of_any_split_are_known():
    rare = Rows("dev", ([["anna"]],), [["B-ART"]])
    found = TASK.label_names({"train": entities(), "validation": rare})
    assert found == ("O", "B-ART", "I-ART", *NAMES[1:])


def test_names_of_a_head_or_of_the_data_are_followed_if_they_hold_all():
    head = ("B-PER", "I-PER", "O", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
    assert TASK.label_names({"train": entities()}, head) == head
    assert TASK.label_names({"train": entities()}, ("O", "B-PER")) == NAMES
    numbered = replace(entities(), labels=[[0, 2, 2, 5], [3, 4, 2, 2], [2, 2]], names=head)
    assert TASK.label_names({"train": numbered}) == head


def test_the_first_piece_bears_the_tag():
    split = encoded()
    tokenizer = words_tokenizer()
    second = slice(*split.offsets[1:3])
    assert tokenizer.convert_ids_to_tokens(split.ids[second].tolist()) == [
        *("[CLS]", "acme", "film", "##s", "the", "plot", "[SEP]")
    ]
    assert split.labels[second].tolist() == [
        *(IGNORED, NAMES.index("B-ORG"), NAMES.index("I-ORG"), IGNORED, 0, 0, IGNORED)
    ]


def test_a_word_that_vanishes_keeps_its_tag():
    rows = Rows("odd", ([["anna", "\u200b", "paris"]],), [["B-PER", "I-PER", "O"]])
    split = encoded(rows)
    assert split.labels.tolist() == [IGNORED, 5, 6, 0, IGNORED]
    assert split.ids[2] == words_tokenizer().unk_token_id


@pytest.mark.parametrize("odd", ["\u200d", "\ufe0f"])
def test_words_at_the_end_that_vanish_keep_their_tags(odd):
    rows = Rows("odd", ([["anna", odd, odd]],), [["B-PER", "I-PER", "O"]])
    for length in (5, 32):
        assert encoded(rows, length).labels.tolist() == [IGNORED, 5, 6, 0, IGNORED]
    assert encoded(rows, 4).labels.tolist() == [IGNORED, 5, 6, IGNORED]


SCHEMES = {
    "iobes": ("O", *(f"{prefix}-{kind}" for kind in ("PER", "LOC", "ORG") for prefix in "BIES")),
    "bilou": ("O", *(f"{prefix}-{kind}" for kind in ("ORG", "LOC", "PER") for prefix in "UBIL")),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_head_that_marks_ends_is_taught_and_scored_in_its_own_tags(scheme):
    head = SCHEMES[scheme]
    assert TASK.label_names({"train": entities()}, head) == head
    split = encoded(names=head)
    single, last = ("S", "E") if scheme == "iobes" else ("U", "L")
    tags = [head[label] for label in split.labels if label != IGNORED]
    assert tags[:6] == [f"{single}-PER", "O", "O", f"{single}-LOC", "B-ORG", f"{last}-ORG"]
    logits = perfect(split)
    assert TASK.quality(logits, split).metrics == {"span_f1": 1.0, "accuracy": 1.0}
    spans = TASK.report(logits, split)["spans"]
    assert spans["averages"]["micro"]["f1"] == 1.0
    assert spans["classes"].keys() == {"LOC", "ORG", "PER"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_entities_of_one_word_stay_apart_in_every_scheme(scheme):
    head = SCHEMES[scheme]
    single, last = ("S", "E") if scheme == "iobes" else ("U", "L")
    words = [Word(name, 5 * at, 5 * at + 4) for at, name in enumerate(("anna", "anna", "acme"))]
    words.append(Word("film", 15, 19))
    tokens = Tokens([2, 5, 5, 7, 8, 3], [0] * 6, words, [None, 0, 1, 2, 3, None], 6)
    said = ["O", f"{single}-PER", f"{single}-PER", "B-ORG", f"{last}-ORG", "O"]
    logits = 9 * np.eye(len(head), dtype=np.float32)[[head.index(tag) for tag in said]]
    found = TASK.prediction(logits, tokens, head)["entities"]
    assert [entity["text"] for entity in found] == ["anna", "anna", "acme film"]
    assert [entity["type"] for entity in found] == ["PER", "PER", "ORG"]


@pytest.mark.parametrize(
    "head",
    [
        (*NAMES, "S-PER"),
        (*NAMES, "X"),
        (*NAMES, "[PAD]"),
        (*SCHEMES["iobes"], "L-PER"),
        SCHEMES["iobes"][:-1],
    ],
)
def test_a_head_of_half_a_scheme_is_not_taken(head):
    assert TASK.label_names({"train": entities()}, head) == NAMES


def test_cut_sentences_lose_their_last_tags_only():
    split = encoded(max_length=4)
    first = slice(*split.offsets[:2])
    assert split.labels[first].tolist() == [IGNORED, NAMES.index("B-PER"), 0, IGNORED]


@pytest.mark.parametrize(
    "labels",
    [
        [["I-PER", "O", "O", "I-LOC"], ["I-ORG", "I-ORG", "O", "O"], ["O", "O"]],
        [["S-PER", "O", "O", "U-LOC"], ["B-ORG", "E-ORG", "O", "O"], ["O", "O"]],
    ],
)
def test_other_schemes_mean_the_same(labels):
    assert (encoded(replace(entities(), labels=labels)).labels == encoded().labels).all()


def test_batches_pad_the_tags():
    batch = encoded().batch(np.array([0, 2]))
    assert batch["labels"].shape == batch["input_ids"].shape == (2, 6)
    assert batch["labels"][1].tolist() == [IGNORED, 0, 0, IGNORED, IGNORED, IGNORED]
    assert batch["attention_mask"][1].tolist() == [1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["O"] * 4, ["O"] * 4, ["O"] * 2], "no entity in news"),
        ([["O"] * 3, ["O"] * 4, ["O"] * 2], "row 1 has 4 words and 3 tags"),
        ([["O"] * 4, "O", ["O"] * 2], "row 2 has 4 words and 'O'"),
        ([["O"] * 4, ["O", "PER", "O", "O"], ["O"] * 2], "'PER' is not a tag (row 2)"),
        ([[0] * 4, [0] * 4, [0] * 2], "tags are numbers without names (row 1)"),
        (None, "3 of 3 labels missing"),
    ],
)
def test_tags_that_do_not_serve(labels, message):
    with pytest.raises(StudyFileError) as error:
        TASK.label_names({"train": replace(entities(), labels=labels)})
    assert message in str(error.value)
    assert error.value.problems[0].where == "data.label"


@pytest.mark.parametrize("index", [-100, -1, 3, None, 1.0])
def test_a_tag_that_is_no_class_is_refused_with_its_row(index):
    names = ("O", "B-PER", "I-PER")
    rows = Rows("some", ([["anna"], ["anna", "was"]],), [[1], [1, index]], names)
    with pytest.raises(StudyFileError, match=f"{index} in row 2 is the index of no class in some"):
        TASK.label_names({"train": rows})


@pytest.mark.parametrize("sentence", [["in", 2020], ["in", None], [["in"]], [], "in", None])
def test_words_that_are_no_text_are_refused_with_their_row(sentence):
    rows = Rows("some", ([["anna"], sentence],))
    with pytest.raises(StudyFileError, match=r"data\.text: 1 of 2 texts missing.*row 2 first"):
        encoded(rows)


def test_a_table_without_rows_is_refused():
    with pytest.raises(StudyFileError, match="no rows in empty"):
        TASK.encode(Rows("empty", ([],), []), words_tokenizer(), NAMES, 8)


def test_texts_must_be_lists_of_words():
    rows = Rows("flat.csv", (["anna was"],), [["O", "O"]])
    with pytest.raises(StudyFileError, match=r"data\.text.*allowed: a list of words"):
        encoded(rows)


def test_an_unknown_tag_is_refused():
    with pytest.raises(StudyFileError, match=r"unknown tag 'B-ORG' \(row 2\) in news"):
        encoded(names=("O", "B-LOC", "I-LOC", "B-PER", "I-PER"))


def test_quality_by_hand():
    split = encoded()
    logits = perfect(split)
    assert TASK.quality(logits, split).metrics == {"span_f1": 1.0, "accuracy": 1.0}
    logits[split.offsets[0] + 1] = 0
    logits[split.offsets[0] + 1, NAMES.index("B-LOC")] = 9
    quality = TASK.quality(logits, split)
    assert quality.metrics["span_f1"] == pytest.approx(2 / 3)  # 2 of 3 right, 3 found
    assert quality.metrics["accuracy"] == pytest.approx(9 / 10)
    assert quality.examples == 3
    for metric, (low, high) in quality.intervals.items():
        assert low <= quality.metrics[metric] <= high


def test_report_has_spans_and_tokens():
    split = encoded()
    report = TASK.report(perfect(split), split)
    assert report["spans"]["classes"].keys() == {"LOC", "ORG", "PER"}
    assert report["spans"]["averages"]["micro"] == {
        "precision": 1.0,
        "recall": 1.0,
        "f1": 1.0,
        "support": 3,
    }
    assert report["tokens"]["classes"]["O"]["support"] == 6
    assert report["tokens"]["labels"] == list(NAMES)


def test_report_of_a_model_that_finds_nothing():
    split = encoded()
    logits = np.zeros((len(split.ids), len(NAMES)), dtype=np.float32)
    logits[:, 0] = 1
    report = TASK.report(logits, split)
    assert report["spans"]["averages"]["micro"]["f1"] == 0
    assert report["tokens"]["classes"]["O"]["recall"] == 1


def test_chance_is_the_share_of_the_commonest_tag():
    assert TASK.chance(encoded()) == {"accuracy": 0.6, "span_f1": 0.0}


def test_loss_ignores_what_bears_no_tag():
    logits = torch.zeros(1, 3, 2)
    logits[0, 0, 1] = 50
    loss = TASK.loss(logits, torch.tensor([[IGNORED, 0, 1]]))
    assert float(loss) == pytest.approx(np.log(2))
