"""A folder for ONNX Runtime, which needs neither torch nor transformers."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pareto_prune.core.cache import replacing
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.export.card import Card
from pareto_prune.export.formats import Examples, check_folder, exporters
from pareto_prune.export.formats._manifest_of_model import check_plan, manifest_of
from pareto_prune.export.formats._readme import write_card
from pareto_prune.export.manifest import hashes
from pareto_prune.inputs.tasks import tasks
from pareto_prune.inputs.words import word_spans

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pareto_prune.export.manifest import Check
    from pareto_prune.inputs.tasks import Task
    from pareto_prune.pruning.plan import PruningPlan

GRAPH = "model.onnx"
EXAMPLE = "example.py"
_OF_TASK = "from task import BY_WORD, answer, word_spans  # type: ignore[import-not-found]\n"
"""What stands in ``_example.py`` for what the task knows."""
TOKENIZER = "tokenizer.json"
PORTABLE_BITS = 7
"""Of an int8 weight: with 8, processors without integer dot products overflow."""


@exporters.register("onnx")
@dataclass(frozen=True)
class Onnx:
    """A folder for ONNX Runtime: graph, tokenizer, labels, and an example without torch.

    Batch and length are dynamic. The graph as written is compared with PyTorch before the folder
    appears.

    Attributes:
        dtype: of the weights; ``int8`` is calibrated on the texts of the examples. Without them
            activations are quantised as they come.
    """

    compares: ClassVar[bool] = True
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float16", "int8")

    dtype: Literal["float32", "float16", "int8"] = "float32"

    @staticmethod
    def why_not() -> str | None:
        """Return which package is missing."""
        missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
        change = "pip install 'pareto-prune[onnx]' would change that"
        return f"{' and '.join(missing)} not installed; {change}" if missing else None

    def export(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase | None,
        plan: PruningPlan,
        folder: Path,
        card: Card,
        examples: Examples | None = None,
    ) -> Path:
        """Write ``model`` to ``folder``; see :class:`pareto_prune.export.formats.Exporter`.

        Raises:
            UserError: the tokenizer has no ``tokenizer.json``, or a package is missing.
            InexactGraphError: the graph does not give the model's logits.
        """
        from pareto_prune.models import onnx_graph

        onnx_graph.require_packages()
        check_plan(model, plan)
        place = check_folder(folder)
        _check_tokenizer(tokenizer)
        texts = None if examples is None else examples.calibration
        proto = onnx_graph.export(model, self.dtype, PORTABLE_BITS, texts)
        with replacing(place) as beside:
            beside.mkdir()
            (beside / GRAPH).write_bytes(proto.SerializeToString())
            check = self._compare(model, beside / GRAPH, examples)
            if tokenizer is not None:
                tokenizer.save_pretrained(beside)
                (beside / EXAMPLE).write_text(example_of(tasks.create(card.task)), "utf-8")
            weights = hashes(beside, GRAPH)
            manifest = manifest_of(model, plan, card, "onnx", self.dtype, weights, tokenizer, check)
            manifest.write(beside)
            write_card(beside, manifest)
        return folder

    def _compare(self, model: PreTrainedModel, file: Path, examples: Examples | None) -> Check:
        from pareto_prune.export.formats._comparison import compare

        return compare(model, file, examples, exact=self.dtype == "float32")


def example_of(task: Task) -> str:
    """Return the source of the example: what all have in common, and the task's own answer."""
    common = Path(__file__).with_name("_example.py").read_text(encoding="utf-8")
    answer = textwrap.dedent(inspect.getsource(task.answer))
    own = f"BY_WORD = {task.splits_words}\n\n\n{answer[answer.index('def ') :]}"
    words = inspect.getsource(word_spans)
    common = common.replace(_OF_TASK, "")
    whole = common.replace("\n\ndef encoded(", f"{own}\n\n{words}\n\ndef encoded(", 1)
    return re.sub(r"  # noqa: .*", "", whole)


def _check_tokenizer(tokenizer: PreTrainedTokenizerBase | None) -> None:
    if tokenizer is not None and not tokenizer.is_fast:
        wrong = f"is a slow one, in Python only, without the {TOKENIZER} that this needs"
        raise UserError(Problem("the tokenizer", wrong, "allowed: --format huggingface"))
