"""Pictures and files of cards, saved."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.terminal_kit import PICTURE, MemoryBlobs
from vtoc_bots import Card, File, Image
from vtoc_bots.plugins.terminal.files import FileSaver, safe_name, write_once
from vtoc_bots.plugins.terminal.wire import Saved

BLOB = "0123456789abcdef" * 4
CARD = Card.of("", Image(blob=BLOB, alt="A map", name="map.png"))


def saver(folder: Path) -> FileSaver:
    return FileSaver(MemoryBlobs(**{BLOB: PICTURE}).get, folder)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("map.png", "map-01234567.png"),
        ("../../etc/passwd", "passwd-01234567"),
        ("C:\\temp\\map.png", "map-01234567.png"),
        (".profile", "file-01234567.profile"),
        ("", "file-01234567"),
        ("two words\n.png", "two_words-01234567.png"),
        ("карта.png", "file-01234567.png"),
        ("-rf.png", "rf-01234567.png"),
    ],
)
def test_a_name_is_made_harmless(name: str, safe: str) -> None:
    assert safe_name(name, BLOB) == safe


@settings(deadline=None)
@given(st.text(), st.text(alphabet="0123456789abcdef", min_size=64, max_size=64))
def test_any_name_is_a_plain_visible_file_name(name: str, blob: str) -> None:
    safe = safe_name(name, blob)
    assert safe == Path(safe).name
    assert not safe.startswith((".", "-"))
    assert safe.isascii()
    assert len(safe) <= 120


async def test_a_picture_is_saved_whole_where_the_operator_asked(tmp_path: Path) -> None:
    saved = await saver(tmp_path / "new" / "out").save(CARD)
    path = tmp_path / "new" / "out" / "map-01234567.png"
    assert saved == {BLOB: Saved(str(path), len(PICTURE))}
    assert path.read_bytes() == PICTURE
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_the_path_is_absolute_wherever_the_folder_was_named_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved = await saver(Path("out")).save(CARD)
    assert saved[BLOB].path == str(tmp_path / "out" / "map-01234567.png")


async def test_the_same_picture_again_is_the_same_file(tmp_path: Path) -> None:
    first = await saver(tmp_path).save(CARD)
    assert await saver(tmp_path).save(CARD) == first
    assert os.listdir(tmp_path) == ["map-01234567.png"]


async def test_somebody_elses_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "map-01234567.png").write_bytes(b"mine")
    saved = await saver(tmp_path).save(CARD)
    assert (tmp_path / "map-01234567.png").read_bytes() == b"mine"
    assert saved[BLOB].path == str(tmp_path / f"map-{BLOB}.png")


def test_a_picture_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        path = write_once(tmp_path, "map.png", BLOB, PICTURE)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_picture_that_retention_removed_is_said_to_be_gone(tmp_path: Path) -> None:
    card = Card.of("", File(blob="ff" * 32, name="x.kml", content_type="text/plain"))
    assert await saver(tmp_path).save(card) == {"ff" * 32: Saved(problem="no longer stored")}


async def test_a_folder_that_cannot_be_written_is_said_in_place_of_the_path(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    saved = await saver(tmp_path / "out").save(CARD)
    assert saved[BLOB].path is None
    assert "not saved in" in saved[BLOB].problem
