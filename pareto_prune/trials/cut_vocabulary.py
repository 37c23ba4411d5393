"""What a study's candidates read: its texts by the tokens of the vocabulary that each keeps.

::

    candidate ─► share of rows, or the corpus's ─► rows and tokenizer ─► texts, and what changed

Strategies work with the whole vocabulary, on texts as the dense model reads them. Rows go once the
strategy is done; what is measured, trained and scored from then on has the smaller vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.progress import Silent
from pareto_prune.core.records import ChangedTokens, VocabularyCut
from pareto_prune.inputs import data as data_sets
from pareto_prune.inputs.checkpoint import Checkpoint
from pareto_prune.inputs.corpus import corpus_files, corpus_of
from pareto_prune.inputs.cut_tokenizer import document_of
from pareto_prune.inputs.examples import Split, TaskData
from pareto_prune.inputs.sampling import folds
from pareto_prune.inputs.tasks import tasks
from pareto_prune.inputs.vocabularies import Vocabularies, Vocabulary
from pareto_prune.models.word_rows import rows_of

if TYPE_CHECKING:
    from pareto_prune.trials.dense import DenseModel

DECIMALS = 2
"""Of a share, so that trials with about the same vocabulary share their tokenised texts."""


@dataclass(frozen=True, eq=False)
class CutTexts:
    """The texts of a study by the tokens of a smaller vocabulary.

    Attributes:
        vocabulary: the rows that stay, and their tokenizer.
        whole: the study's own data set.
        folds: those of the cross-validation; empty without one.
        cut: what was kept, and what changed.
    """

    vocabulary: Vocabulary
    whole: TaskData
    folds: tuple[TaskData, ...]
    cut: VocabularyCut


class StudyVocabularies:
    """The smaller vocabularies of one study; none is made before a candidate has it.

    Args:
        config: the study.
        dense: the dense model.
    """

    def __init__(self, config: StudyConfig, dense: DenseModel) -> None:
        self._config, self._dense = config, dense
        self._last: tuple[tuple[float | str, int], CutTexts] | None = None

    def texts(self, kept: float | str, config: StudyConfig, read: TaskData) -> CutTexts:
        """Return the texts of the study by the tokens of a smaller vocabulary.

        Args:
            kept: share of the rows, or those of the corpus.
            config: the study, with texts as long as the candidate reads them.
            read: these texts as the dense model reads them.

        Raises:
            UserError: the tokenizer cannot be cut, or the corpus is not there.
        """
        kept = kept if isinstance(kept, str) else round(kept, DECIMALS)
        key = kept, config.data.max_length
        if self._last is None or self._last[0] != key:
            self._last = key, self._texts(kept, config, read)
        return self._last[1]

    def _texts(self, kept: float | str, config: StudyConfig, read: TaskData) -> CutTexts:
        vocabulary = self._vocabularies.of(kept)
        data = data_sets.load(config, Silent(), vocabulary.tokenizer)
        count = config.search.folds
        return CutTexts(
            vocabulary=vocabulary,
            whole=data,
            folds=folds(data, count, config.seed) if count > 1 else (),
            cut=self._cut(vocabulary, read, data),
        )

    @cached_property
    def _vocabularies(self) -> Vocabularies:
        task = tasks.create(self._config.data.task)
        dense = self._dense
        return Vocabularies(dense.tokenizer, dense.model.config, task, corpus_of(self._config))

    def _cut(self, vocabulary: Vocabulary, before: TaskData, after: TaskData) -> VocabularyCut:
        def changed(part: Callable[[TaskData], Split]) -> ChangedTokens:
            return changed_tokens(part(before), part(after), vocabulary, self._dense)

        return VocabularyCut(
            rows=len(vocabulary.rows),
            dense=rows_of(self._dense.model.config),
            validation=changed(lambda data: data.validation),
            test=changed(lambda data: data.test),
        )


def check_vocabulary(config: StudyConfig) -> None:
    """Look whether the vocabulary of a study can be cut, where it is to be.

    Raises:
        UserError: the tokenizer cannot be cut, or a file of the corpus is not there.
    """
    if config.search.vocabulary is None:
        return
    corpus_files(config.data)
    checkpoint = Checkpoint.find(config.model.path, config.model.revision)
    document_of(checkpoint.tokenizer(tasks.create(config.data.task)))


def changed_tokens(
    before: Split, after: Split, vocabulary: Vocabulary, dense: DenseModel
) -> ChangedTokens:
    """Return what a smaller vocabulary does to texts.

    A text counts as changed where one of the tokens that it had is gone.

    Args:
        before: the texts as the dense model reads them.
        after: the same texts by the tokens of the smaller vocabulary.
        vocabulary: that they have then.
        dense: the dense model.
    """
    gone = ~np.isin(before.ids, vocabulary.rows)
    texts = np.searchsorted(before.offsets, np.flatnonzero(gone), side="right")
    unknown = vocabulary.tokenizer.unk_token_id
    return ChangedTokens(
        texts=len(np.unique(texts)) / len(before),
        tokens=float(gone.mean()),
        unknown=float((after.ids == unknown).mean()),
        unknown_before=float((before.ids == dense.tokenizer.unk_token_id).mean()),
    )
