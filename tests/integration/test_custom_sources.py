"""Custom sources: a function named in connectors.yml is called by playbooks, commands and by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.centre_kit import Centre, open_centre
from tests.chatkit_kit import open_channels
from tests.mcp_kit import said
from vtoc_bots.core.runtime import Duties
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.testing import OpensWorld

SOURCES = """
sources:
  patrol: {type: custom, mode: chatkit, module: "tests.custom_sources:patrol", options: {sector: 7}}
  stream: {type: custom, mode: chatkit, module: "tests.custom_sources:stream"}
  wrong: {type: custom, mode: chatkit, module: "tests.custom_sources:wrong"}
  blocking: {type: custom, mode: chatkit, module: "tests.custom_sources:blocking"}
  gone: {type: custom, mode: chatkit, module: "tests.no_such_module:patrol"}
  exercise: {type: exercise}
"""
STATIONS = "stations: {toc-s1: {callsign: TOC-S1, role: ops, notices: ['room:bot:wall']}}\n"
PLAYBOOKS = {
    "boats": (
        "inputs: {question: {type: string}}\n"
        "steps:\n"
        "  - {id: found, uses: connector.collect, with: {source: patrol}}\n"
        "  - {id: own, needs: [found], uses: connector.analyze, with: {source: patrol}}\n"
        "  - id: given\n"
        "    uses: connector.analyze\n"
        "    with: {source: patrol, prompt: '${{ inputs.question }}'}\n"
        "reply: {card: {title: Boats, blocks: ['${{ steps.found.count }} found', '${{ steps.own.text }}',\n"
        "  '${{ steps.given.text }}']}}\n"
    ),
    "shout": (
        "steps:\n  - {id: one, uses: connector.broadcast, with: {source: patrol}}\n"
        "reply: {card: {title: '${{ steps.one.text }}'}}\n"
    ),
}


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Centre]:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "connectors.yml").write_text(SOURCES)
    (tmp_path / "config" / "stations.yml").write_text(STATIONS)
    async with open_centre(database_urls, tmp_path, PLAYBOOKS) as opened:
        await opened.person("ada")
        yield opened


async def boats(centre: Centre) -> list[tuple[Any, ...]]:
    """(source, mode, entity) of what is stored."""
    sql = """SELECT s.slug, s.connection_mode, l.entity_id FROM ops.telemetry_latest l
        JOIN ops.telemetry_sources s ON s.id = l.source_id ORDER BY 1, 3"""
    station = await centre.runtime.people.station("toc-s1")
    async with centre.runtime.store.session(station) as session:
        return [tuple(row.values()) for row in await session.fetch(sql)]


async def test_what_began_the_run_is_its_prompt_unless_the_step_gives_another(centre: Centre) -> None:
    words = said(await centre.ask("ada", "/playbook boats question='which are new?'"))
    assert "1 found" in words
    assert "analyze 7 at toc-s1, asked </playbook boats question='which are new?'>" in words
    assert "analyze 7 at toc-s1, asked <which are new?>" in words
    assert await boats(centre) == [("patrol", "chatkit", "b-1")]


async def test_a_command_calls_a_source_with_the_words_behind_it(centre: Centre) -> None:
    assert "asked <which boats are new?>" in said(
        await centre.ask("ada", "/connector patrol analyze which boats are new?")
    )
    assert "**sector**: 7" in said(await centre.ask("ada", "/connector patrol analyze as data"))
    assert "3 reports collected" in said(await centre.ask("ada", "/connector stream"))
    assert [row[2] for row in await boats(centre)] == ["b-0", "b-1", "b-2"]
    states = {state.slug: state.state for state in await centre.runtime.sources.sources(await _station(centre))}
    assert (states["stream"], states["patrol"]) == ("finished", "waiting")


async def test_a_broadcast_reaches_the_stations_conversations_once(centre: Centre) -> None:
    await centre.ask("ada", "/playbook shout")
    told = "SELECT count(*) FROM vtoc_engine.outbox WHERE conversation = 'room:bot:wall' AND state = 'sent'"
    await centre.wait_for(told, 1)
    (shown,) = [outbound for outbound in centre.transport.sends if outbound.conversation.channel == "wall"]
    assert "broadcast 7 at toc-s1, asked </playbook shout>" in said(shown.card)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("wrong", "gave a dict among its events"),
        ("wrong analyze", "gave a int for analyze; it must be a text, a mapping or a Card"),
        ("stream analyze", "yields events, so it can only collect"),
        ("blocking", "is no asynchronous function"),
        ("gone", "is of no use"),
        ("exercise", "reads by itself"),
        ("patrl", "Did you mean patrol?"),
    ],
)
async def test_a_source_that_can_not_be_called_says_why(centre: Centre, words: str, answer: str) -> None:
    assert answer in said(await centre.ask("ada", f"/connector {words}"))


async def test_the_text_of_a_chatkit_message_reaches_the_function(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "connectors.yml").write_text(SOURCES)
    async with open_channels(database_urls, tmp_path, PLAYBOOKS) as channels:
        await channels.operator("ada")
        channels.stand.org.thread("toc-s1", "T1")
        await channels.event("please @agent boats question=boats", thread_id="T1")
        posted = await channels.posted("1 found", thread="T1")
        assert r"asked \<@agent boats question=boats\>" in posted.body["text"]


async def test_a_source_that_is_online_collects_by_itself(open_world: OpensWorld) -> None:
    entry = {"type": "custom", "module": "tests.custom_sources:stream", "interval_seconds": 0.1}
    world = await open_world(config={"connectors.yml": f"sources: {{boats: {entry}}}"}, duties=Duties(sources=True))
    runtime = world.process.runtime

    async def collected() -> bool:
        return len(await runtime.sources.latest(await runtime.people.station("toc-s1"))) == 3

    await world.until(collected, "three boats")


async def _station(centre: Centre) -> Any:
    return await centre.runtime.people.station("toc-s1")
