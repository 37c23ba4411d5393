"""The study file: its tables, keys, types and defaults.

Shape only: whether a name (of a strategy, a sampler, a demo) exists is resolved one level up, in
:mod:`pareto_prune.running.study_file`, so that this module imports nothing heavy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from pareto_prune.core.bounds import Bound, bound
from pareto_prune.core.data_table import DataTable
from pareto_prune.core.limits_table import LimitsTable
from pareto_prune.core.objectives import COSTS, OBJECTIVES
from pareto_prune.core.records import SEEN
from pareto_prune.core.study_table import MOST, Count, Positive, Share, Table

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NAMES = "allowed: up to 100 letters, digits, '.', '_', '-', a letter or digit first"
"""What names of studies may be, in the words of a problem."""
_DEVICE = re.compile(r"^(auto|cpu|cuda(:\d{1,3})?)$")


class Range(Table):
    """The bounds of a number that is searched, both inclusive."""

    low: Share
    high: Share

    @pydantic.model_validator(mode="before")
    @classmethod
    def _table(cls, given: Any) -> Any:
        if not isinstance(given, Mapping | Range):
            raise ValueError("a range is a table, allowed: { low = 0.1, high = 0.5 }")
        return given

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}, allowed: low <= high")
        return self


def _kept_rows(given: Any, read: pydantic.ValidatorFunctionWrapHandler) -> Any:
    """Read what stays of a vocabulary: a range or a word; what is wrong is one line."""
    if given in (None, SEEN) or isinstance(given, Range):
        return read(given)
    if not isinstance(given, Mapping):
        raise ValueError(f"allowed: {SEEN!r}, or {{ low = 0.2, high = 1.0 }}")
    try:
        return Range.model_validate(given)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = "".join(f"{part}: " for part in first["loc"])
        raise ValueError(f"{name}{first['msg'].removeprefix('Value error, ')}") from None


KeptRows = Annotated[Range | Literal["seen"] | None, pydantic.WrapValidator(_kept_rows)]


def _knob(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("allowed: a whole number, or the name of a number format")
    return value


Knob = Annotated[Any, pydantic.AfterValidator(_knob)]


class ModelTable(Table):
    """``[model]``: where the model comes from."""

    path: str
    """A hub id, a local folder, or `demo:minilm-l6`."""
    revision: str | None = None
    """Commit or tag of the hub; the newest where it is left out."""
    attention: Literal["sdpa", "eager"] = "sdpa"
    """PyTorch's attention implementation."""


class DenseTable(Table):
    """``[dense]``: fine-tuning of the dense model, once a study.

    Skipped when the checkpoint has the task's head, with the same labels.
    """

    epochs: Annotated[int, Field(ge=1, le=MOST)] = 2
    """Passes over the training data."""
    learning_rate: Positive = 5e-5
    """Peak learning rate of AdamW."""
    batch: Count = 32
    """Examples a step."""


class SearchTable(Table):
    """``[search]``: what the trials sample."""

    strategies: tuple[str, ...] = ("balanced", "layer_wise", "l1")
    """Strategies to choose from; see `pareto-prune list strategies`."""
    shapes: Literal["uneven", "native"] = "uneven"
    """`native`: only models that transformers and other servers load by the name of their
    architecture alone: the same heads and neurons in every layer, whole layers dropped, and with
    `channel` fewer hidden channels. `uneven`: every layer may have its own."""
    importances: tuple[str, ...] = ("obs", "fisher")
    """Importances for the strategies that take one; see `pareto-prune list importances`."""
    cost_target: Range = Range(low=0.08, high=0.7)
    """Share of the dense model's cost that a candidate may have; drawn by its logarithm. What
    turns out dearer than `high` is built on last."""
    sparsity: Range = Range(low=0.0, high=0.95)
    """Share of the units of a sublayer that goes."""
    threshold: Range = Range(low=0.0, high=1.0)
    """Normalised importance below which a unit goes, for strategies cut by a threshold."""
    learning_rate: tuple[Positive, Positive] = (1e-4, 1e-4)
    """Lowest and highest learning rate of the brief fine-tune, of a model a third of the dense one;
    see `finetune.by_size`."""
    folds: Count = 1
    """Above 1: the metric is the mean over this many folds of the training data."""
    vocabulary: KeptRows = None
    """Rows of the vocabulary that stay: `"seen"` for the tokens of the training texts and of
    `data.corpus`, or a range of shares, the most frequent first. All, unless given."""
    round_widths: bool = True
    """Round widths to what the hardware likes."""
    starters: tuple[str, ...] = ("dense", "balanced", "half_depth", "uniform")
    """Candidates put in at the start; see `pareto-prune list starters`."""
    references: tuple[str, ...] = ("float16", "int8", "short_texts", "unstructured")
    """Alternatives to pruning, put on the plot; see `pareto-prune list references`."""
    deployment: dict[Literal["dtype", "max_length", "threads"], tuple[Knob, ...]] = {}
    """Deployment knobs to search, each with its values: `dtype`, `max_length`, `threads`. A `dtype`
    in which the dense model turns out no cheaper on the study's machine is left out, and said."""

    @pydantic.field_validator("deployment")
    @classmethod
    def _valued(cls, value: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for name, values in value.items():
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name}: allowed: at least one value, each once")
        return value

    @pydantic.field_validator("strategies", "importances")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("allowed: at least one name, each once")
        return value

    @pydantic.field_validator("learning_rate")
    @classmethod
    def _rates(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"low {value[0]} is above high {value[1]}, allowed: [low, high]")
        return value


