"""The agent's small parts: its key stands in no error, not even a part of it; whoever cancels a question is obeyed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vtoc_bots import Card
from vtoc_bots.core.deputy import ForPerson
from vtoc_bots.plugins.agent.model import without_key
from vtoc_bots.testing import ActionStage, VirtualClock

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


async def test_a_question_that_is_cancelled_as_a_lookup_ends_goes_no_further() -> None:
    nothing = cast("Any", None)
    deputy = ForPerson(nothing, nothing, nothing, VirtualClock(), 10.0)
    asker = SimpleNamespace(message=None, message_id=None, operator=None, origin=SimpleNamespace(correlation_id=None))
    went_on = False

    class Lookup:
        spec = SimpleNamespace(name="look", private=False)

        async def __call__(self, context: Any) -> Card:
            question.cancel()
            return Card.of("Looked up")

    async def asked() -> None:
        nonlocal went_on
        await deputy._looked(ActionStage(), cast("Any", asker), cast("Any", Lookup()))
        await asyncio.sleep(0)
        went_on = True

    question = asyncio.create_task(asked())
    await asyncio.wait({question})
    assert question.cancelled()
    assert not went_on
