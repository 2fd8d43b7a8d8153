"""The MCP server itself, on the SDK's low-level server: what each request of the protocol is answered with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Any, Final

import structlog
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
    Tool,
    ToolAnnotations,
)

from vtoc_bots.core.errors import NotFound, VtocError
from vtoc_bots.core.ids import new_id, short_id
from vtoc_bots.core.web.mcp.caller import Caller, Given

logger = structlog.get_logger(__name__)

JSON: Final = "application/json"
RESOURCE_NOT_FOUND: Final = -32002
IDEMPOTENCY_META: Final = "vtoc-bots/idempotency-key"
"""Where a client may give a key under which a playbook is started once."""
INSTRUCTIONS: Final = (
    "A station of an operations centre. Tools with underscored names such as list_runs look at it; every other tool is"
    " a playbook: calling it starts a run, whose id and result come back. What needs approval is approved by people in"
    " chat, never here. Everything is for the station of the credential."
)

Context = ServerRequestContext[Any, Any]
Who = Callable[[Context], Awaitable[Caller]]


def make_server(who: Who) -> Server[Any]:
    """The server; `who` tells for whom a request is."""

    async def list_tools(ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        caller = await who(ctx)
        return ListToolsResult(
            tools=[
                Tool(
                    name=each.name,
                    title=each.title,
                    description=each.description,
                    input_schema=dict(each.schema),
                    annotations=ToolAnnotations(read_only_hint=not each.changes, open_world_hint=False),
                )
                for each in caller.tools()
            ]
        )

    async def call_tool(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
        async def tell(done: float, total: float | None, text: str) -> None:
            await ctx.session.report_progress(done, total, text)

        key = (ctx.meta or {}).get(IDEMPOTENCY_META)
        caller = await who(ctx)
        try:
            made = await caller.call(params.name, params.arguments or {}, key if isinstance(key, str) else None, tell)
        except NotFound as error:
            if str(error).startswith("there is no tool"):
                raise MCPError(INVALID_PARAMS, str(error)) from error
            made = Given(str(error), {}, failed=True)
        except VtocError as error:
            made = Given(str(error), {}, failed=True)
        except Exception as error:
            made = Given(_fault(params.name, error), {}, failed=True)
        return CallToolResult(
            content=[TextContent(type="text", text=made.text)],
            structured_content=dict(made.data) or None,
            is_error=made.failed,
        )

    async def list_resources(ctx: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        found = [(uri, each) for uri, each in (await who(ctx)).resources() if not each.is_template]
        return ListResourcesResult(
            resources=[
                Resource(uri=uri, name=each.operation.id, description=each.operation.summary, mime_type=JSON)
                for uri, each in found
            ]
        )

    async def list_templates(ctx: Context, params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
        found = [(uri, each) for uri, each in (await who(ctx)).resources() if each.is_template]
        return ListResourceTemplatesResult(
            resource_templates=[
                ResourceTemplate(
                    uri_template=uri, name=each.operation.id, description=each.operation.summary, mime_type=JSON
                )
                for uri, each in found
            ]
        )

    async def read_resource(ctx: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        uri = str(params.uri)
        caller = await who(ctx)
        try:
            text = await caller.read(uri)
        except NotFound as error:
            raise MCPError(RESOURCE_NOT_FOUND, str(error), {"uri": uri[:400]}) from error
        except VtocError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=JSON, text=text)])

    return Server(
        "vtoc-bots",
        version=metadata.version("vtoc-bots"),
        title="vtoc-bots",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


def _fault(name: str, error: Exception) -> str:
    """What to say of a fault of ours: nothing but the id under which it is logged."""
    fault = short_id(new_id())
    logger.error("mcp_tool_failed", tool=name, fault=fault, exc_info=error)
    return f"Something went wrong here. Quote {fault} to whoever runs this service."
