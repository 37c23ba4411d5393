"""What every exporter records of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pareto_prune.export.card import Card
from pareto_prune.export.manifest import Check, Manifest, Tokenization

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pareto_prune.pruning.plan import PruningPlan


def check_plan(model: PreTrainedModel, plan: PruningPlan) -> None:
    """Raise ``ValueError`` where ``model`` was not cut by ``plan``."""
    from pareto_prune.pruning.surgery import plan_of

    if plan_of(model) != plan:
        raise ValueError("the model was not cut by this plan")


def manifest_of(
    model: PreTrainedModel,
    plan: PruningPlan,
    card: Card,
    exporter: str,
    dtype: str,
    weights: Mapping[str, str],
    tokenizer: PreTrainedTokenizerBase | None,
    check: Check | None = None,
) -> Manifest:
    """Return the manifest of a model that was written.

    Args:
        model: that was cut by ``plan``.
        plan: kept units, as indices into the dense model.
        card: what the model card says.
        exporter: name of the format.
        dtype: of the weights in the folder.
        weights: SHA-256 of the files of weights and of the tokenizer by name.
        tokenizer: saved beside it, if one is.
        check: comparison with PyTorch.
    """
    from pareto_prune.inputs.checkpoint import names_of
    from pareto_prune.inputs.decision import decision_of
    from pareto_prune.models.families import architecture, dense_architecture

    return Manifest(
        plan=plan,
        architecture=architecture(model),
        dense=dense_architecture(model),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        format=exporter,
        dtype=dtype,
        weights=dict(weights),
        card=card,
        labels=names_of(model.config),
        pad=int(model.config.pad_token_id or 0),
        tokenization=_tokenization(tokenizer),
        decision=decision_of(model.config),
        check=check,
    )


def _tokenization(tokenizer: Any) -> Tokenization:
    if tokenizer is None:
        return Tokenization()
    return Tokenization(
        truncation_side=tokenizer.truncation_side,
        split_special_tokens=bool(getattr(tokenizer, "split_special_tokens", False)),
        unk_token=None if tokenizer.unk_token is None else str(tokenizer.unk_token),
    )
