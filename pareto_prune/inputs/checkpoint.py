"""A checkpoint, from a hub id, a local folder or a demo name: configuration, tokenizer, weights.

Only safetensors are read and no code of a checkpoint is run. What cannot be loaded is one clear
line; what ``transformers`` would print on the way is not printed.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.errors import StudyFileError, UserError
from pareto_prune.inputs import config_json, demo
from pareto_prune.inputs.git_lfs import check_fetched
from pareto_prune.inputs.table import refused
from pareto_prune.inputs.tasks import Task
from pareto_prune.models.families import RECORD, architecture, family_of, record
from pareto_prune.models.sentence_vectors import with_vectors

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

WHERE = "model.path"

_WHOLE = "the folder of config.json and model.safetensors"
_INDEX = "model.safetensors.index.json"
_PLAIN = {
    "output_attentions": False,
    "output_hidden_states": False,
    "return_dict": True,
    "chunk_size_feed_forward": 0,
}
"""What decides no answer: what is given beside the logits, which not every attention can give, and
how the work is divided, which not every length can be."""
_MOST_PLACES = 5
_READ = ("*.json", "*.safetensors", "*.txt")
_UNUSED = re.compile(r"(^|\.)pooler\.|\.position_ids$|\.attn\.(masked_)?bias$")


@dataclass(frozen=True)
class Checkpoint:
    """Where a model comes from.

    Attributes:
        path: a hub id or a local folder.
        revision: commit of the hub.
        attention: implementation of the attention, ``sdpa`` or ``eager``.
    """

    path: str
    revision: str | None = None
    attention: str = "sdpa"

    @classmethod
    def find(cls, path: str, revision: str | None = None, attention: str = "sdpa") -> Checkpoint:
        """Return the checkpoint of a study file's ``model.path``.

        Raises:
            StudyFileError: it looks like a folder and is none, holds an adapter only, or a pointer
                of Git LFS in the place of a file.
            UserError: an unknown demo name, or the demo extra is not installed.
        """
        if demo.is_demo(path):
            path = str(demo.model_folder(path))
        folder = Path(path).expanduser()
        _check_kind(folder)
        if not folder.is_dir() and looks_local(path):
            raise _refused(f"no such folder: {path}", "a folder, a hub id or demo:minilm-l6")
        return cls(str(folder) if folder.is_dir() else path, revision, attention)

    def config(self, **settings: Any) -> PreTrainedConfig:
        """Return the configuration with these settings, and a token to pad with.

        Raises:
            UserError: there is none, it cannot be reached, or its family is not supported.
        """
        from transformers import AutoConfig

        with _loading(self.path, "config.json"):
            _check_content(self.path, self.revision)
            config: Any = AutoConfig.from_pretrained(self.path, **self._source, **settings)
        if record(config) is not None:
            delattr(config, RECORD)
        for name, value in _PLAIN.items():
            setattr(config, name, value)
        if config.pad_token_id is None:
            config.pad_token_id = config.eos_token_id
        if problems := family_of(config).problems(config):
            raise StudyFileError(*problems)
        return config

    def architecture(self) -> Architecture:
        """Return the shape of its model, from the configuration alone.

        Raises:
            UserError: there is none, it cannot be reached, or its family is not supported.
        """
        import torch
        from transformers import AutoModel

        config = self.config()
        with torch.device("meta"), quiet_transformers():
            return architecture(AutoModel.from_config(config))

    def head_names(self, task: Task) -> tuple[str, ...] | None:
        """Return the names of the checkpoint's outputs, or ``None`` if they are just numbers.

        Where the model fixes how many there are, they are called by their numbers.
        """
        config = self.config()
        width = task.width(config)
        if width is not None:
            return tuple(map(str, range(width)))
        names = names_of(config)
        return None if is_numbered(names) else names

    def tokenizer(self, task: Task) -> PreTrainedTokenizerBase:
        """Return the tokenizer, with a token to pad with, padding on the right.

        Raises:
            StudyFileError: there is none, it cannot say which word a piece belongs to, or it
                gives tokens that the model has no rows for.
        """
        from transformers import AutoTokenizer

        rows = self.config().vocab_size
        spaces = {"add_prefix_space": True} if task.splits_words else {}
        with _loading(self.path, "tokenizer"):
            tokenizer: Any = AutoTokenizer.from_pretrained(self.path, **self._source, **spaces)
        if is_empty(tokenizer):
            raise _refused(f"{self.path} has no tokenizer", "a folder with tokenizer.json")
        if task.splits_words and not tokenizer.is_fast:
            raise _refused(f"the tokenizer of {self.path} is a slow one", "tokenizer.json")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        tokenizer.padding_side = "right"
        self._check_rows(tokenizer, rows)
        return tokenizer

    def model(self, task: Task, label_names: Sequence[str]) -> tuple[PreTrainedModel, bool]:
        """Return the model with the task's head, float32, and whether the head has weights.

        A head that is not in the checkpoint, or has another number of classes, is drawn from
        torch's global generator.

        Raises:
            UserError: no weights, some that are not finite, or some of the body that nothing reads;
                not safetensors, out of reach, or an unsupported family.
        """
        import torch
        import transformers

        config = self.config(
            id2label=dict(enumerate(label_names)),
            label2id={name: index for index, name in enumerate(label_names)},
            problem_type=task.problem_type,
        )
        task.prepare(config, self.path, self.revision)
        self.check_weights()
        with _loading(self.path, "model.safetensors"):
            model, info = getattr(transformers, task.model_class).from_pretrained(
                self.path,
                **self._source,
                config=config,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                attn_implementation=family_of(config).attention_kind(self.attention),
                dtype=torch.float32,
            )
        lost = [*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])]
        lost = [key for key in lost if not _is_unread(model, key)]
        prefix = "" if model.base_model is model else f"{model.base_model_prefix}."
        body = [key for key in lost if key.startswith(prefix) and ".pooler." not in key]
        if body:
            raise _refused(f"{self.path} has no weights for {body[0]}", "a whole checkpoint")
        if unread := _unread(model, info["unexpected_keys"]):
            raise _refused(
                f"{self.path} has weights that nothing reads ({unread[0]}; {len(unread)} in all): "
                "its model would be another one here",
                "as many layers in config.json as in the file, absolute positions",
            )
        if (name := _not_finite(model)) is not None:
            wrong = f"{self.path} has weights that are not finite ({name})"
            raise _refused(wrong, "a checkpoint whose training did not diverge")
        return with_vectors(model), not lost

    def check_weights(self) -> None:
        """Look for the files of the weights, where the checkpoint is a folder; read their heads.

        Raises:
            StudyFileError: there are none in safetensors, or files that their index names are
                not there; one is damaged or cut off.
        """
        folder = Path(self.path)
        if not folder.is_dir():
            return
        files = _weight_files(folder)
        if not files:
            raise _no_weights(folder)
        if gone := [file.name for file in files if not file.is_file()]:
            wrong = f"{folder} has no {gone[0]} ({len(gone)} of the files in {_INDEX} are missing)"
            raise _refused(wrong, "a whole folder")
        for file in files:
            _check_head(folder, file)

    def _check_rows(self, tokenizer: Any, rows: int) -> None:
        tokens = 1 + max(tokenizer.get_vocab().values())
        if tokens > rows:
            wrong = f"the tokenizer of {self.path} has {tokens} tokens, its model rows for {rows}"
            raise _refused(wrong, "embeddings resized to the tokenizer")

    @property
    def _source(self) -> dict[str, Any]:
        return {"revision": self.revision, "trust_remote_code": False}


def _is_unread(model: PreTrainedModel, key: str) -> bool:
    """Return whether nothing reads a weight: the pooler of an encoder without a head."""
    return model.base_model is model and key.startswith("pooler.")


def _unread(model: PreTrainedModel, keys: Iterable[str]) -> list[str]:
    """Return the weights of a checkpoint's body that its model here has no place for.

    A checkpoint of a body alone names them without the body's prefix. Poolers, position ids and
    GPT-2's causal masks decide nothing here.
    """
    body = (model.base_model_prefix, *(name for name, _ in model.base_model.named_children()))
    own = [key for key in sorted(keys) if key.partition(".")[0] in body]
    return [key for key in own if not _UNUSED.search(key)]


def _weight_files(folder: Path) -> list[Path]:
    """Return the files of a folder's weights: one, or those that its index names; else none."""
    one, index = folder / "model.safetensors", folder / _INDEX
    if one.is_file() or not index.is_file():
        return [one] * one.is_file()
    with _loading(str(folder), _INDEX):
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return [folder / name for name in sorted(names)]


