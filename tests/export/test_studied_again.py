"""An exported folder as the checkpoint of another study."""

from __future__ import annotations

from pathlib import Path

import pytest

from pareto_prune.core.errors import StudyFileError
from pareto_prune.export.card import Card
from pareto_prune.export.formats import exporters
from pareto_prune.inputs.checkpoint import Checkpoint
from pareto_prune.inputs.tasks import tasks
from pareto_prune.models.families import architecture, dense_architecture
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut
from tests.tasks.words import words_tokenizer
from tests.tiny import HEADS, NEURONS, tiny_model

WHOLE = (range(HEADS), range(NEURONS))
OF_THE_VERSION_BEFORE = Path(__file__).parents[1] / "previous" / "exported"


def exported(folder, *layers):
    plan = PruningPlan.of(layers)
    model = cut(tiny_model(), plan)
    exporters.create("huggingface").export(model, words_tokenizer(), plan, folder, Card())
    return folder


@pytest.mark.parametrize("old", [False, True])
def test_one_of_unlike_width_is_refused_in_a_line_that_helps(tmp_path, old):
    uneven = exported(tmp_path / "out", ([0], [1, 2]), WHOLE, WHOLE)
    with pytest.raises(StudyFileError) as error:
        Checkpoint.find(str(OF_THE_VERSION_BEFORE if old else uneven)).config()
    [problem] = error.value.problems
    assert problem.where == "model.path"
    assert "export whose layers are of unlike width" in problem.wrong
    assert problem.allowed == (
        "allowed: the checkpoint it was made from, or an export that lost whole layers"
    )


def test_one_that_lost_whole_layers_is_a_dense_model(tmp_path):
    """Its layers are all that the new study counts: those of the first one are history."""
    folder = exported(tmp_path / "out", WHOLE, ([], []), WHOLE)
    checkpoint = Checkpoint.find(str(folder))
    model, head = checkpoint.model(tasks.create("classification"), ("a", "b", "c"))
    assert head
    assert len(architecture(model).layers) == 2
    assert dense_architecture(model) == architecture(model) == checkpoint.architecture()
