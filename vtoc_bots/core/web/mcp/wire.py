"""What is given, as the SDK's types have it."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    PromptArgument,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from mcp_types import Prompt as PromptType
from mcp_types import Tool as ToolType

from vtoc_bots.core.web.mcp.offers import Content, Contents, Media, Offer, Prompt


def blocks_from_contents(contents: Iterable[Content]) -> list[ContentBlock]:
    """Parts of an answer."""
    return [_block(each) for each in contents]


def resource_from_contents(contents: Contents) -> TextResourceContents | BlobResourceContents:
    """What stands at an address."""
    if isinstance(contents.data, str):
        return TextResourceContents(uri=contents.uri, mime_type=contents.content_type, text=contents.data)
    return BlobResourceContents(uri=contents.uri, mime_type=contents.content_type, blob=_encoded(contents.data))


def tool_from_offer(offer: Offer) -> ToolType:
    """A tool as it is listed."""
    return ToolType(
        name=offer.name,
        title=offer.title,
        description=offer.description,
        input_schema=dict(offer.schema or {}),
        annotations=ToolAnnotations(read_only_hint=not offer.changes, open_world_hint=False),
    )


def prompt_from_prompt(prompt: Prompt) -> PromptType:
    """A prompt as it is listed."""
    arguments = [
        PromptArgument(name=each.name, description=each.description or None, required=each.required)
        for each in prompt.arguments
    ]
    return PromptType(name=prompt.name, title=prompt.title, description=prompt.description, arguments=arguments)


def _block(content: Content) -> ContentBlock:
    if isinstance(content, str):
        return TextContent(type="text", text=content)
    if isinstance(content, Contents):
        return EmbeddedResource(type="resource", resource=resource_from_contents(content))
    return _media(content)


def _media(media: Media) -> ContentBlock:
    if media.content_type.startswith("audio/"):
        return AudioContent(type="audio", data=_encoded(media.data), mime_type=media.content_type)
    return ImageContent(type="image", data=_encoded(media.data), mime_type=media.content_type)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