def _check_head(folder: Path, file: Path) -> None:
    """Refuse a file that is not as long as its head says, as after a download that broke off."""
    from safetensors import safe_open

    with _loading(str(folder), file.name), safe_open(file, "np"):
        pass


def _not_finite(model: PreTrainedModel) -> str | None:
    """Return the name of a weight that is infinite or no number, if there is one."""
    named = model.named_parameters()
    return next((name for name, weight in named if not weight.isfinite().all()), None)


def is_empty(tokenizer: Any) -> bool:
    """Return whether a tokenizer knows no words, as where its file is not there."""
    return bool(tokenizer.vocab_size <= len(tokenizer.all_special_tokens))


def looks_local(path: str) -> bool:
    """Return whether a path cannot be a hub id: absolute, relative by dots, or of many parts."""
    return path.startswith(("/", "./", "../", "~")) or path.count("/") > 1


def names_of(config: PreTrainedConfig) -> tuple[str, ...]:
    """Return the class names of a configuration, by class index."""
    names = config.id2label or {}
    return tuple(str(names[index]) for index in sorted(names, key=int))


def is_numbered(names: Sequence[str]) -> bool:
    """Return whether these are the names that ``transformers`` gives classes without one."""
    return all(name == f"LABEL_{index}" for index, name in enumerate(names))


