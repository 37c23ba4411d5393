"""What a checkpoint must be before it is searched, each refusal one line."""

from __future__ import annotations

import pytest

from pareto_prune.core.errors import StudyFileError
from pareto_prune.inputs.checkpoint import Checkpoint
from pareto_prune.inputs.tasks import tasks
from tests.tasks.words import words_tokenizer
from tests.tiny import tiny_model

TASK = tasks.create("classification")


def refused(action):
    with pytest.raises(StudyFileError) as error:
        action()
    (problem,) = error.value.problems
    assert problem.where == "model.path"
    assert "\n" not in str(problem)
    return problem


@pytest.fixture
def folder(tmp_path):
    """A whole checkpoint of a body."""
    tiny_model().base_model.save_pretrained(tmp_path / "body")
    words_tokenizer().save_pretrained(tmp_path / "body")
    return tmp_path / "body"


class TestWhatIsNoModel:
    def test_an_adapter(self, folder):
        (folder / "config.json").unlink()
        (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
        problem = refused(lambda: Checkpoint.find(str(folder)))
        assert "holds an adapter" in problem.wrong
        assert "merged into its model" in problem.allowed

    def test_a_merged_one_is_a_model(self, folder):
        (folder / "adapter_config.json").write_text("{}")
        assert Checkpoint.find(str(folder)).path == str(folder)

    def test_a_file(self, folder):
        problem = refused(lambda: Checkpoint.find(str(folder / "model.safetensors")))
        assert "is a file" in problem.wrong

    def test_pickled_weights(self, folder):
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        problem = refused(lambda: Checkpoint.find(str(folder)).model(TASK, ("a", "b")))
        assert "holds no weights but pytorch_model.bin" in problem.wrong
        assert "save_pretrained" in problem.allowed
