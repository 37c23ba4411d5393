"""How good samplers are, without training: candidates scored by tables, workers simulated.

Every sampler gets the same starters and the same number of trials. A trial takes simulated time,
workers are of uneven speed, some trials are killed and retried. What counts is the hypervolume of
all finished trials as the design defines it.

The tables hold time, joules and loss by sublayer and width. ``--calibrate STUDY.toml`` takes them
from the calibration of a real study and writes them to the ``--tables`` file, which later runs
read; else a made-up BERT of six layers with the same kinds of curves is scored. At the end stands
what an ask takes in memory, of a model with 40 parameters to search.

    python benchmarks/sampler_quality.py [--quick] [--json FILE] [--tables FILE]
        [--calibrate STUDY.toml] [--seeds N] [--samplers NAMES] [--cells trials/workers,…]
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import itertools
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.defaults import DEFAULT_OUTPUT
from pareto_prune.core.objectives import OBJECTIVES as OBJECTIVES_BY_NAME
from pareto_prune.core.progress import Silent
from pareto_prune.core.records import DENSE_STARTER, Candidate, TrialState
from pareto_prune.measure.environment import environment
from pareto_prune.results.hypervolume import BOX, BOX_V1, Box, hypervolume
from pareto_prune.results.yardstick import Yardstick, clipped
from pareto_prune.search.past import Past
from pareto_prune.search.samplers import Request, samplers
from pareto_prune.search.samplers._history import History
from pareto_prune.search.space import SearchSpace, first_population
from pareto_prune.search.starters import starting_candidates

ASKS = 50
OBJECTIVES = ("accuracy", "latency_ms", "energy_j")
CHANCE, DENSE = 0.5, 0.84
DIVERGENCE, RECOVERED = 1.25, 0.9
"""Unit and power of a calibration's divergences: roughly those of trials of MiniLM-L6 on the demo
data (81 % at a quarter of the cost, 79 % at a ninth)."""
FACTORS = {"balanced": 1.0, "layer_wise": 1.2, "l2": 10.0, "l1": 10.0}
"""How much more than `balanced` other strategies lose: rough, from the same trials."""
READS = {
    "balanced": frozenset({"cost_target", "sublayers", "alpha_latency", "alpha_energy"}),
    "layer_wise": frozenset({"importance", "sublayers"}),
    "l1": frozenset({"sublayers"}),
    "l2": frozenset({"sublayers"}),
}


@dataclass(frozen=True)
class Sublayer:
    """Costs and loss of one sublayer by units kept, each list from none to all of them."""

    kept: list[int]
    time: list[float]
    joules: list[float]
    loss: list[float]


@dataclass(frozen=True)
class Tables:
    """What a candidate is scored by.

    Attributes:
        sublayers: bottom up, attention before FFN.
        fixed: (time, joules) of what no plan removes.
        factors: how much more a strategy (and importance) loses than the best one.
        power: of the loss; above 1 losses show late, below 1 training recovers much of them.
    """

    sublayers: list[Sublayer]
    fixed: tuple[float, float]
    factors: dict[str, float]
    power: float = 1.5

    @classmethod
    def read(cls, path: Path) -> Tables:
        """Read the tables of a real calibration from JSON."""
        content = json.loads(path.read_text())
        content["sublayers"] = [Sublayer(**one) for one in content["sublayers"]]
        return cls(**content)

    @classmethod
    def calibrated(cls, study_file: Path) -> Tables:
        """Take the tables from the calibration of a study, made if it is not cached.

        Losses are the divergences of sublayers cut alone, repaired, in units of
        :data:`DIVERGENCE`; how much more other strategies lose stands in :data:`FACTORS`.
        """
        from pareto_prune.running.study_file import read_study
        from pareto_prune.trials.bench import prepare

        config = read_study(study_file)
        bench = prepare(config, DEFAULT_OUTPUT / config.name, Silent())
        calibration = bench.whole.calibration
        latency, energy = calibration.latency, calibration.energy
        sublayers = []
        for index, losses in enumerate(calibration.sensitivities):
            layer, attention = index // 2, index % 2 == 0
            kept = _levels(max(losses), attention)
            price = [
                [(table.heads if attention else table.neurons)(layer, k) for k in kept]
                for table in (latency, energy)
            ]
            sublayers.append(Sublayer(kept, *price, [losses[k] / DIVERGENCE for k in kept]))
        return cls(sublayers, (latency.fixed, energy.fixed), FACTORS, RECOVERED)

    def write(self, path: Path) -> None:
        """Write what :meth:`read` reads."""
        path.write_text(json.dumps(asdict(self)))

    @property
    def architecture(self) -> Architecture:
        """The shape of the dense model."""
        units = [one.kept[-1] for one in self.sublayers]
        pairs = zip(units[::2], units[1::2], strict=True)
        layers = tuple(LayerShape(heads=h, neurons=n) for h, n in pairs)
        return Architecture(hidden=384, head_size=32, layers=layers)

    def dense(self) -> tuple[float, float]:
        """Return time and joules of the dense model."""
        last = [len(one.kept) - 1 for one in self.sublayers]
        return self.costs(last)

    def costs(self, levels: Sequence[int]) -> tuple[float, float]:
        """Return time and joules with every sublayer at a level of its list."""
        chosen = list(zip(self.sublayers, levels, strict=True))
        return (
            self.fixed[0] + sum(one.time[level] for one, level in chosen),
            self.fixed[1] + sum(one.joules[level] for one, level in chosen),
        )

    def loss(self, levels: Sequence[int]) -> float:
        """Return what that loses: the sublayers' own losses, and more where neighbours lose."""
        chosen = list(zip(self.sublayers, levels, strict=True))
        parts = [one.loss[level] for one, level in chosen]
        neighbours = sum(a * b for a, b in itertools.pairwise(parts))
        return sum(parts) + 0.5 * neighbours


