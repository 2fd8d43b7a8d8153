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
    CompleteRequestParams,
    CompleteResult,
    Completion,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    PromptMessage,
    PromptReference,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    SetLevelRequestParams,
)

from vtoc_bots.core.errors import NotFound, VtocError
from vtoc_bots.core.ids import new_id, short_id
from vtoc_bots.core.web.mcp.caller import MOST_SUGGESTED, Caller
from vtoc_bots.core.web.mcp.client import Asks, SdkClient
from vtoc_bots.core.web.mcp.offers import Given
from vtoc_bots.core.web.mcp.session_book import SessionBook
from vtoc_bots.core.web.mcp.subscriptions import Subscriptions
from vtoc_bots.core.web.mcp.wire import (
    blocks_from_contents,
    prompt_from_prompt,
    resource_from_contents,
    tool_from_offer,
)

logger = structlog.get_logger(__name__)

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


def make_server(who: Who, book: SessionBook, subscriptions: Subscriptions) -> Server[Any]:
    """The server; `who` tells for whom a request is."""
    answers = Answers(who, book)
    server: Server[Any] = Server(
        "vtoc-bots",
        version=metadata.version("vtoc-bots"),
        title="vtoc-bots",
        instructions=INSTRUCTIONS,
        on_list_tools=answers.list_tools,
        on_call_tool=answers.call_tool,
        on_list_resources=answers.list_resources,
        on_list_resource_templates=answers.list_templates,
        on_read_resource=answers.read_resource,
        on_subscribe_resource=subscriptions.subscribe,
        on_unsubscribe_resource=subscriptions.unsubscribe,
        on_subscriptions_listen=subscriptions.listen,
        on_list_prompts=answers.list_prompts,
        on_get_prompt=answers.get_prompt,
        on_completion=answers.complete,
    )
    # By name: as an argument of Server the SDK warns of it, since the protocol of 2026 has it no more.
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, answers.set_level)
    server.middleware += [book.note, subscriptions.note]
    return server


class Answers:
    """What requests are answered with."""

    def __init__(self, who: Who, book: SessionBook) -> None:
        self._who, self._book = who, book

    async def list_tools(self, ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        """What the caller may use."""
        caller = await self._who(ctx)
        return ListToolsResult(tools=[tool_from_offer(each) for each in caller.tools()])

    async def call_tool(self, ctx: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        """Use one; whatever goes wrong is told in words, as the result."""
        key = (ctx.meta or {}).get(IDEMPOTENCY_META)
        caller = await self._who(ctx)
        client = SdkClient(ctx, self._book.of(ctx).level, params.input_responses)
        try:
            made = await caller.call(params.name, params.arguments or {}, key if isinstance(key, str) else None, client)
        except Asks as asks:
            return InputRequiredResult(input_requests=asks.questions)
        except NotFound as error:
            if str(error).startswith("there is no tool"):
                raise MCPError(INVALID_PARAMS, str(error)) from error
            made = Given((str(error),), {}, failed=True)
        except VtocError as error:
            made = Given((str(error),), {}, failed=True)
        except MCPError:
            raise
        except Exception as error:
            made = Given((_fault(params.name, error),), {}, failed=True)
        return CallToolResult(
            content=blocks_from_contents(made.contents),
            structured_content=dict(made.data) or None,
            is_error=made.failed,
        )

    async def list_resources(self, ctx: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        """What the caller may read."""
        found = (await self._who(ctx)).resources(templates=False)
        return ListResourcesResult(
            resources=[
                Resource(uri=each.address or "", name=each.name, description=each.title, mime_type=each.content_type)
                for each in found
            ]
        )

    async def list_templates(self, ctx: Context, params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
        """And by template."""
        found = (await self._who(ctx)).resources(templates=True)
        return ListResourceTemplatesResult(
            resource_templates=[
                ResourceTemplate(
                    uri_template=each.address or "",
                    name=each.name,
                    description=each.title,
                    mime_type=each.content_type,
                )
                for each in found
            ]
        )

    async def read_resource(self, ctx: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """One of them."""
        uri = str(params.uri)
        caller = await self._who(ctx)
        try:
            contents = await caller.read(uri)
        except NotFound as error:
            raise MCPError(RESOURCE_NOT_FOUND, str(error), {"uri": uri[:400]}) from error
        except VtocError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        return ReadResourceResult(contents=[resource_from_contents(contents)])

    async def list_prompts(self, ctx: Context, params: PaginatedRequestParams | None) -> ListPromptsResult:
        """What the caller may say."""
        return ListPromptsResult(prompts=[prompt_from_prompt(each) for each in (await self._who(ctx)).prompts()])

    async def get_prompt(self, ctx: Context, params: GetPromptRequestParams) -> GetPromptResult:
        """One of them, in full."""
        caller = await self._who(ctx)
        try:
            prompt, contents = await caller.prompt(params.name, params.arguments or {})
        except VtocError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        messages = [PromptMessage(role="user", content=block) for block in blocks_from_contents(contents)]
        return GetPromptResult(description=prompt.description, messages=messages)

    async def complete(self, ctx: Context, params: CompleteRequestParams) -> CompleteResult:
        """What an argument may be that begins so."""
        caller = await self._who(ctx)
        name, begun = params.argument.name, params.argument.value
        try:
            if isinstance(params.ref, PromptReference):
                values = caller.suggest_argument(params.ref.name, name, begun)
            else:
                values = await caller.suggest_part(params.ref.uri, name, begun)
        except VtocError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        shown = values[:MOST_SUGGESTED]
        return CompleteResult(completion=Completion(values=shown, total=len(values), has_more=len(values) > len(shown)))

    async def set_level(self, ctx: Context, params: SetLevelRequestParams) -> EmptyResult:
        """From now on the session hears of what is at least so severe."""
        self._book.of(ctx).level = params.level
        return EmptyResult()


def _fault(name: str, error: Exception) -> str:
    """What to say of a fault of ours: nothing but the id under which it is logged."""
    fault = short_id(new_id())
    logger.error("mcp_tool_failed", tool=name, fault=fault, exc_info=error)
    return f"Something went wrong here. Quote {fault} to whoever runs this service."
