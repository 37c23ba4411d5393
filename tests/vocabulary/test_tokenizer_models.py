"""A tokenizer that lost tokens: nothing changes for the corpus, and every text still has tokens."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as drawn
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, BertweetTokenizer, PreTrainedTokenizerFast

from pareto_prune.core.errors import StudyFileError
from pareto_prune.core.records import SEEN
from pareto_prune.inputs.cut_tokenizer import cut_tokenizer, document_of, tokens_that_stay
from pareto_prune.inputs.vocabularies import chosen
from tests.deployed.test_parity import ODD
from tests.vocabulary.tokenizers import ROWS, SPECIAL, kinds, trained, vocabularies

SYLLABLES = ("ba", "bo", "bad", "du", "dum", "ki", "kin", "é", "na", "nai", "ї", "मह", "st", "sta")


def words(count: int, seed: int) -> list[str]:
    """Return texts of made-up words that have much in common."""
    source = random.Random(seed)
    return [
        " ".join("".join(source.choices(SYLLABLES, k=source.randint(1, 4))) for _ in range(6))
        for _ in range(count)
    ]


def pieces(tokenizer: Any, text: str) -> list[str]:
    """Return the tokens of a text as their names."""
    return tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])


TEXTS = words(120, seed=0)
KNOWN = {kind: trained(kind, TEXTS) for kind in kinds()}


@pytest.mark.parametrize("kind", kinds())
@settings(max_examples=12, deadline=None)
@given(
    corpus=drawn.lists(
        drawn.sampled_from([*words(60, seed=1), *ODD, *TEXTS]), min_size=1, max_size=12
    ),
    others=drawn.lists(drawn.text(max_size=20), max_size=20),
)
def test_nothing_changes_for_the_corpus(kind, corpus, others):
    whole = KNOWN[kind]
    texts = [text for text in corpus if text.strip()] or ["ba"]
    found = vocabularies(whole, texts).of(SEEN)
    assert len(found.rows) < len(whole)
    for text in texts:
        assert pieces(found.tokenizer, text) == pieces(whole, text)
        assert [found.rows[i] for i in found.tokenizer(text)["input_ids"]] == whole(text).input_ids
    for text in [*others, *ODD, *TEXTS]:
        check_reads(found.tokenizer, whole, text)


@pytest.mark.parametrize("kind", kinds())
def test_a_share_keeps_what_is_used_most(kind):
    whole, made = KNOWN[kind], vocabularies(KNOWN[kind], TEXTS)
    least, few, more, all_ = (made.of(share) for share in (0.0, 0.3, 0.4, 1.0))
    assert set(least.rows) <= set(few.rows) <= set(more.rows) <= set(all_.rows)
    assert len(least.rows) < len(all_.rows) == len(whole)
    for share, found in ((0.3, few), (0.4, more)):
        assert len(found.rows) <= max(round(share * ROWS), len(least.rows))
    seen = set(made.of(SEEN).rows)
    assert set(few.rows) <= seen or seen <= set(few.rows)
    for text in [*ODD, *TEXTS]:
        check_reads(least.tokenizer, whole, text)


def check_reads(smaller: Any, whole: Any, text: str) -> None:
    """A text has tokens, and new unknown ones only where a character has no token of its own."""
    said, before = pieces(smaller, text), pieces(whole, text)
    assert bool(said) == bool(before)
    if "<unk>" in said and "<unk>" not in before:
        assert lacks_a_form(whole, text)


def lacks_a_form(whole: Any, text: str) -> bool:
    """Return whether a character is no token at one of the places in a word that it may have."""
    backend, known = whole.backend_tokenizer, set(whole.get_vocab())
    model = json.loads(backend.to_str())["model"]
    begin, end = (model.get(n) or "" for n in ("continuing_subword_prefix", "end_of_word_suffix"))
    plain = backend.normalizer.normalize_str(text) if backend.normalizer else text
    forms = [a + "{}" + b for a in {"", begin} for b in {"", end}]
    return any(form.format(c) not in known for form in forms for c in plain if not c.isspace())


@pytest.mark.parametrize("kind", kinds())
def test_it_loads_as_any_other(kind, tmp_path):
    found = vocabularies(KNOWN[kind], TEXTS[:4]).of(SEEN).tokenizer
    found.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    bare = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [*ODD, *TEXTS]:
        assert loaded(text)["input_ids"] == found(text)["input_ids"] == bare.encode(text).ids
    assert loaded.pad_token_id == found.pad_token_id == found.get_vocab()["<pad>"]


def test_a_word_that_is_unknown_stays_unknown():
    pieces_ = [*SPECIAL, "a", "ab", "##bc", "##b", "x", "##x"]
    model = models.WordPiece({piece: i for i, piece in enumerate(pieces_)}, unk_token="<unk>")
    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    whole = PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", cls_token="<s>"
    )
    corpus = ["abc", "xbc a"]
    assert pieces(whole, "abc") == ["<unk>"]
    found = vocabularies(whole, corpus).of(SEEN)
    assert pieces(found.tokenizer, "abc") == ["<unk>"]
    kept = [row for row in found.rows if row != whole.get_vocab()["ab"]]
    assert pieces(cut_tokenizer(whole, kept), "abc") == ["a", "##bc"]


def test_the_lowest_score_stays_so_that_an_unknown_character_has_its_own():
    scores = {"▁": -1.0, "v": -100.0, "wéb": -100.0, "vw": -1.0, "b": -1.0, "zz": -250.0}
    scored = [*((name, 0.0) for name in SPECIAL), *scores.items()]
    backend = Tokenizer(models.Unigram(scored, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    whole = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")
    found = vocabularies(whole, ["vwéb", "vw b"]).of(SEEN)
    assert pieces(found.tokenizer, "vwéb") == pieces(whole, "vwéb") == ["▁", "v", "wéb"]
    kept = [row for row in found.rows if row != whole.get_vocab()["zz"]]
    assert "<unk>" in pieces(cut_tokenizer(whole, kept), "vwéb")


def test_what_a_token_is_merged_from_stays_with_it():
    parts = {6: {4, 5}, 7: {6, 3}, 9: {8, 3}}
    assert chosen([7], (), parts, room=10) == {3, 4, 5, 6, 7}
    assert chosen([7, 9], (0,), parts, room=5) == {0}
    assert chosen([9, 7], (0,), parts, room=5) == {0, 3, 8, 9}


def test_what_is_named_outside_of_the_model_stays():
    whole = KNOWN["wordpiece"]
    whole.add_tokens(["<extra>"])
    try:
        named = {whole.get_vocab()[token] for token in (*SPECIAL, "<extra>")}
        assert named <= tokens_that_stay(document_of(whole))
        found = vocabularies(whole, TEXTS[:3]).of(0.0)
        assert pieces(found.tokenizer, "<extra>") == ["<extra>"]
    finally:
        KNOWN["wordpiece"] = trained("wordpiece", TEXTS)


def test_a_tokenizer_of_whole_words_is_refused():
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "<pad>": 1, "a": 2}, unk_token="<unk>"))
    whole = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")
    with pytest.raises(StudyFileError, match=r"search\.vocabulary: the tokenizer is a WordLevel"):
        vocabularies(whole, ["a"])


def test_a_slow_tokenizer_is_refused(tmp_path):
    (tmp_path / "vocab.txt").write_text("film 1\nplot 1")
    (tmp_path / "bpe.codes").write_text("f i 1\nl m</w> 1")
    slow = BertweetTokenizer(str(tmp_path / "vocab.txt"), str(tmp_path / "bpe.codes"))
    with pytest.raises(StudyFileError, match=r"search\.vocabulary: the tokenizer is a slow one"):
        document_of(slow)
