"""The dense model's own numbers, taken once a study: the yardstick of every trial."""

from __future__ import annotations

from pareto_prune.bench import Bench
from pareto_prune.dense import chance
from pareto_prune.evaluation import evaluate
from pareto_prune.records import DenseReference
from pareto_prune.storage import StoredStudy
from pareto_prune.trial import size_of


def take_reference(study: StoredStudy, bench: Bench) -> DenseReference:
    """Return the study's reference, measured now if it has none; the first one written stands."""
    standing = study.reference
    return standing if standing is not None else study.set_reference(_measured(bench))


def _measured(bench: Bench) -> DenseReference:
    progress, whole = bench.progress, bench.whole
    progress.stage("evaluating the dense model")
    quality = evaluate(whole.dense.model, whole.data.validation, bench.task)
    progress.stage("measuring the dense model")
    progress.quiet()
    sizes = size_of(whole.dense.model)
    return DenseReference(
        architecture=whole.architecture,
        parameters=sizes["parameters"],
        bytes=sizes["bytes"],
        quality=quality,
        chance=chance(whole.data, bench.config.metric),
        measurement=bench.measurer.reference(),
        digest=whole.dense.digest,
        environment=bench.environment,
    )
