"""Where the models of a study are kept: a folder, or any URL that fsspec knows (``s3://…``).

::

    ROOT/dense, dense-fold-0 …   made once a study, used by every host
    ROOT/trials/NUMBER           of trials on the front, folders of the exporter ``huggingface``
    ROOT/confirmed/NUMBER        of the median seed of confirmed trials

A model is written beside its place and moved there; the storage then holds its digest, by which
damage is noticed. One that left the front is removed after a grace time, in which whoever is
reading it can finish. Credentials of a URL come from the environment, as its file system has it.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pareto_prune.core import cache, cache_entries
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.hashing import file_sha256
from pareto_prune.core.records import Study, Trial, TrialResult, TrialState
from pareto_prune.export.formats import exporters
from pareto_prune.export.manifest import Card
from pareto_prune.results.front import front_of
from pareto_prune.results.yardstick import Yardstick, yardstick

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pareto_prune.pruning.plan import PruningPlan

TRIALS = "trials"
CONFIRMED = "confirmed"
DENSE = "dense"
GRACE_SECONDS = 60.0
"""How long a model stays after its trial has left the front."""


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
        """Write the model of a trial; what an interrupted attempt at it left is replaced."""
        name = f"{part}/{number}"
        exporter = exporters.create("huggingface")
        if local_path(self.root) is not None:
            path = self.folder / name
            shutil.rmtree(path, ignore_errors=True)
            exporter.export(model, tokenizer, plan, path, Card())
            return Kept(str(path), folder_digest(path))
        with tempfile.TemporaryDirectory() as beside:
            path = exporter.export(model, tokenizer, plan, Path(beside) / "model", Card())
            return Kept(self._put(path, name), folder_digest(path))

    def share_dense(self) -> None:
        """Put the dense models of this host where the others find them."""
        if local_path(self.root) is None:
            for path in sorted(self.folder.glob(f"{DENSE}*/")):
                self._put(path, path.name)

    def fetch_dense(self) -> None:
        """Get the dense models that another host has made, unless they are here."""
        if local_path(self.root) is not None:
            return
        for name in self._listed(""):
            if name.startswith(DENSE):
                path = self.folder / name
                with cache.locked(path), cache.replacing(path) as beside:
                    _get(f"{self.root}/{name}", beside)
                    shutil.rmtree(path, ignore_errors=True)

    def sweep(self, study: Study, now: float | None = None) -> None:
        """Remove the models of trials that left the front a grace time ago.

        Args:
            study: as it stands.
            now: seconds since the epoch.
        """
        present = {int(name) for name in self._listed(TRIALS) if name.isdigit()}
        late = (time.time() if now is None else now) - GRACE_SECONDS
        for number, left in left_front(study, present).items():
            if left <= late:
                self._remove(f"{TRIALS}/{number}")

    def _put(self, folder: Path, name: str) -> str:
        """Copy a folder into the root, beside its place first, and return the place."""
        fs, root = _filesystem(self.root)
        beside, place = f"{root}/.incoming/{uuid.uuid4()}", f"{root}/{name}"
        try:
            for path in _files(folder):
                _put_file(fs, folder / path, f"{beside}/{path}")
            self._remove(name)
            for path in _files(folder):
                fs.makedirs(str(PurePosixPath(f"{place}/{path}").parent), exist_ok=True)
                fs.mv(f"{beside}/{path}", f"{place}/{path}")
        finally:
            with suppress(FileNotFoundError):
                fs.rm(beside, recursive=True)
        return f"{self.root}/{name}"

    def _listed(self, name: str) -> list[str]:
        """Return the names of what is in a folder of the root; none where there is no such one."""
        fs, root = _filesystem(self.root)
        try:
            found = fs.ls(f"{root}/{name}".rstrip("/"), detail=False)
        except FileNotFoundError:
            return []
        return sorted(PurePosixPath(str(path)).name for path in found)

    def _remove(self, name: str) -> None:
        fs, root = _filesystem(self.root)
        with suppress(FileNotFoundError):
            fs.rm(f"{root}/{name}", recursive=True)


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
    with tempfile.TemporaryDirectory() as beside:
        folder = local or Path(beside) / "model"
        if local is None:
            _get(place, folder)
        if not folder.is_dir():
            raise UserError(Problem(place, "is not there"))
        if digest is not None and folder_digest(folder) != digest:
            wrong = "is damaged: its files are not those that were kept (SHA-256 differs)"
            raise UserError(Problem(place, wrong, "allowed: another trial of the front"))
        yield folder


def dense_beside(place: str) -> str:
    """Return the place of the dense model that a kept model was made from."""
    return f"{place.rsplit('/', 2)[0]}/{DENSE}"


def joins(study: Study, number: int, result: TrialResult) -> bool:
    """Return whether a trial that ends so would be on the front."""
    if result.state is not TrialState.COMPLETE:
        return False
    others = tuple(trial for trial in study.trials if trial.number != number)
    ended = Trial(number=number, state=TrialState.COMPLETE, result=result)
    front = front_of(study.model_copy(update={"trials": (*others, ended)}))
    return any(point.number == number for point in front.members)


def left_front(study: Study, among: set[int]) -> dict[int, float]:
    """Return when trials that have ended left the front, in seconds since the epoch.

    Those never on it left it when they ended; so do those with a member's very values.
    """
    measure, members = yardstick(study), {point.number for point in front_of(study).members}
    on_it = [trial for trial in study.trials if trial.number in members]
    return {
        trial.number: max([trial.ended or 0.0, *_beaten(trial, on_it, measure)])
        for trial in study.trials
        if trial.number in among - members and trial.state.finished
    }


def _beaten(trial: Trial, members: list[Trial], measure: Yardstick) -> list[float]:
    """Return when the first of the members that dominate a trial ended, if one does."""
    own = _values(trial, measure)
    ends = [
        member.ended or 0.0
        for member in members
        if own and all(a <= b for a, b in zip(_values(member, measure), own, strict=True))
    ]
    return [min(ends)] if ends else []


def _values(trial: Trial, measure: Yardstick) -> list[float]:
    """Return the objectives of a trial, all minimised; empty where one is not known."""
    values = trial.result.values if trial.result else {}
    if any(name not in values for name in measure.names):
        return []
    return [objective.sign * values[objective.name] for objective in measure.objectives]


def local_path(place: str) -> Path | None:
    """Return the path of a place, ``None`` where it is on no disk of this host."""
    if "://" not in place:
        return Path(place)
    scheme, _, path = place.partition("://")
    return Path(path) if scheme in ("file", "local") else None


def check_root(root: str) -> str:
    """Return a root as it is recorded: an absolute path, or a URL whose file system is there.

    Raises:
        UserError: no file system serves it.
    """
    local = local_path(root)
    if local is not None:
        return str(local.expanduser().resolve())
    try:
        _filesystem(root)
    except (ImportError, ValueError) as error:
        said = str(error).splitlines()[0]
        advice = "allowed: a folder, or a URL that fsspec knows"
        raise UserError(Problem("--artifacts", f"{root}: {said}", advice)) from None
    return root.rstrip("/")


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 of a folder: of the names and the SHA-256 of its files, in order."""
    whole = hashlib.sha256()
    for path in _files(folder):
        whole.update(f"{path}\0{file_sha256(folder / path)}\n".encode())
    return whole.hexdigest()


def _files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _filesystem(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    fs, path = url_to_fs(url)
    return fs, str(path).rstrip("/")


def _put_file(fs: Any, source: Path, to: str) -> None:
    fs.makedirs(str(PurePosixPath(to).parent), exist_ok=True)
    fs.put_file(str(source), to)


def _get(place: str, folder: Path) -> None:
    """Copy what is kept at a URL into a new folder; nothing where there is nothing."""
    fs, path = _filesystem(place)
    for found in fs.find(path):
        to = folder / PurePosixPath(str(found)).relative_to(PurePosixPath(path))
        to.parent.mkdir(parents=True, exist_ok=True)
        fs.get_file(found, str(to))
