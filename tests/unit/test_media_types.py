"""What may stand in a header as a media type, and what is of no type."""

from __future__ import annotations

import pytest

from vtoc_bots import media_type


@pytest.mark.parametrize(
    "given",
    ["image/png", "image/svg+xml", "application/vnd.google-earth.kml+xml", "text/plain; charset=utf-8", 'a/b;c="d e"'],
)
def test_a_media_type_stays_as_it_is(given: str) -> None:
    assert media_type(given) == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        "png",
        "/",
        "a/",
        "image/png\r\nX: y",
        "image/png\n",
        "image/p ng",
        "a/b; c",
        "a/b/c",
        "ä/b",
        "a/" + "b" * 300,
    ],
)
def test_anything_else_is_of_no_type(given: str) -> None:
    assert media_type(given) == "application/octet-stream"
