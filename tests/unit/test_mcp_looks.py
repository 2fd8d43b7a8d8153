"""Looking at what MCP clients watch: changes are told once, lost rights and lost credentials end it, all is bounded."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vtoc_bots.core.errors import Forbidden, TransientError, UsageError
from vtoc_bots.core.web.mcp.caller import Caller
from vtoc_bots.core.web.mcp.looks import LOOK_SECONDS, MOST_LOOKING, MOST_OF_ONE, MOST_WATCHED, Lookers
from vtoc_bots.core.web.mcp.session_book import SessionBook
from vtoc_bots.core.web.mcp.subscriptions import Subscriptions
from vtoc_bots.core.web.problems import Refusal
from vtoc_bots.testing import VirtualClock


class Station:
    """A caller's view whose resources a test changes; an error instead of a text is raised."""

    def __init__(self) -> None:
        self.now: dict[str, str | Exception] = {}
        self.names = ["one"]
        self.principal = SimpleNamespace(actor="token:ada")

    async def watch(self, uri: str) -> str:
        return await self.glance(uri)

    async def glance(self, uri: str) -> str:
        found = self.now.get(uri, "")
        if isinstance(found, Exception):
            raise found
        return found

    def tools(self) -> list[Any]:
        return [type("Tool", (), {"name": name}) for name in self.names]


class Watching:
    """One client that watches."""

    def __init__(self) -> None:
        self.clock, self.station, self.told = VirtualClock(), Station(), list[str]()
        self.holds, self.ended = True, asyncio.Event()
        self.lookers = Lookers(self.clock)
        self.looks = self.open()

    def open(self) -> Any:
        """Begin to watch."""

        async def still() -> bool:
            return self.holds

        async def tell(subject: str) -> None:
            self.told.append(subject)

        return self.lookers.open(cast("Caller", self.station), still, tell, self.ended.set)

    async def step(self) -> None:
        """Let it look once, to the end of it."""
        await self.turns()
        self.clock.advance(LOOK_SECONDS)
        await self.turns()

    async def turns(self) -> None:
        """Let the loop turn as often as looking takes."""
        for _ in range(20):
            await asyncio.sleep(0)


async def test_what_changed_is_told_once_and_what_is_dropped_no_more() -> None:
    watching = Watching()
    async with watching.lookers.held():
        for subject in ("a://", "b://", "tools"):
            await watching.looks.add(subject)
        await watching.step()
        assert watching.told == []
        watching.station.now["a://"] = "new"
        watching.station.names.append("two")
        await watching.step()
        await watching.step()
        assert watching.told == ["a://", "tools"]
        watching.looks.drop("a://")
        watching.station.now["a://"] = "newer"
        await watching.step()
        assert watching.told == ["a://", "tools"]


async def test_a_lost_right_ends_one_watch_and_a_fault_of_a_moment_none() -> None:
    watching = Watching()
    async with watching.lookers.held():
        await watching.looks.add("a://")
        await watching.looks.add("b://")
        watching.station.now = {"a://": Forbidden("no more"), "b://": TransientError("away")}
        await watching.step()
        watching.station.now = {"a://": "new", "b://": "new"}
        await watching.step()
        assert watching.told == ["b://"]
        watching.station.now["c://"] = Forbidden("not at all")
        with pytest.raises(Forbidden):
            await watching.looks.add("c://")


async def test_a_credential_that_holds_no_more_ends_it_all() -> None:
    watching = Watching()
    async with watching.lookers.held():
        await watching.looks.add("a://")
        watching.holds = False
        watching.station.now["a://"] = "new"
        await watching.step()
        assert watching.ended.is_set()
        assert watching.told == []


async def test_there_are_only_so_many_of_each() -> None:
    watching = Watching()
    async with watching.lookers.held():
        for number in range(MOST_WATCHED):
            await watching.looks.add(f"{number}://")
        with pytest.raises(UsageError, match="watched already"):
            await watching.looks.add("another://")
        await watching.looks.add("0://")
        for _ in range(MOST_OF_ONE - 1):
            watching.open()
        with pytest.raises(Refusal, match="clients of yours"):
            watching.open()
        for number in range(MOST_LOOKING - MOST_OF_ONE):
            watching.station.principal.actor = f"token:{number}"
            watching.open()
        watching.station.principal.actor = "token:bob"
        with pytest.raises(Refusal, match="too many"):
            watching.open()
    watching.open().end()
    async with watching.lookers.held():
        assert watching.ended.is_set()


async def test_a_session_watches_on_by_the_credential_of_its_newest_request() -> None:
    watching, good = Watching(), {"first"}

    async def whose(ctx: Any) -> Any:
        async def still() -> bool:
            return ctx.credential in good

        return watching.station, still

    async def tell(uri: str) -> None:
        watching.told.append(uri)

    def asks(credential: str) -> Any:
        request = SimpleNamespace(headers={"mcp-session-id": "one"})
        session = SimpleNamespace(send_resource_updated=tell)
        return SimpleNamespace(
            request=request, session=session, credential=credential, protocol_version="2025-11-25", method="ping"
        )

    async def answered(ctx: Any) -> None:
        """The rest of the chain."""

    subscriptions = Subscriptions(whose, SessionBook(watching.clock), watching.lookers)
    async with watching.lookers.held():
        await subscriptions.subscribe(asks("first"), cast("Any", SimpleNamespace(uri="a://")))
        good.add("second")
        await subscriptions.note(asks("second"), answered)
        good.remove("first")
        watching.station.now["a://"] = "new"
        await watching.step()
        assert watching.told == ["a://"]
