"""Alerts: told where the station is told of things, listed in pages, acknowledged once by one person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.centre_kit import Centre, open_centre
from tests.platform_kit import until
from vtoc_bots import Card, Level, MessageKind, Severity
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.testing.words import words_of

STATIONS = """
stations:
  toc-s1: {callsign: TOC-S1, role: ops, notices: ["room:bot:wall"]}
  toc-s2: {callsign: TOC-S2, role: ops, channels: ["room:bot:second"]}
"""


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Centre]:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "stations.yml").write_text(STATIONS)
    async with open_centre(database_urls, tmp_path, {}) as opened:
        for name, level in (("ann", Level.OBSERVER), ("oli", Level.OPERATOR), ("una", Level.OPERATOR)):
            await opened.person(name, level)
        yield opened


async def alert(centre: Centre, title: str, key: str, station: str = "toc-s1") -> None:
    found = await centre.runtime.people.station(station)
    await centre.runtime.services.alert(found, Card.of(title, "Look there.", severity=Severity.BAD), key)


async def wall(centre: Centre, *words: str) -> Card:
    """What stands on the wall with these words."""

    def found() -> list[Card]:
        cards = [each.card for each in centre.transport.latest.values() if each.conversation.channel == "wall"]
        return [card for card in cards if all(word in f"{card.title} {words_of(card)}" for word in words)]

    async def there() -> bool:
        return bool(found())

    await until(there, 20, lambda: f"no {words}: {[o.key for o in centre.transport.sends]}")
    return found()[0]


def short_of(card: Card) -> str:
    """The id in the last of its fields."""
    return next(block for block in reversed(card.blocks) if block.type == "fields").fields[-1].value


def labels(card: Card) -> list[str]:
    return [button.label for block in card.blocks if block.type == "buttons" for button in block.buttons]


async def rows(centre: Centre, sql: str) -> list[dict[str, Any]]:
    async with centre.runtime.store.session(await centre.runtime.people.station("toc-s1")) as session:
        return [dict(row) for row in await session.fetch(sql)]


async def test_an_alert_is_told_once_and_acknowledged_by_its_button(centre: Centre) -> None:
    for _ in range(2):
        await alert(centre, "Mayday on 16", "mayday")
    card = await wall(centre, "Mayday on 16", "Look there.")
    assert labels(card) == ["Acknowledge"]
    assert sum(each.card.title == "Mayday on 16" and not each.edits for each in centre.transport.sends) == 1
    reply = await centre.answer(await centre.press("oli", "Acknowledge", "wall"))
    assert "Acknowledged: Mayday on 16" in reply.title
    edited = await wall(centre, "Mayday on 16", "Acknowledged by oli at")
    assert labels(edited) == []
    assert "Every alert is acknowledged" in words_of(await centre.ask("ann", "/alerts"))
    assert "oli" in words_of(await centre.ask("ann", "/alerts --every"))
    told = await rows(centre, "SELECT author, entry FROM ops.mission_logs ORDER BY logged_at")
    assert [(row["author"], row["entry"].partition(" ")[0]) for row in told] == [
        ("vtoc-bots", "Alert"),
        ("oli", "Acknowledged"),
    ]
    audit = "SELECT count(*) AS n FROM vtoc_engine.audit WHERE event = 'alert.acknowledged'"
    assert await centre.row(audit) == {"n": 1}


async def test_of_two_who_press_at_once_one_acknowledges_and_the_other_is_told_who(centre: Centre) -> None:
    await alert(centre, "Mayday on 16", "mayday")
    short = short_of(await wall(centre, "Mayday"))
    cards = await asyncio.gather(
        centre.ask("oli", f"/acknowledge {short}", "one"), centre.ask("una", f"/ack {short}", "two")
    )
    titles = sorted(card.title for card in cards)
    assert titles == ["Acknowledged already", "Acknowledged: Mayday on 16"]
    (row,) = await rows(centre, "SELECT acknowledged_by FROM ops.alerts")
    late = next(card for card in cards if card.title == "Acknowledged already")
    assert f"{row['acknowledged_by']} did at" in words_of(late)
    again = await centre.ask("oli", f"/acknowledge {short}")
    assert f"{row['acknowledged_by']} did at" in words_of(again)
    assert (
        len(await rows(centre, "SELECT * FROM ops.mission_logs WHERE payload ->> 'event' = 'alert.acknowledged'")) == 1
    )


async def test_a_button_pressed_after_its_alert_was_acknowledged_says_by_whom(centre: Centre) -> None:
    await alert(centre, "Mayday on 16", "mayday")
    await wall(centre, "Mayday")
    token = centre.token("Acknowledge")
    await centre.answer(await centre.press("oli", "Acknowledge", "wall"))
    late = await centre.answer(await centre.say("una", "", "wall", kind=MessageKind.BUTTON, token=token))
    assert late.title == "Acknowledged already"
    assert "oli did at" in words_of(late)


async def test_a_button_of_a_list_is_stale_after_its_time(centre: Centre) -> None:
    await alert(centre, "Mayday on 16", "mayday")
    listed = await centre.ask("oli", "/alerts")
    label = labels(listed)[0]
    await centre.world.advance(minutes=16)
    stale = await centre.answer(await centre.press("oli", label))
    assert "too old" in words_of(stale)
    assert [row["acknowledged_by"] for row in await rows(centre, "SELECT acknowledged_by FROM ops.alerts")] == [None]


async def test_observers_look_and_do_not_acknowledge(centre: Centre) -> None:
    await alert(centre, "Mayday on 16", "mayday")
    listed = await centre.ask("ann", "/alerts")
    assert "Mayday on 16" in words_of(listed)
    assert "Not allowed" in (await centre.answer(await centre.press("ann", labels(listed)[0]))).title
    assert "Mayday on 16" in words_of(await centre.ask("ann", "/alerts"))


async def test_alerts_have_pages_with_a_button_for_each(centre: Centre) -> None:
    for number in range(7):
        await alert(centre, f"Flare {number}", f"flare {number}")
    first = await centre.ask("oli", "/alerts")
    assert [label.partition(" ")[0] for label in labels(first)] == ["Acknowledge"] * 5 + ["Older"]
    assert ("Flare 6" in words_of(first), "Flare 1" in words_of(first)) == (True, False)
    second = await centre.answer(await centre.say("oli", "/alerts --page 2"))
    assert ("Flare 1" in words_of(second), labels(second)[-1]) == (True, "Newer")
    assert "There are no more" in words_of(await centre.ask("oli", "/alerts --page 3"))


async def test_another_stations_alert_is_not_there(centre: Centre) -> None:
    await alert(centre, "Mayday on 16", "mayday")
    short = short_of(await wall(centre, "Mayday"))
    assert "no alert" in words_of(await centre.ask("oli", f"/acknowledge {short}", "second"))
    assert "Every alert is acknowledged" in words_of(await centre.ask("oli", "/alerts", "second"))
    await alert(centre, "Their own", "mayday", "toc-s2")
    assert "Their own" in words_of(await centre.ask("oli", "/alerts", "second"))


async def test_an_acknowledgement_that_is_cut_off_is_given_once(centre: Centre) -> None:
    """A worker dies between the station's rows and its answer; another person is not told that they did it."""
    await alert(centre, "Mayday on 16", "mayday")
    short = short_of(await wall(centre, "Mayday"))
    reached = centre.dies_before_it_answers()
    message = await centre.say("oli", f"/acknowledge {short}")
    await asyncio.wait_for(reached.wait(), 20)
    await centre.world.crash_and_restart()
    assert (await centre.ask("una", f"/acknowledge {short}", "two")).title == "Acknowledged already"
    await centre.world.advance(seconds=20)
    assert (await centre.answer(message)).title == "Acknowledged: Mayday on 16"
    await wall(centre, "Acknowledged by oli at")
    assert (
        len(await rows(centre, "SELECT * FROM ops.mission_logs WHERE payload ->> 'event' = 'alert.acknowledged'")) == 1
    )
