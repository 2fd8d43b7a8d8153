"""The pictures and files of a card as attachments: their bytes, or a signed link to what is over a megabyte."""

from __future__ import annotations

import base64
from typing import Any, Final

from vtoc_bots import Card, File, Image, NotFound, NotSent, TransientError, TransportContext, markup
from vtoc_bots.plugins.chatkit.markdown import TABLE_COLUMNS

MOST_BYTES: Final = 1_000_000
"""Of what is sent; larger files become a link."""


async def attachments_of(card: Card, context: TransportContext) -> list[dict[str, Any]]:
    """Attachments of pictures, files and tables that became files: name, content_type, size, and data (base64) or url.

    One that is no longer stored has neither. Raises NotSent where they can't be read now.
    """
    found: list[dict[str, Any]] = []
    for part in markup.parts_of_card(card, columns=TABLE_COLUMNS):
        if part.file is not None:
            found.append(_inline(part.file.name, part.file.content_type, part.file.data))
        elif isinstance(part.block, Image | File):
            found.append(await _attachment(part.block, context))
    return found


async def _attachment(block: Image | File, context: TransportContext) -> dict[str, Any]:
    if block.size > MOST_BYTES:
        return await _linked(block, block.size, context)
    try:
        data = await context.blobs.get(block.blob)
    except NotFound:
        return {"name": block.name, "content_type": block.content_type, "size": 0, "gone": True}
    except TransientError as error:
        raise NotSent(f"chatkit: {block.name} could not be read: {error}") from error
    if len(data) > MOST_BYTES:
        return await _linked(block, len(data), context)
    made = _inline(block.name, block.content_type, data)
    return {**made, "alt": block.alt} if isinstance(block, Image) else made


def _inline(name: str, content_type: str, data: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {"name": name, "content_type": content_type, "size": len(data), "data": encoded}


async def _linked(block: Image | File, size: int, context: TransportContext) -> dict[str, Any]:
    url = await context.link(block.blob, block.name, block.content_type)
    made = {"name": block.name, "content_type": block.content_type, "size": size}
    return made if url is None else {**made, "url": url}
