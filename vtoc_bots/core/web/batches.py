"""Long lists in a request, taken a part at a time so that everybody else is served in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, TypeVar

import orjson
from pydantic import ValidationError
from pydantic_core import from_json

from vtoc_bots.core.web.mistakes import mistaken, mistakes
from vtoc_bots.core.web.parsing import refuse_deep
from vtoc_bots.core.web.typed import Batch

T = TypeVar("T")
AT_ONCE: Final = 200
"""Items that are worked on without giving the loop back: a few milliseconds."""


async def parts_of(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """The items in parts, in order; others are served before each but the first."""
    for start in range(0, len(items), AT_ONCE):
        if start:
            await asyncio.sleep(0)
        yield items[start : start + AT_ONCE]


async def batch_of(batch: Batch, text: bytes) -> list[Any]:
    """The checked items of a JSON array, strictly as if it were checked whole. Raises Refusal naming wrong items.

    The text must have been loaded before, so it is JSON without infinite numbers.
    """
    await asyncio.sleep(0)
    items: list[Any] = from_json(text, allow_inf_nan=False)  # unlike orjson it keeps integers of any size
    if len(items) > batch.most:
        message = f"it has {len(items):,} items; {batch.most:,} is the most"
        raise mistaken([{"in": "body", "at": "", "message": message}])
    checked: list[Any] = []
    async for part in parts_of(items):
        refuse_deep(part)
        try:
            checked += batch.items.validate_json(_json(part), strict=True)
        except ValidationError as error:
            raise mistaken(mistakes("body", error, len(checked))) from None
    return checked


def _json(part: Sequence[Any]) -> bytes:
    try:
        return orjson.dumps(part)
    except TypeError:  # an integer over 64 bits
        return json.dumps(part, allow_nan=False).encode()
