"""What tools give back, as plain values: text, data, and files as blobs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final

import orjson
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
)

from vtoc_bots.core.errors import ActionError
from vtoc_bots.core.ports import Blobs
from vtoc_bots.core.store.clean import dumps_clean
from vtoc_bots.core.tools import ToolFile, ToolResult

LONGEST_TEXT: Final = 16_000
"""Characters of text in a step's output; the whole of what is longer is a file."""
LARGEST_DATA: Final = 64 * 1024
LARGEST_FILE: Final = 32 * 2**20
LONGEST_WORDS: Final = 1_000


async def result_of(answer: CallToolResult, server: str, tool: str, blobs: Blobs) -> ToolResult:
    """The result of a call. Raises ActionError with the tool's own words where it failed."""
    texts, files, links = [], [], []
    for block in answer.content:
        if isinstance(block, TextContent):
            texts.append(block.text)
        elif isinstance(block, ImageContent | AudioContent):
            files.append(await _file(blobs, _decoded(block.data, server, tool), block.mime_type, tool))
        elif isinstance(block, EmbeddedResource):
            found = block.resource
            kind = found.mime_type or "application/octet-stream"
            if isinstance(found, BlobResourceContents):
                files.append(await _file(blobs, _decoded(found.blob, server, tool), kind, _name(str(found.uri))))
            else:
                texts.append(found.text)
        elif isinstance(block, ResourceLink):
            links.append(str(block.uri))
    text = "\n".join(texts).replace("\x00", "")
    if answer.is_error:
        raise ActionError(f"{server}.{tool}: {_words(text)}")
    if len(text) > LONGEST_TEXT:
        files.append(await _file(blobs, text.encode(), "text/plain; charset=utf-8", f"{tool}.txt"))
        text = f"{text[:LONGEST_TEXT]} …"
    data = _data(answer.structured_content, text)
    encoded = dumps_clean(data)
    if len(encoded) > LARGEST_DATA:
        files.append(await _file(blobs, encoded, "application/json", f"{tool}.json"))
        data = None
    else:
        data = orjson.loads(encoded)
    return ToolResult(server=server, tool=tool, text=text, data=data, files=tuple(files), links=tuple(links[:100]))


def _data(structured: Any, text: str) -> Any:
    """The structured content; where there is none, the text where it is one JSON object or list."""
    if structured is not None:
        return structured
    if text[:1] not in ("{", "["):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _words(text: str) -> str:
    """What a tool says of its failure, in one piece and not too long."""
    said = text.strip()
    return (said[:LONGEST_WORDS] + (" …" if len(said) > LONGEST_WORDS else "")) or "it failed and did not say why"


async def _file(blobs: Blobs, data: bytes, content_type: str, name: str) -> ToolFile:
    if len(data) > LARGEST_FILE:
        raise ActionError(f"{name} is {len(data):,} bytes; {LARGEST_FILE:,} at most are kept")
    return ToolFile(blob=await blobs.put(data, content_type), name=name, content_type=content_type, size=len(data))


def _decoded(text: str, server: str, tool: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ActionError(f"{server}.{tool} answered with a file that is not base64") from error


def _name(uri: str) -> str:
    parts: Sequence[str] = [part for part in uri.split("/") if part]
    return parts[-1][-100:] if parts else "file"
