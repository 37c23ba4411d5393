"""Tasks: all that is known of what a model is asked to do. One file each.

::

    rows ─► label_names, encode ─► split ─► check, strata           labels
    logits ─► loss, divergence, seeds                               training and calibration
           ├► quality, report, chance, beats_chance                 scores
           ├► outcomes ─► score                                     pairs of models
           └► prediction, answer                                    what is said of one text

The other rooms ask a task; none of them tells one from another. A module here loads no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from pareto_prune.core.objectives import Objective
from pareto_prune.core.records import Quality
from pareto_prune.core.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from pareto_prune.inputs.examples import Rows, Split
    from pareto_prune.inputs.tokens import Tokens


class Task(Protocol):
    """What the model is asked to do. A member is a frozen dataclass.

    Its fields are what is tuned for a model once that is trained, such as thresholds.

    A *target* is what has a label of its own: an example, or a token of a split that is
    ``by_token``. *Outputs* are the logits of one target, as many as there are label names.

    Attributes:
        metrics: that it reports, the usual one first; objectives made by
            :func:`pareto_prune.core.objectives.metric`. Tasks may share one.
        model_class: name of the class in ``transformers`` that loads a model with its head.
        pipeline: what the hub calls it: the ``pipeline_tag`` of a model card.
        problem_type: what transformers calls the head's problem, by which its pipelines know what
            to make of the outputs; ``None`` for classes of which one is right.
        tunes: whether :meth:`tuned` tunes anything.
        grouped: whether examples with the same first text are scored together, as the passages of
            a query are, so that samples and splits have all of them.
        splits_words: whether texts are lists of words, each with a label, so that cutting a text
            off would lose some.
        taught: whether the dense model alone is the teacher. Nothing is learned from labels, the
            checkpoint is the dense model as it is, and splits that are scored hold what it says.
        reads_labels: whether data has a column of labels, to learn from or to score by.
        keeps_channels: whether outputs are the hidden channels themselves, so that none may go.
        library: what loads an exported folder; a card's ``library_name``.
    """

    metrics: ClassVar[tuple[Objective, ...]]
    model_class: ClassVar[str]
    pipeline: ClassVar[str]
    problem_type: ClassVar[str | None]
    tunes: ClassVar[bool]
    grouped: ClassVar[bool]
    splits_words: ClassVar[bool]
    taught: ClassVar[bool]
    reads_labels: ClassVar[bool]
    keeps_channels: ClassVar[bool]
    library: ClassVar[str]

    # The model

    def width(self, config: PreTrainedConfig) -> int | None:
        """Return how many outputs a model has whatever the labels are; ``None``: a label each."""

    def columns(self, text: Sequence[str]) -> tuple[str, ...]:
        """Return which of the study's columns of texts a prediction is made from."""

    def prepare(self, config: PreTrainedConfig, path: str, revision: str | None) -> None:
        """Write into a configuration what its model must know beside the names of its outputs.

        Args:
            config: of a checkpoint; one that says it already stays.
            path: hub id or local folder of the checkpoint.
            revision: commit of the hub.

        Raises:
            StudyFileError: the checkpoint has parts that nothing here reads.
        """

    # Labels

    @staticmethod
    def suits(texts: Sequence[Any], labels: Sequence[Any]) -> bool:
        """Return whether raw texts and labels look like this task's, where none is named.

        Args:
            texts: first ones of a column, as the table has them.
            labels: theirs.
        """

    def label_names(
        self, splits: Mapping[str, Rows], order: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """Return the names of the outputs, by their index: classes of the training split.

        Args:
            splits: ``train`` and, where they are there, the others.
            order: the names of a checkpoint's head; followed where they fit the data.

        Raises:
            StudyFileError: labels are missing or of the wrong kind, or there is one class only.
        """

    def encode(
        self,
        rows: Rows,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        max_length: int,
    ) -> Split:
        """Return ``rows`` tokenised, cut to ``max_length`` tokens.

        What has no label is IGNORED where labels are class indices, NaN where they are numbers.
        All texts of a task that is ``taught`` have a label, 0 where there is none to score by.

        Raises:
            StudyFileError: a text or label is missing, or a label is not among ``label_names``.
        """

    def check(self, name: str, split: Split, train: Split) -> None:
        """Look at a split as it will be used.

        Args:
            name: ``train``, ``validation`` or ``test``.
            split: of that name.
            train: the training split.

        Raises:
            StudyFileError: it cannot be learned from, or not be scored.
        """

    def strata(self, split: Split) -> NDArray[Any]:
        """Return a number an example, shape (examples,): samples have all of them in proportion.

        All 0 where examples are not told apart.
        """

    # Training and calibration

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of labelled targets; a scalar.

        Args:
            logits: shape (…, outputs).
            labels: shape (…), or (…, outputs) where they are numbers; where the task is ``taught``,
                the dense model's logits.
        """

    def divergence(self, logits: Tensor, dense: Tensor, temperature: float) -> Tensor:
        """Return how far predictions are from those of the dense model, target by target; ≥ 0.

        Args:
            logits: shape (…, outputs).
            dense: the dense model's, of the same shape.
            temperature: softens probabilities, where there are any.

        Returns:
            Shape (…), in the dtype of ``logits``.
        """

    def distillation(self, logits: Tensor, dense: Tensor, temperature: float) -> Tensor:
        """Return what a fine-tune is distilled by: a scalar of the targets of one batch.

        The mean of :meth:`divergence`, and perhaps what targets say of each other; all that is
        learned from where the task is ``taught``. Arguments as there.
        """

    def seeds(self, logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        """Return random gradients s at the logits whose squares tell the divergence beforehand.

        ``½ E (s · δ)²`` is, to second order, the divergence that a change δ of ``logits`` causes:
        ``E s sᵀ`` is the Hessian of :meth:`divergence` where nothing has changed yet.

        Args:
            logits: shape (…, outputs).
            temperature: as in :meth:`divergence`.
            generator: on the CPU.

        Returns:
            The shape of ``logits``.
        """

    def first_guess(self, labels: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return what a head that knows nothing is to say: the best answer without the texts.

        Args:
            labels: of the training split, as :meth:`encode` gives them.

        Returns:
            Shape (outputs,); ``None`` for zeros.
        """

    # Scores

    def tuned(self, logits: NDArray[np.float32], split: Split) -> Self:
        """Return the task with what makes answers of a model's outputs, tuned on some examples.

        Args:
            logits: of the model, shape (targets, outputs).
            split: examples that it has not learned from.
        """

    def quality(self, logits: NDArray[np.float32], split: Split) -> Quality:
        """Return every metric with its 95 % interval.

        Args:
            logits: shape (targets, outputs).
            split: the examples they belong to; where the task is ``taught``, with what the dense
                model says of them.
        """

    def outcomes(self, logits: NDArray[np.float32], split: Split) -> NDArray[Any]:
        """Return what became of each example, few small numbers that all metrics follow from.

        Of each group, where the task is ``grouped``: models are paired by these, too.

        Args:
            logits: shape (targets, outputs).
            split: the examples they belong to.

        Returns:
            Shape (examples, numbers).
        """

    def score(
        self, metric: str, outcomes: NDArray[Any], counts: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return a metric of examples each of which occurs so many times.

        Args:
            metric: its name.
            outcomes: of the examples, shape (examples, numbers).
            counts: shape (…, examples).

        Returns:
            Shape (…).
        """

    def report(self, logits: NDArray[np.float32], split: Split) -> dict[str, Any]:
        """Return more than the metrics, as plain JSON: one table, or tables by title.

        A table with ``classes`` (precision, recall, F1 and support of each), their ``averages``,
        and perhaps ``labels`` and ``confusion``, is shown; so is one with ``numbers`` (several by
        name, of each of its rows by name). Others are only kept.
        """

    def chance(self, split: Split) -> dict[str, float]:
        """Return each metric of a model that learned nothing: the majority share for accuracy."""

    def beats_chance(self, quality: Quality, split: Split) -> bool:
        """Whether a quality on ``split`` is beyond chance and noise: the model has learned."""

    # What is said of one text

    def prediction(
        self, logits: NDArray[np.float32], tokens: Tokens, labels: Sequence[str]
    ) -> dict[str, Any]:
        """Return what is predicted for one text, as plain JSON.

        Args:
            logits: shape (outputs,), or (tokens and padding, outputs) if words have labels.
            tokens: of the text.
            labels: names of the outputs.
        """

    @staticmethod
    def answer(text: str, word_of: list[int | None], logits: np.ndarray, labels: list[str]) -> str:
        """Return the line that the example of an exported folder prints for one text.

        The source of this function is copied into that example, where nothing but ``np`` and the
        built-ins is there. One that is tuned takes its own fields as further arguments.

        Args:
            text: as it was given; its words are parted by spaces.
            word_of: index of each token's word; ``None`` for special tokens.
            logits: as for :meth:`prediction`.
            labels: names of the outputs.
        """

    # What an exported folder holds for others

    def files(self, config: PreTrainedConfig, max_length: int) -> dict[str, Any]:
        """Return files that ``library`` reads beside the model: by path, as plain JSON.

        Args:
            config: of the model.
            max_length: tokens after which a text is cut off.
        """

    def loading(self, trust: str) -> tuple[str, ...]:
        """Return the lines of Python that load the model in ``FOLDER``.

        Args:
            trust: a further argument, for a model that brings its own code; else empty.
        """


tasks: Registry[Task] = Registry("task", __name__)


def metrics() -> dict[str, Objective]:
    """Return the metrics of all tasks by name.

    Raises:
        ValueError: two tasks mean different things by one name, or a metric is no fraction of
            which more is better.
    """
    found: dict[str, Objective] = {}
    for metric in (metric for name in tasks.names() for metric in tasks.create(name).metrics):
        if found.setdefault(metric.name, metric) != metric:
            raise ValueError(f"two tasks tell different things of the metric {metric.name!r}")
        if (metric.kind, metric.unit, metric.sign) != ("quality", "fraction", -1):
            raise ValueError(f"metric {metric.name!r} is no fraction of which more is better")
    return found
