"""A tokenizer with some of its tokens alone, made as whoever gets an export will load it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_prune.core.errors import StudyFileError
from pareto_prune.inputs.checkpoint import quiet_transformers
from pareto_prune.inputs.table import refused
from pareto_prune.inputs.vocabulary import Content, TokenizerModel, tokenizer_models
from pareto_prune.inputs.vocabulary._document import numbers_in, renumbered

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KEY = "search.vocabulary"
FILE = "tokenizer.json"
_SETTINGS = "tokenizer_config.json"
_SIDES = ("padding_side", "truncation_side")


def document_of(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return the content of a tokenizer's ``tokenizer.json``.

    Raises:
        StudyFileError: it has none, or one of a model that cannot be cut.
    """
    given: Any = tokenizer
    if not given.is_fast:
        raise refused(KEY, f"the tokenizer is a slow one, without {FILE}", "leave it out")
    document: dict[str, Any] = json.loads(given.backend_tokenizer.to_str())
    kind, known = document["model"]["type"], tokenizer_models.names()
    if kind not in known:
        wrong = f"the tokenizer is a {kind} model, whose vocabulary cannot be cut"
        raise refused(KEY, wrong, f"a tokenizer of {', '.join(known)}, or leave it out")
    return document


def model_of(document: dict[str, Any]) -> tuple[TokenizerModel, Content]:
    """Return what knows the model of a ``tokenizer.json``, and the content of that model."""
    content = document["model"]
    return tokenizer_models.create(content["type"]), content


def tokens_that_stay(document: dict[str, Any]) -> set[int]:
    """Return the tokens of a ``tokenizer.json`` that no cut takes."""
    member, content = model_of(document)
    return member.stays(content) | numbers_in(document)


def cut_tokenizer(tokenizer: PreTrainedTokenizerBase, kept: Sequence[int]) -> Any:
    """Return a tokenizer with these tokens alone, numbered in their order.

    Args:
        tokenizer: stays as it is.
        kept: numbers of tokens, strictly increasing, with all of :func:`tokens_that_stay`; there
            may be some without a token among them.

    Raises:
        StudyFileError: what was made gives other numbers.
    """
    document = document_of(tokenizer)
    member, content = model_of(document)
    new = {number: position for position, number in enumerate(kept)}
    smaller = {**renumbered(document, new), "model": member.cut(content, new)}
    made = _loaded(tokenizer, smaller)
    wanted = {token: new[n] for token, n in tokenizer.get_vocab().items() if n in new}
    if made.get_vocab() != wanted:
        raise unlike("its tokens have other numbers once some are gone")
    return made


def _loaded(tokenizer: PreTrainedTokenizerBase, document: dict[str, Any]) -> Any:
    """Return the tokenizer of a document, with all settings of another one."""
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        tokenizer.save_pretrained(folder)
        for file in Path(folder).iterdir():
            if file.name != _SETTINGS:
                file.unlink()
        (Path(folder) / FILE).write_text(json.dumps(document), encoding="utf-8")
        made: Any = type(tokenizer).from_pretrained(folder)
    for name in _SIDES:
        setattr(made, name, getattr(tokenizer, name))
    return made


def unlike(why: str) -> StudyFileError:
    """Return the error of a tokenizer that is another one once it is cut, to be raised."""
    return refused(KEY, f"the vocabulary of this tokenizer cannot be cut: {why}", "leave it out")
