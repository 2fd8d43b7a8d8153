"""The tools, resources and prompts that the suite calls by name, offered by our server beside its own."""

from __future__ import annotations

import asyncio
import io
import json
import warnings
import wave
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp import MCPDeprecationWarning
from mcp_types import SamplingMessage, TextContent

from tests.mcp_server import PNG
from vtoc_bots.core.access import Ask, Level
from vtoc_bots.core.errors import NotFound, UsageError
from vtoc_bots.core.web.mcp.caller import OURS
from vtoc_bots.core.web.mcp.offers import DIALECT, Argument, Catalogue, Client, Content, Contents, Given, Media, Read
from vtoc_bots.core.web.typed import Call

Use = Callable[[Any, Mapping[str, Any]], Awaitable[tuple[Content, ...]]]
PLAIN: dict[str, Any] = {"type": "object", "properties": {}}
SCHEMA = {
    "$schema": DIALECT,
    "type": "object",
    "$defs": {
        "address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}},
    },
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
    "additionalProperties": False,
}
THREE = ["option1", "option2", "option3"]
TITLED = [{"const": f"value{n}", "title": title} for n, title in enumerate(("First", "Second", "Third"), 1)]
DEFAULTS = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
ENUMS = {
    "untitledSingle": {"type": "string", "enum": THREE},
    "titledSingle": {"type": "string", "oneOf": TITLED},
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": THREE}},
    "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
}
PERSON = {"username": {"type": "string"}, "email": {"type": "string"}}
PICTURE = Media("image/png", PNG)


def _sound() -> Media:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes(80))
    return Media("audio/wav", buffer.getvalue())


async def _logging(client: Client, arguments: Mapping[str, Any]) -> tuple[Content, ...]:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await client.note("info", {"text": text})
        await asyncio.sleep(0)
    return ("logged",)


async def _progress(client: Client, arguments: Mapping[str, Any]) -> tuple[Content, ...]:
    for done in (0, 50, 100):
        await client.tell(done, 100, "")
        await asyncio.sleep(0)
    return ("done",)


