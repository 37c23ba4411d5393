"""A study's trials as a function for Optuna's own ``study.optimize``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.core.records import Candidate, DenseReference
from pareto_prune.search.space import Params, SearchSpace
from pareto_prune.trials.bench import Bench, calibrate, prepare
from pareto_prune.trials.rate import with_rate
from pareto_prune.trials.reference import measured_reference
from pareto_prune.trials.seed import trial_seed
from pareto_prune.trials.trial import run_trial

if TYPE_CHECKING:
    import optuna


class Objective:
    """From an Optuna trial to the objectives of one pruned model.

    Model, data and calibration are made at the first call, or where ``reference`` is asked for.

    Args:
        config: the study; its ``[sampler]``, ``[limits]`` and starters are Optuna's business here.
        folder: where the dense model is kept.
        progress: told what is going on.
    """

    def __init__(self, config: StudyConfig, folder: Path, progress: Progress | None = None) -> None:
        self.config = config
        self._folder = folder
        self._progress = progress or Silent()

    @property
    def directions(self) -> list[str]:
        """Directions of the objectives, for ``optuna.create_study(directions=…)``."""
        return [OBJECTIVES[name].direction for name in self.config.objectives]

    @cached_property
    def reference(self) -> DenseReference:
        """The dense model's own values."""
        return measured_reference(self._bench)

    @cached_property
    def _bench(self) -> Bench:
        bench = prepare(self.config, self._folder, self._progress)
        calibrate(bench)
        return with_rate(bench)

    @cached_property
    def _space(self) -> SearchSpace:
        reference = self.reference
        return SearchSpace.of(self.config, reference.architecture, formats=reference.formats)

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        """Prune, measure, fine-tune and evaluate one candidate.

        The trial's user attributes hold ``strategy``, ``parameters``, ``architecture``, intervals
        and, where the study has constraints, ``violations`` (≤ 0 is met).

        Raises:
            TrialError: the candidate cannot be made, or training diverged. Let Optuna go on with
                ``study.optimize(…, catch=TrialError)``.
        """
        candidate = self.suggest(trial)
        seed = trial_seed(self.config.seed, trial.number)
        result = run_trial(self._bench, candidate, self.reference, seed=seed).result
        attributes: dict[str, Any] = {
            "strategy": candidate.strategy,
            "parameters": result.parameters,
            "architecture": result.architecture.to_json() if result.architecture else None,
            "intervals": {name: list(span) for name, span in result.intervals.items()},
            "violations": result.violations,
        }
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        return tuple(result.values[name] for name in self.config.objectives)

    def suggest(self, trial: optuna.Trial) -> Candidate:
        """Return a candidate from the parameters that Optuna's sampler suggests."""
        params: Params = {}
        for gene in self._space.genes:
            if gene.choices:
                chosen: Any = trial.suggest_categorical(gene.name, gene.choices)
                params[gene.name] = chosen
            else:
                params[gene.name] = trial.suggest_float(
                    gene.name, gene.low, gene.high, log=gene.log
                )
        return self._space.to_candidate(params)


def constraints(trial: optuna.trial.FrozenTrial) -> Sequence[float]:
    """Return a trial's violations, for ``constraints_func`` of Optuna's samplers."""
    return list(trial.user_attrs.get("violations", {}).values())
