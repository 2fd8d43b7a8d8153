"""What is remembered of MCP sessions: what version they agreed on, and only of so many for so long."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from vtoc_bots.core.web.mcp.session_book import IDLE_SECONDS, MOST_OF_ONE, MOST_REMEMBERED, SessionBook
from vtoc_bots.core.web.problems import Refusal
from vtoc_bots.testing import VirtualClock


def asked(name: str, version: str = "2025-11-25", method: str = "ping") -> Any:
    """A request of that session."""
    request = SimpleNamespace(headers={"mcp-session-id": name})
    return SimpleNamespace(request=request, protocol_version=version, method=method)


async def told(book: SessionBook, name: str, version: str, method: str = "POST", status: int = 200) -> list[str]:
    """The versions that the application is told of a request."""
    heard: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        heard.extend(value.decode() for key, value in scope["headers"] if key == b"mcp-protocol-version")
        await send({"type": "http.response.start", "status": status})

    async def nothing(*given: Any) -> Any:
        return None

    headers = [(b"mcp-session-id", name.encode()), (b"mcp-protocol-version", version.encode())]
    await book.before(application, lambda scope: "ada")({"method": method, "headers": headers}, nothing, nothing)
    return heard


async def answered(ctx: Any) -> None:
    """The rest of the chain."""


@pytest.mark.parametrize(
    ("said", "heard"), [("2025-03-26", "2025-11-25"), ("2025-11-25", "2025-11-25"), ("1999-01-01", "1999-01-01")]
)
async def test_a_session_speaks_the_version_that_was_agreed_on(said: str, heard: str) -> None:
    book = SessionBook(VirtualClock())
    await book.note(asked("one"), answered)
    assert await told(book, "one", said) == [heard]
    assert await told(book, "unknown", said) == [said]


async def test_a_session_that_was_ended_is_forgotten_and_one_that_was_not_is_not() -> None:
    book = SessionBook(VirtualClock())
    session = book.of(asked("one"))
    here = book.here(session)
    await told(book, "one", "2025-11-25", "DELETE", 404)
    assert here()
    await told(book, "one", "2025-11-25", "DELETE")
    assert not here()


async def test_sessions_are_remembered_until_they_are_idle_too_long_and_not_without_end() -> None:
    clock = VirtualClock()
    book = SessionBook(clock)
    first = book.of(asked("first"))
    assert book.of(asked("first")) is first
    clock.advance(IDLE_SECONDS + 1)
    assert not book.here(first)()
    book.of(asked("second"))
    assert book.of(asked("first")) is not first
    for number in range(2 * MOST_REMEMBERED):
        book.of(asked(f"session {number}"))
    newest = book.of(asked(f"session {2 * MOST_REMEMBERED - 1}"))
    assert book.here(newest)()
    assert book.of(asked("second")) is not first
    assert len(book._sessions) <= MOST_REMEMBERED


async def test_since_2026_a_request_has_no_session_whatever_its_header_says() -> None:
    book = SessionBook(VirtualClock())
    modern = book.of(asked("one", "2026-07-28"))
    assert not book.here(modern)()
    assert book.of(asked("one", "2026-07-28")) is not modern


async def begun(book: SessionBook, whose: str, name: str, status: int = 200, version: str | None = None) -> None:
    """Somebody's request without a session, which opens the one of that name."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"mcp-session-id", name.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def nothing(*given: Any) -> Any:
        return None

    headers = [] if version is None else [(b"mcp-protocol-version", version.encode())]
    scope = {"method": "POST", "headers": headers, "whose": whose}
    await book.before(application, lambda scope: str(scope["whose"]))(scope, nothing, nothing)


async def test_one_caller_can_not_have_all_sessions() -> None:
    clock = VirtualClock()
    book = SessionBook(clock)
    await begun(book, "ada", "refused", status=400)
    for number in range(MOST_OF_ONE):
        await begun(book, "ada", f"session {number}")
    with pytest.raises(Refusal, match="you have 40 MCP sessions") as caught:
        await begun(book, "ada", "another")
    assert caught.value.status == 429
    await begun(book, "bob", "of bob")
    await begun(book, "ada", "modern", version="2026-07-28")
    await told(book, "session 0", "2025-11-25", "DELETE")
    await begun(book, "ada", "another")
    with pytest.raises(Refusal):
        await begun(book, "ada", "one more")
    clock.advance(IDLE_SECONDS + 1)
    await begun(book, "ada", "later")


async def test_sessions_that_are_being_opened_count_too() -> None:
    book, gate = SessionBook(VirtualClock()), asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()

    async def nothing(*given: Any) -> Any:
        return None

    opened = book.before(application, lambda scope: "ada")
    scope = {"method": "POST", "headers": []}
    tasks = [asyncio.ensure_future(opened(scope, nothing, nothing)) for _ in range(MOST_OF_ONE)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal):
        await opened(scope, nothing, nothing)
    gate.set()
    await asyncio.gather(*tasks)
    await opened(scope, nothing, nothing)