async def _sampling(client: Any, arguments: Mapping[str, Any]) -> tuple[Content, ...]:
    """What our own tools don't do: they have a model of their own. The sessions and the bridge carry it."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text=arguments["prompt"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        made = await client.context.session.create_message(
            [message], max_tokens=100, related_request_id=client.context.request_id
        )
    return (f"LLM response: {getattr(made.content, 'text', '')}",)


async def _elicit(client: Client, message: str, properties: dict[str, Any], required: list[str]) -> str:
    said = await client.ask(message, {"type": "object", "properties": properties, "required": required})
    return f"action={'decline' if said is None else 'accept'}, content={json.dumps(said or {})}"


async def _elicitation(client: Client, arguments: Mapping[str, Any]) -> tuple[Content, ...]:
    return (f"User response: {await _elicit(client, arguments['message'], PERSON, list(PERSON))}",)


async def _defaults(client: Client, arguments: Mapping[str, Any]) -> tuple[Content, ...]:
    return (f"Elicitation completed: {await _elicit(client, 'defaults', DEFAULTS, [])}",)


async def _enums(client: Client, arguments: Mapping[str, Any]) -> tuple[Content, ...]:
    return (f"Elicitation completed: {await _elicit(client, 'enums', ENUMS, [])}",)


async def _reconnection(client: Any, arguments: Mapping[str, Any]) -> tuple[Content, ...]:
    """Close the stream of the request: the answer is fetched by whoever takes it up again."""
    await client.context.close_sse_stream()
    return ("taken up again",)


async def _error(client: Client, arguments: Mapping[str, Any]) -> tuple[Content, ...]:
    raise UsageError("This tool intentionally returns an error for testing")


def _gives(*contents: Content) -> Use:
    async def give(client: Any, arguments: Mapping[str, Any]) -> tuple[Content, ...]:
        return contents

    return give


TOOLS: dict[str, Use] = {
    "test_simple_text": _gives("This is a simple text response for testing."),
    "test_image_content": _gives(PICTURE),
    "test_audio_content": _gives(_sound()),
    "test_embedded_resource": _gives(
        Contents("test://embedded-resource", "text/plain", "This is an embedded resource content.")
    ),
    "test_multiple_content_types": _gives(
        "Multiple content types test:",
        PICTURE,
        Contents("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ),
    "test_tool_with_logging": _logging,
    "test_tool_with_progress": _progress,
    "test_sampling": _sampling,
    "test_elicitation": _elicitation,
    "test_elicitation_sep1034_defaults": _defaults,
    "test_elicitation_sep1330_enums": _enums,
    "test_reconnection": _reconnection,
    "test_error_handling": _error,
    "json_schema_2020_12_tool": _gives("ok"),
}
RESOURCES: dict[str, Callable[[Mapping[str, str]], tuple[str, str | bytes]]] = {
    "test://static-text": lambda parts: ("text/plain", "This is the content of the static text resource."),
    "test://static-binary": lambda parts: ("image/png", PNG),
    "test://watched-resource": lambda parts: ("text/plain", "watched"),
    "test://template/{id}/data": lambda parts: (
        "application/json",
        json.dumps({"id": parts["id"], "templateTest": True, "data": f"Data for ID: {parts['id']}"}),
    ),
}


@dataclass(frozen=True)
class Fixture:
    """One of TOOLS or of RESOURCES, decided and audited as every other."""

    name: str
    schema: Mapping[str, Any] | None
    address: str | None
    changes: bool = False
    decides: bool = False
    content_type: str = "text/plain"

    @property
    def title(self) -> str:
        return self.name

    @property
    def description(self) -> str:
        return self.name

    def ask(self, arguments: Mapping[str, Any] | None) -> Ask:
        return Ask(f"fixture:{self.name}", Level.OBSERVER, transport="mcp")

    async def use(self, call: Call, arguments: Mapping[str, Any], client: Client) -> Given:
        return Given(await TOOLS[self.name](client, arguments), {})

    async def read(self, call: Call, uri: str, parts: Mapping[str, str]) -> Contents:
        if self.address is None:
            raise NotFound(uri)
        content_type, data = RESOURCES[self.address](parts)
        return Contents(uri, content_type, data)


Says = Callable[[Mapping[str, str]], Sequence[Content]]


@dataclass(frozen=True)
class FixturePrompt:
    """One of the suite's prompts."""

    name: str
    arguments: tuple[Argument, ...]
    says: Says

    @property
    def title(self) -> str:
        return self.name

    @property
    def description(self) -> str:
        return self.name

    def ask(self) -> Ask:
        return Ask(f"fixture:{self.name}", Level.OBSERVER, transport="mcp")

    async def said(self, arguments: Mapping[str, str], read: Read) -> Sequence[Content]:
        return self.says(arguments)


def _prompt(name: str, says: Says, *arguments: str) -> FixturePrompt:
    return FixturePrompt(name, tuple(Argument(each, required=True) for each in arguments), says)


FIXTURES = Catalogue(
    (
        *OURS.offers,
        *(Fixture(name, SCHEMA if name.startswith("json_schema") else PLAIN, None) for name in TOOLS),
        *(Fixture(address, None, address) for address in RESOURCES),
    ),
    (
        *OURS.prompts,
        _prompt("test_simple_prompt", lambda given: ["This is a simple prompt for testing."]),
        _prompt(
            "test_prompt_with_arguments",
            lambda given: [f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"],
            *("arg1", "arg2"),
        ),
        _prompt(
            "test_prompt_with_embedded_resource",
            lambda given: [
                Contents(given["resourceUri"], "text/plain", "Embedded resource content for testing."),
                "Please process the embedded resource above.",
            ],
            "resourceUri",
        ),
        _prompt("test_prompt_with_image", lambda given: [PICTURE, "Please analyze the image above."]),
    ),
)
"""What our server offers, and what the suite wants besides."""
