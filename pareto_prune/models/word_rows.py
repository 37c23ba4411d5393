"""The rows of a model's word table, one a token, and where a configuration names some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pareto_prune.models.families import family_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

_NAMES = ("_token_id", "_token_ids")


def rows_of(config: PreTrainedConfig) -> int:
    """Return how many rows the word table of a model has."""
    return int(config.vocab_size)


def rows_that_stay(config: PreTrainedConfig) -> set[int]:
    """Return the rows that no cut takes: those that a configuration names, and fixed places."""
    named = {row for value in _named(config).values() for row in _listed(value)}
    fixed = set(range(family_of(config).fixed_rows(config)))
    return {row for row in named | fixed if 0 <= row < rows_of(config)}


def keep_rows(model: PreTrainedModel, kept: Sequence[int]) -> None:
    """Keep these rows of the word table, in place, and renumber the tokens of the configuration.

    Args:
        model: its head reads no word table.
        kept: positions in the table as it is, strictly increasing.

    Raises:
        ValueError: a row is not there, or one is missing that has to stay.
    """
    import torch
    from torch import nn

    config, table = model.config, _table(model)
    if not kept or kept[-1] >= table.num_embeddings:
        raise ValueError(f"rows must be among the {table.num_embeddings} of the table, not none")
    if missing := rows_that_stay(config) - set(kept):
        raise ValueError(f"row {min(missing)} has to stay")
    new = {row: position for position, row in enumerate(kept)}
    index = torch.tensor(kept, dtype=torch.long, device=table.weight.device)
    chosen = table.weight.detach().index_select(0, index)
    table.weight = nn.Parameter(chosen, requires_grad=table.weight.requires_grad)
    table.num_embeddings = config.vocab_size = len(kept)
    if table.padding_idx is not None:
        table.padding_idx = new[table.padding_idx]
    for name, value in _named(config).items():
        setattr(config, name, _renumbered(value, new))


def _table(model: PreTrainedModel) -> Any:
    return model.get_input_embeddings()


def _named(config: PreTrainedConfig) -> dict[str, int | list[int]]:
    """Return what a configuration says of single tokens, by name (``pad_token_id``, …)."""
    said = config.to_dict().items()
    return {name: value for name, value in said if name.endswith(_NAMES) and value is not None}


def _listed(value: int | list[int]) -> list[int]:
    return value if isinstance(value, list) else [value]


def _renumbered(value: int | list[int], new: dict[int, int]) -> Any:
    """Return a token, or a list, by its new number; what had no row stays as it is."""
    if isinstance(value, list):
        return [new.get(row, row) for row in value]
    return new.get(value, value)
