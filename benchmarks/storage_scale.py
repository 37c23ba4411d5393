"""How far one storage carries: many workers, many trials, no training.

Workers claim, propose, report and tell with a stand-in trial that takes no time, so that what is
measured is the storage. Beside it, plain Optuna's ask and tell on the same server and the same
study. Without ``--storage`` an SQLite file and, where one is installed, a PostgreSQL server of its
own (on disk, durable) are measured.

    python benchmarks/storage_scale.py [--quick] [--json FILE] [--storage URL]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import (
    Candidate,
    Environment,
    Measurement,
    Quality,
    Reading,
    Rung,
    TrialResult,
    TrialState,
)
from pareto_prune.running.assignment import Assignment
from pareto_prune.running.worker import work
from pareto_prune.search.space import SearchSpace
from pareto_prune.storage import StoredStudy, open_storage, telling, trial_rows
from pareto_prune.storage.claims import Claim
from tests.storage.postgres import Server, binaries

ARCHITECTURE = Architecture(
    hidden=768, head_size=64, layers=(LayerShape(heads=12, neurons=3072),) * 17
)
READS = {
    "balanced": frozenset({"cost_target", "sublayers", "alpha_latency", "alpha_energy"}),
    "layer_wise": frozenset({"importance", "sublayers"}),
}
Row = dict[str, Any]


def study_config(name: str, trials: int) -> StudyConfig:
    """Return a study of 39 genes."""
    return StudyConfig.model_validate(
        {
            "name": name,
            "model": {"path": "none"},
            "data": {"path": "none"},
            "search": {"strategies": ("balanced", "layer_wise")},
            "limits": {"trials": trials},
        }
    )


def space_of(config: StudyConfig) -> SearchSpace:
    """Return its space."""
    return SearchSpace.of(config, ARCHITECTURE, READS)


def run_nothing(assignment: Assignment) -> TrialResult:
    """Report one rung and end, with a result as large as a real one."""
    rung = Rung(step=0, quality=_quality(), seconds=0.1)
    assignment.report_rung(rung)
    return result_of(assignment.candidate, assignment.number)


def result_of(candidate: Candidate, number: int) -> TrialResult:
    """Return a result with everything that a real trial records."""
    rng = np.random.default_rng(number)
    removed = sum(candidate.sublayers) / len(candidate.sublayers)
    reading = Reading(value=3.2, unit="ms", grade="measured", source="clock", interval=(3.1, 3.4))
    names = ("latency_ms", "latency_p95_ms", "throughput", "energy_j", "energy_net_j")
    return TrialResult(
        candidate=candidate,
        architecture=ARCHITECTURE,
        plan_digest=f"{number:064x}",
        parameters=20_000_000,
        bytes=80_000_000,
        quality=_quality(),
        measurement=Measurement(
            readings=dict.fromkeys(names, reading),
            ratios=dict.fromkeys(names, reading),
            protocol=1,
            seconds=3.0,
        ),
        rungs=(Rung(step=0, quality=_quality(), seconds=0.1),) * 3,
        values={
            "accuracy": 0.9 - 0.3 * removed**2 + 0.02 * rng.standard_normal(),
            "latency_ms": 12 - 10 * removed + 0.3 * rng.standard_normal(),
            "energy_j": 0.1 * (1.1 - removed) + 0.005 * rng.standard_normal(),
        },
        violations={"accuracy": -0.1},
        timings=dict.fromkeys(("prune", "measure", "finetune", "evaluate", "total"), 1.0),
        environment=Environment(
            device="cpu",
            cores=2,
            threads=1,
            memory_gib=8.0,
            system="Linux",
            python="3.11",
            versions=dict.fromkeys(("torch", "transformers", "optuna", "onnxruntime"), "1.2.3"),
        ),
    )


def _quality() -> Quality:
    return Quality(
        metrics={"accuracy": 0.8, "f1": 0.79}, intervals={"accuracy": (0.78, 0.82)},
        examples=853, loss=0.4,
    )  # fmt: skip


def fill(study: StoredStudy, space: SearchSpace, trials: int) -> None:
    """Put finished trials into a study, in one transaction."""
    rng = np.random.default_rng(0)

    def put(connection: Any) -> None:
        for number in range(trials):
            _, trial = trial_rows.insert_trial(connection, study._id, TrialState.RUNNING)
            params = {
                gene.name: gene.choices[rng.integers(len(gene.choices))]
                if gene.choices
                else gene.at(rng.random())
                for gene in space.genes
            }
            candidate = space.to_candidate(params)
            result = result_of(candidate, number)
            trial_rows.write_candidate(connection, study._id, number, trial, candidate, space)
            claim = Claim(number, trial, "", candidate, 1.0)
            telling.write_end(connection, study._id, study.config, claim, result, 1.0)

    study._database.write(put)


def clients(url: str, name: str, threads: int, lease: float) -> int:
    """Be several workers, one a thread; return how many trials they told."""
    told: list[int] = []

    def one(index: int) -> None:
        storage = open_storage(url, lease_seconds=lease)
        study = storage.open_study(name)
        worker = f"{os.getpid()}/{index}"
        space = space_of(study.config)
        told.append(work(study, run_nothing, space, worker_name=worker, linger=False))
        storage.close()

    running = [threading.Thread(target=one, args=(index,)) for index in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(told)


def throughput(url: str, processes: int, threads: int, trials: int) -> Row:
    """Return how many trials a second so many workers get through one study, exactly counted."""
    storage = open_storage(url)
    name = f"load-{processes}x{threads}-{time.time_ns()}"
    study = storage.create(study_config(name, trials))
    warm = (url, f"{name}-warm", threads, 60.0)
    storage.create(study_config(f"{name}-warm", processes * threads * 2))
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.starmap(clients, [warm] * processes, chunksize=1)
        start = time.perf_counter()
        told = pool.starmap(clients, [(url, name, threads, 60.0)] * processes, chunksize=1)
        seconds = time.perf_counter() - start
    numbers = [trial.number for trial in study.read().trials]
    whole = numbers == list(range(trials)) and sum(told) == trials
    storage.close()
    return {
        "what": f"{processes * threads} workers, trials/s",
        "value": trials / seconds,
        "note": "exact, no gaps" if whole else f"told {sum(told)} of {trials}",
    }


def ask_and_tell(url: str, trials: int, repeats: int) -> Iterator[Row]:
    """Yield what one more trial costs on a study of so many: ours and plain Optuna's."""
    storage = open_storage(url)
    config = study_config(f"filled-{trials}-{time.time_ns()}", trials + repeats + 1)
    space = space_of(config)
    study = storage.create(config)
    fill(study, space, trials)
    storage.copy(config.name, f"{config.name}-optuna")
    yield from _reading(url, config.name, trials)
    ours = _cycles_of_ours(url, config.name)
    theirs = _cycles_of_optuna(url, f"{config.name}-optuna", space, repeats)
    for whose, (first, later) in (("ours", ours), ("optuna", theirs)):
        yield {"what": f"{trials} trials: fresh worker's first trial, s, {whose}", "value": first}
        yield {
            "what": f"{trials} trials: ask + tell, ms, {whose}",
            "value": 1000 * statistics.median(later),
        }
    storage.close()


