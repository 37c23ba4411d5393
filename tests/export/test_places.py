"""Where an export may be written: a new or an empty folder, or what a link leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pareto_prune.core.errors import UserError
from pareto_prune.export.manifest import Manifest
from tests.deployed.folders import make_folder

FORMATS = ("huggingface", "onnx")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_written(
    tmp_path: Path, format_: str, there: bool
) -> None:
    place, link = tmp_path / "elsewhere" / "model", tmp_path / "link"
    if there:
        place.mkdir(parents=True)
    link.symlink_to(place)
    make_folder(link, format_)
    assert link.is_symlink()
    assert Manifest.read(place).format == format_
    assert [path.name for path in place.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_link_to_a_folder_that_holds_something(tmp_path: Path, format_: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    with pytest.raises(UserError, match="is there and not empty"):
        make_folder(tmp_path / "link", format_)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
