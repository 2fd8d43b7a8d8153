"""Long lists in requests: checked as a whole would be, a part at a time."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter

from vtoc_bots.core.web.batches import AT_ONCE, batch_of, parts_of
from vtoc_bots.core.web.problems import Refusal
from vtoc_bots.core.web.typed import Batch


class Item(BaseModel):
    """An item."""

    model_config = ConfigDict(extra="forbid")

    n: int
    payload: Any = None


ADAPTER = TypeAdapter(list[Item])


def many(count: int, **wrong: Any) -> list[dict[str, Any]]:
    """Items, the one `at` with what is wrong with it."""
    items: list[dict[str, Any]] = [{"n": number, "payload": {"of": [number, 1.5, "ü"]}} for number in range(count)]
    if wrong:
        items[wrong.pop("at")] |= wrong
    return items


async def test_a_list_is_checked_as_if_it_were_checked_whole() -> None:
    items = many(2 * AT_ONCE + 7)
    items[3]["payload"] = 10**30
    items[4]["payload"] = [-0.0, 1e-300, None, True]
    text = json.dumps(items).encode()
    assert await batch_of(Batch(ADAPTER, 5000), text) == ADAPTER.validate_json(text, strict=True)


@pytest.mark.parametrize("at", [0, AT_ONCE - 1, AT_ONCE, 2 * AT_ONCE + 6])
async def test_a_wrong_item_is_named_by_its_place_in_the_whole_list(at: int) -> None:
    with pytest.raises(Refusal, match=rf"body {at}\.n: ") as refused:
        await batch_of(Batch(ADAPTER, 5000), orjson.dumps(many(2 * AT_ONCE + 7, at=at, n="7")))
    assert refused.value.status == 400


async def test_too_many_and_too_deep_are_refused() -> None:
    with pytest.raises(Refusal, match="it has 401 items; 400 is the most"):
        await batch_of(Batch(ADAPTER, 400), orjson.dumps(many(401)))
    deep: Any = 1
    for _ in range(80):
        deep = [deep]
    with pytest.raises(Refusal, match="nested more than 60 deep"):
        await batch_of(Batch(ADAPTER, 5000), orjson.dumps(many(300, at=299, payload=deep)))


async def test_others_are_served_between_two_parts() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task, seen = asyncio.create_task(other()), []
    async for part in parts_of(range(5 * AT_ONCE - 1)):
        seen.append((turns, len(part)))
    task.cancel()
    assert [size for _, size in seen] == [AT_ONCE] * 4 + [AT_ONCE - 1]
    assert all(later > earlier for (earlier, _), (later, _) in pairwise(seen[1:]))