class CalibrationTable(Table):
    """``[calibration]``: the data behind importances and the pruning database."""

    samples: Annotated[int, Field(ge=8, le=MOST)] = 512
    """Training examples for importances and the pruning database."""
    sensitivity_samples: Annotated[int, Field(ge=8, le=MOST)] = 256
    """Training examples for the sensitivity of each sublayer."""


class FinetuneTable(Table):
    """``[finetune]``: the brief fine-tune of every trial, distilled from the dense model."""

    steps: Annotated[int, Field(ge=0, le=MOST)] = 60
    """Training steps of a trial whose model is a third of the dense one, those before the cut
    included."""
    by_size: bool = True
    """Whether smaller models train longer and faster, up to 5 times the steps and 3 times the
    learning rate, and those that are hardly cut half as long at half the rate."""
    find_rate: bool = True
    """Whether a short test, once a study, lowers all its learning rates, down to a sixteenth, where
    a small model is trained better by less."""
    batch: Count = 32
    """Examples a step."""
    distillation: Share = 0.5
    """Share of the loss that comes from the dense model's logits."""
    temperature: Positive = 2.0
    """Softmax temperature of the distillation."""


class EarlyStoppingTable(Table):
    """``[early_stopping]``: trials that cannot reach the front end before their last step.

    A trial is stopped where its latency, energy or size breaks a constraint, first as the cost
    tables predict, then as measured; and where the metric that it can still reach leaves it
    dominated, before any training and at the rungs. How many stops were wrong stands in `status`
    and the report.
    """

    enabled: bool = True
    """Whether trials are stopped at all."""
    rungs: tuple[Share, ...] = (0.25, 0.5)
    """Shares of the fine-tuning steps after which the metric is taken again."""
    rung_cost: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.1
    """A rung is left out where its evaluation costs more than this share of the training ahead."""
    rung_examples: Count = 512
    """Validation examples that a rung looks at, the same ones in every trial; the metric that a
    trial ends with is of all."""
    quantile: Share = 0.9
    """The metric still thought possible is this quantile of what similar trials ended at."""
    after: Count = 10
    """Trials that must have run to their end before a metric stops one."""
    audit: Share = 0.05
    """Share of the stopped trials that run on, to learn how many stops are wrong."""

    @pydantic.field_validator("rungs")
    @classmethod
    def _within(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(set(value)) or not all(0 < share < 1 for share in value):
            raise ValueError("allowed: shares above 0 and below 1, rising")
        return value


class PromotionTable(Table):
    """``[promotion]``: the models that nothing beats go on training, in place of new candidates.

    Multi-objective asynchronous successive halving (Schmucker et al. 2021): of the trials that
    trained as long, one in `factor` goes on from its weights to `factor` times its steps. Not in
    studies with `folds`, whose models are several.
    """

    enabled: bool = True
    """Whether trials are promoted at all."""
    factor: Annotated[int, Field(ge=2, le=9)] = 3
    """Times the steps of a promoted trial; one in so many is."""
    rungs: Annotated[int, Field(ge=1, le=4)] = 2
    """How often a model may be promoted."""


class MeasureTable(Table):
    """``[measure]``: the engine and the meter, and the inputs they are given."""

    engine: str = "auto"
    """Inference engine that the model will be deployed on; see `pareto-prune list engines`."""
    meter: str = "auto"
    """Energy meter; see `pareto-prune list meters`."""
    require_measured: bool = False
    """Refuse to start where energy could only be estimated."""
    latency_batch: Count = 1
    """Batch size of the latency measurement."""
    energy_batch: Count = 32
    """Batch size of the energy measurement."""
    tokens: Annotated[int, Field(ge=0, le=MOST)] = 0
    """Length of the latency input in tokens; 0 takes the validation texts' median."""
    dtype: Literal["float32", "bfloat16", "float16", "int8"] = "float32"
    """Number format that is deployed: what is measured, and what the metric is taken in."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    threads: Annotated[int, Field(ge=0, le=MOST)] = 0
    """CPU threads of the engine; 0 takes its quiet default."""
    watts_per_core: Positive | None = None
    """Your own watts per core, for machines without an energy counter."""
    calibration_file: str | None = None
    """Watts from a twin machine with a meter, instead of the built-in table."""
    labels: tuple[str, ...] = ()
    """Labels, such as `gpu=h100`, that a worker of all studies must have (`worker --any`)."""

    @pydantic.field_validator("device")
    @classmethod
    def _device_name(cls, value: str) -> str:
        if _DEVICE.match(value) is None:
            raise ValueError("allowed: auto, cpu, cuda or cuda:N")
        return value


class SamplerTable(pydantic.BaseModel):
    """``[sampler]``: the name of a sampler, and that sampler's own options."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="allow", strict=True, use_attribute_docstrings=True
    )

    name: str = "nsga2"
    """What proposes candidates; see `pareto-prune list samplers`."""

    @property
    def options(self) -> dict[str, Any]:
        """The keys beside ``name``."""
        return dict(self.model_extra or {})


