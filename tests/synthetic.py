"""Studies made by formulas instead of trials, shaped like real ones; no model, no clock, seeded.

A six-layer model of MiniLM's shape (hidden 384, 12 heads, 1536 neurons a layer). Latency is a fixed
part and the encoder's share of work, the metric falls slowly and then steeply with what is removed,
both with noise. States are mixed as in a real study: some trials stop early, fail, break a
constraint, or still run.
"""

from __future__ import annotations

import math

import numpy as np

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.records import (
    Candidate,
    DenseReference,
    Environment,
    Failure,
    Interval,
    Measurement,
    Quality,
    Reading,
    Rung,
    Study,
    Trial,
    TrialResult,
    TrialState,
)

CREATED = 1_700_000_000.0
DENSE_VALUES = {"accuracy": 0.842, "latency_ms": 15.0, "energy_j": 0.080}
TOKENS = 24
EXAMPLES = 853

ENVIRONMENT = Environment(
    device="AMD EPYC 7B13",
    cores=2,
    threads=1,
    memory_gib=7.8,
    system="Linux 6.1",
    python="3.11.9",
    versions={"torch": "2.13.0", "transformers": "5.23.0", "optuna": "5.0.0"},
    commit="0123abc",
    details={"governor": "performance"},
)


def dense_architecture(layers: int = 6) -> Architecture:
    """Return the shape of the model that nothing was removed from."""
    shape = LayerShape(heads=12, neurons=1536)
    return Architecture(hidden=384, head_size=32, layers=(shape,) * layers)


def parameters(architecture: Architecture) -> int:
    """Return the parameters of a model of this shape, embeddings included."""
    head = 4 * architecture.hidden * architecture.head_size
    units = architecture.heads * head + architecture.neurons * 2 * architecture.hidden
    return 11_920_000 + units


def reference(layers: int = 6, grade: str = "estimated", accuracy: float = 0.842) -> DenseReference:
    """Return the dense model; ``grade`` is that of its energy."""
    architecture = dense_architecture(layers)
    source = "cpu_time" if grade == "estimated" else "rapl"
    readings = {
        "latency_ms": _reading(DENSE_VALUES["latency_ms"], "ms", "measured", "clock", 0.01),
        "energy_j": _reading(DENSE_VALUES["energy_j"], "J/sample", grade, source, 0.02),
    }
    return DenseReference(
        architecture=architecture,
        parameters=parameters(architecture),
        bytes=4 * parameters(architecture),
        quality=quality(accuracy),
        chance=0.502,
        measurement=Measurement(readings=readings, ratios={}, protocol=1, seconds=20.0),
        digest="d" * 64,
        environment=ENVIRONMENT,
    )


def quality(accuracy: float, examples: int = EXAMPLES) -> Quality:
    """Return a quality with its binomial interval."""
    return Quality(
        metrics={"accuracy": accuracy},
        intervals={"accuracy": binomial(accuracy, examples)},
        examples=examples,
        loss=1.2 - accuracy,
    )


def binomial(share: float, examples: int = EXAMPLES) -> Interval:
    """Return the 95 % interval of a share of ``examples``."""
    half = 1.96 * math.sqrt(share * (1 - share) / examples)
    return share - half, share + half


def study(
    trials: int = 40,
    seed: int = 0,
    name: str = "synthetic",
    layers: int = 6,
    grade: str = "estimated",
    ugly: bool = True,
    references: bool = True,
) -> Study:
    """Return a study of ``trials`` finished trials.

    Args:
        trials: how many; the first is the dense model itself.
        seed: of everything that is drawn.
        name: of the study.
        layers: of the dense model.
        grade: of the energy readings.
        ugly: whether some trials stop, fail or break the constraint; one more then still runs and
            one waits.
        references: whether named references are there.
    """
    rng = np.random.default_rng(seed)
    made = [_trial(number, rng, layers, grade, ugly) for number in range(trials)]
    if ugly:
        made += [
            Trial(number=trials, state=TrialState.RUNNING, candidate=_candidate(rng, layers, None)),
            Trial(number=trials + 1, state=TrialState.WAITING),
        ]
    return Study(
        name=name,
        config=config(name, trials),
        created=CREATED,
        trials_asked=trials + 2 * ugly,
        reference=reference(layers, grade),
        references=_references(layers, grade) if references else (),
        trials=tuple(made),
    )


def many(trials: int) -> Study:
    """Return a large study quickly: copies of the trials of a smaller one, values a little off."""
    small = study(trials=400)
    factors = 1 + 0.01 * np.random.default_rng(1).normal(size=(trials, 3))
    kept = [trial for trial in small.trials if trial.state.finished]
    copies = [_copied(kept[n % len(kept)], n, factors[n].tolist()) for n in range(trials)]
    return small.model_copy(update={"trials": tuple(copies), "trials_asked": trials})


