"""What trials are held against, taken once a study: the dense model, and named references."""

from __future__ import annotations

from pareto_prune.core.errors import StorageError
from pareto_prune.core.records import Candidate, DenseReference, TrialResult
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.storage import LeaseLostError, StoredStudy
from pareto_prune.trials.bench import Bench
from pareto_prune.trials.dense import chance
from pareto_prune.trials.deployment import Deployment
from pareto_prune.trials.named_references import Alternative, Setting, named_references
from pareto_prune.trials.objective_values import objective_values


def measured_reference(bench: Bench) -> DenseReference:
    """Return the dense model's quality and costs, measured now, and the rates of its trials."""
    progress, whole = bench.progress, bench.whole
    progress.stage("evaluating the dense model")
    deployment = Deployment.of(bench.config, {})
    quality = deployment.quality(
        whole.dense.model, whole.data.validation, bench.task, bench.measurer
    )
    progress.stage("measuring the dense model")
    progress.quiet()
    sizes = deployment.size(whole.dense.model)
    found = DenseReference(
        architecture=whole.architecture,
        parameters=sizes["parameters"],
        bytes=sizes["bytes"],
        quality=quality,
        chance=chance(whole.data, bench.config.metric),
        measurement=bench.measurer.reference(),
        digest=whole.dense.digest,
        environment=bench.environment,
        data=whole.data.digest,
        rate=bench.rate,
    )
    return found.model_copy(update={"formats": _formats(bench, found)})


def _formats(bench: Bench, dense: DenseReference) -> dict[str, dict[str, float]]:
    """Return what the dense model costs in the other number formats that the study searches."""
    dtypes, own = bench.config.search.deployment.get("dtype", ()), bench.config.measure.dtype
    if len(dtypes) < 2:
        return {}
    return {dtype: _shares(bench, dense, dtype) for dtype in dtypes if dtype != own}


def _shares(bench: Bench, dense: DenseReference, dtype: str) -> dict[str, float]:
    """Return what is left of the dense model's costs in a number format, by objective."""
    model = bench.whole.dense.model
    bench.progress.stage(f"the dense model in {dtype}")
    bench.progress.quiet()
    deployment = Deployment.of(bench.config, {"dtype": dtype})
    ratios = bench.measurer.measure(model, **deployment.knobs()).ratios
    shares = {name: ratio.value for name, ratio in ratios.items() if ratio.value is not None}
    shares["bytes"] = deployment.size(model)["bytes"] / dense.bytes
    return {name: shares[name] for name in bench.config.objectives if name in shares}


def missing_references(study: StoredStudy) -> list[str]:
    """Return the names of the named references that a study asks for and does not have."""
    there = study.named_references()
    return [name for name in study.config.search.references if name not in there]


def take_named_references(
    study: StoredStudy, bench: Bench, dense: DenseReference, lease: str
) -> None:
    """Measure and evaluate the named references that are missing.

    One that cannot be taken is left out and said: a study does not fail over what stands beside it.

    Raises:
        LeaseLostError: ``lease``, under which they are taken, is another worker's by now.
        StorageError: the database failed.
    """
    setting = _setting(bench)
    for name in missing_references(study):
        made = named_references.create(name, where="search.references")
        try:
            alternative = made.alternative(setting)
            if alternative is not None:
                found = _alternative(bench, name, alternative, dense)
                study.keep_reference(name, found, lease)
        except (LeaseLostError, StorageError):
            raise
        except Exception as error:  # engines and number formats have errors of their own
            said = f"named reference {name} is left out: {type(error).__name__}: {error}"
            bench.progress.note(said)
            study.event("reference_left_out", said)


def _setting(bench: Bench) -> Setting:
    return Setting(
        task=bench.task,
        model=bench.whole.dense.model,
        validation=bench.whole.data.validation,
        device=bench.measurer.device,
        dtypes=bench.measurer.dtypes(),
        dtype=bench.config.measure.dtype,
    )


def _alternative(bench: Bench, name: str, made: Alternative, dense: DenseReference) -> TrialResult:
    bench.progress.stage(f"named reference {name}")
    deployment = Deployment.of(bench.config, made.deployment)
    fold = bench.at_length(bench.whole, deployment.max_length)
    quality = deployment.quality(made.model, fold.data.validation, bench.task, bench.measurer)
    bench.progress.quiet()
    found = bench.measurer.measure(made.model, made.own_cost, **deployment.knobs())
    sizes = deployment.size(made.model)
    values, intervals = objective_values(dense, quality, found, sizes)
    return TrialResult(
        candidate=Candidate(
            strategy="none", importance="none", starter=name, deployment=made.deployment
        ),
        architecture=bench.whole.architecture,
        plan_digest=PruningPlan.dense(bench.whole.architecture).digest(),
        parameters=sizes["parameters"],
        bytes=sizes["bytes"],
        quality=quality,
        measurement=found,
        values=values,
        intervals=intervals,
        environment=bench.environment,
    )
