"""Subscriptions to resources: by session before 2026, by a stream of their own since; both look, decide and audit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp_types import (
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.web.mcp.caller import Caller
from vtoc_bots.core.web.mcp.looks import Lookers, Looks, Still
from vtoc_bots.core.web.mcp.session_book import Session, SessionBook

Context = ServerRequestContext[Any, Any]
Whose = Callable[[Context], Awaitable[tuple[Caller, Still]]]
"""Who sent a request, and whether their credential holds."""
_LISTS: Final[dict[str, ServerEvent]] = {
    "tools": ToolsListChanged(),
    "prompts": PromptsListChanged(),
    "resources": ResourcesListChanged(),
}


class Subscriptions:
    """What clients subscribe to."""

    def __init__(self, whose: Whose, book: SessionBook, lookers: Lookers) -> None:
        self._whose, self._book, self._lookers = whose, book, lookers

    async def subscribe(self, ctx: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Tell the session when this resource changes."""
        caller, still = await self._whose(ctx)
        session = self._book.of(ctx)
        try:
            looks = session.looks or self._looks_of(ctx, session, caller, still)
            await looks.add(str(params.uri))
        except VtocError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        return EmptyResult()

    async def note(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Middleware of the server: a session that watches goes on by the credential of its newest request."""
        if ctx.method != "initialize" and ctx.request is not None:
            session = self._book.of(ctx)
            if session.looks is not None:
                caller, still = await self._whose(ctx)
                session.looks.renew(caller, self._going_on(session, still))
        return await call_next(ctx)

    async def unsubscribe(self, ctx: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """And no more."""
        looks = self._book.of(ctx).looks
        if looks is not None:
            looks.drop(str(params.uri))
        return EmptyResult()

    async def listen(self, ctx: Context, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Tell on the stream of this request, until its client leaves or its credential holds no more."""
        caller, still = await self._whose(ctx)
        wanted = params.notifications
        lists = {
            "tools": wanted.tools_list_changed,
            "prompts": wanted.prompts_list_changed,
            "resources": wanted.resources_list_changed,
        }
        bus = InMemorySubscriptionBus()
        handler = ListenHandler(bus, max_subscriptions=1)

        async def tell(subject: str) -> None:
            await bus.publish(_LISTS.get(subject) or ResourceUpdated(uri=subject))

        looks: Looks | None = None
        try:
            looks = self._lookers.open(caller, still, tell, handler.close)
            for subject in (*(wanted.resource_subscriptions or ()), *(name for name, on in lists.items() if on)):
                await looks.add(str(subject))
            return await handler(ctx, params)
        except VtocError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        finally:
            if looks is not None:
                looks.end()

    def _looks_of(self, ctx: Context, session: Session, caller: Caller, still: Still) -> Looks:
        """A new task that looks for a session."""

        def ended() -> None:
            session.looks = None

        goes_on = self._going_on(session, still)
        looks = session.looks = self._lookers.open(caller, goes_on, ctx.session.send_resource_updated, ended)
        return looks

    def _going_on(self, session: Session, still: Still) -> Still:
        here = self._book.here(session)

        async def goes_on() -> bool:
            return here() and await still()

        return goes_on
