"""What a study knows, as frozen values that survive JSON.

``StudyConfig → Candidate → PruningPlan → TrialResult → Front → Selection``: the configuration
stands in :mod:`pareto_prune.core.config`, the plan in :mod:`pareto_prune.pruning.plan`, front and
selection in :mod:`pareto_prune.results.records` and :mod:`pareto_prune.results.selection`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

import pydantic

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.outcomes import Outcomes
from pareto_prune.core.record import Record
from pareto_prune.core.study_state import StudyState

SCHEMA_VERSION = 1

Grade = Literal["measured", "attributed", "estimated"]
Interval = tuple[float, float]

DENSE_STARTER = "dense"
"""The starter that is the dense model itself: nothing is pruned and nothing trained."""


SEEN: Literal["seen"] = "seen"
"""Of a vocabulary, what the corpus uses."""


class TrialState(StrEnum):
    """Where a trial stands.

    ``complete``, ``stopped`` (early) and ``failed`` count towards the number of trials;
    ``waiting`` and ``running`` do not yet.
    """

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """Whether the trial has ended and counts."""
        return self not in (TrialState.WAITING, TrialState.RUNNING)


def finished_of(counts: Mapping[Any, int]) -> int:
    """Return how many trials have ended, of numbers of trials by state."""
    return sum(counts.get(state.value, 0) for state in TrialState if state.finished)


class Candidate(Record):
    """What one trial tries: one value for every gene of the search space, flat and static.

    Attributes:
        strategy: name of the strategy.
        importance: name of the importance.
        cost_target: share of the dense cost it may have, in (0, 1].
        threshold: units whose normalised importance is below it go, in [0, 1].
        sublayers: one number for every sublayer, bottom up, attention before FFN
            (``2 × layers`` of them), in [0, 1]; a strategy reads it as its sparsity or as its
            layer coefficient.
        depth: share of the layers that goes whole, in [0, 1); which ones, the strategy says. Only
            where all layers that stay are alike.
        alpha_accuracy, alpha_latency, alpha_energy: what each objective weighs in ``balanced``.
        learning_rate: of the brief fine-tune.
        deployment: knobs of deployment that the study searches (``dtype``, ``max_length``,
            ``threads``); empty unless the study file turns them on.
        vocabulary: share of the rows of the vocabulary that stay, or ``seen`` for those of the
            corpus.
        starter: name of the starter that put it in, if one did.
        parent: number of the trial whose model it goes on from, if it is a promotion or a
            redeployment.
        rung: how many promotions it is from a trial that began with pruning; 0 for those.
        redeployed: whether it takes the model of ``parent`` as it is, in another number format.
    """

    strategy: str
    importance: str
    cost_target: float = 1.0
    threshold: float = 0.0
    sublayers: tuple[float, ...] = ()
    depth: float = 0.0
    alpha_accuracy: float = 1.0
    alpha_latency: float = 0.5
    alpha_energy: float = 0.5
    learning_rate: float = 1e-4
    deployment: dict[str, str | int] = pydantic.Field(default_factory=dict)
    vocabulary: float | Literal["seen"] = 1.0
    starter: str | None = None
    parent: int | None = None
    rung: int = 0
    redeployed: bool = False

    @property
    def cuts_vocabulary(self) -> bool:
        """Whether it gives up rows of the vocabulary."""
        return self.vocabulary != 1.0


class Reading(Record):
    """One measured number, and how far it can be trusted.

    Attributes:
        value: ``None`` where it is not known; then ``reason`` says why. Never 0 for unknown.
        unit: of ``value`` and ``interval``.
        grade: measured, attributed (a share of something measured) or estimated.
        source: what counted (``"clock"``, ``"nvml"``, ``"rapl"``, ``"cpu_time"``).
        scope: what was counted (``"process"``, ``"package"``, ``"gpu"``, ``"board"``).
        repeats: windows or pairs behind it.
        interval: 95 % interval of ``value``, if known.
        flags: what was odd (``"foreign_load"``, ``"unstable"``).
    """

    value: float | None
    unit: str
    grade: Grade
    source: str
    scope: str = "process"
    repeats: int = 1
    interval: Interval | None = None
    flags: tuple[str, ...] = ()
    reason: str | None = None


class Measurement(Record):
    """What one model cost on the study's device, against the dense model in the same process.

    Attributes:
        readings: absolute values by name (``latency_ms``, ``latency_cold_ms``,
            ``latency_p95_ms``, ``throughput``, ``energy_j``, ``energy_net_j``, …), as taken in
            this process.
        ratios: model / dense model by the same names, from interleaved pairs; the objectives are
            these times the study's reference values.
        protocol: version of the measuring protocol.
        seconds: how long it took; 0 from the cache.
    """

    readings: dict[str, Reading]
    ratios: dict[str, Reading]
    protocol: int
    seconds: float


class Quality(Record):
    """How well a model does on one split.

    Attributes:
        metrics: those of the task by name, fractions.
        intervals: 95 % intervals of the metrics that have one.
        examples: how many examples were scored.
        loss: mean loss.
        outcomes: what became of each example, by which models are paired; kept with results, not
            at rungs.
    """

    metrics: dict[str, float]
    intervals: dict[str, Interval] = pydantic.Field(default_factory=dict)
    examples: int
    loss: float
    outcomes: Outcomes | None = None


class Difference(Record):
    """A metric of one model less that of another, on the same examples.

    Attributes:
        interval: 95 % interval by a paired bootstrap over examples.
    """

    value: float
    interval: Interval

    @property
    def within_noise(self) -> bool:
        """Whether 0 lies in the interval."""
        low, high = self.interval
        return low <= 0 <= high


class Rung(Record):
    """The quality of a trial part of the way: after ``step`` training steps."""

    step: int
    quality: Quality
    seconds: float


class Environment(Record):
    """The machine and the versions that a number was taken on."""

    device: str
    cores: int
    threads: int
    memory_gib: float
    system: str
    python: str
    versions: dict[str, str]
    commit: str | None = None
    details: dict[str, str] = pydantic.Field(default_factory=dict)


class DenseReference(Record):
    """The dense model of a study: the yardstick of every trial, taken once.

    Attributes:
        architecture, parameters, bytes: its shape and size.
        quality: on the validation split.
        chance: the metric of a model that learned nothing, where hypervolume starts.
        measurement: taken long, when the study was created; its values then stand.
        digest: SHA-256 of its weights.
        data: digest of the encoded data set; ``None`` in studies that did not record it.
        rate: share of a candidate's learning rate that its model gets: one for all trials of the
            study, on whichever host. 1 in studies whose rates were not tested.
        formats: the dense model in each other number format that the study searches: the ratio of
            every cost to that of this one. Empty in studies that did not take them.
    """

    architecture: Architecture
    parameters: int
    bytes: int
    quality: Quality
    chance: float
    measurement: Measurement
    digest: str
    environment: Environment
    data: str | None = None
    rate: float = 1.0
    formats: dict[str, dict[str, float]] = {}


class Failure(Record):
    """Why a trial failed: a stable kind, and a sentence."""

    kind: str
    reason: str


class ChangedTokens(Record):
    """What a smaller vocabulary does to the texts of a split; shares.

    Attributes:
        texts: of the texts, those that have other tokens now.
        tokens: of the tokens that they had, those that are gone.
        unknown, unknown_before: of the tokens, those that stand for something unknown.
    """

    texts: float
    tokens: float
    unknown: float
    unknown_before: float

    def said(self) -> str:
        """Say the shares in per cent."""
        return (
            f"{100 * self.tokens:.2f} % of the tokens are gone, in {100 * self.texts:.1f} % of the "
            f"texts, and {100 * self.unknown:.2f} % are unknown "
            f"({100 * self.unknown_before:.2f} % before)"
        )


class VocabularyCut(Record):
    """What a smaller vocabulary kept, and what it does to texts outside of training.

    Attributes:
        rows, dense: rows of the word table that it has, and that the dense model has.
        validation, test: what changed there.
    """

    rows: int
    dense: int
    validation: ChangedTokens
    test: ChangedTokens

    def sentence(self) -> str:
        """Say what was kept, and what changed on texts outside of training."""
        splits = {"validation": self.validation, "test": self.test}
        said = "; ".join(f"on the {name} split {each.said()}" for name, each in splits.items())
        return f"Keeps {self.rows:,} of {self.dense:,} tokens of the vocabulary: {said}."


class TrialResult(Record):
    """All that one trial found out.

    Attributes:
        values: objectives by name, in the units of :mod:`pareto_prune.core.objectives`; for a trial
            stopped early the metric is that of its last rung.
        intervals: 95 % intervals of ``values``.
        native: whether the stock class of transformers holds its model; ``None``: not noted.
        timings: seconds by stage (``prune``, ``measure``, ``finetune``, ``evaluate``, ``total``).
        predicted: latency and energy by the cost tables, where the shape was known beforehand.
        stop_reason: why the trial was stopped early; of an audited one, why it would have been.
        audited: whether it ran on although it was to be stopped.
        optimistic: metric that a trial stopped early could still have reached, by the bound of
            the stop decision; what samplers learn from it.
        vocabulary: what it kept of the vocabulary; ``None``: all.
        artifact: path or URL of its model, where that is kept.
        artifact_digest: SHA-256 of the files there.
    """

    schema_version: int = SCHEMA_VERSION
    candidate: Candidate
    architecture: Architecture | None = None
    plan_digest: str | None = None
    native: bool | None = None
    parameters: int | None = None
    bytes: int | None = None
    quality: Quality | None = None
    measurement: Measurement | None = None
    rungs: tuple[Rung, ...] = ()
    values: dict[str, float] = pydantic.Field(default_factory=dict)
    intervals: dict[str, Interval] = pydantic.Field(default_factory=dict)
    violations: dict[str, float] = pydantic.Field(default_factory=dict)
    predicted: dict[str, float] = pydantic.Field(default_factory=dict)
    stop_reason: str | None = None
    audited: bool = False
    optimistic: float | None = None
    failure: Failure | None = None
    steps: int = 0
    timings: dict[str, float] = pydantic.Field(default_factory=dict)
    environment: Environment | None = None
    vocabulary: VocabularyCut | None = None
    artifact: str | None = None
    artifact_digest: str | None = None

    @property
    def state(self) -> TrialState:
        """The state that the trial ended in."""
        if self.failure is not None:
            return TrialState.FAILED
        stopped = self.stop_reason is not None and not self.audited
        return TrialState.STOPPED if stopped else TrialState.COMPLETE


class Trial(Record):
    """One trial of a study as the storage holds it."""

    number: int
    state: TrialState
    candidate: Candidate | None = None
    result: TrialResult | None = None
    started: float | None = None
    ended: float | None = None
    worker: str | None = None


class Confirmation(Record):
    """What a trial found out when it was retrained longer, several times, and measured afresh.

    Stands beside the trial's own values; samplers never see it.

    Attributes:
        number: of the trial.
        steps: of each retraining.
        metrics: the metric by seed, in the order of the retrainings.
        outcomes: what became of each validation example, by seed.
        values: objectives by name; the metric is the mean over the seeds.
        intervals: 95 % intervals of ``values``; that of the metric covers both the choice of
            examples and the spread over the seeds.
        measurement: taken for this, never from a cache.
        artifact: path or URL of the model of the median seed.
        artifact_digest: SHA-256 of the files there.
        seconds: that it took.
    """

    schema_version: int = SCHEMA_VERSION
    number: int
    steps: int
    metrics: tuple[float, ...]
    outcomes: tuple[Outcomes, ...] = ()
    values: dict[str, float]
    intervals: dict[str, Interval] = pydantic.Field(default_factory=dict)
    measurement: Measurement | None = None
    artifact: str | None = None
    artifact_digest: str | None = None
    seconds: float = 0.0
    environment: Environment | None = None


class Study(Record):
    """All of one study that the front and the report are made from.

    ``config`` is the study file's canonical content; ``reference`` is ``None`` until the dense
    model was measured.
    """

    name: str
    config: dict[str, object]
    created: float
    trials_asked: int
    state: StudyState = StudyState.OPEN
    reference: DenseReference | None = None
    references: tuple[TrialResult, ...] = ()
    trials: tuple[Trial, ...] = ()
    confirmations: tuple[Confirmation, ...] = ()
