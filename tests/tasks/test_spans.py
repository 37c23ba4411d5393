from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2, Entities

from pareto_prune.inputs.tasks._spans import SpanCounter, split_tag, to_iob2

NAMES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

tag_lists = st.lists(st.lists(st.sampled_from(range(5)), min_size=1, max_size=9), min_size=1)


@st.composite
def two_taggings(draw):
    """Gold tags (proper IOB2) and predicted tags (anything) of the same sentences."""
    gold = draw(tag_lists)
    predicted = [
        draw(st.lists(st.sampled_from(range(5)), min_size=len(s), max_size=len(s))) for s in gold
    ]
    proper = [to_iob2([NAMES[tag] for tag in sentence]) for sentence in gold]
    return proper, [[NAMES[tag] for tag in sentence] for sentence in predicted]


def flat(sentences):
    return np.array([NAMES.index(tag) for sentence in sentences for tag in sentence])


@given(two_taggings())
def test_counts_are_those_of_seqeval_in_strict_mode(tagged):
    gold, predicted = tagged
    sentence = np.repeat(np.arange(len(gold)), [len(s) for s in gold])
    right, there, found = SpanCounter(NAMES)(flat(gold), flat(predicted), sentence).sum(0)
    assert there == sum(map(len, Entities(gold, IOB2).entities))
    assert found == sum(map(len, Entities(predicted, IOB2).entities))
    if there and found:
        options = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
        assert right / found == pytest.approx(precision_score(gold, predicted, **options))
        assert right / there == pytest.approx(recall_score(gold, predicted, **options))
        f1 = f1_score(gold, predicted, **options)
        assert 2 * right / (there + found) == pytest.approx(f1)


def test_counts_are_by_sentence_and_spans_do_not_cross_sentences():
    gold = np.array([1, 2, 0, 3, 4])
    sentence = np.array([0, 0, 0, 1, 1])
    assert SpanCounter(NAMES)(gold, gold, sentence).tolist() == [[1, 1, 1], [1, 1, 1]]
    crossing = np.array([0, 0, 1, 2, 0])
    assert SpanCounter(NAMES)(crossing, crossing, sentence).tolist() == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("given_tags", "expected"),
    [
        ("I-PER I-PER O I-LOC", "B-PER I-PER O B-LOC"),  # IOB1
        ("I-PER B-PER I-PER", "B-PER B-PER I-PER"),  # IOB1: B only between neighbours
        ("I-PER I-LOC", "B-PER B-LOC"),
        ("B-PER I-PER B-LOC", "B-PER I-PER B-LOC"),  # IOB2 stays
        ("S-PER B-LOC I-LOC E-LOC", "B-PER B-LOC I-LOC I-LOC"),  # IOBES
        ("U-PER B-LOC L-LOC", "B-PER B-LOC I-LOC"),  # BILOU
        ("B-creative-work I-creative-work", "B-creative-work I-creative-work"),
    ],
)
def test_tags_are_brought_to_iob2(given_tags, expected):
    assert to_iob2(given_tags.split()) == expected.split()


@given(tag_lists)
def test_iob2_is_kept_and_reached(sentences):
    for sentence in sentences:
        once = to_iob2([NAMES[tag] for tag in sentence])
        assert to_iob2(once) == once
        assert sum(tag != "O" for tag in once) == sum(tag != 0 for tag in sentence)


@given(st.lists(st.sampled_from(["B-PER", "I-PER", "B-LOC", "I-LOC", "O"]), max_size=12))
def test_iob1_and_iob2_say_the_same(tags):
    proper = to_iob2(tags)
    pairs = zip(["O", *proper], proper, strict=False)
    touching = [tag[:2] == "B-" and before[2:] == tag[2:] for before, tag in pairs]
    iob1 = [
        tag if tag == "O" or touches else f"I-{tag[2:]}"
        for tag, touches in zip(proper, touching, strict=True)
    ]
    assert to_iob2(iob1) == proper


@pytest.mark.parametrize("tag", ["PER", "B-", "X-PER", "", "o"])
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(ValueError, match="is not a tag"):
        split_tag(tag)
