"""Small tokenizers of every model that can be cut, trained on a few texts."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from pareto_prune.inputs.examples import Rows
from pareto_prune.inputs.tasks import tasks
from pareto_prune.inputs.vocabularies import Vocabularies
from tests.tiny import tiny_model

SPECIAL = ["<unk>", "<pad>", "<s>", "</s>"]
ROWS = 600
"""Of the models: no tokenizer here has more tokens."""


def kinds() -> list[str]:
    """Return the names of the tokenizers that there are."""
    return list(_MAKERS)


def trained(kind: str, texts: list[str]) -> Any:
    """Return a tokenizer of this kind whose pieces were learned from some texts."""
    tokenizer, trainer = _MAKERS[kind]()
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="<pad>",
        cls_token="<s>",
        sep_token="</s>",
    )


def vocabularies(tokenizer: Any, texts: list[str], model_type: str = "bert", **sizes: Any) -> Any:
    """Return the smaller vocabularies of a tokenizer by these texts."""
    config = tiny_model(model_type, vocab_size=ROWS, **sizes).config
    config.pad_token_id = tokenizer.pad_token_id
    task = tasks.create("classification")
    return Vocabularies(tokenizer, config, task, [Rows("corpus", (texts,))])


def _bert() -> tuple[Tokenizer, Any]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer, trainers.WordPieceTrainer(vocab_size=300, special_tokens=SPECIAL)


def _bytes() -> tuple[Tokenizer, Any]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    return tokenizer, trainer


def _characters(**marks: str) -> tuple[Tokenizer, Any]:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", **marks))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer, trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, **marks)


def _fallback() -> tuple[Tokenizer, Any]:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    names = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    return tokenizer, trainers.BpeTrainer(vocab_size=500, special_tokens=names)


def _unigram() -> tuple[Tokenizer, Any]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=250, special_tokens=SPECIAL, unk_token="<unk>")
    return tokenizer, trainer


_MAKERS = {
    "wordpiece": _bert,
    "byte-level": _bytes,
    "characters": _characters,
    "word ends": lambda: _characters(end_of_word_suffix="</w>"),
    "going on": lambda: _characters(continuing_subword_prefix="##"),
    "byte fallback": _fallback,
    "unigram": _unigram,
}
