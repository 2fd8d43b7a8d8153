"""What is remembered of sessions before the protocol of 2026: their owner, their version, what they log and watch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from mcp.server.context import CallNext, HandlerResult
from mcp.server.context import ServerRequestContext as Context
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types import LoggingLevel
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from vtoc_bots.core.ports import Clock
from vtoc_bots.core.web.mcp.asgi import Application, Message, Receive, Send
from vtoc_bots.core.web.mcp.looks import Looks
from vtoc_bots.core.web.problems import Refusal

IDLE_SECONDS: Final = 600.0
"""After which a session without a request or an open stream ends."""
MOST_REMEMBERED: Final = 1000
MOST_OF_ONE: Final = 40
"""Sessions that one caller may have open, so that nobody has all that a process holds."""
_SESSION: Final = MCP_SESSION_ID_HEADER.lower().encode()
_VERSION: Final = MCP_PROTOCOL_VERSION_HEADER.lower().encode()


@dataclass(slots=True)
class Session:
    """One session."""

    version: str | None
    """What was agreed on; None until the first request after that."""
    seen_at: float
    level: LoggingLevel | None = None
    looks: Looks | None = None
    open: int = 0
    """Requests and streams of it now."""
    owner: str | None = None
    """Whose it is; None of that of stdio."""


Whose = Callable[[Message], str]
"""Who sends a request, by its scope."""


class SessionBook:
    """The sessions of a process; that of stdio has no name and does not end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._opening: Counter[str] = Counter()

    def of(self, ctx: Context[Any, Any]) -> Session:
        """The session of a request."""
        now = self._clock.monotonic()
        if ctx.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
            return Session(ctx.protocol_version, now)  # there are none since: what it says in its header is its own
        name = "" if ctx.request is None else ctx.request.headers.get(MCP_SESSION_ID_HEADER, "")
        found = self._sessions.get(name)
        if found is None:
            self._forget()
            found = self._sessions[name] = Session(ctx.protocol_version, now)
        return found

    async def note(self, ctx: Context[Any, Any], call_next: CallNext) -> HandlerResult:
        """Middleware of the server: remember the session of whatever comes with a version that was agreed on."""
        if ctx.method != "initialize" and ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
            session = self.of(ctx)
            session.version, session.seen_at = ctx.protocol_version, self._clock.monotonic()
        return await call_next(ctx)

    def here(self, session: Session) -> Callable[[], bool]:
        """Whether a session is still known."""
        return lambda: any(each is session for each in self._sessions.values()) and not self._is_over(session)

    def before(self, application: Application, whose: Whose) -> Application:
        """The application, told of each request that its session speaks the version that was agreed on with it.

        So says the protocol for clients that name none; for one that names another, it is what they can read. Raises
        Refusal for a caller who has MOST_OF_ONE sessions and opens another.
        """

        async def with_version(scope: Message, receive: Receive, send: Send) -> Any:
            name = next((value for key, value in scope["headers"] if key == _SESSION), b"").decode("latin-1")
            session = self._sessions.get(name) if name else None
            if session is None and (name or _version_of(scope) not in (None, *HANDSHAKE_PROTOCOL_VERSIONS)):
                return await application(scope, receive, send)
            if session is None:
                return await self._opened(application, whose(scope), scope, receive, send)
            status = 0

            async def seen(message: Message) -> None:
                nonlocal status
                status = message.get("status", status)
                await send(message)

            session.open += 1
            try:
                return await application(_spoken(scope, session.version), receive, seen)
            finally:
                session.open -= 1
                session.seen_at = self._clock.monotonic()
                if scope["method"] == "DELETE" and status == HTTPStatus.OK:
                    self._sessions.pop(name, None)

        return with_version

    async def _opened(self, application: Application, owner: str, scope: Message, receive: Receive, send: Send) -> Any:
        """Let a caller open a session, if it is to be one, and remember whose it is."""
        held = sum(each.owner == owner and not self._is_over(each) for each in self._sessions.values())
        if held + self._opening[owner] >= MOST_OF_ONE:
            words = f"you have {MOST_OF_ONE} MCP sessions here; end one, or wait until one is idle for 10 minutes"
            raise Refusal(429, words, {"Retry-After": "60"})
        name = ""

        async def seen(message: Message) -> None:
            nonlocal name
            if message["type"] == "http.response.start" and message["status"] == HTTPStatus.OK:
                name = next((value.decode() for key, value in message["headers"] if key.lower() == _SESSION), "")
                if name:
                    self._forget()
                    self._sessions[name] = Session(None, self._clock.monotonic(), open=1, owner=owner)
            await send(message)

        self._opening[owner] += 1
        try:
            return await application(scope, receive, seen)
        finally:
            self._opening[owner] -= 1
            if not self._opening[owner]:
                del self._opening[owner]
            if name in self._sessions:
                self._sessions[name].open -= 1

    def _is_over(self, session: Session) -> bool:
        stdio = self._sessions.get("") is session
        return not stdio and not session.open and self._clock.monotonic() - session.seen_at > IDLE_SECONDS

    def _forget(self) -> None:
        self._sessions = {name: each for name, each in self._sessions.items() if not self._is_over(each)}
        while len(self._sessions) >= MOST_REMEMBERED:  # the SDK holds fewer: these have ended
            del self._sessions[next(name for name in self._sessions if name)]


def _version_of(scope: Message) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == _VERSION), None)


def _spoken(scope: Message, version: str | None) -> Message:
    if version is None or (_version_of(scope) or version) not in HANDSHAKE_PROTOCOL_VERSIONS:  # the SDK refuses it
        return scope
    headers = [(key, value) for key, value in scope["headers"] if key != _VERSION]
    return {**scope, "headers": [*headers, (_VERSION, version.encode())]}