def _reading(url: str, name: str, trials: int) -> Iterator[Row]:
    storage = open_storage(url)
    study = storage.open_study(name)
    yield {"what": f"{trials} trials: read() of a fresh process, s", "value": _took(study.read)}
    yield {"what": f"{trials} trials: read() again, s", "value": _took(study.read)}
    storage.close()


def _took(work_: Callable[[], object]) -> float:
    start = time.perf_counter()
    work_()
    return time.perf_counter() - start


def _cycles_of_ours(url: str, name: str) -> tuple[float, list[float]]:
    """Return the seconds of a fresh worker's first trial and of later ones, opening included."""
    moments = [time.perf_counter()]
    storage = open_storage(url)
    study = storage.open_study(name)

    def run(assignment: Assignment) -> TrialResult:
        return result_of(assignment.candidate, assignment.number)

    def mark(event: Any) -> None:
        if event.kind == "told":
            moments.append(time.perf_counter())

    work(study, run, space_of(study.config), on_event=mark)
    storage.close()
    gaps = np.diff(moments).tolist()
    return gaps[0], gaps[1:]


def _cycles_of_optuna(
    url: str, name: str, space: SearchSpace, repeats: int
) -> tuple[float, list[float]]:
    """The same with Optuna's own interface, its NSGA-II and its defaults."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    moments = [time.perf_counter()]
    study = optuna.load_study(
        study_name=name, storage=url, sampler=optuna.samplers.NSGAIISampler(seed=0)
    )
    distributions = space.stored
    for number in range(repeats):
        trial = study.ask(distributions)
        candidate = space.to_candidate(trial.params)
        study.tell(trial, list(result_of(candidate, number).values.values()))
        moments.append(time.perf_counter())
    gaps = np.diff(moments).tolist()
    return gaps[0], gaps[1:]


def importing() -> Row:
    """Return how long a fresh process takes to import the storage."""
    code = "import pareto_prune.storage"
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    took = [
        _took(lambda: subprocess.run([sys.executable, "-c", code], check=True, env=environment))
        for _ in range(5)
    ]
    bare = [_took(lambda: subprocess.run([sys.executable, "-c", ""], check=True)) for _ in range(5)]
    return {"what": "import pareto_prune.storage, s", "value": min(took) - min(bare)}


@contextmanager
def storages(given: str | None) -> Iterator[dict[str, str]]:
    """Yield the URLs to measure, by name."""
    if given is not None:
        yield {"given": given}
        return
    server = Server(durable=True) if binaries() else None
    with tempfile.TemporaryDirectory() as folder:
        found = {"sqlite": f"sqlite:///{folder}/scale.db"}
        try:
            if server is not None:
                server.start()
                found["postgresql"] = server.database("scale")
            yield found
        finally:
            if server is not None:
                server.remove()


def measure(url: str, name: str, quick: bool) -> Iterator[Row]:
    """Yield the rows of one storage."""
    yield throughput(url, 4, 1, 100 if quick else 400)
    if name != "sqlite":
        yield throughput(url, 4, 8, 200 if quick else 800)
    for trials in (100, 1000) if quick else (100, 1000, 10_000):
        yield from ask_and_tell(url, trials, 10 if quick else 30)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--json", type=Path, help="write rows and environment to this file")
    parser.add_argument("--storage", help="URL of a database to measure instead")
    options = parser.parse_args(arguments)
    rows = [{"storage": "-", **importing()}]
    _print(rows[-1])
    with storages(options.storage) as urls:
        for name, url in urls.items():
            for row in measure(url, name, options.quick):
                rows.append({"storage": name, **row})
                _print(rows[-1])
    if options.json:
        environment = {"python": platform.python_version(), "cores": os.cpu_count()}
        options.json.write_text(json.dumps({"rows": rows, "environment": environment}, indent=1))


def _print(row: Row) -> None:
    print(
        f"{row['storage']:<11}{row['what']:<52}{row['value']:>10.3f}  {row.get('note', '')}",
        flush=True,
    )


if __name__ == "__main__":
    main()
