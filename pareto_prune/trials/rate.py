"""The learning rate that the models of a study bear: a short test of a small one, once a study.

What trains a model of 384 channels well ruins one of 768: the loss jumps, does not come back, and
the fine-tune is undone. So one small model, for which rates are highest, is trained for some steps
at the rate that it would get, at half of it, and so on (a coarse form of the range test of Smith
2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3). What comes nearest to
the dense model on texts new to both is the share of its learning rate that every candidate of the
study gets.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pareto_prune.core import cache, cache_entries
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import TrialError
from pareto_prune.core.hashing import file_sha256
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.core.records import Candidate
from pareto_prune.trials import allotment, finetune
from pareto_prune.trials.bench import Bench
from pareto_prune.trials.calibration import load_tensors, save_tensors
from pareto_prune.trials.context import context_of
from pareto_prune.trials.stages import prune_candidate
from pareto_prune.trials.timings import Timings

_CODE = (__file__, allotment.__file__, finetune.__file__)
SHARES = (1.0, 0.5, 0.25, 0.125, 0.0625)
STEPS = 40
"""Of the test, at most those of a trial."""
SPARSITY = 0.88
"""Of every sublayer of the model that is tested: there the rate is at its highest."""
CLEARLY = 0.05
"""By how much of the loss a lower rate must do better. Longer training needs less of it than a
short test shows, but a rate that is too low trains too little in either."""


def with_rate(bench: Bench) -> Bench:
    """Return the bench with the share of the learning rates that its models bear.

    Where the model of the test cannot be made the rates stay.
    """
    steps = steps_of(bench.config)
    if steps == 0:
        return bench
    path = cache_entries.calibration("rate", _key(bench, steps))
    with cache.made_once(path):
        found = load_tensors(path)
        if found is None:
            try:
                share = _tested(bench, steps)
            except TrialError as error:
                bench.progress.note(f"the learning rate is not tested: {error}")
                return bench
            found = {"rate": torch.tensor(share, dtype=torch.float64)}
            save_tensors(path, found)
    share = float(found["rate"])
    if share < 1.0:
        bench.progress.note(
            f"learning rates are {share:g} of what they would be: more ruins models"
        )
    return replace(bench, rate=share)


def steps_of(config: StudyConfig) -> int:
    """Return the steps that a study's test takes at each rate; 0 where there is none."""
    return min(STEPS, config.finetune.steps) if config.finetune.find_rate else 0


def best(before: float, loss_at: Callable[[float], float]) -> float:
    """Return the share of the rate to train with, from the highest down.

    Args:
        before: loss before training.
        loss_at: returns the loss after training at a share of the rate; infinite or NaN where that
            ruins the model.
    """
    chosen, least = SHARES[0], math.inf
    for share in SHARES:
        loss = loss_at(share)
        enough = (1 - CLEARLY) * least if least < before else least
        if loss < enough:
            chosen, least = share, loss
        elif least < before:
            break
    return chosen if least < math.inf else SHARES[-1]


class _Steps(Silent):
    """Shows the steps of a training whose own stages are part of another."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

    def advance(self, steps: int = 1) -> None:
        """Say so."""
        self._shown.advance(steps)


def _tested(bench: Bench, steps: int) -> float:
    shown, bench = bench.progress, replace(bench, progress=_Steps(bench.progress))
    shown.stage("learning rate")
    seed, candidate = bench.config.seed, _candidate(bench)
    context = context_of(bench, bench.whole, candidate, seed, _go_on, Timings())
    model = prune_candidate(context).model
    context.allot(model)

    def loss_at(share: float) -> float:
        shown.stage(f"learning rate × {share:g}", steps)
        trained = copy.deepcopy(model)
        try:
            context.try_out(trained, steps, share)
        except TrialError:
            return math.inf
        return context.apart(trained)

    return best(context.apart(model), loss_at)


def _candidate(bench: Bench) -> Candidate:
    layers = len(bench.whole.architecture.layers)
    return Candidate(
        strategy="layer_wise",
        importance="l2",
        sublayers=(SPARSITY,) * (2 * layers),
        learning_rate=bench.config.search.learning_rate[1],
    )


def _go_on() -> None:
    """Nothing stops a test."""


def _key(bench: Bench, steps: int) -> dict[str, Any]:
    whole, config = bench.whole, bench.config
    return {
        "dense": whole.dense.digest,
        "tokens": whole.data.train.digest,
        "steps": steps,
        "seed": config.seed,
        "rate": config.search.learning_rate[1],
        "finetune": config.finetune.to_json(),
        "shapes": config.search.shapes,
        "code": [file_sha256(Path(str(module))) for module in _CODE],
    }
