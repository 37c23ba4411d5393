"""A tiny tokenizer of every kind that the supported models have."""

from __future__ import annotations

import string
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    BertTokenizerFast,
    CamembertTokenizerFast,
    DebertaTokenizerFast,
    DebertaV2TokenizerFast,
    DistilBertTokenizerFast,
    ElectraTokenizerFast,
    GPT2TokenizerFast,
    MPNetTokenizerFast,
    RobertaTokenizerFast,
    XLMRobertaTokenizerFast,
)

from tests.tasks.words import PIECES, SPECIAL, WORDS

VOCABULARY = 330
"""Rows of the models' tables: no tokenizer here has more tokens."""

LETTERS = string.ascii_lowercase + string.digits + ".,'-" + "éमह"


def tokenizer_for(model_type: str) -> Any:
    """Return a tokenizer of the class that models of this type have."""
    return _MAKERS[model_type]()


def _pieces(kind: Any, special: tuple[str, ...] = tuple(SPECIAL)) -> Any:
    pieces = (*special, *WORDS, *PIECES, *LETTERS, *(f"##{letter}" for letter in LETTERS))
    return kind(vocab={piece: index for index, piece in enumerate(pieces)})


def _bytes(kind: Any, special: tuple[str, ...]) -> Any:
    merges = [("g", "o"), ("Ġ", "g"), ("f", "i"), ("Ġ", "t"), ("h", "e"), ("Ġt", "he")]
    pieces = (*special, *sorted(ByteLevel.alphabet()), *("".join(pair) for pair in merges))
    return kind(vocab={piece: index for index, piece in enumerate(pieces)}, merges=merges)


def _unigrams(kind: Any, special: tuple[str, ...]) -> Any:
    pieces = [*(f"▁{word}" for word in WORDS), "▁", *LETTERS]
    return kind(vocab=[*((name, 0.0) for name in special), *((p, -2.0) for p in pieces)])


_FAIRSEQ = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_MAKERS = {
    "bert": lambda: _pieces(BertTokenizerFast),
    "electra": lambda: _pieces(ElectraTokenizerFast),
    "distilbert": lambda: _pieces(DistilBertTokenizerFast),
    "modernbert": lambda: _pieces(BertTokenizerFast),
    "mpnet": lambda: _pieces(MPNetTokenizerFast, ("<s>", "<pad>", "</s>", "[UNK]", "<mask>")),
    "roberta": lambda: _bytes(RobertaTokenizerFast, _FAIRSEQ),
    "deberta": lambda: _bytes(DebertaTokenizerFast, ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")),
    "deberta-v2": lambda: _unigrams(
        DebertaV2TokenizerFast, ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
    ),
    "gpt2": lambda: _bytes(GPT2TokenizerFast, ("<|endoftext|>",)),
    "xlm-roberta": lambda: _unigrams(XLMRobertaTokenizerFast, _FAIRSEQ),
    "camembert": lambda: _unigrams(
        CamembertTokenizerFast, ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<s>", "</s>")
    ),
}
