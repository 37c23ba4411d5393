"""Named-entity recognition: one tag for each word, scored by whole spans."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pareto_prune.core.objectives import Objective, metric
from pareto_prune.core.records import Quality
from pareto_prune.inputs.examples import IGNORED, Indices, Rows, Split
from pareto_prune.inputs.tasks import _encoding, _labels, _schemes, _scores, tasks
from pareto_prune.inputs.tasks._classes import ACCURACY, ClassLogits, probabilities
from pareto_prune.inputs.tasks._spans import SpanCounter, split_tag, to_iob2
from pareto_prune.inputs.tokens import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase


@tasks.register("ner")
@dataclass(frozen=True)
class Ner(ClassLogits):
    """One tag for each word: span F1 (strict IOB2) and the accuracy of the tags."""

    metrics: ClassVar[tuple[Objective, ...]] = (metric("span_f1", "span F1"), ACCURACY)
    model_class: ClassVar[str] = "AutoModelForTokenClassification"
    pipeline: ClassVar[str] = "token-classification"
    splits_words: ClassVar[bool] = True

    @staticmethod
    def suits(texts: Sequence[Any], labels: Sequence[Any]) -> bool:
        """Return whether every text is a list of words with a tag for each."""
        pairs = list(zip(texts, labels, strict=True))
        listed = all(isinstance(part, list) for pair in pairs for part in pair)
        return bool(pairs) and listed and all(len(words) == len(tags) for words, tags in pairs)

    def label_names(
        self, splits: Mapping[str, Rows], order: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """Return ``O``, then ``B-`` and ``I-`` of every entity type of any split, sorted.

        The names of a checkpoint (``order``), else those of the data, are taken as they are if
        they hold all of these; they may be of a scheme that marks ends (IOBES, BILOU).
        """
        found = {name: _types(rows) for name, rows in splits.items()}
        for name in {"train", "validation"} & set(splits):
            if not found[name]:
                raise _labels.refused(splits[name], "no entity", "some word that is not O")
        kinds = sorted(set().union(*found.values()))
        needed = ("O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI"))
        for names in (order, splits["train"].names):
            if names is not None and set(needed) <= set(names) and _schemes.are_whole(names):
                return tuple(names)
        return needed

    def encode(
        self,
        rows: Rows,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        max_length: int,
    ) -> Split:
        """Return the words in pieces; the first piece of a word bears its tag, others none."""
        (words,) = _encoding.texts_of(rows, list)
        encoded = _tokenised(words, tokenizer, max_length)
        return Split(
            ids=_encoding.flat(encoded["input_ids"], np.int32),
            offsets=_encoding.offsets(encoded["input_ids"]),
            labels=_aligned(rows, words, encoded["words"], label_names),
            label_names=tuple(label_names),
            types=_encoding.token_types(encoded),
            pad=int(tokenizer.pad_token_id or 0),
            by_token=True,
        )

    def check(self, name: str, split: Split, train: Split) -> None:
        """Nothing: :meth:`label_names` has looked at all splits."""

    def strata(self, split: Split) -> Indices:
        """Return 0 for every sentence."""
        return np.zeros(len(split), dtype=np.int64)

    def quality(self, logits: NDArray[np.float32], split: Split) -> Quality:
        """Return span F1 and tag accuracy; intervals by bootstrap over sentences."""
        tagged, _ = _tagged(split)
        totals = self.outcomes(logits, split)
        outcomes, counts = np.unique(totals, axis=0, return_counts=True)
        once = np.ones(len(totals), dtype=np.int64)
        names = [metric.name for metric in self.metrics]
        return Quality(
            metrics={name: float(self.score(name, totals, once)) for name in names},
            intervals={
                name: _scores.interval(counts, partial(self.score, name, outcomes))
                for name in names
            },
            examples=len(split),
            loss=_scores.cross_entropy(logits[tagged], split.labels[tagged]),
        )

    def outcomes(self, logits: NDArray[np.float32], split: Split) -> Indices:
        """Return (right, gold, predicted) spans, right tags and tags of every sentence."""
        tagged, sentence = _tagged(split)
        gold, predicted = split.labels[tagged], logits[tagged].argmax(-1)
        return _totals(gold, predicted, sentence, split.label_names)

    def score(self, metric: str, outcomes: Indices, counts: _scores.Counts) -> _scores.Floats:
        """Return a metric of sentences, each of which occurs so many times."""
        return _OF_TOTALS[metric](counts @ outcomes.astype(np.int64))

    def report(self, logits: NDArray[np.float32], split: Split) -> dict[str, Any]:
        """Return two reports: ``spans`` by entity type (seqeval), ``tokens`` by tag, with ``O``."""
        tagged, sentence = _tagged(split)
        gold, predicted = split.labels[tagged], logits[tagged].argmax(-1)
        return {
            "spans": _span_report(gold, predicted, sentence, split.label_names),
            "tokens": _scores.class_report(gold, predicted, split.label_names),
        }

    def chance(self, split: Split) -> dict[str, float]:
        """Return the share of the most frequent tag for accuracy, 0 for span F1."""
        gold = split.labels[split.labels != IGNORED]
        return {"accuracy": float(np.bincount(gold).max() / len(gold)), "span_f1": 0.0}

    def beats_chance(self, quality: Quality, split: Split) -> bool:
        """Whether the accuracy's interval is above the most frequent tag's share."""
        return quality.intervals["accuracy"][0] > self.chance(split)["accuracy"]

    def prediction(
        self, logits: NDArray[np.float32], tokens: Tokens, labels: Sequence[str]
    ) -> dict[str, Any]:
        """Return ``entities``: ``type``, ``text``, ``start``, ``end`` (characters), ``score``."""
        return {"entities": list(_entities(tokens, probabilities(logits), labels))}

    @staticmethod
    def answer(text: str, word_of: list[int | None], logits: np.ndarray, labels: list[str]) -> str:
        """Return every word with its tag, that of its first piece."""
        first: dict[int | None, int] = {}
        for at, word in enumerate(word_of):
            first.setdefault(word, at)
        tags = {word: labels[logits[at].argmax()] for word, at in first.items()}
        return " ".join(f"{word}/{tags.get(at, 'cut')}" for at, word in enumerate(text.split()))


def _tags(rows: Rows) -> list[list[str]]:
    """Return the tags of every sentence, in IOB2."""
    sentences = _labels.labels_of(rows)
    (words,) = _encoding.texts_of(rows, list)
    for row, (tags, sentence) in enumerate(zip(sentences, words, strict=True)):
        if not isinstance(tags, list) or len(tags) != len(sentence):
            have = f"{len(tags)} tags" if isinstance(tags, list) else f"{tags!r}"
            wrong = f"row {rows.number(row)} has {len(sentence)} words and {have}"
            raise _labels.refused(rows, wrong, "a list with one tag a word")
    return [_iob2(rows, tags, row) for row, tags in enumerate(sentences)]


def _iob2(rows: Rows, tags: list[Any], row: int) -> list[str]:
    names = rows.names
    if names is None and any(isinstance(tag, int) for tag in tags):
        wrong = f"tags are numbers without names (row {rows.number(row)})"
        raise _labels.refused(rows, wrong, "tags such as B-PER")
    try:
        return to_iob2(
            [_labels.name_of(rows, tag, row) if names is not None else str(tag) for tag in tags]
        )
    except ValueError as error:
        wrong, _, allowed = str(error).partition(", allowed: ")
        raise _labels.refused(rows, f"{wrong} (row {rows.number(row)})", allowed) from None


def _types(rows: Rows) -> set[str]:
    tags = set(itertools.chain.from_iterable(_tags(rows)))
    return {split_tag(tag)[1] for tag in tags if tag != "O"}


def _tokenised(
    words: list[list[str]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, list[list[int]]]:
    """Return token ids and, for each token, the index of its word (-1 for special tokens).

    A word that the tokenizer drops altogether (a lone control character) becomes its unknown
    token, so that no tag is lost. So do words that were cut off: they are cut off again.
    """
    encoded = _pieces(words, tokenizer, max_length)
    pairs = zip(words, encoded["words"], strict=True)
    gaps = [set(range(len(row))) - set(found) for row, found in pairs]
    again = [row for row, missing in enumerate(gaps) if missing]
    if again and tokenizer.unk_token is not None:
        filled = [_filled(words[row], gaps[row], tokenizer.unk_token) for row in again]
        for key, value in _pieces(filled, tokenizer, max_length).items():
            for row, pieces in zip(again, value, strict=True):
                encoded[key][row] = pieces
    return encoded


def _pieces(
    words: list[list[str]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, list[list[int]]]:
    encoded = tokenizer(
        words,
        is_split_into_words=True,
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
    )
    found = [[-1 if w is None else w for w in encoded.word_ids(i)] for i in range(len(words))]
    return {**dict(encoded), "words": found}


def _filled(words: list[str], gaps: set[int], unknown: str) -> list[str]:
    return [unknown if index in gaps else word for index, word in enumerate(words)]


def _aligned(
    rows: Rows, words: list[list[str]], pieces: list[list[int]], label_names: Sequence[str]
) -> Indices:
    """Return the tag index of each first piece, IGNORED for all other tokens."""
    word = _encoding.flat(pieces, np.int64)
    labels = np.full(len(word), IGNORED, dtype=np.int64)
    if rows.labels is None:
        return labels
    sentence = np.repeat(np.arange(len(pieces)), [len(row) for row in pieces])
    first = word >= 0
    first[1:] &= (word[1:] != word[:-1]) | (sentence[1:] != sentence[:-1])
    tags = _tag_indices(rows, label_names)
    begins = _encoding.offsets(words)
    labels[first] = tags[begins[sentence[first]] + word[first]]
    return labels


def _tag_indices(rows: Rows, label_names: Sequence[str]) -> Indices:
    index = {name: i for i, name in enumerate(label_names)}
    sentences = [_schemes.in_scheme(tags, label_names) for tags in _tags(rows)]
    tags = list(itertools.chain.from_iterable(sentences))
    strange = sorted(set(tags) - set(index))
    if strange:
        row = next(row for row, tags in enumerate(sentences) if strange[0] in tags)
        wrong = f"unknown tag {strange[0]!r} (row {rows.number(row)})"
        raise _labels.refused(rows, wrong, ", ".join(label_names))
    return np.array([index[tag] for tag in tags], dtype=np.int64)


def _tagged(split: Split) -> tuple[Indices, Indices]:
    """Return where the tagged tokens stand, and the sentence of each."""
    tagged = np.flatnonzero(split.labels != IGNORED)
    return tagged, np.searchsorted(split.offsets, tagged, side="right") - 1


def _totals(
    gold: Indices, predicted: Indices, sentence: Indices, names: tuple[str, ...]
) -> NDArray[np.int64]:
    """Return (right spans, gold spans, predicted spans, right tags, tags) of every sentence."""
    spans = SpanCounter(names)(gold, predicted, sentence)
    right = np.bincount(sentence[gold == predicted], minlength=len(spans))
    return np.column_stack([spans, right, np.bincount(sentence, minlength=len(spans))])


def _accuracy(totals: NDArray[np.int64]) -> NDArray[np.float64]:
    return totals[..., 3] / np.maximum(totals[..., 4], 1)


_OF_TOTALS = {"span_f1": _scores.f1_of_totals, "accuracy": _accuracy}


def _span_report(
    gold: Indices, predicted: Indices, sentence: Indices, names: tuple[str, ...]
) -> dict[str, Any]:
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    cuts = np.flatnonzero(np.diff(sentence)) + 1
    true, found = (
        [[_schemes.in_iob2(names[tag]) for tag in part] for part in np.split(tags, cuts)]
        for tags in (gold, predicted)
    )
    lines = classification_report(
        true, found, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
    )
    averages = {kind: lines.pop(f"{kind} avg") for kind in ("micro", "macro", "weighted")}
    return {
        "classes": {name: _line(line) for name, line in lines.items()},
        "averages": {name: _line(line) for name, line in averages.items()},
    }


def _line(line: Mapping[str, Any]) -> dict[str, float]:
    scores = {name: float(line[name]) for name in ("precision", "recall")}
    return {**scores, "f1": float(line["f1-score"]), "support": int(line["support"])}


def _entities(
    tokens: Tokens, shares: NDArray[np.float64], labels: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield the entities of a text: runs of words of one type, begun by ``B-``, ``S-`` or ``U-``.

    A word has the tag of its first piece. ``score`` is the least probability of a tag.
    """
    tagged = list(_tagged_words(tokens, shares, labels))
    begins = [
        index
        for index, (_, prefix, kind, _) in enumerate(tagged)
        if kind and (prefix in "BSU" or index == 0 or tagged[index - 1][2] != kind)
    ]
    for begin in begins:
        end = begin + 1
        while end < len(tagged) and end not in begins and tagged[end][2] == tagged[begin][2]:
            end += 1
        run = tagged[begin:end]
        words = [tokens.words[word] for word, *_ in run]
        yield {
            "type": run[0][2],
            "text": " ".join(word.text for word in words),
            "start": words[0].start,
            "end": words[-1].end,
            "score": min(share for *_, share in run),
        }


def _tagged_words(
    tokens: Tokens, shares: NDArray[np.float64], labels: Sequence[str]
) -> Iterator[tuple[int, str, str, float]]:
    """Yield (word, prefix, entity type, probability) of every word that was read."""
    seen: set[int] = set()
    for at, word in enumerate(tokens.word_of):
        if word is not None and word not in seen:
            seen.add(word)
            best = int(shares[at].argmax())
            prefix, _, kind = labels[best].partition("-")
            yield word, prefix, kind, float(shares[at, best])