def _levels(units: int, attention: bool) -> list[int]:
    return list(range(units + 1)) if attention else list(range(0, units + 1, max(1, units // 32)))


def made_up(layers: int = 6, heads: int = 12, neurons: int = 1536) -> Tables:
    """Return tables with the curves one sees: flat then linear costs, losses that rise late."""
    rng = np.random.default_rng(7)
    sublayers = []
    for index in range(2 * layers):
        attention = index % 2 == 0
        kept = list(range(heads + 1)) if attention else list(range(0, neurons + 1, 48))
        share = np.array(kept) / kept[-1]
        price = 0.05 if attention else 0.09
        time_ = np.where(share == 0, 0.0, price * np.maximum(0.25, share))
        joules = np.where(share == 0, 0.0, price * (0.1 + 0.9 * share)) * rng.uniform(0.8, 1.2)
        weight, bend = rng.lognormal(-3.7, 0.7), rng.uniform(1.5, 3.5)
        loss = weight * ((1 - share) ** bend + 0.6 * (share == 0))
        sublayers.append(Sublayer(kept, time_.tolist(), joules.tolist(), loss.tolist()))
    factors = {"balanced": 1.0, "layer_wise/fisher": 1.0, "layer_wise/l2": 1.6}
    factors |= {"layer_wise/l1": 1.8, "l2": 1.9, "l1": 2.1}
    return Tables(sublayers, (0.1, 0.1), factors)


@dataclass(frozen=True)
class Scorer:
    """Scores a candidate by tables, with the accuracy's noise of a small validation set."""

    tables: Tables
    noise: float = 0.004

    def values(self, candidate: Candidate) -> dict[str, float]:
        """Return what a trial would tell."""
        true = self.true(candidate)
        return true | {"accuracy": true["accuracy"] + self.noise * _gauss(candidate)}

    def true(self, candidate: Candidate) -> dict[str, float]:
        """Return the values without the noise."""
        levels = self.levels(candidate)
        milliseconds, joules = self.tables.costs(levels)
        factors = self.tables.factors
        name = candidate.strategy
        factor = factors.get(f"{name}/{candidate.importance}") or factors.get(name, 1.0)
        lost = factor * self.tables.loss(levels)
        accuracy = CHANCE + (DENSE - CHANCE) * math.exp(-(lost**self.tables.power))
        return {"accuracy": accuracy, "latency_ms": milliseconds, "energy_j": joules}

    def promising(self, dearest: float) -> Callable[[Mapping[str, float]], bool]:
        """Return what a study's worker tells its sampler of values."""
        measure = self.measure()
        return lambda values: measure.promising(values, dearest)

    def measure(self) -> Yardstick:
        """Return what values are held against."""
        objectives = tuple(OBJECTIVES_BY_NAME[name] for name in OBJECTIVES)
        dense = dict(zip(OBJECTIVES, (DENSE, *self.tables.dense()), strict=True))
        return Yardstick(objectives, dense, CHANCE)

    def levels(self, candidate: Candidate) -> list[int]:
        """Return the level of every sublayer that the candidate's strategy would choose."""
        if candidate.strategy == "balanced" and candidate.starter != DENSE_STARTER:
            return self._balanced(candidate)
        pairs = zip(self.tables.sublayers, candidate.sublayers, strict=True)
        return [round((1 - share) * (len(one.kept) - 1)) for one, share in pairs]

    def kept(self, candidate: Candidate) -> tuple[int, ...]:
        """Return the units that the candidate's strategy would leave of every sublayer."""
        levels = self.levels(candidate)
        return tuple(
            one.kept[level] for one, level in zip(self.tables.sublayers, levels, strict=True)
        )

    def _balanced(self, candidate: Candidate) -> list[int]:
        """Least weighted loss within the cost target, by dynamic programming over 200 buckets."""
        total = candidate.alpha_latency + candidate.alpha_energy
        dense = self.tables.dense()
        price = (
            candidate.alpha_latency / total / dense[0],
            candidate.alpha_energy / total / dense[1],
        )
        room = candidate.cost_target - sum(
            p * f for p, f in zip(price, self.tables.fixed, strict=True)
        )
        costs = [
            price[0] * np.array(one.time) + price[1] * np.array(one.joules)
            for one in self.tables.sublayers
        ]
        losses = [
            (0.05 + weight) * np.array(one.loss)
            for one, weight in zip(self.tables.sublayers, candidate.sublayers, strict=True)
        ]
        return _cheapest(costs, losses, max(room, 0.0))


def _cheapest(costs: list[Any], losses: list[Any], room: float, buckets: int = 200) -> list[int]:
    best = np.zeros(buckets + 1)
    choices = []
    for cost, loss in zip(costs, losses, strict=True):
        steps = np.minimum(np.ceil(cost / max(room, 1e-9) * buckets - 1e-9), buckets + 1)
        table = np.full((len(cost), buckets + 1), np.inf)
        for level, step in enumerate(steps.astype(int)):
            if step <= buckets:
                table[level, step:] = best[: buckets + 1 - step] + loss[level]
        choices.append((table.argmin(0), steps.astype(int)))
        best = table.min(0)
    left, levels = buckets, []
    for chosen, steps in reversed(choices):
        levels.append(int(chosen[left]))
        left -= int(steps[levels[-1]])
    return levels[::-1]


def _gauss(candidate: Candidate) -> float:
    digest = hashlib.sha256(candidate.model_dump_json(exclude={"starter"}).encode()).digest()
    seed = int.from_bytes(digest[:8], "little")
    return float(np.random.default_rng(seed).standard_normal())


@dataclass(frozen=True)
class Cell:
    """One setting in which samplers are compared."""

    trials: int
    workers: int
    killed: float


class Competitor(Protocol):
    """A sampler under simulation."""

    def ask(self) -> tuple[int, Candidate]:
        """Return the next trial's number and candidate."""

    def tell(self, number: int, values: dict[str, float]) -> None:
        """Say how a trial ended."""

    def kill(self, number: int) -> None:
        """Say that a trial's worker died: it is run again."""


class Ours:
    """One of our samplers, on a history as the storage would give it."""

    def __init__(
        self,
        name: str,
        space: SearchSpace,
        first: list[Candidate],
        trials: int,
        seed: int,
        promising: Callable[[Mapping[str, float]], bool],
        scorer: Scorer,
    ):
        self.sampler = samplers.create(name)
        self.space, self.trials, self.seed, self.scorer = space, trials, seed, scorer
        self.history = History(space, OBJECTIVES, promising, scorer.measure())
        self.waiting = list(range(len(first)))
        self.candidates = dict(enumerate(first))
        self.history.update(self._past(n, TrialState.WAITING) for n in self.waiting)

    def _past(self, number: int, state: TrialState, values: Any = None) -> Past:
        candidate, kept = self.candidates[number], ()
        if values is not None:
            kept = self.scorer.kept(candidate)
        return Past(number, state, self.space.to_params(candidate), values, kept=kept)

    def ask(self) -> tuple[int, Candidate]:
        """Return the next trial's number and candidate."""
        if self.waiting:
            number = self.waiting.pop(0)
            return number, self.candidates[number]
        number = len(self.candidates)
        proposal = self.sampler.ask(self.history, Request(number, self.trials, self.seed))
        self.candidates[number] = self.space.to_candidate(proposal.params)
        self.history.update([self._past(number, TrialState.RUNNING)])
        return number, self.candidates[number]

    def tell(self, number: int, values: dict[str, float]) -> None:
        """Say how a trial ended."""
        self.history.update([self._past(number, TrialState.COMPLETE, values)])

    def kill(self, number: int) -> None:
        """Say that a trial's worker died."""
        self.waiting.append(number)


class Stock:
    """An Optuna sampler used as its documentation says: enqueued starters, retries as copies."""

    def __init__(
        self,
        make: Callable[[int, int], Any],
        space: SearchSpace,
        first: list[Candidate],
        trials: int,
        seed: int,
    ):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna, self.space = optuna, space
        directions = ["maximize", "minimize", "minimize"]
        self.study = optuna.create_study(directions=directions, sampler=make(trials, seed))
        self.distributions = space.distributions()
        self.starters: dict[int, Candidate] = dict(enumerate(first))
        for candidate in first:
            self.study.enqueue_trial(self._inside(candidate), skip_if_exists=False)
        self.trials: dict[int, Any] = {}

    def _inside(self, candidate: Candidate) -> dict[str, Any]:
        params = self.space.to_params(candidate)
        return {
            gene.name: params[gene.name] if gene.choices else gene.at(gene.share(params[gene.name]))
            for gene in self.space.genes
        }

    def ask(self) -> tuple[int, Candidate]:
        """Return the next trial's number and candidate."""
        trial = self.study.ask(self.distributions)
        self.trials[trial.number] = trial
        number = trial.user_attrs.get("retried", trial.number)
        return trial.number, self.starters.get(number) or self.space.to_candidate(trial.params)

    def tell(self, number: int, values: dict[str, float]) -> None:
        """Say how a trial ended."""
        self.study.tell(self.trials[number], [values[name] for name in OBJECTIVES])

    def kill(self, number: int) -> None:
        """Say that a trial's worker died."""
        frozen = self.study._storage.get_trial(self.trials[number]._trial_id)
        self.study.tell(self.trials[number], state=self.optuna.trial.TrialState.FAIL)
        self.study.add_trial(
            self.optuna.trial.create_trial(
                state=self.optuna.trial.TrialState.WAITING,
                params=frozen.params,
                distributions=frozen.distributions,
                user_attrs={"retried": frozen.user_attrs.get("retried", number)},
                system_attrs={**frozen.system_attrs, "fixed_params": frozen.params},
            )
        )


def simulate(competitor: Competitor, scorer: Scorer, cell: Cell, seed: int) -> list[Candidate]:
    """Return the candidates in the order in which their trials finished."""
    rng = np.random.default_rng((seed, cell.trials, cell.workers))
    speeds = rng.lognormal(0.0, 0.5 if cell.workers > 1 else 0.0, cell.workers)
    order = itertools.count()
    running: list[tuple[float, int, int, int, Candidate, bool]] = []
    finished: list[Candidate] = []
    free = [(0.0, worker) for worker in range(cell.workers)]
    while len(finished) < cell.trials:
        while free and len(finished) + len(running) < cell.trials:
            now, worker = free.pop()
            number, candidate = competitor.ask()
            cost = 0.3 + scorer.true(candidate)["latency_ms"]
            dies = bool(rng.random() < cell.killed)
            end = now + cost / speeds[worker] * (rng.random() if dies else 1.0)
            heapq.heappush(running, (end, next(order), worker, number, candidate, dies))
        end, _, worker, number, candidate, dies = heapq.heappop(running)
        free.append((end, worker))
        if dies:
            competitor.kill(number)
        else:
            competitor.tell(number, scorer.values(candidate))
            finished.append(candidate)
    return finished


def quality(candidates: Sequence[Candidate], scorer: Scorer, box: Box = BOX) -> float:
    """Return the hypervolume of noiseless values."""
    values = [scorer.true(candidate) for candidate in candidates]
    return hypervolume(clipped(values, scorer.measure(), box))


def stock_samplers() -> dict[str, Callable[[int, int], Any]]:
    """Return how Optuna's own samplers are made, from a number of trials and a seed."""
    from optuna.samplers import NSGAIISampler, TPESampler

    def default(_: int, seed: int) -> Any:
        return NSGAIISampler(seed=seed)

    def same_population(trials: int, seed: int) -> Any:
        return NSGAIISampler(population_size=first_population(trials), seed=seed)

    def multivariate(_: int, seed: int) -> Any:
        return TPESampler(multivariate=True, constant_liar=True, seed=seed)

    return {
        "optuna nsga2": default,
        "optuna nsga2 (same population)": same_population,
        "optuna tpe multivariate": multivariate,
    }


OURS = ("nsga2", "hybrid", "random")


@dataclass(frozen=True)
class Case:
    """One run: a sampler in a cell with a seed."""

    sampler: str
    cell: Cell
    seed: int
    tables: Tables = field(repr=False)


Score = tuple[float, float]


def run(case: Case) -> Score:
    """Return the hypervolume that one run reached, and that by version 1 of the box."""
    scorer = Scorer(case.tables)
    config = study(case.cell.trials)
    space = SearchSpace.of(config, case.tables.architecture, READS)
    first = starting_candidates(config, space)
    made = (space, first, case.cell.trials, case.seed)
    if case.sampler in stock_samplers():
        competitor: Competitor = Stock(stock_samplers()[case.sampler], *made)
    else:
        promising = scorer.promising(config.search.cost_target.high)
        competitor = Ours(case.sampler, *made, promising, scorer)
    found = simulate(competitor, scorer, case.cell, case.seed)
    return quality(found, scorer), quality(found, scorer, BOX_V1)


def study(trials: int) -> StudyConfig:
    """Return the study file that all samplers search."""
    return StudyConfig.model_validate(
        {
            "name": "bench",
            "model": {"path": "none"},
            "data": {"path": "none"},
            "search": {
                "strategies": ("balanced", "layer_wise", "l1"),
                "importances": ("fisher", "l2", "l1"),
                "starters": ("dense", "balanced", "drop_layers", "half_depth", "uniform"),
            },
            "limits": {"trials": trials},
        }
    )


def ask_times() -> Iterator[tuple[int, float]]:
    """Yield the median milliseconds of taking in a trial and asking, at so many trials."""
    layers = 18
    dense = made_up(layers).architecture
    content = study(10_000).canonical() | {"name": "ask"}
    config = StudyConfig.from_json(content)
    space = SearchSpace.of(config, dense, READS)
    sampler, rng = samplers.create("nsga2"), np.random.default_rng(0)
    history = History(space, OBJECTIVES)
    print(f"ask of nsga2, {len(space.genes)} parameters")
    for trials in (100, 1_000, 10_000):
        while len(history) < trials:
            history.update([_random_past(space, len(history), rng)])
        sampler.ask(history, Request(len(history), trials, 0))
        taken = []
        for _ in range(ASKS):
            began = time.perf_counter()
            history.update([_random_past(space, len(history), rng)])
            sampler.ask(history, Request(len(history), trials, 0))
            taken.append(1000 * (time.perf_counter() - began))
        yield trials, statistics.median(taken)


def _random_past(space: SearchSpace, number: int, rng: np.random.Generator) -> Past:
    params: Any = {
        gene.name: gene.choices[rng.integers(len(gene.choices))]
        if gene.choices
        else gene.at(rng.random())
        for gene in space.genes
    }
    cost = float(np.exp(rng.uniform(-2.5, 0.0)))
    values = {"accuracy": 0.84 - 0.05 * rng.random() / cost, "latency_ms": cost, "energy_j": cost}
    return Past(number, TrialState.COMPLETE, params, values)


def cells_of(text: str) -> Iterator[Cell]:
    """Yield the cells that are named, as ``trials/workers`` or ``trials/workers/killed``."""
    for one in text.split(","):
        trials, workers, *killed = one.split("/")
        yield Cell(int(trials), int(workers), float(killed[0]) if killed else 0.0)


def cells(quick: bool) -> Iterator[Cell]:
    """Yield the settings, cheapest first."""
    if quick:
        yield from (Cell(40, 1, 0.0), Cell(40, 8, 0.05))
        return
    for trials in (50, 100, 200, 500):
        for workers in (1, 8, 32):
            yield Cell(trials, workers, 0.0)
        yield Cell(trials, 8, 0.05)


def compare(
    names: Sequence[str], seeds: int, chosen: Iterable[Cell], tables: Tables
) -> list[dict[str, Any]]:
    """Return one row a cell and sampler: mean hypervolume, and the paired difference to `nsga2`."""
    rows = []
    with ProcessPoolExecutor() as pool:
        for cell in chosen:
            scores = {
                name: list(pool.map(run, [Case(name, cell, seed, tables) for seed in range(seeds)]))
                for name in names
            }
            for name in names:
                rows.append(_row(cell, name, scores[name], scores[names[0]]))
                print(_line(rows[-1]), flush=True)
    return rows


def _row(cell: Cell, name: str, scores: list[Score], ours: list[Score]) -> dict[str, Any]:
    gaps = [b - a for (a, _), (b, _) in zip(scores, ours, strict=True)]
    spread = statistics.stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.nan
    gap = statistics.fmean(gaps)
    return {
        "trials": cell.trials,
        "workers": cell.workers,
        "killed": cell.killed,
        "sampler": name,
        "hypervolume": statistics.fmean(now for now, _ in scores),
        "hypervolume_v1": statistics.fmean(before for _, before in scores),
        "behind_nsga2": gap,
        "t": gap / spread if spread else 0.0,
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['trials']:>4} {row['workers']:>3} {row['killed']:>5.2f} {row['sampler']:<32}"
        f"{row['hypervolume']:>8.4f}{row['hypervolume_v1']:>8.4f}{row['behind_nsga2']:>9.4f}{row['t']:>8.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two small cells, four seeds")
    parser.add_argument("--json", type=Path, help="write rows and environment to this file")
    parser.add_argument("--tables", type=Path, help="tables of a real calibration")
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--samplers", default="", help="comma-separated; all by default")
    parser.add_argument("--cells", default="", help="trials/workers/killed, comma-separated")
    parser.add_argument("--calibrate", type=Path, help="study file that --tables are taken from")
    options = parser.parse_args(arguments)
    if options.calibrate:
        Tables.calibrated(options.calibrate).write(options.tables)
        return
    tables = Tables.read(options.tables) if options.tables else made_up()
    names = options.samplers.split(",") if options.samplers else [*OURS, *stock_samplers()]
    head = f"{'n':>4} {'W':>3} {'dies':>5} {'sampler':<32}"
    print(f"{head}{'volume':>8}{'by v1':>8}{'behind':>9}{'t':>8}")
    seeds = options.seeds or (4 if options.quick else 20)
    started = time.perf_counter()
    chosen = cells_of(options.cells) if options.cells else cells(options.quick)
    rows = compare(names, seeds, chosen, tables)
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    asks = list(ask_times())
    for trials, milliseconds in asks:
        print(f"{trials:>6} trials: {milliseconds:.1f} ms")
    if options.json:
        content = {"rows": rows, "ask_ms": asks, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