def _check_kind(folder: Path) -> None:
    if folder.is_file():
        raise _refused(f"{folder} is a file", _WHOLE)
    if (folder / "adapter_config.json").is_file() and not any(folder.glob("model*.safetensors")):
        raise _refused(
            f"{folder} holds an adapter, not a model",
            "the adapter merged into its model first (merge_and_unload, save_pretrained)",
        )
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise _refused(f"{folder} has no config.json{_found_below(folder)}", _WHOLE)
    for kind in _READ:
        for file in sorted(folder.glob(kind)):
            check_fetched(file, WHERE)


def _found_below(folder: Path) -> str:
    """Return where the checkpoints are that a training run or a cache keeps in a folder."""
    found = [file for deep in ("*", "snapshots/*") for file in folder.glob(f"{deep}/config.json")]
    places = [str(file.parent.relative_to(folder)) for file in found]
    in_order = sorted(places, key=lambda place: (len(place), place))
    return f"; there is one in {', '.join(in_order[-_MOST_PLACES:])}" if places else ""


def _check_content(path: str, revision: str | None) -> None:
    from transformers import PreTrainedConfig

    content, _ = PreTrainedConfig.get_config_dict(path, revision=revision)
    config_json.check(content, path, WHERE)


def _refused(wrong: str, allowed: str) -> StudyFileError:
    return refused(WHERE, wrong, allowed)


@contextlib.contextmanager
def _loading(path: str, file: str) -> Iterator[None]:
    """Keep ``transformers`` quiet, and turn what it raises into one line."""
    with quiet_transformers():
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # files that contradict each other fail in many ways
            raise _explained(path, file, error) from error


def _explained(path: str, file: str, error: Exception) -> StudyFileError:
    # Neither library exports these two from a place that does not move.
    if type(error).__name__ == "SafetensorError":
        return _refused(f"{path}: damaged weights in {file} ({error})", "whole safetensors")
    if type(error).__name__ == "StrictDataclassClassValidationError":
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    if file == "tokenizer" and "tiktoken" in str(error):  # what transformers tries last
        return _refused(
            f"{path} has a tokenizer of SentencePiece, which nothing here reads",
            "tokenizer.json, which save_pretrained of it writes where sentencepiece is installed",
        )
    if Path(path).is_dir():
        return _refused(f"{path}: {file} cannot be read ({first_line(error)})", "a whole folder")
    return _refused(
        f"{path!r} cannot be loaded from the hub ({first_line(error)})",
        "a hub id that can be reached and has safetensors, or a local folder",
    )


def _no_weights(folder: Path) -> StudyFileError:
    other = next((file.name for file in sorted(folder.glob("*.safetensors"))), None)
    if other is not None:
        wrong = f"{folder} has no model.safetensors but {other}"
        return _refused(wrong, f"model.safetensors, or shards with {_INDEX}")
    pickled = next((file.name for file in sorted(folder.glob("*.bin"))), None)
    if pickled is None:
        return _refused(f"{folder} holds no weights", "a folder with model.safetensors")
    return _refused(
        f"{folder} holds no weights but {pickled}, which is pickled and may run code",
        "model.safetensors, which save_pretrained of the loaded model writes",
    )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, at most 200 characters of it.

    The next one belongs to it where it ends in a colon.
    """
    first, *others = str(error).strip().splitlines() or [type(error).__name__]
    said = f"{first} {others[0].strip()}" if first.endswith(":") and others else first
    return said[:200]


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Print nothing while ``transformers`` loads; its settings are as before afterwards."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
