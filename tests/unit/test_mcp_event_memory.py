"""What is held of the streams of MCP sessions: bounded, counted, and each session's own."""

from __future__ import annotations

from mcp.server.streamable_http import EventMessage
from mcp_types import JSONRPCNotification

from vtoc_bots.core.web.mcp.event_memory import EventMemory, SessionEvents


def message(text: str) -> JSONRPCNotification:
    return JSONRPCNotification(jsonrpc="2.0", method="notifications/message", params={"data": text})


async def replayed(events: SessionEvents, after: str) -> tuple[str | None, list[str]]:
    """The stream, and the texts of what is sent again."""
    texts: list[str] = []

    async def send(event: EventMessage) -> None:
        texts.append(event.message.params["data"])  # type: ignore[union-attr,index]  # it is a notification of ours

    return await events.replay_events_after(after, send), texts


async def test_a_stream_is_taken_up_where_it_broke_and_without_those_beside_it() -> None:
    events = EventMemory(lambda: None).part()
    first = await events.store_event("1", None)
    second = await events.store_event("1", message("a"))
    await events.store_event("2", message("of another request"))
    await events.store_event("1", message("b"))
    assert await replayed(events, first) == ("1", ["a", "b"])
    assert await replayed(events, second) == ("1", ["b"])


async def test_a_session_gets_nothing_of_another_whose_requests_have_the_same_ids() -> None:
    memory = EventMemory(lambda: None)
    mine, theirs = memory.part(), memory.part()
    secret = await theirs.store_event("1", None)
    await theirs.store_event("1", message("secret"))
    own = await mine.store_event("1", None)
    assert await replayed(mine, secret) == (None, [])
    assert await replayed(mine, own) == ("1", [])
    for nonsense in ("", "x", "0", "-1", "9" * 50):
        assert await replayed(mine, nonsense) == (None, [])


async def test_the_oldest_go_when_there_are_too_many_and_each_is_counted() -> None:
    dropped: list[None] = []
    events = EventMemory(lambda: dropped.append(None), most_bytes=5_000).part()
    ids = [await events.store_event("1", message(f"{number:0>500}")) for number in range(20)]
    stream, texts = await replayed(events, ids[-3])
    assert (stream, len(texts)) == ("1", 2)
    assert await replayed(events, ids[0]) == (None, [])
    assert len(dropped) == 14
