"""The pictures and files of a card, fetched: their bytes, a link to what is too large, or why there is neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from vtoc_bots import Card, File, Image, NotFound, NotSent, TransientError, TransportContext, markup
from vtoc_bots.plugins.telegram.pieces import Media

MOST_BYTES: Final = 1_000_000
"""Of what is sent; larger files become a link."""


@dataclass(frozen=True, slots=True)
class Linked:
    """A file that is too large to be sent."""

    url: str
    size: int


@dataclass(frozen=True, slots=True)
class Absent:
    """Why a file is not shown."""

    reason: str


Supply: TypeAlias = Media | Linked | Absent
Supplies: TypeAlias = Mapping[Image | File, Supply]


async def supplies_of(card: Card, context: TransportContext) -> dict[Image | File, Supply]:
    """What there is for each picture and file of the card. Raises NotSent where they can't be read now."""
    found: dict[Image | File, Supply] = {}
    for block in card.blocks:
        if isinstance(block, Image | File) and block not in found:
            try:
                found[block] = await _supply(block, context)
            except TransientError as error:
                raise NotSent(f"telegram: {block.name} could not be read: {error}") from error
    return found


async def _supply(block: Image | File, context: TransportContext) -> Supply:
    if block.size > MOST_BYTES:
        return await _linked(block, block.size, context)
    try:
        data = await context.blobs.get(block.blob)
    except NotFound:
        return Absent("it is no longer stored")
    if len(data) > MOST_BYTES:
        return await _linked(block, len(data), context)
    if not data:
        return Absent("it is empty")
    name = markup.clean_line(block.name).replace("/", "_").strip() or "file"
    return Media(name, block.content_type, data)


async def _linked(block: Image | File, size: int, context: TransportContext) -> Supply:
    url = await context.link(block.blob, block.name, block.content_type)
    if url is None:
        return Absent(f"with {size / 1e6:.1f} MB it is too large to be sent here")
    return Linked(url, size)
