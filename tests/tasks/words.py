"""A word-piece tokenizer of plain words whose longer forms come in pieces, and rows for it."""

from __future__ import annotations

from transformers import BertTokenizerFast, PreTrainedTokenizerBase

from pareto_prune.inputs.examples import Rows

WORDS = ("good", "bad", "film", "plot", "the", "a", "was", "not", "paris", "anna", "acme")
PIECES = ("##s", "##ly", "##ing")
SPECIAL = ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]")


def words_tokenizer() -> PreTrainedTokenizerBase:
    vocabulary = (*SPECIAL, *WORDS, *PIECES)
    return BertTokenizerFast(vocab={word: index for index, word in enumerate(vocabulary)})


def sentiment(rows: int) -> Rows:
    """Texts that say good or bad, in turn."""
    texts = [f"the film was {('good', 'bad')[i % 2]}" + " a" * (i % 5) for i in range(rows)]
    return Rows("reviews", (texts,), [("pos", "neg")[i % 2] for i in range(rows)])


def entities() -> Rows:
    """Three sentences with two entity types, IOB2."""
    return Rows(
        "news",
        ([["anna", "was", "not", "paris"], ["acme", "films", "the", "plot"], ["the", "plot"]],),
        [["B-PER", "O", "O", "B-LOC"], ["B-ORG", "I-ORG", "O", "O"], ["O", "O"]],
    )
