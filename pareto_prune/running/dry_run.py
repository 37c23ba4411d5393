"""What a run would do, how long it would take and how much disk, without doing it.

The time comes from a few timed steps of the model at hand, not from a table: an estimate for this
machine, as it is now.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.durations import seconds
from pareto_prune.core.quantities import duration
from pareto_prune.core.records import TrialState
from pareto_prune.inputs import data as data_sets
from pareto_prune.inputs.checkpoint import Checkpoint, names_of
from pareto_prune.inputs.examples import TaskData
from pareto_prune.inputs.notes import notes_on
from pareto_prune.inputs.tasks import Task, tasks
from pareto_prune.models.families import architecture
from pareto_prune.search.promotion import mean_multiple
from pareto_prune.search.space import SearchSpace
from pareto_prune.search.starters import starting_candidates
from pareto_prune.storage import open_storage
from pareto_prune.trials import rate
from pareto_prune.trials.allotment import PIVOT
from pareto_prune.trials.bench import device_of
from pareto_prune.trials.dense import is_made
from pareto_prune.trials.evaluation import logits_of
from pareto_prune.trials.finetune import FinetuneSettings, finetune
from pareto_prune.trials.folders import DENSE_FOLDER, is_whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TIMED_STEPS = 4
MEASURE_SECONDS = 6.0
"""What a whole measurement takes at most on a CPU."""
PAGE_BYTES = 5_000_000
TRIAL_BYTES = 40_000


@dataclass(frozen=True)
class Estimate:
    """What a run would do. Seconds and bytes are estimates.

    Attributes:
        left: trials that would run.
        asked: trials in all.
        dense_seconds: fine-tuning of the dense model; 0 where it is there already.
        rate_seconds: the test of the learning rate; 0 where there is none, or the study has begun.
        trial_seconds: one trial at the dense model's size; pruned ones take less.
        promotion_seconds: what promotions add to a trial on average.
        limit: wall-clock limit, if there is one.
        model_bytes: weights of the dense model.
        starters: names of the candidates that come first.
        genes: parameters that the sampler draws.
        notes: what to know of the texts.
    """

    study: str
    left: int
    asked: int
    dense_seconds: float
    rate_seconds: float
    trial_seconds: float
    promotion_seconds: float
    limit: float | None
    model_bytes: int
    starters: tuple[str, ...]
    strategies: tuple[str, ...]
    genes: int
    examples: tuple[int, int, int]
    output: Path
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """Seconds of the whole run, at most, its limit included."""
        mean = self.trial_seconds + self.promotion_seconds
        needed = self.dense_seconds + self.rate_seconds + self.left * mean
        return needed if self.limit is None else min(needed, self.limit)

    @property
    def disk(self) -> int:
        """Bytes written: the dense model, a model for each point of a front of a third, records."""
        kept = 1 + max(1, self.asked // 3)
        return kept * self.model_bytes + PAGE_BYTES + self.asked * TRIAL_BYTES

    def __str__(self) -> str:
        train, validation, test = self.examples
        dense = duration(self.dense_seconds) if self.dense_seconds else "there already"
        limit = "" if self.limit is None else f", limited to {duration(self.limit)}"
        more = duration(self.promotion_seconds)
        longer = f", and {more} where the best train further" if self.promotion_seconds else ""
        lines = [
            f"study {self.study}: {self.left} of {self.asked} trials would run",
            f"data        {train} training, {validation} validation, {test} test examples",
            f"strategies  {', '.join(self.strategies)}; {self.genes} genes",
            f"first       {', '.join(self.starters) or 'no starters'}",
            f"dense model {dense}",
            *([f"rate test   {duration(self.rate_seconds)}"] if self.rate_seconds else []),
            f"a trial     about {duration(self.trial_seconds)} at the dense model's size{longer}",
            f"in all      about {duration(self.total)}{limit}",
            f"disk        about {self.disk / 1e6:.0f} MB in {self.output}",
        ]
        return "\n".join([*lines, *(f"texts       {note}" for note in self.notes)])


def estimate(config: StudyConfig, storage: str, output: Path) -> Estimate:
    """Return what a run would do here; reads data and model, trains nothing that is kept.

    Raises:
        UserError: as the run itself would.
    """
    device = device_of(config)
    data = data_sets.load(config)
    task = tasks.create(config.data.task)
    checkpoint = _checkpoint(config)
    known = names_of(checkpoint.config())
    model, has_head = checkpoint.model(task, data.label_names)
    there = is_made(model, has_head, known, data)
    model.to(device)
    folder = output.expanduser().resolve() / config.name
    step, example = _step_seconds(model, data, task, config), _example_seconds(model, data)
    steps = config.dense.epochs * -(-len(data.train) // config.dense.batch)
    training = _trained_steps(config) * step
    space = SearchSpace.of(config, architecture(model))
    starters = starting_candidates(config, space)
    return Estimate(
        study=config.name,
        left=_left(config, storage),
        asked=config.limits.trials,
        dense_seconds=0.0 if there or is_whole(folder / DENSE_FOLDER) else steps * step,
        rate_seconds=_rate_steps(config, storage) * step,
        trial_seconds=training + 2 * len(data.validation) * example + MEASURE_SECONDS,
        promotion_seconds=(mean_multiple(config) - 1.0) * training,
        limit=None if config.limits.time is None else seconds(config.limits.time),
        model_bytes=sum(p.numel() * p.element_size() for p in model.parameters()),
        starters=tuple(dict.fromkeys(str(one.starter) for one in starters)),
        strategies=config.search.strategies,
        genes=len(space.genes),
        examples=(len(data.train), len(data.validation), len(data.test)),
        output=folder,
        notes=tuple(notes_on(data, config.data.max_length)),
    )


def _trained_steps(config: StudyConfig) -> float:
    """Return the steps of the dense model that take as long as the fine-tune of a trial."""
    return config.finetune.steps * (PIVOT if config.finetune.by_size else 1.0)


def _rate_steps(config: StudyConfig, storage: str) -> float:
    """Return the steps of the dense model that take as long as the test of the learning rate."""
    opened = open_storage(storage)
    there = config.name in [summary.name for summary in opened.studies()]
    if rate.steps_of(config) == 0 or (there and opened.open_study(config.name).reference):
        return 0.0
    return len(rate.SHARES) * rate.steps_of(config) * (1 - rate.SPARSITY)


def _checkpoint(config: StudyConfig) -> Checkpoint:
    return Checkpoint.find(config.model.path, config.model.revision, config.model.attention)


def _step_seconds(model: PreTrainedModel, data: TaskData, task: Task, config: StudyConfig) -> float:
    settings = FinetuneSettings(steps=TIMED_STEPS, batch=config.finetune.batch, distillation=0.0)
    ends = [perf_counter()]
    finetune(
        model,
        data.train,
        task,
        None,
        settings,
        TIMED_STEPS,
        seed=config.seed,
        on_step=lambda *_: ends.append(perf_counter()),
    )
    return float(np.median(np.diff(ends)))


def _example_seconds(model: PreTrainedModel, data: TaskData) -> float:
    sample = data.validation.take(np.arange(min(64, len(data.validation))))
    start = perf_counter()
    logits_of(model, sample)
    return (perf_counter() - start) / len(sample)


def _left(config: StudyConfig, storage: str) -> int:
    """Return the trials that a study still lacks; all of them where there is none yet."""
    opened = open_storage(storage)
    if config.name not in [summary.name for summary in opened.studies()]:
        return config.limits.trials
    counts = opened.open_study(config.name).counts()
    done = sum(number for state, number in counts.items() if TrialState(state).finished)
    return max(0, config.limits.trials - done)
