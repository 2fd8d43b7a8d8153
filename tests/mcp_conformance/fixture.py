"""A server with the tools, resources and prompts that the suite asks for, served by our sessions and our bridge."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import warnings
import wave
from collections.abc import Awaitable, Callable
from typing import Any

from mcp import MCPDeprecationWarning, MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import (
    INVALID_PARAMS,
    AudioContent,
    BlobResourceContents,
    CallToolRequestParams,
    CallToolResult,
    CompleteResult,
    Completion,
    EmbeddedResource,
    EmptyResult,
    GetPromptResult,
    ImageContent,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    SamplingMessage,
    TextContent,
    TextResourceContents,
    Tool,
)

from tests.mcp_server import PNG

Context = ServerRequestContext[Any, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
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


def _text(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def _image() -> ImageContent:
    return ImageContent(type="image", data=base64.b64encode(PNG).decode(), mime_type="image/png")


def _sound() -> AudioContent:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes(80))
    return AudioContent(type="audio", data=base64.b64encode(buffer.getvalue()).decode(), mime_type="audio/wav")


def _embedded(uri: str, kind: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=kind, text=text))


async def _logging(ctx: Context, arguments: dict[str, Any]) -> list[Any]:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            await ctx.session.send_log_message("info", text, related_request_id=ctx.request_id)
        await asyncio.sleep(0)
    return [_text("logged")]


async def _progress(ctx: Context, arguments: dict[str, Any]) -> list[Any]:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100)
        await asyncio.sleep(0)
    return [_text("done")]


async def _sampling(ctx: Context, arguments: dict[str, Any]) -> list[Any]:
    message = SamplingMessage(role="user", content=_text(arguments["prompt"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        made = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    return [_text(f"LLM response: {getattr(made.content, 'text', '')}")]


async def _elicit(ctx: Context, message: str, properties: dict[str, Any], required: list[str]) -> str:
    schema = {"type": "object", "properties": properties, "required": required}
    said = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return f"action={said.action}, content={json.dumps(said.content or {})}"


async def _elicitation(ctx: Context, arguments: dict[str, Any]) -> list[Any]:
    return [_text(f"User response: {await _elicit(ctx, arguments['message'], PERSON, list(PERSON))}")]


async def _defaults(ctx: Context, arguments: dict[str, Any]) -> list[Any]:
    return [_text(f"Elicitation completed: {await _elicit(ctx, 'defaults', DEFAULTS, [])}")]


async def _enums(ctx: Context, arguments: dict[str, Any]) -> list[Any]:
    return [_text(f"Elicitation completed: {await _elicit(ctx, 'enums', ENUMS, [])}")]


def _gives(*blocks: Any) -> Callable[[Context, dict[str, Any]], Awaitable[list[Any]]]:
    async def give(ctx: Context, arguments: dict[str, Any]) -> list[Any]:
        return list(blocks)

    return give


TOOLS: dict[str, Callable[[Context, dict[str, Any]], Awaitable[list[Any]]]] = {
    "test_simple_text": _gives(_text("This is a simple text response for testing.")),
    "test_image_content": _gives(_image()),
    "test_audio_content": _gives(_sound()),
    "test_embedded_resource": _gives(
        _embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
    ),
    "test_multiple_content_types": _gives(
        _text("Multiple content types test:"),
        _image(),
        _embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ),
    "test_tool_with_logging": _logging,
    "test_tool_with_progress": _progress,
    "test_sampling": _sampling,
    "test_elicitation": _elicitation,
    "test_elicitation_sep1034_defaults": _defaults,
    "test_elicitation_sep1330_enums": _enums,
    "json_schema_2020_12_tool": _gives(_text("ok")),
}
PROMPTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
}


async def list_tools(ctx: Context, params: Any) -> ListToolsResult:
    """The suite's tools."""
    plain = {"type": "object", "properties": {}}
    names = [*TOOLS, "test_error_handling"]
    return ListToolsResult(
        tools=[
            Tool(name=name, description=name, input_schema=SCHEMA if name.startswith("json_schema") else plain)
            for name in names
        ]
    )


async def call_tool(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
    """Use one of them."""
    if params.name == "test_error_handling":
        return CallToolResult(content=[_text("This tool intentionally returns an error for testing")], is_error=True)
    if params.name not in TOOLS:
        raise MCPError(INVALID_PARAMS, f"no tool {params.name}")
    return CallToolResult(content=await TOOLS[params.name](ctx, params.arguments or {}))


async def list_resources(ctx: Context, params: Any) -> ListResourcesResult:
    """The suite's resources."""
    uris = ("test://static-text", "test://static-binary", "test://watched-resource")
    return ListResourcesResult(resources=[Resource(uri=uri, name=uri, description=uri) for uri in uris])


async def list_templates(ctx: Context, params: Any) -> ListResourceTemplatesResult:
    """Its one template."""
    template = ResourceTemplate(uri_template="test://template/{id}/data", name="template")
    return ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(ctx: Context, params: Any) -> ReadResourceResult:
    """One of them."""
    uri = str(params.uri)
    if uri == "test://static-binary":
        blob = BlobResourceContents(uri=uri, mime_type="image/png", blob=base64.b64encode(PNG).decode())
        return ReadResourceResult(contents=[blob])
    text, kind = "This is the content of the static text resource.", "text/plain"
    if uri.startswith("test://template/"):
        number = uri.split("/")[3]
        text = json.dumps({"id": number, "templateTest": True, "data": f"Data for ID: {number}"})
        kind = "application/json"
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=kind, text=text)])


async def list_prompts(ctx: Context, params: Any) -> ListPromptsResult:
    """The suite's prompts."""
    return ListPromptsResult(
        prompts=[
            Prompt(name=name, description=name, arguments=[PromptArgument(name=each, required=True) for each in names])
            for name, names in PROMPTS.items()
        ]
    )


async def get_prompt(ctx: Context, params: Any) -> GetPromptResult:
    """One of them."""
    given = params.arguments or {}
    blocks: list[Any] = [_text("This is a simple prompt for testing.")]
    if params.name == "test_prompt_with_arguments":
        blocks = [_text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")]
    elif params.name == "test_prompt_with_embedded_resource":
        resource = _embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing.")
        blocks = [resource, _text("Please process the embedded resource above.")]
    elif params.name == "test_prompt_with_image":
        blocks = [_image(), _text("Please analyze the image above.")]
    return GetPromptResult(messages=[PromptMessage(role="user", content=block) for block in blocks])


async def complete(ctx: Context, params: Any) -> CompleteResult:
    """Nothing to offer."""
    return CompleteResult(completion=Completion(values=[], total=0, has_more=False))


async def nothing(ctx: Context, params: Any) -> EmptyResult:
    """Agreed."""
    return EmptyResult()


def make_fixture() -> Server[Any]:
    """The server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        return Server(
            "fixture",
            version="1.0",
            on_list_tools=list_tools,
            on_call_tool=call_tool,
            on_list_resources=list_resources,
            on_list_resource_templates=list_templates,
            on_read_resource=read_resource,
            on_subscribe_resource=nothing,
            on_unsubscribe_resource=nothing,
            on_list_prompts=list_prompts,
            on_get_prompt=get_prompt,
            on_completion=complete,
            on_set_logging_level=nothing,
        )
