"""The agent's pure parts: its key stands in no error, not even a part of it, and nothing else is taken for it."""

from __future__ import annotations

import pytest

from vtoc_bots.plugins.agent.model import without_key

KEY = "sk-0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "key", "left"),
    [
        (f"wrong key {KEY}. Check it", KEY, "wrong key (the key). Check it"),
        (f"wrong key {KEY[:12]}. Check it", KEY, "wrong key (the key). Check it"),
        ("the model is away", "a", "the model is away"),
        ("the model is away", "none", "the model is away"),
        ("all is well", KEY, "all is well"),
    ],
)
def test_the_key_stands_in_no_error_and_any_word_in_each(text: str, key: str, left: str) -> None:
    assert without_key(text, key) == left
