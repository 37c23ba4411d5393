"""Optimal brain surgery of one projection: which units go first, and what the others then weigh.

::

    Wᵀ, C ─► removal_order ─► most important first ─► NestedSolutions ─► W, b for any width
             (greedy)                                 (one Cholesky)     (one matrix product)

``C`` is the covariance of the projection's inputs. Taking the covariance in place of the second
moment is the same as a column of ones that is never removed: the bias makes up for the mean of
what goes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

BLOCK = 64


def removal_order(weight: Tensor, covariance: Tensor, size: int = 1) -> Tensor:
    """Return the units in the order in which optimal brain surgery removes them.

    Each step removes the unit whose loss, after all weights that are left have made up for it,
    is least: ``tr(W_S (C⁻¹_SS)⁻¹ W_Sᵀ)``, S the columns of the unit (Hassibi and Stork 1993,
    section 3; for blocks Kurtic et al. 2023, ZipLM, section 3.1).

    Args:
        weight: the projection, shape (out, in); rows may be transformed to weigh its outputs.
        covariance: of its inputs, positive definite, shape (in, in).
        size: columns of one unit, next to each other.

    Returns:
        Unit indices, first to go first, shape (in / size,), on the CPU.
    """
    weight, inverse = weight.double().cpu(), _inverse(covariance.double().cpu())
    if size == 1:
        return _column_order(weight.float(), inverse.float())
    return _block_order(weight, inverse, size)


def _inverse(covariance: Tensor) -> Tensor:
    return torch.cholesky_inverse(torch.linalg.cholesky(covariance))


def _column_order(weight: Tensor, inverse: Tensor) -> Tensor:
    """Remove columns in blocks; what is left shrinks after each block.

    Within a block, weights and inverse stay as they were at its start and the rank-one changes
    are kept as factors: a step costs matrix-vector products, the block one matrix product. Most
    of the time goes into reading both, so they are float32, and columns lie in rows.
    """
    rows = weight.T.contiguous()
    alive, order = torch.arange(len(rows)), []
    while len(alive):
        gone, left, u, v = _remove_columns(rows, inverse, min(BLOCK, len(alive)))
        order.append(alive[gone])
        alive, u_left = alive[left], u[left]
        inverse = inverse[left].index_select(1, left).addmm_(u_left, u_left.T, alpha=-1)
        rows = rows[left].addmm_(u_left, v.T, alpha=-1)
    return torch.cat(order)


def _remove_columns(
    rows: Tensor, inverse: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the columns that go, those that are left, and the factors of the change.

    After it the inverse is ``inverse − u uᵀ`` and the columns, in rows, are ``rows − u vᵀ``.
    """
    u, v = inverse.new_zeros(len(inverse), count), rows.new_zeros(rows.shape[1], count)
    diagonal, norms = inverse.diagonal().clone(), rows.square().sum(1)
    gone = torch.zeros(count, dtype=torch.long)
    for step in range(count):
        column = gone[step] = (norms / diagonal).argmin()
        root = diagonal[column].sqrt()
        mine = u[column, :step]
        u_new = (inverse[column] - u[:, :step] @ mine) / root
        v_new = (rows[column] - v[:, :step] @ mine) / root
        overlap = rows @ v_new - u[:, :step] @ (v[:, :step].T @ v_new)
        norms = norms - 2 * u_new * overlap + u_new.square() * (v_new @ v_new)
        diagonal = diagonal - u_new.square()
        u[:, step], v[:, step] = u_new, v_new
        norms[column], diagonal[column] = math.inf, 1.0
    left = torch.ones(len(inverse), dtype=torch.bool)
    left[gone] = False
    return gone, left.nonzero()[:, 0], u, v


