"""How a candidate is made from nothing, and how from two others: rows of genes, in and out.

A row holds the share of its range for a number and the index of a category. Numbers of one field
(``sublayers``) that the space draws together are *kin*: drawn one by one they would all cancel out
to the same total, so that a whole population would cost the same.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pareto_prune.search.samplers._history import Floats
from pareto_prune.search.space import ALWAYS_READ, SHAPED, SearchSpace

Bools = NDArray[np.bool_]
ALIKE = 0.5
"""The number of every sublayer where none weighs more than another."""
ENDS = (0.0, 1.0)
"""Levels that count as tried: nothing is farther from all others than the ends of a range, and
what stands there, next to the dense model, takes long and teaches little."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Which genes of a space are numbers, categories and kin, and which say what it will cost.

    Attributes:
        choices: how many values each gene has; 0 for a number. Shape (genes,).
        kin: which genes belong to the one field that has several. Shape (genes,).
        target: which gene is the cost target, if any. Shape (genes,).
        strategy: which gene is the strategy, if any. Shape (genes,).
        aiming: which strategies meet the cost target, by index. Shape (strategies,).
        reads: which genes each strategy reads. Shape (strategies, genes).
        sparse, weighing: to which strategies the kin are sparsities, and to which weights of the
            sublayers against each other; to others they are nothing. Shape (strategies,).
    """

    choices: NDArray[np.int64]
    kin: Bools
    target: Bools
    strategy: Bools
    aiming: Bools
    reads: Bools
    sparse: Bools
    weighing: Bools

    @classmethod
    def of(cls, space: SearchSpace) -> Layout:
        """Return the layout of a space."""
        choices = [len(gene.choices) for gene in space.genes]
        gene = space.gene("strategy")
        names = [str(name) for name in gene.choices] if gene else [space.constants.get("strategy")]
        reads = [ALWAYS_READ | space.reads.get(str(name), frozenset()) for name in names]
        sparse = [name in SHAPED for name in names]
        return cls(
            np.array(choices, dtype=np.int64),
            np.array([gene.field == "sublayers" for gene in space.genes], dtype=np.bool_),
            np.array([gene.name == "cost_target" for gene in space.genes], dtype=np.bool_),
            np.array([gene.name == "strategy" for gene in space.genes], dtype=np.bool_),
            np.array(["cost_target" in read for read in reads], dtype=np.bool_),
            np.array([[g.field in read for g in space.genes] for read in reads], dtype=np.bool_),
            np.array(sparse, dtype=np.bool_),
            np.array(["sublayers" in read for read in reads], dtype=np.bool_) & ~np.array(sparse),
        )

    def __len__(self) -> int:
        return len(self.choices)

    @functools.cached_property
    def numbers(self) -> Bools:
        """Which genes are numbers, shape (genes,)."""
        return self.choices == 0

    def strategies(self, rows: Floats) -> NDArray[np.intp]:
        """Return the index of each row's strategy, shape (rows,)."""
        if not self.strategy.any():
            return np.zeros(len(rows), dtype=np.intp)
        return np.nan_to_num(rows[:, self.strategy][:, 0]).astype(np.intp)

    def with_strategy(self, row: Floats, strategy: int) -> Floats:
        """Return a row with another strategy."""
        return np.where(self.strategy, float(strategy), row)

    def aims(self, rows: Floats) -> Bools:
        """Return whether each row's strategy meets the cost target, shape (rows,)."""
        if not self.target.any():
            return np.zeros(len(rows), dtype=np.bool_)
        return self.aiming[self.strategies(rows)]

    def levels(self, rows: Floats) -> Floats:
        """Return what says most about each row's cost: its cost target, or the mean of its kin.

        Shape (rows,), in [0, 1]; of rows whose strategies aim alike, equal levels cost about
        the same. NaN where it is not known.
        """
        kin = rows[:, self.kin].mean(axis=1) if self.kin.any() else np.zeros(len(rows))
        if not self.target.any():
            return kin
        return np.where(self.aims(rows), rows[:, self.target][:, 0], kin)

    def categories(self, shares: Floats) -> Floats:
        """Turn the shares of categories, in [0, 1), into their indices; numbers stay."""
        indices = np.minimum(np.floor(shares * self.choices), self.choices - 1)
        return np.where(self.numbers, shares, indices)


def uniform(layout: Layout, rng: Generator) -> Floats:
    """Return a row drawn uniformly from the whole space."""
    return layout.categories(rng.random(len(layout)))


def spread(layout: Layout, shares: Floats, level: float, width: float) -> Floats:
    """Return a row from shares in [0, 1), with its kin within ``width`` of a common ``level``."""
    near = np.clip(level + width * (2 * shares - 1), 0.0, 1.0)
    return layout.categories(np.where(layout.kin, near, shares))


def filled(layout: Layout, row: Floats, rng: Generator) -> Floats:
    """Return ``row`` with what it has no value for drawn at random."""
    return np.where(np.isnan(row), uniform(layout, rng), row)


