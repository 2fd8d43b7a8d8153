"""Missions and the mission log, from chat: opened, listed, shown, logged to, closed; once, and by whom may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.centre_kit import Centre, open_centre
from tests.platform_kit import until
from vtoc_bots import Card, Level, Station
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.testing.words import words_of

STATIONS = """
stations:
  toc-s1: {callsign: TOC-S1, role: ops}
  toc-s2: {callsign: TOC-S2, role: ops, channels: ["room:bot:second"]}
"""


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Centre]:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "stations.yml").write_text(STATIONS)
    async with open_centre(database_urls, tmp_path, {}) as opened:
        for name, level in (("ann", Level.OBSERVER), ("oli", Level.OPERATOR), ("lea", Level.LEAD), ("lou", Level.LEAD)):
            await opened.person(name, level)
        yield opened


async def said(centre: Centre, who: str, text: str, room: str = "hall") -> str:
    card = await centre.ask(who, text, room)
    return f"{card.title}\n{words_of(card)}"


async def at(centre: Centre, sql: str, station: str = "toc-s1") -> list[dict[str, Any]]:
    """Rows that a station sees."""
    async with centre.runtime.store.session(await here(centre, station)) as session:
        return [dict(row) for row in await session.fetch(sql)]


async def here(centre: Centre, station: str) -> Station:
    return await centre.runtime.people.station(station)


def buttons(card: Card) -> list[str]:
    return [button.label for block in card.blocks if block.type == "buttons" for button in block.buttons]


async def test_a_mission_is_opened_listed_shown_logged_to_and_closed(centre: Centre) -> None:
    assert "No mission is open" in await said(centre, "ann", "/mission")
    opened = await said(centre, "lea", "/mission open --priority critical Search for Kittiwake")
    assert "Opened M-1 Search for Kittiwake" in opened
    assert "critical" in opened
    assert "Logged to M-1 Search for Kittiwake" in await said(centre, "oli", "/log Lifeboat launched, two in the water")
    assert "Search for Kittiwake" in await said(centre, "ann", "/mission list")
    shown = await said(centre, "ann", "/mission show 1")
    for expected in ("in progress", "critical", "by lea", "oli", "Lifeboat launched, two in the water", "Opened:"):
        assert expected in shown
    assert "Lifeboat launched" in await said(centre, "ann", "/status m-1")
    assert "open missions" in await said(centre, "ann", "/status")
    closed = await said(centre, "lou", "/mission close M-1 Crew safe ashore")
    assert "Closed M-1 Search for Kittiwake" in closed
    assert "by lou" in closed
    shown = await said(centre, "ann", "/mission show M-1")
    assert "completed" in shown
    assert "Closed: completed. Crew safe ashore" in shown
    assert "No mission is open" in await said(centre, "ann", "/mission")
    assert "Search for Kittiwake" in await said(centre, "ann", "/mission --closed")
    events = await centre.runtime.store.fetch(
        "SELECT event, detail ->> 'name' AS name FROM vtoc_engine.audit WHERE event LIKE 'mission.%' ORDER BY at, id"
    )
    assert [tuple(row.values()) for row in events] == [("mission.opened", "lea"), ("mission.closed", "lou")]


async def test_levels_say_who_opens_logs_and_looks(centre: Centre) -> None:
    for who, text in (
        ("oli", "/mission open Search"),
        ("ann", "/mission open Search"),
        ("ann", "/log seen"),
        ("oli", "/mission close M-1"),
    ):
        assert "Not allowed" in await said(centre, who, text), text
    assert await at(centre, "SELECT * FROM ops.missions") == []
    assert await at(centre, "SELECT * FROM ops.mission_logs") == []


async def test_another_stations_mission_is_not_there(centre: Centre) -> None:
    await said(centre, "lea", "/mission open Ours")
    assert "no mission M-1 at station TOC-S2" in await said(centre, "lea", "/mission show M-1", "second")
    assert "no mission M-1 at station TOC-S2" in await said(centre, "lea", "/mission close M-1", "second")
    assert "no mission M-1 at station TOC-S2" in await said(centre, "lea", "/log --mission M-1 Here", "second")
    assert "the log of TOC-S2" in await said(centre, "lea", "/log All quiet", "second")
    assert "Opened M-1 Theirs" in await said(centre, "lea", "/mission open Theirs", "second")
    assert "Ours" not in await said(centre, "lea", "/mission", "second")
    assert [row["name"] for row in await at(centre, "SELECT name FROM ops.missions", "toc-s2")] == ["Theirs"]


async def test_two_who_open_the_same_mission_at_once_open_one(centre: Centre) -> None:
    both = await asyncio.gather(
        said(centre, "lea", "/mission open Search for Kittiwake", "one"),
        said(centre, "lou", "/mission open search  for KITTIWAKE", "two"),
    )
    assert sorted("Opened M-1" in each for each in both) == [False, True]
    assert sum("is open already" in each for each in both) == 1
    assert len(await at(centre, "SELECT * FROM ops.missions")) == 1
    assert len(await at(centre, "SELECT * FROM ops.mission_logs")) == 1
    many = await asyncio.gather(*(said(centre, "lea", f"/mission open Search {n}", f"room{n}") for n in range(6)))
    assert all("Opened M-" in each for each in many)
    codes = [row["code"] for row in await at(centre, "SELECT code FROM ops.missions ORDER BY code")]
    assert codes == [f"M-{number}" for number in range(1, 8)]


async def test_two_who_close_a_mission_close_it_once(centre: Centre) -> None:
    await said(centre, "lea", "/mission open Search")
    both = await asyncio.gather(
        said(centre, "lea", "/mission close M-1", "one"), said(centre, "lou", "/mission close M-1 --failed", "two")
    )
    assert sum("Closed already" in each for each in both) == 1
    assert len(await at(centre, "SELECT * FROM ops.mission_logs WHERE payload ->> 'event' = 'mission.closed'")) == 1
    who = (await at(centre, "SELECT author FROM ops.mission_logs WHERE payload ->> 'event' = 'mission.closed'"))[0]
    late = await said(centre, "lea", "/mission close M-1")
    assert f"was closed by {who['author']} at" in late


async def test_closing_is_tried_first_and_its_button_closes_once(centre: Centre) -> None:
    await said(centre, "lea", "/mission open Search")
    shown = await centre.ask("lea", "/mission show M-1")
    assert buttons(shown) == ["Close …"]
    asked = await centre.answer(await centre.press("lea", "Close …"))
    assert "Close M-1 Search?" in asked.title
    assert (await at(centre, "SELECT status FROM ops.missions"))[0] == {"status": "in_progress"}
    assert "Not allowed" in (await centre.answer(await centre.press("oli", "Close M-1"))).title
    assert "Closed M-1" in (await centre.answer(await centre.press("lea", "Close M-1"))).title
    again = await centre.answer(await centre.press("lou", "Close M-1"))
    assert "was closed by lea at" in words_of(again)
    await centre.ask("lea", "/mission open Another")
    await centre.ask("lea", "/mission close M-2 --dry-run")
    await centre.world.advance(minutes=16)
    stale = await centre.answer(await centre.press("lea", "Close M-2"))
    assert "too old" in words_of(stale)
    assert "Another" in await said(centre, "ann", "/mission")
    asked = await centre.ask("lea", "/mission close M-2 --dry-run -- --failed attempt to board")
    assert "completed" in words_of(asked)
    await centre.answer(await centre.press("lea", "Close M-2"))
    statuses = await at(centre, "SELECT status FROM ops.missions WHERE code = 'M-2'")
    assert statuses == [{"status": "completed"}], "the button does what its card says"


async def test_a_log_line_goes_where_it_says(centre: Centre) -> None:
    assert "the log of TOC-S1" in await said(centre, "oli", "/log Watch taken over")
    await said(centre, "lea", "/mission open First")
    await said(centre, "lea", "/mission open Second")
    assert "the log of TOC-S1" in await said(centre, "oli", "/log Which one?"), "two are open"
    assert "Logged to M-1 First" in await said(centre, "oli", "/log --mission m-1 Boat ready")
    assert "no mission M-9" in await said(centre, "oli", "/log --mission M-9 Boat ready")
    lines = await at(
        centre,
        "SELECT m.code, l.author, l.entry FROM ops.mission_logs l LEFT JOIN ops.missions m ON m.id = l.mission_id"
        " WHERE l.payload = '{}' ORDER BY l.created_at",
    )
    assert [tuple(line.values()) for line in lines] == [
        (None, "oli", "Watch taken over"),
        (None, "oli", "Which one?"),
        ("M-1", "oli", "Boat ready"),
    ]


async def test_the_list_has_pages(centre: Centre) -> None:
    for number in range(12):
        await said(centre, "lea", f"/mission open Search {number:02}")
    first = await centre.ask("ann", "/mission")
    assert ("Search 11" in words_of(first), "Search 01" in words_of(first), buttons(first)) == (True, False, ["Older"])
    await centre.press("ann", "Older")

    async def turned() -> bool:
        return any("Search 01" in words_of(each.card) for each in centre.transport.sends)

    await until(turned, 20, lambda: "the page was not turned")


@pytest.mark.parametrize("text", ["/mission open Search", "/mission close M-1 Done", "/log --mission M-1 A line"])
async def test_what_is_cut_off_before_its_answer_is_written_once_and_answered_as_it_was(
    centre: Centre, text: str
) -> None:
    """The rows of a station are committed before the engine's: a worker that dies in between is the worst moment."""
    if "open" not in text:
        await said(centre, "lea", "/mission open Search")
    rows = "SELECT id, entry FROM ops.mission_logs ORDER BY id"
    reached = centre.dies_before_it_answers()
    message = await centre.say("lea", text, event_id="cut off")
    await asyncio.wait_for(reached.wait(), 20)
    before = await at(centre, rows)
    await centre.world.crash_and_restart()
    await centre.world.advance(seconds=20)
    card = await centre.answer(message)
    assert card.severity in ("good", "plain"), words_of(card)
    assert await at(centre, rows) == before
    assert len(await at(centre, "SELECT * FROM ops.missions")) == 1
    assert (await centre.send("lea", text, event_id="cut off")).duplicate  # type: ignore[union-attr]  # Accepted
    assert (
        len(await centre.runtime.store.fetch("SELECT key FROM vtoc_engine.outbox WHERE message_id = $1", message)) == 1
    )
