"""A model that lost rows of its word table says what it said, by the new numbers of its tokens."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertForMaskedLM

import pareto_prune
from pareto_prune.core.errors import UserError
from pareto_prune.core.records import SEEN
from pareto_prune.export.card import Card
from pareto_prune.export.deployed.predict import predict
from pareto_prune.export.formats import exporters
from pareto_prune.export.manifest import Manifest
from pareto_prune.inputs.examples import Rows
from pareto_prune.inputs.tasks import tasks
from pareto_prune.inputs.vocabularies import Vocabularies
from pareto_prune.models.word_rows import rows_that_stay
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.stock import is_plain
from pareto_prune.pruning.surgery import architecture, cut, cut_copy, plan_of
from pareto_prune.trials.evaluation import logits_of
from tests.deployed.folders import PLAN
from tests.deployed.tokenizers import VOCABULARY, tokenizer_for
from tests.tiny import MODEL_TYPES, tiny_model

CORPUS = ["the film was good", "paris 😀 3", "anna", "the plot e\u0301tat", "a b", "films, badly"]
TASK = tasks.create("classification")


def made(model_type):
    """Return a tiny model with its tokenizer, and the vocabulary of the corpus."""
    tokenizer = tokenizer_for(model_type)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = tiny_model(model_type, vocab_size=VOCABULARY)
    model.config.pad_token_id = tokenizer.pad_token_id
    found = Vocabularies(tokenizer, model.config, TASK, [Rows("c", (CORPUS,))]).of(SEEN)
    return model, tokenizer, found


def logits(model, tokenizer, texts=CORPUS):
    split = TASK.encode(Rows("c", (texts,)), tokenizer, ("a", "b", "c"), 30)
    return logits_of(model, split)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_logits_of_the_corpus_are_the_same(model_type, tmp_path):
    model, tokenizer, found = made(model_type)
    assert len(found.rows) < VOCABULARY
    for plan in (PruningPlan.dense(architecture(model)), PLAN):
        whole, smaller = cut_copy(model, plan), cut_copy(model, plan.with_rows(found.rows))
        expected = logits(whole, tokenizer)
        assert np.array_equal(logits(smaller, found.tokenizer), expected)
        lost = sum(p.numel() for p in whole.parameters()) - sum(
            p.numel() for p in smaller.parameters()
        )
        width = whole.get_input_embeddings().weight.shape[1]
        assert lost == (VOCABULARY - len(found.rows)) * width
        assert is_plain(smaller) == is_plain(whole)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_what_is_exported_loads_everywhere(model_type, tmp_path):
    model, tokenizer, found = made(model_type)
    expected = logits(cut_copy(model, PLAN), tokenizer)
    plan = PLAN.with_rows(found.rows)
    smaller = cut(model, plan)
    card = Card(settings={"max_length": 30})
    for name in ("huggingface", "onnx"):
        folder = tmp_path / name
        exporters.create(name).export(smaller, found.tokenizer, plan, folder, card)
        assert Manifest.read(folder).plan == plan
        assert f"vocabulary has {len(found.rows)} tokens" in (folder / "README.md").read_text()
        for text, row, said in zip(CORPUS, expected, predict(folder, CORPUS), strict=True):
            shares = torch.tensor(row).softmax(-1)
            assert list(said["scores"].values()) == pytest.approx(shares.tolist(), abs=1e-5), text
    loaded = pareto_prune.load(tmp_path / "huggingface")
    stock = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "huggingface", trust_remote_code=True
    )
    theirs = AutoTokenizer.from_pretrained(tmp_path / "huggingface", trust_remote_code=True)
    for one in (loaded, stock.eval()):
        assert plan_of(one) == plan
        assert np.allclose(logits(one, theirs), expected, atol=1e-5)


def test_a_model_that_lost_words_alone_needs_no_code(tmp_path):
    model, tokenizer, found = made("roberta")
    expected = logits(model, tokenizer)
    plan = PruningPlan.dense(architecture(model)).with_rows(found.rows)
    exporters.create("huggingface").export(
        cut(model, plan), found.tokenizer, plan, tmp_path / "out", Card()
    )
    stock = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert np.allclose(logits(stock, found.tokenizer), expected, atol=1e-6)
    assert "Nothing was removed" not in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("model_type", ["roberta", "camembert", "mpnet"])
def test_padding_keeps_its_place_where_positions_are_counted_from_it(model_type):
    model, tokenizer, found = made(model_type)
    pad = model.config.pad_token_id
    assert set(range(pad + 1)) <= rows_that_stay(model.config) & set(found.rows)
    cut(model, PLAN.with_rows(found.rows))
    assert model.config.pad_token_id == found.tokenizer.pad_token_id == pad
    assert tokenizer.pad_token_id == pad


def test_tokens_of_the_configuration_are_renumbered():
    model = tiny_model("modernbert")
    named = {"pad_token_id": 1, "bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3}
    assert {name: getattr(model.config, name) for name in named} == named
    cut(model, PLAN.with_rows([1, 2, 3, 50, 70]))
    assert {name: getattr(model.config, name) for name in named} == {
        name: value - 1 for name, value in named.items()
    }
    table = model.get_input_embeddings()
    assert (table.num_embeddings, table.padding_idx, model.config.vocab_size) == (5, 0, 5)


def test_a_cut_model_can_lose_more_rows_but_get_none_back():
    model = tiny_model()
    once = cut_copy(model, PLAN.with_rows([0, 1, 2, 3, 9, 20]))
    twice = cut_copy(once, PLAN.with_rows([0, 1, 2, 3, 20]))
    table = model.get_input_embeddings().weight
    assert torch.equal(twice.get_input_embeddings().weight, table[[0, 1, 2, 3, 20]])
    with pytest.raises(ValueError, match="row 30 is kept by the plan, but the model has lost it"):
        cut_copy(once, PLAN.with_rows([0, 1, 2, 3, 30]))
    with pytest.raises(ValueError, match="keeps the whole vocabulary"):
        cut_copy(once, PLAN)
    with pytest.raises(ValueError, match="row 1 has to stay"):
        cut_copy(model, PLAN.with_rows([0, 2]))
    with pytest.raises(ValueError, match="rows must be among the 100"):
        cut_copy(model, PLAN.with_rows([1, 100]))


def test_a_head_that_reads_the_word_table_is_refused():
    model = BertForMaskedLM(tiny_model().config)
    with pytest.raises(UserError, match="the vocabulary of BertForMaskedLM cannot be cut"):
        cut(model, PLAN.with_rows([0, 1]))


def test_a_plan_of_all_words_is_what_it_was():
    assert "rows" not in json.loads(PLAN.model_dump_json())
    with_rows = PLAN.with_rows([3, 1])
    assert PruningPlan.from_json(with_rows.to_json()) == with_rows
    assert with_rows.rows == (1, 3)
    assert with_rows.digest() != PLAN.digest()
