"""The models of one study: put, listed, opened and removed where they are kept."""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pareto_prune.core import cache, cache_entries
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.records import Study
from pareto_prune.export.card import Card
from pareto_prune.export.formats import exporters
from pareto_prune.export.kept_models.folder_digest import files_of, folder_digest
from pareto_prune.export.kept_models.front_membership import left_front
from pareto_prune.export.kept_models.places import filesystem, get_folder, local_path, put_file
from pareto_prune.trials.folders import DENSE_FOLDER, is_whole, record_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pareto_prune.pruning.plan import PruningPlan

TRIALS = "trials"
CONFIRMED = "confirmed"
GRACE_SECONDS = 600.0
"""How long a model stays after its trial has left the front, for whoever is reading it."""
LEFT_SECONDS = 86400.0
"""After which what an attempt wrote beside its place is taken for left behind."""
_INCOMING = ".incoming"


@dataclass(frozen=True)
class Kept:
    """One model that is kept: its place, a path or URL, and the digest of all its files."""

    place: str
    digest: str


@dataclass(frozen=True)
class Artifacts:
    """The models of one study.

    Attributes:
        root: folder or URL of the study's models.
    """

    root: str

    @property
    def folder(self) -> Path:
        """The root where it is a folder, else this host's own copy of what is there."""
        local = local_path(self.root)
        if local is not None:
            return local
        return cache_entries.study_folder(self.root)

    def keep(
        self,
        number: int,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        plan: PruningPlan,
        part: str = TRIALS,
    ) -> Kept:
        """Write the model of one attempt at a trial, at a place of its own.

        Raises:
            OSError: it cannot be written, or the folder of the models is away: another host's disk
                that is not mounted leaves an empty one of this host.
        """
        self._check_there()
        name = f"{part}/{number}-{uuid.uuid4().hex[:8]}"
        exporter = exporters.create("huggingface")
        if local_path(self.root) is not None:
            path = self.folder / name
            exporter.export(model, tokenizer, plan, path, Card())
            return Kept(str(path), folder_digest(path))
        with tempfile.TemporaryDirectory() as beside:
            path = exporter.export(model, tokenizer, plan, Path(beside) / "model", Card())
            return Kept(self._put(path, name), folder_digest(path))

    def _check_there(self) -> None:
        """Refuse a folder without the dense models, which a study makes before all others."""
        if local_path(self.root) is not None and not (self.folder / DENSE_FOLDER).is_dir():
            raise FileNotFoundError(errno.ENOENT, "the study's models are not there", self.root)

    def share_dense(self, check: Callable[[], None]) -> None:
        """Put the dense models of this host where the others find them.

        Args:
            check: called before one takes its place; raises where it must not.
        """
        if local_path(self.root) is None:
            shelf = _shelf(str(record_of(self.folder / DENSE_FOLDER).get("digest")))
            for path in sorted(self.folder.glob(f"{DENSE_FOLDER}*/")):
                self._put(path, f"{shelf}/{path.name}", check)

    def fetch_dense(self, digest: str) -> None:
        """Get the dense models that another host has made, unless they are here.

        Args:
            digest: SHA-256 of the weights of the study's own.
        """
        if local_path(self.root) is not None:
            return
        with cache.locked(self.folder / DENSE_FOLDER):
            shelf = f"{_shelf(digest)}/" if self._listed(_shelf(digest)) else ""
            names = [name for name in self._listed(shelf) if name.startswith(DENSE_FOLDER)]
            if not self._has_dense(digest, names):
                for name in names:
                    self._fetch(shelf, name)

    def _has_dense(self, digest: str, names: list[str]) -> bool:
        found = record_of(self.folder / DENSE_FOLDER).get("digest")
        return found == digest and all(is_whole(self.folder / name) for name in names)

    def _fetch(self, shelf: str, name: str) -> None:
        path = self.folder / name
        with cache.replacing(path) as beside:
            get_folder(f"{self.root}/{shelf}{name}", beside)
            shutil.rmtree(path, ignore_errors=True)

    def sweep(
        self, study: Study, now: float, others: Callable[[], Iterable[Study]] = lambda: ()
    ) -> None:
        """Remove the models of trials that left the front a grace time ago, and what was left.

        Attempts at a trial that has ended, other than the one that counts, go as well. What
        another study holds stays.

        Args:
            study: as it stands.
            now: seconds since the epoch, in the storage's time.
            others: returns the studies that keep their models here, too; asked where one would go.
        """
        present = self._attempts(TRIALS)
        going = _let_go(study, present, now)
        for other in others() if going else ():
            own = {trial.number for trial in other.trials}
            held = {name for name, number in present.items() if number in own}
            going -= held - _let_go(other, present, now)
        for name in going:
            self._remove(f"{TRIALS}/{name}")
        self._sweep_unfinished()

    def confirmed(self, number: int) -> list[str]:
        """Return the names of what attempts to confirm a trial have left."""
        return [name for name, of in self._attempts(CONFIRMED).items() if of == number]

    def remove_confirmed(self, names: Iterable[str], counting: Collection[str]) -> None:
        """Remove what attempts to confirm a trial have left, but for places that count."""
        for name in set(names) - {_name_of(place) for place in counting}:
            self._remove(f"{CONFIRMED}/{name}")

    def _attempts(self, part: str) -> dict[str, int]:
        """Return the number of the trial of each model that is kept, by the name of its folder."""
        numbers = {name: name.partition("-")[0] for name in self._listed(part)}
        return {name: int(number) for name, number in numbers.items() if number.isdigit()}

    def _sweep_unfinished(self) -> None:
        """Remove what was being written a day ago by processes that were killed."""
        late = time.time() - LEFT_SECONDS
        for name in self._listed(_INCOMING):
            began = name.partition("-")[0]
            if began.isdigit() and int(began) < late:
                self._remove(f"{_INCOMING}/{name}")
        local = local_path(self.root)
        for path in [] if local is None else [*local.glob(".*/"), *local.glob("*/.*/")]:
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < late:
                    shutil.rmtree(path)

    def _put(self, folder: Path, name: str, check: Callable[[], None] = lambda: None) -> str:
        """Copy a folder into the root, beside its place first, and return the place."""
        fs, root = filesystem(self.root)
        beside = f"{root}/{_INCOMING}/{int(time.time())}-{uuid.uuid4()}"
        place = f"{root}/{name}"
        try:
            for path in files_of(folder):
                put_file(fs, folder / path, f"{beside}/{path}")
            check()
            self._remove(name)
            for path in files_of(folder):
                fs.makedirs(str(PurePosixPath(f"{place}/{path}").parent), exist_ok=True)
                fs.mv(f"{beside}/{path}", f"{place}/{path}")
        finally:
            with suppress(FileNotFoundError):
                fs.rm(beside, recursive=True)
        return f"{self.root}/{name}"

    def _listed(self, name: str) -> list[str]:
        """Return the names of what is in a folder of the root; none where there is no such one."""
        fs, root = filesystem(self.root)
        try:
            found = fs.ls(f"{root}/{name}".rstrip("/"), detail=False)
        except FileNotFoundError:
            return []
        return sorted(PurePosixPath(str(path)).name for path in found)

    def _remove(self, name: str) -> None:
        fs, root = filesystem(self.root)
        with suppress(FileNotFoundError):
            fs.rm(f"{root}/{name}", recursive=True)


