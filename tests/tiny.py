"""Tiny models of every supported type, batches and tokenizers for them. No file, no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    CamembertConfig,
    CamembertForSequenceClassification,
    CamembertForTokenClassification,
    DebertaConfig,
    DebertaForSequenceClassification,
    DebertaForTokenClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DebertaV2ForTokenClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2ForTokenClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    ModernBertForTokenClassification,
    MPNetConfig,
    MPNetForSequenceClassification,
    MPNetForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
    XLMRobertaForTokenClassification,
)

from pareto_prune.models.families import family_of

VOCABULARY, HIDDEN, LAYERS, HEADS, NEURONS, POSITIONS = 100, 32, 3, 4, 64, 40
PAD = 1


def _bert(config: Any, **extra: Any) -> Callable[..., Any]:
    def make(**sizes: Any) -> Any:
        given = {
            "vocab_size": VOCABULARY,
            "hidden_size": HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "intermediate_size": NEURONS,
            "max_position_embeddings": POSITIONS,
            "pad_token_id": PAD,
        }
        return config(**(given | extra | sizes))

    return make


def _distilbert(**sizes: Any) -> DistilBertConfig:
    names = {
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
    }
    given = {
        "vocab_size": VOCABULARY,
        "dim": HIDDEN,
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "hidden_dim": NEURONS,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": PAD,
    }
    return DistilBertConfig(**(given | {names.get(k, k): v for k, v in sizes.items()}))


def _gpt2(**sizes: Any) -> GPT2Config:
    names = {
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "n_inner",
    }
    given = {
        "vocab_size": VOCABULARY,
        "n_embd": HIDDEN,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "n_inner": NEURONS,
        "n_positions": POSITIONS,
        "pad_token_id": PAD,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    return GPT2Config(**(given | {names.get(k, k): v for k, v in sizes.items()}))


_modernbert = _bert(
    ModernBertConfig,
    bos_token_id=2,
    eos_token_id=3,
    cls_token_id=2,
    sep_token_id=3,
    local_attention=4,
    global_attn_every_n_layers=2,
)
"""Layer 1 is local, 0 and 2 are global."""

RELATIVE = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}
_deberta = _bert(DebertaConfig, **RELATIVE, max_relative_positions=5)
_deberta_v3 = _bert(
    DebertaV2Config, **RELATIVE, share_att_key=True, position_buckets=8, norm_rel_ebd="layer_norm"
)

_MAKERS: dict[str, tuple[Callable[..., Any], type, type]] = {
    "bert": (_bert(BertConfig), BertForSequenceClassification, BertForTokenClassification),
    "roberta": (
        _bert(RobertaConfig),
        RobertaForSequenceClassification,
        RobertaForTokenClassification,
    ),
    "xlm-roberta": (
        _bert(XLMRobertaConfig),
        XLMRobertaForSequenceClassification,
        XLMRobertaForTokenClassification,
    ),
    "camembert": (
        _bert(CamembertConfig),
        CamembertForSequenceClassification,
        CamembertForTokenClassification,
    ),
    "electra": (
        _bert(ElectraConfig, embedding_size=16),
        ElectraForSequenceClassification,
        ElectraForTokenClassification,
    ),
    "distilbert": (
        _distilbert,
        DistilBertForSequenceClassification,
        DistilBertForTokenClassification,
    ),
    "gpt2": (_gpt2, GPT2ForSequenceClassification, GPT2ForTokenClassification),
    "modernbert": (
        _modernbert,
        ModernBertForSequenceClassification,
        ModernBertForTokenClassification,
    ),
    "mpnet": (_bert(MPNetConfig), MPNetForSequenceClassification, MPNetForTokenClassification),
    "deberta": (_deberta, DebertaForSequenceClassification, DebertaForTokenClassification),
    "deberta-v2": (
        _deberta_v3,
        DebertaV2ForSequenceClassification,
        DebertaV2ForTokenClassification,
    ),
}

MODEL_TYPES = tuple(_MAKERS)

BUILDS = ("bert", "distilbert", "gpt2", "modernbert", "mpnet", "deberta", "deberta-v2")
"""One type for each way in which layers are built."""


def tiny_model(
    model_type: str = "bert",
    task: str = "classification",
    *,
    labels: int = 3,
    attention: str = "sdpa",
    seed: int = 0,
    **sizes: Any,
) -> PreTrainedModel:
    """A dense model in eval mode with random weights, biases and LayerNorms, none of them 0.

    ``sizes`` are BERT's names (``hidden_size``, ``num_hidden_layers``, …) for every type.
    """
    config_of, classification, ner = _MAKERS[model_type]
    config = config_of(num_labels=labels, **sizes)
    config._attn_implementation = family_of(config).attention_kind(attention)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = (classification if task == "classification" else ner)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=0.2)
    return model


def tiny_batch(
    examples: int = 4,
    tokens: int = 12,
    *,
    labels: int = 3,
    task: str = "classification",
    seed: int = 0,
) -> dict[str, Tensor]:
    """Random token ids of uneven length, padded on the right, with labels."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, VOCABULARY, (examples, tokens), generator=generator)
    lengths = torch.randint(tokens // 2, tokens + 1, (examples,), generator=generator)
    lengths[0] = tokens
    mask = (torch.arange(tokens) < lengths[:, None]).long()
    shape = (examples,) if task == "classification" else (examples, tokens)
    target = torch.randint(0, labels, shape, generator=generator)
    if task != "classification":
        target = target.masked_fill(mask == 0, -100)
    return {
        "input_ids": ids.masked_fill(mask == 0, PAD),
        "attention_mask": mask,
        "labels": target,
    }


def tiny_batches(count: int = 4, **options: Any) -> list[dict[str, Tensor]]:
    """Several batches with seeds of their own."""
    seed = options.pop("seed", 0)
    return [tiny_batch(seed=seed * 1000 + i, **options) for i in range(count)]


def tiny_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """A word-piece tokenizer of :data:`VOCABULARY` words, ``w0`` … and the special ones."""
    from transformers import BertTokenizerFast

    special = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    words = special + [f"w{i}" for i in range(VOCABULARY - len(special))]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(words), encoding="utf-8")
    return BertTokenizerFast(str(vocabulary))