def reread(layout: Layout, row: Floats, realised: Floats, strategy: int) -> Floats:
    """Return a parent's row as a child of another strategy is to read it.

    A gene that the parent's strategy did not read is chance; what stands there instead is how its
    model came out. A number of a sublayer is a sparsity to some strategies and a weight to others:
    a sparsity is taken from the model, and weights are alike where the parent had none.

    Args:
        layout: of the space.
        row: the parent's genes, shape (genes,).
        realised: what they would have said of its model, shape (genes,); NaN if not known.
        strategy: of the child, by index.
    """
    own, known = layout.strategies(row[None])[0], ~np.isnan(realised)
    read = np.where(known & ~layout.reads[own], realised, row)
    if layout.sparse[strategy] and not layout.sparse[own]:
        return np.where(layout.kin & known, realised, read)
    if layout.weighing[strategy] and not layout.weighing[own]:
        return np.where(layout.kin, ALIKE, read)
    return read


def crossed(layout: Layout, first: Floats, second: Floats, rng: Generator) -> Floats:
    """Return a child: numbers on the line through both parents, each category from either.

    Extended line recombination (Mühlenbein and Schlierkamp-Voosen 1993, section 3): one share in
    [-0.25, 1.25] for the whole child. Between two points of a front lie the designs that trade one
    objective for another; gene by gene they would mostly be left.
    """
    share = rng.uniform(-0.25, 1.25)
    between = np.clip(first + share * (second - first), 0.0, 1.0)
    picked = np.where(rng.random(len(layout)) < 0.5, first, second)
    return np.where(layout.numbers, between, picked)


def mutated(layout: Layout, row: Floats, rng: Generator, probability: float, eta: float) -> Floats:
    """Return ``row`` with some of its genes changed.

    Numbers take a polynomial mutation (Deb and Agrawal 1999), categories another value.

    Args:
        layout: of the space.
        row: shape (genes,).
        rng: where chance comes from.
        probability: that a gene changes.
        eta: how small the steps of numbers are; about ``1 / (1 + eta)`` of the range.
    """
    hit = rng.random(len(layout)) < probability
    moved = np.clip(row + polynomial_step(row, rng.random(len(layout)), eta), 0.0, 1.0)
    return np.where(hit, np.where(layout.numbers, moved, _other(layout, row, rng)), row)


def shifted(layout: Layout, row: Floats, rng: Generator, eta: float) -> Floats:
    """Return ``row`` cheaper or dearer as a whole, whichever genes its strategy reads.

    All its kin are moved by one common step, the cost target by one the other way.
    """
    chance = rng.random(1)
    level = row[layout.kin].mean(keepdims=True) if layout.kin.any() else np.zeros(1)
    moved = np.where(layout.kin, row + polynomial_step(level, chance, eta), row)
    own = np.where(layout.target, row, 0.0)
    moved = np.where(layout.target, row + polynomial_step(own, 1.0 - chance, eta), moved)
    return np.where(layout.kin | layout.target, np.clip(moved, 0.0, 1.0), row)


def farthest(layout: Layout, rows: Floats, others: Floats) -> Floats:
    """Return the row whose level is farthest from that of any other row that aims alike.

    Args:
        layout: of the space.
        rows: to choose from, of one strategy, shape (rows, genes); the first of equals is taken.
        others: shape (others, genes).
    """
    alike = layout.levels(others[layout.aims(others) == layout.aims(rows[:1])])
    known = alike[~np.isnan(alike)]
    if not len(known):
        return rows[0]
    known = np.append(known, ENDS)
    apart = np.abs(layout.levels(rows)[:, None] - known).min(axis=1)
    chosen: Floats = rows[int(apart.argmax())]
    return chosen


def polynomial_step(values: Floats, chance: Floats, eta: float) -> Floats:
    """Return the step of a polynomial mutation in [0, 1] from ``values``, never out of bounds."""
    down = chance < 0.5
    room = np.where(down, values, 1.0 - values)
    side = np.where(down, chance, 1.0 - chance)
    base = 2 * side + (1 - 2 * side) * (1 - room) ** (eta + 1)
    size = 1.0 - np.maximum(base, 0.0) ** (1 / (eta + 1))
    return np.where(down, -size, size)


def _other(layout: Layout, row: Floats, rng: Generator) -> Floats:
    """Return for every category one of its other values; a gene of one value keeps it."""
    others = np.maximum(layout.choices - 1, 1)
    step = 1 + np.floor(rng.random(len(layout)) * others)
    return (row + step) % np.maximum(layout.choices, 1)


def latin(layout: Layout, index: int, size: int, seed: int) -> Floats:
    """Return point ``index`` of a Latin hypercube of ``size`` points: shares, shape (genes + 2,).

    Every gene takes each of ``size`` strata once over the hypercube (McKay et al. 1979). Each
    point can be had without the others. The two columns beyond the genes are for the level and
    the width of the kin.
    """
    rng = np.random.default_rng((seed, size, 0x1A71))
    order = rng.permuted(np.tile(np.arange(size), (len(layout) + 2, 1)), axis=1)
    offsets = rng.random((len(layout) + 2, size))
    return (order[:, index] + offsets[:, index]) / size
