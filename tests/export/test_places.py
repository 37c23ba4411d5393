"""Where an export may be written: a new or an empty folder, or what a link leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pareto_prune.core.errors import UserError
from pareto_prune.export.formats import check_folder
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


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("below", ["", "deep/er"])
def test_a_place_where_no_folder_can_be_made(tmp_path: Path, format_: str, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (Path("/proc/self"), tmp_path / "file"):
        with pytest.raises(UserError, match=r"model: cannot be made: .*, allowed: a place that"):
            make_folder(place / below / "model", format_)


def test_looking_at_a_place_leaves_nothing(tmp_path: Path) -> None:
    assert check_folder(tmp_path / "new" / "model") == tmp_path / "new" / "model"
    assert list(tmp_path.iterdir()) == []