def _copied(trial: Trial, number: int, factors: list[float]) -> Trial:
    later = 18.0 * (number - trial.number)
    result = trial.result
    if result is not None and number >= 400:
        pairs = zip(result.values.items(), factors, strict=False)
        result = result.model_copy(update={"values": {name: v * f for (name, v), f in pairs}})
    return trial.model_copy(
        update={
            "number": number,
            "result": result,
            "started": (trial.started or CREATED) + later,
            "ended": (trial.ended or CREATED) + later,
        }
    )


def config(name: str, trials: int = 40) -> dict[str, object]:
    """Return the content of the study file."""
    return {
        "name": name,
        "seed": 0,
        "objectives": list(DENSE_VALUES),
        "model": {"path": "demo:minilm-l6"},
        "data": {"path": "demo:rotten-tomatoes", "task": "classification", "max_length": 64},
        "constraints": {"accuracy": ">= 0.6"},
        "search": {"strategies": ["balanced", "layer_wise", "l1"]},
        "finetune": {"steps": 60},
        "measure": {"engine": "onnxruntime", "meter": "auto"},
        "limits": {"trials": trials},
    }


def trial(
    number: int,
    values: dict[str, float],
    state: TrialState = TrialState.COMPLETE,
    starter: str | None = None,
    intervals: dict[str, Interval] | None = None,
    violations: dict[str, float] | None = None,
    **fields: object,
) -> Trial:
    """Return a finished trial with exactly these objectives, for tests that reckon by hand."""
    candidate = Candidate(strategy="l1", importance="l1", starter=starter)
    result = TrialResult(
        candidate=candidate,
        values=values,
        intervals=intervals or {},
        violations=violations or {},
        architecture=dense_architecture(),
        parameters=20_000_000,
        **fields,
    )
    start = CREATED + 60 + 10 * number
    return Trial(
        number=number,
        state=state,
        candidate=candidate,
        result=result,
        started=start,
        ended=start + 10,
        worker="host:1",
    )


def study_of(*trials: Trial, name: str = "by-hand", **fields: object) -> Study:
    """Return a study of exactly these trials, with the usual dense model."""
    given = {
        "name": name,
        "config": config(name, len(trials)),
        "created": CREATED,
        "trials_asked": len(trials),
        "reference": reference(),
        "trials": trials,
    }
    return Study(**(given | fields))


def _reading(value: float, unit: str, grade: str, source: str, spread: float) -> Reading:
    interval = (value * (1 - spread), value * (1 + spread))
    return Reading(value=value, unit=unit, grade=grade, source=source, repeats=9, interval=interval)


def _candidate(rng: np.random.Generator, layers: int, starter: str | None) -> Candidate:
    strategies = ("balanced", "layer_wise", "l1", "l2")
    strategy = strategies[rng.choice(4, p=(0.45, 0.25, 0.2, 0.1))]
    target = float(rng.uniform(0.08, 0.7))
    spread = 0.05 + 0.25 * (strategy != "balanced")
    sublayers = np.clip(1 - target + rng.normal(0, spread, 2 * layers), 0, 0.97)
    return Candidate(
        strategy=strategy,
        importance=str(rng.choice(("fisher", "obs", "l2"))),
        cost_target=target,
        sublayers=tuple(float(s) for s in sublayers),
        starter=starter,
    )


def _trial(number: int, rng: np.random.Generator, layers: int, grade: str, ugly: bool) -> Trial:
    starter = {0: "dense", 1: "half_depth", 2: "uniform"}.get(number)
    candidate = _candidate(rng, layers, starter)
    shape = _shape(candidate, layers)
    fate = float(rng.random()) if ugly and number > 2 else 1.0
    start = CREATED + 75 + 18.0 * number
    seconds = 16.0
    if fate < 0.05:
        state, result = TrialState.FAILED, _failed(candidate)
    elif fate < 0.2:
        state, result = TrialState.STOPPED, _stopped(candidate, shape, rng, grade)
        seconds = 7.0
    else:
        state, result = TrialState.COMPLETE, _complete(candidate, shape, rng, grade)
    return Trial(
        number=number,
        state=state,
        candidate=candidate,
        result=result,
        started=start,
        ended=start + seconds,
        worker="host:1",
    )


def _shape(candidate: Candidate, layers: int) -> Architecture:
    dense = dense_architecture(layers)
    if candidate.starter == "dense":
        return dense
    if candidate.starter == "half_depth":
        kept = [i % 2 == 0 for i in range(layers)]
        gone = LayerShape(heads=0, neurons=0)
        shapes = tuple(s if k else gone for s, k in zip(dense.layers, kept, strict=True))
        return dense.model_copy(update={"layers": shapes})
    removed = np.array(candidate.sublayers).reshape(layers, 2)
    if candidate.starter == "uniform":
        removed = np.full((layers, 2), 0.5)
    shapes = tuple(
        LayerShape(heads=round(12 * (1 - a)), neurons=8 * round(192 * (1 - f))) for a, f in removed
    )
    return dense.model_copy(update={"layers": shapes})


def _share(architecture: Architecture) -> float:
    dense = dense_architecture(len(architecture.layers))
    return architecture.macs(TOKENS) / dense.macs(TOKENS)


