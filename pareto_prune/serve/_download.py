"""A kept model as a zip that is made while it is sent: no second copy on the disk."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pareto_prune.export.card import Card
from pareto_prune.export.formats._readme import model_card
from pareto_prune.export.loading import CONFIG
from pareto_prune.export.manifest import FILE, Manifest

CHUNK = 1024 * 1024
_CARD = "README.md"


class _Sink(io.RawIOBase):
    """Takes what a zip writes, to be sent and forgotten."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zipped(folder: Path, card: Card, top: str) -> Iterator[bytes]:
    """Yield a zip of a kept model, part by part, with its card filled in.

    Args:
        folder: of the exporter ``huggingface``.
        card: where the model comes from and what it reached.
        top: name of the folder in the zip.
    """
    sink = _Sink()
    changed = _described(folder, card)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as made:
        for path in sorted(folder.iterdir()):
            if path.name not in changed:
                yield from _added(made, sink, path, f"{top}/{path.name}")
        for name, text in changed.items():
            made.writestr(f"{top}/{name}", text)
    yield sink.take()


def _added(made: zipfile.ZipFile, sink: _Sink, path: Path, name: str) -> Iterator[bytes]:
    with path.open("rb") as source, made.open(name, "w", force_zip64=True) as to:
        while part := source.read(CHUNK):
            to.write(part)
            yield sink.take()


def _described(folder: Path, card: Card) -> dict[str, str]:
    """Return the files that say where the model comes from, as they are to be."""
    manifest = Manifest.read(folder).model_copy(update={"card": card})
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    text = model_card(manifest, remote_code="auto_map" in config)
    return {FILE: manifest.text(), _CARD: text}
