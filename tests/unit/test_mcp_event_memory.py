"""What is held of the streams of MCP sessions: bounded, counted, and each session's own."""

from __future__ import annotations

from mcp.server.streamable_http import EventMessage
from mcp_types import JSONRPCNotification

from vtoc_bots.core.web.mcp.event_memory import SHARE, EventMemory, SessionEvents


def message(text: str) -> JSONRPCNotification:
    return JSONRPCNotification(jsonrpc="2.0", method="notifications/message", params={"data": text})


async def replayed(events: SessionEvents, after: str) -> tuple[str | None, list[str]]:
    """The stream, and the texts of what is sent again."""
    texts: list[str] = []

    async def send(event: EventMessage) -> None:
        texts.append(event.message.params["data"])  # type: ignore[union-attr,index]  # it is a notification of ours

    return await events.replay_events_after(after, send), texts


async def test_a_stream_is_taken_up_where_it_broke_and_without_those_beside_it() -> None:
    events = EventMemory(lambda: None).part("ada")
    first = await events.store_event("1", None)
    second = await events.store_event("1", message("a"))
    await events.store_event("2", message("of another request"))
    await events.store_event("1", message("b"))
    assert await replayed(events, first) == ("1", ["a", "b"])
    assert await replayed(events, second) == ("1", ["b"])


async def test_a_session_gets_nothing_of_another_whose_requests_have_the_same_ids() -> None:
    memory = EventMemory(lambda: None)
    mine, theirs = memory.part("ada"), memory.part("ada")
    secret = await theirs.store_event("1", None)
    await theirs.store_event("1", message("secret"))
    own = await mine.store_event("1", None)
    assert await replayed(mine, secret) == (None, [])
    assert await replayed(mine, own) == ("1", [])
    for nonsense in ("", "x", "0", "-1", "9" * 50):
        assert await replayed(mine, nonsense) == (None, [])


async def test_the_oldest_go_when_there_are_too_many_and_each_is_counted() -> None:
    dropped: list[None] = []
    events = EventMemory(lambda: dropped.append(None), most_bytes=5_000 * SHARE).part("ada")
    ids = [await events.store_event("1", message(f"{number:0>500}")) for number in range(20)]
    stream, texts = await replayed(events, ids[-3])
    assert (stream, len(texts)) == ("1", 2)
    assert await replayed(events, ids[0]) == (None, [])
    assert len(dropped) == 14


async def test_one_caller_can_not_push_out_what_another_has() -> None:
    memory = EventMemory(lambda: None, most_bytes=20_000)
    bobs = memory.part("bob")
    first = await bobs.store_event("1", None)
    await bobs.store_event("1", message("kept"))
    for _ in range(5):
        part = memory.part("ada")
        for _ in range(20):
            await part.store_event("1", message("x" * 500))
    assert await replayed(bobs, first) == ("1", ["kept"])


async def test_all_callers_together_have_no_more_than_there_is() -> None:
    memory = EventMemory(lambda: None, most_bytes=20_000)
    oldest = await memory.part("ada").store_event("1", message("x"))
    parts = [memory.part(f"bob {number}") for number in range(30)]
    ids = [(part, await part.store_event("1", message("x" * 800))) for part in parts]
    held = [part for part, event_id in ids if (await replayed(part, event_id))[0] is not None]
    assert held == parts[-len(held) :]
    assert 10 < len(held) < 20
    assert await replayed(memory.part("ada"), oldest) == (None, [])