def _accuracy(candidate: Candidate, shape: Architecture, noise: float) -> float:
    dense = DENSE_VALUES["accuracy"]
    if candidate.starter == "dense":
        return dense
    skill = {"balanced": 1.0, "layer_wise": 1.25, "l2": 1.6, "l1": 1.9}[candidate.strategy]
    lost = 0.012 * skill * (1 / max(_share(shape), 0.02) - 1) ** 0.9
    return max(0.49, dense - lost + 0.006 * noise)


def _measured(shape: Architecture, dense: bool, noise: np.ndarray) -> dict[str, float]:
    share = _share(shape)
    latency = 1.0 if dense else (0.10 + 0.90 * share**0.85) * math.exp(0.02 * noise[0])
    energy = 1.0 if dense else (0.03 + 0.97 * share**1.05) * math.exp(0.04 * noise[1])
    return {"latency_ms": latency, "energy_j": energy}


def _complete(
    candidate: Candidate, shape: Architecture, rng: np.random.Generator, grade: str
) -> TrialResult:
    noise = rng.normal(size=3)
    accuracy = _accuracy(candidate, shape, noise[2])
    ratios = _measured(shape, candidate.starter == "dense", noise)
    values = {"accuracy": accuracy} | {n: r * DENSE_VALUES[n] for n, r in ratios.items()}
    spreads = {"latency_ms": 0.02, "energy_j": 0.05}
    intervals = {"accuracy": binomial(accuracy)} | {
        name: (values[name] * (1 - s), values[name] * (1 + s)) for name, s in spreads.items()
    }
    return TrialResult(
        candidate=candidate,
        architecture=shape,
        plan_digest=f"{hash(shape.layers) & 0xFFFFFFFF:08x}",
        parameters=parameters(shape),
        bytes=4 * parameters(shape),
        quality=quality(accuracy),
        measurement=_measurement(values, ratios, grade),
        rungs=(_rung(0, accuracy - 0.06), _rung(15, accuracy - 0.02)),
        values=values,
        intervals=intervals,
        violations={"accuracy": (0.6 - accuracy) / 0.6},
        stop_reason="dominated at 25% of the steps even at an optimistic estimate"
        if (audited := rng.random() < 0.05)
        else None,
        audited=audited,
        steps=60,
        timings={"prune": 0.4, "measure": 4.0, "finetune": 10.0, "evaluate": 1.4, "total": 16.0},
        environment=ENVIRONMENT,
        artifact="weights" if rng.random() < 0.5 else None,
    )


def _measurement(values: dict[str, float], ratios: dict[str, float], grade: str) -> Measurement:
    source = "cpu_time" if grade == "estimated" else "rapl"
    return Measurement(
        readings={
            "latency_ms": _reading(values["latency_ms"], "ms", "measured", "clock", 0.02),
            "energy_j": _reading(values["energy_j"], "J/sample", grade, source, 0.05),
        },
        ratios={
            "latency_ms": _reading(ratios["latency_ms"], "1", "measured", "clock", 0.02),
            "energy_j": _reading(ratios["energy_j"], "1", grade, source, 0.05),
        },
        protocol=1,
        seconds=4.0,
    )


def _rung(step: int, accuracy: float) -> Rung:
    return Rung(step=step, quality=quality(max(0.4, accuracy)), seconds=2.0)


def _stopped(
    candidate: Candidate, shape: Architecture, rng: np.random.Generator, grade: str
) -> TrialResult:
    full = _complete(candidate, shape, rng, grade)
    accuracy = max(0.4, full.values["accuracy"] - 0.05)
    return full.model_copy(
        update={
            "values": full.values | {"accuracy": accuracy},
            "intervals": full.intervals | {"accuracy": binomial(accuracy)},
            "violations": {},
            "stop_reason": "dominated at 25% of the steps even at an optimistic estimate",
            "audited": False,
            "steps": 15,
            "timings": {
                "prune": 0.4,
                "measure": 4.0,
                "finetune": 2.0,
                "evaluate": 0.6,
                "total": 7.0,
            },
            "artifact": None,
        }
    )


def _failed(candidate: Candidate) -> TrialResult:
    return TrialResult(
        candidate=candidate,
        failure=Failure(kind="nan_loss", reason="the loss is not a number at step 12"),
        environment=ENVIRONMENT,
    )


def _references(layers: int, grade: str) -> tuple[TrialResult, ...]:
    dense = dense_architecture(layers)
    made = []
    for name, accuracy, latency, energy in (
        ("dense, int8", 0.839, 0.62, 0.55),
        ("unstructured 50 %", 0.835, 1.0, 1.0),
    ):
        ratios = {"latency_ms": latency, "energy_j": energy}
        values = {"accuracy": accuracy} | {n: r * DENSE_VALUES[n] for n, r in ratios.items()}
        made.append(
            TrialResult(
                candidate=Candidate(strategy="reference", importance="none", starter=name),
                architecture=dense,
                parameters=parameters(dense),
                quality=quality(accuracy),
                measurement=_measurement(values, ratios, grade),
                values=values,
                intervals={"accuracy": binomial(accuracy)},
            )
        )
    return tuple(made)