def _let_go(study: Study, present: Mapping[str, int], now: float) -> set[str]:
    """Return the names of the models that a study has no use for any more.

    Args:
        study: as it stands.
        present: number of the trial by the name of a folder.
        now: seconds since the epoch.
    """
    over = {trial.number: trial.ended or 0.0 for trial in study.trials if trial.state.finished}
    results = [trial.result for trial in study.trials if trial.result is not None]
    counting = {_name_of(result.artifact) for result in results if result.artifact}
    left = left_front(study, set(present.values()) - _trained_further(study))
    since = {name: (left if name in counting else over).get(of) for name, of in present.items()}
    late = now - GRACE_SECONDS
    return {name for name, when in since.items() if when is not None and when <= late}


def _trained_further(study: Study) -> set[int]:
    """Return the trials whose models are what a promotion goes on from, or will."""
    waiting = [one.candidate for one in study.trials if not one.state.finished and one.candidate]
    return {candidate.parent for candidate in waiting if candidate.parent is not None}


def _name_of(place: str) -> str:
    """Return the name of the folder at a place."""
    return PurePosixPath(place).name


@contextmanager
def opened(place: str, digest: str | None) -> Iterator[Path]:
    """Yield a folder of this host with the model that is kept at a place, checked.

    Args:
        place: path or URL.
        digest: what the storage holds of it.

    Raises:
        UserError: it is not there, or is not what was kept.
    """
    local = local_path(place)
    with tempfile.TemporaryDirectory() as beside, _removable(place, digest):
        folder = local or Path(beside) / "model"
        if local is None:
            get_folder(place, folder)
        if not folder.is_dir():
            raise UserError(Problem(place, "is not there"))
        if digest is not None and folder_digest(folder) != digest:
            wrong = "is damaged: its files are not those that were kept (SHA-256 differs)"
            raise UserError(Problem(place, wrong, "allowed: another trial of the front"))
        yield folder


@contextmanager
def _removable(place: str, digest: str | None) -> Iterator[None]:
    """Say of a model that goes while it is read that it is not there."""
    try:
        yield
    except Exception as error:  # whatever reads it has errors of its own
        gone = isinstance(error, FileNotFoundError) or not is_there(place)
        if digest is None or not gone:
            raise
        raise UserError(Problem(place, "was removed while it was read")) from error


def is_there(place: str) -> bool:
    """Return whether anything is at a place."""
    fs, path = filesystem(place)
    return bool(fs.exists(path))


def dense_place(root: str, digest: str) -> str:
    """Return the place of the dense model of a study that keeps its models at ``root``.

    Args:
        root: folder or URL.
        digest: SHA-256 of its weights.
    """
    shelf = f"{root}/{_shelf(digest)}/{DENSE_FOLDER}"
    shelved = local_path(root) is None and is_there(shelf)
    return shelf if shelved else f"{root}/{DENSE_FOLDER}"


def dense_beside(place: str, digest: str) -> str:
    """Return the place of the dense model that a kept model was made from."""
    return dense_place(place.rsplit("/", 2)[0], digest)


def _shelf(digest: str) -> str:
    """Return the name of the folder behind a URL for a study's dense model and those of its folds.

    Each has its own: whoever puts one there late is in nobody's way. Those of before have none.
    """
    return f"{DENSE_FOLDER}-{digest[:12]}"