class StudyConfig(Table):
    """A study file. Everything but ``name``, ``model.path`` and ``data.path`` has a default."""

    name: str
    """Name of the study, unique in its storage: letters, digits, `.`, `_`, `-`."""
    seed: Annotated[int, Field(ge=0, le=MOST)] = 0
    """Seed of everything random; a trial's own seed comes from it and the trial's number."""
    objectives: tuple[str, ...] = ("accuracy", "latency_ms", "energy_j")
    """One quality metric and the costs it is traded for."""
    model: ModelTable
    data: DataTable
    dense: DenseTable = DenseTable()
    constraints: dict[str, Bound] = {}
    """Bounds on objectives, such as `accuracy = ">= 0.80"`, `latency_ms = "<= 5"`."""
    search: SearchTable = SearchTable()
    strategy: dict[str, dict[str, Any]] = {}
    """A strategy's own options, in a table of its name: `[strategy.l1]`."""
    sampler: SamplerTable = SamplerTable()
    calibration: CalibrationTable = CalibrationTable()
    finetune: FinetuneTable = FinetuneTable()
    early_stopping: EarlyStoppingTable = EarlyStoppingTable()
    promotion: PromotionTable = PromotionTable()
    measure: MeasureTable = MeasureTable()
    limits: LimitsTable = LimitsTable()

    @pydantic.field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if _NAME.fullmatch(value) is None:
            raise ValueError(NAMES)
        return value

    @pydantic.field_validator("objectives")
    @classmethod
    def _known_objectives(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in OBJECTIVES]
        if unknown or len(set(value)) != len(value):
            raise ValueError(f"allowed: {', '.join(OBJECTIVES)}, each once")
        if len([name for name in value if name not in COSTS]) != 1 or len(value) < 2:
            raise ValueError("allowed: exactly one quality metric and one or more costs")
        return value

    @pydantic.field_validator("constraints")
    @classmethod
    def _of_objectives(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if name not in OBJECTIVES:
                raise ValueError(f"{name!r}: allowed: {', '.join(OBJECTIVES)}")
            _, number = bound(text)
            if OBJECTIVES[name].unit == "fraction" and number > 1:
                raise ValueError(
                    f"{name} = {number:g} is above 1, allowed: a fraction such as 0.82"
                )
        return value

    @property
    def metric(self) -> str:
        """The quality metric among the objectives."""
        return next(name for name in self.objectives if name not in COSTS)

    def canonical(self) -> dict[str, Any]:
        """Return the content that makes two study files the same study: all but ``[limits]``."""
        return self.model_dump(mode="json", exclude={"limits"})


def flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``{"table.key": value}`` of nested tables, for comparing two study files."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