def _block_order(weight: Tensor, inverse: Tensor, size: int) -> Tensor:
    alive, order = list(range(weight.shape[1] // size)), []
    while alive:
        worst = int(_block_losses(weight, inverse, size).argmin())
        order.append(alive.pop(worst))
        begin, end = worst * size, (worst + 1) * size
        own = torch.arange(begin, end)
        left = torch.cat([torch.arange(begin), torch.arange(end, len(inverse))])
        change = torch.linalg.solve(inverse[own][:, own], inverse[own][:, left])
        weight = weight[:, left] - weight[:, own] @ change
        inverse = inverse[left][:, left] - inverse[left][:, own] @ change
    return torch.tensor(order)


def _block_losses(weight: Tensor, inverse: Tensor, size: int) -> Tensor:
    """Return what removing each block would cost, shape (blocks,)."""
    units = weight.shape[1] // size
    own = inverse.view(units, size, units, size).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
    blocks = weight.view(len(weight), units, size).permute(1, 2, 0)
    return (blocks * torch.linalg.solve(own, blocks)).sum((1, 2))


@dataclass(frozen=True, eq=False)
class NestedSolutions:
    """Least squares weights of one projection for every number of units kept.

    The first k units in order of importance are kept at width k. With ``C = L Lᵀ`` in that order,
    the leading blocks of L factor the leading blocks of C, so one factorisation holds the
    solution ``W C_:K C_KK⁻¹ = Z_k (L⁻¹)_kk`` of every width k; ``Z = W C L⁻ᵀ``.

    Attributes:
        order: units, most important first, int64, shape (units,).
        inverse: ``L⁻¹``, lower triangular, float32, shape (in, in), columns in order.
        loading: ``Z``, float32, shape (out, in); the squares of a column are what it explains.
        mean: mean of the inputs, float32, shape (in,), in order.
        output: mean of the output, float32, shape (out,): the bias at width 0.
        losses: mean of ``‖M δ‖²`` at width 0, 1, …, units, δ the change of the output, float64,
            shape (units + 1,), falling to 0.
    """

    order: Tensor
    inverse: Tensor
    loading: Tensor
    mean: Tensor
    output: Tensor
    losses: Tensor

    @classmethod
    def of(
        cls,
        weight: Tensor,
        bias: Tensor,
        covariance: Tensor,
        mean: Tensor,
        size: int = 1,
        metric: Tensor | None = None,
    ) -> Self:
        """Return the solutions for a projection whose units go in the order of their loss.

        Args:
            weight: shape (out, in).
            bias: shape (out,).
            covariance: of the inputs, positive definite, shape (in, in).
            mean: of the inputs, shape (in,).
            size: columns of a unit.
            metric: M, shape (any, out); the identity by default. It decides which units go; the
                weights of those that stay are best whatever it is.
        """
        weight, covariance, mean = weight.double(), covariance.double(), mean.double()
        weighted = weight if metric is None else metric @ weight
        removal = removal_order(weighted, covariance, size)
        order = removal.flip(0)
        columns = _columns(order, size)
        factor = torch.linalg.cholesky(covariance[columns][:, columns])
        inverse = torch.linalg.solve_triangular(
            factor, torch.eye(len(factor), dtype=factor.dtype), upper=False
        )
        loading = weight[:, columns] @ factor
        return cls(
            order=order.contiguous(),
            inverse=inverse.float().contiguous(),
            loading=loading.float(),
            mean=mean[columns].float(),
            output=(bias.double() + weight @ mean).float(),
            losses=_losses(loading if metric is None else metric @ loading, size),
        )

    @property
    def units(self) -> int:
        """Units of the dense projection."""
        return len(self.order)

    @property
    def size(self) -> int:
        """Columns of one unit."""
        return len(self.mean) // self.units

    def kept(self, count: int) -> tuple[int, ...]:
        """Return the ``count`` most important units, ascending."""
        return tuple(sorted(self.order[:count].tolist()))

    def solve(self, count: int) -> tuple[Tensor, Tensor]:
        """Return weight and bias when ``count`` units are kept.

        Returns:
            Weight of shape (out, count × size), columns in the order of :meth:`kept`, and bias of
            shape (out,), float32.
        """
        width = count * self.size
        weight = self.loading[:, :width] @ self.inverse[:width, :width]
        bias = self.output - weight @ self.mean[:width]
        ascending = _columns(self.order[:count].argsort(), self.size)
        return weight[:, ascending], bias


def _losses(loading: Tensor, size: int) -> Tensor:
    """Return what is not explained by the first 0, 1, … units."""
    explained = loading.square().sum(0).view(-1, size).sum(1)
    return torch.cat([explained.flip(0).cumsum(0).flip(0), explained.new_zeros(1)])


def _columns(units: Tensor, size: int) -> Tensor:
    """Return the columns of these units, unit after unit."""
    return (units[:, None] * size + torch.arange(size)).flatten()
