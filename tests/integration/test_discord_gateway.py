"""The gateway breaking in every way: what is said meanwhile arrives once, and people are told when it doesn't."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.discord_kit import DiscordCentre, answer_kind, running
from tests.discord_payloads import GUILD, HALL, ME, OPS, OUR_ROLE
from tests.discord_people import text_of, until
from tests.discord_server import FakeDiscord, Fault
from vtoc_bots.core.store.urls import DatabaseUrls

STATIONS = f"""
stations:
  toc-s1:
    notices: ["discord:1100000000000000001:{OPS}"]
"""


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord().open() as server:
        yield server


@pytest.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[DiscordCentre]:
    async with running(database_urls, tmp_path, discord, stations=STATIONS) as made:
        yield made


def answers(centre: DiscordCentre, who: str) -> int:
    return sum(who in text_of(each) for each in centre.discord.shown())


async def live_again(discord: FakeDiscord) -> None:
    await until(lambda: discord.gateway.live)


@pytest.mark.parametrize("how", ["cut", "reconnect", "closed", "resumable"])
async def test_what_is_said_while_the_connection_is_away_arrives_once(centre: DiscordCentre, how: str) -> None:
    ada, gateway = await centre.operator("Ada"), centre.discord.gateway
    await ada.say(f"<@{ME}> whoami")
    await until(lambda: answers(centre, "Ada") == 1)
    match how:
        case "cut":
            await gateway.cut()
        case "reconnect":
            await gateway.send({"op": 7, "d": None})
        case "closed":
            await gateway.close(4000)
        case _:
            await gateway.send({"op": 9, "d": True})
    await until(lambda: not gateway.live or gateway.resumed)
    for _ in range(3):
        await ada.say(f"<@{ME}> whoami")
    await until(lambda: answers(centre, "Ada") == 4)
    await live_again(centre.discord)
    held = await ada.slash("whoami")
    await until(lambda: "Ada" in text_of(held.original))
    assert answers(centre, "Ada") == 5
    assert len(gateway.resumed) == 1
    assert len(gateway.sessions) == 1


async def test_an_edit_that_changes_the_words_is_a_command_and_nothing_else_that_happens_to_a_message_is(
    centre: DiscordCentre,
) -> None:
    ada, gateway = await centre.operator("Ada"), centre.discord.gateway
    said = await ada.say(f"<@{ME}> whoam")
    await until(lambda: any("whoam" in text_of(each) for each in centre.discord.shown()))
    await ada.updated(said | {"embeds": [{"type": "link", "url": "https://a.example"}]})
    await gateway.dispatch("MESSAGE_UPDATE", {"id": said["id"], "channel_id": HALL, "guild_id": GUILD, "embeds": []})
    await ada.edit(said, f"<@{ME}> whoami")
    await until(lambda: answers(centre, "Ada") == 1)
    await ada.updated(said | {"pinned": True})
    await gateway.cut()
    await ada.edit(said, f"<@{ME}> help whoami")
    await until(lambda: len(centre.discord.shown()) > 2)
    assert [text_of(each).splitlines()[0] for each in centre.discord.shown()][1:] == ["Who you are", "/whoami"]


async def test_a_session_that_can_t_be_resumed_is_begun_again(centre: DiscordCentre) -> None:
    ada, gateway = await centre.operator("Ada"), centre.discord.gateway
    await gateway.send({"op": 9, "d": False})
    await until(lambda: len(gateway.sessions) == 2 and len(gateway.sessions[-1].events) >= 2)
    await ada.say(f"<@{ME}> whoami")
    await until(lambda: answers(centre, "Ada") == 1)


async def test_after_three_failed_resumes_the_notice_conversations_are_told_once(centre: DiscordCentre) -> None:
    gateway = centre.discord.gateway
    gateway.refuses = 3
    await gateway.cut()
    told = await until(lambda: centre.discord.shown(OPS))
    assert "not connected" in text_of(told[0])
    assert "3 times" in text_of(told[0])
    await live_again(centre.discord)
    assert gateway.resumed
    assert len(centre.discord.shown(OPS)) == 1


async def test_a_message_that_could_not_be_stored_is_asked_for_again_by_the_next_process(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    async with running(database_urls, tmp_path, discord) as first:
        ada = await first.operator("Ada")
        await ada.say(f"<@{ME}> whoami")
        await until(lambda: answers(first, "Ada") == 1)
    await ada.say(f"<@{ME}> whoami")
    discord.puts = 1
    async with running(database_urls, tmp_path, discord) as second:
        await until(lambda: answers(second, "Ada") == 2)
        held = await ada.slash("whoami")
        await until(lambda: "Ada" in text_of(held.original))
        assert answers(second, "Ada") == 3
    assert len(discord.gateway.sessions) == 1
    assert len(discord.gateway.resumed) == 1


async def test_the_message_content_is_asked_for_only_where_the_application_may_have_it(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    discord.flags, discord.gateway.allowed = 1 << 19, 1 << 15
    async with running(database_urls, tmp_path, discord) as centre:
        ada = await centre.operator("Ada")
        await ada.say("/whoami")
        await until(lambda: answers(centre, "Ada") == 1)


async def test_a_refused_intent_leaves_everything_else_and_health_says_so(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    discord.flags = 1 << 18
    async with running(database_urls, tmp_path, discord) as centre:
        ada = await centre.operator("Ada")
        await ada.say("/whoami")
        await ada.say(f"<@&{OUR_ROLE}> whoami", mention_roles=[OUR_ROLE])
        await ada.say(f"<@{ME}> whoami")
        await until(lambda: answers(centre, "Ada") >= 1)
        [probe] = [each for each in await centre.runtime.health.check() if each.name == "transport.discord"]
        assert probe.ok
        assert "Message Content" in probe.detail
        assert "heartbeat" in probe.detail
        assert "last event" in probe.detail


@pytest.mark.parametrize(
    ("code", "says"), [(4004, "DISCORD_BOT_TOKEN was refused"), (4010, "DISCORD_SHARD_COUNT"), (4011, "more shards")]
)
async def test_what_a_person_must_put_right_is_one_clear_line(centre: DiscordCentre, code: int, says: str) -> None:
    centre.discord.gateway.refuses = -1
    await centre.discord.gateway.close(code)

    def failing() -> str:
        return str(centre.runtime.parts.failing.get("transport.discord", ""))

    await until(lambda: says in failing())
    assert "\n" not in failing()


async def test_a_wrong_token_stops_discord_alone(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    wrong = {"DISCORD_BOT_TOKEN": "not-the-token-of-this-application"}
    async with running(database_urls, tmp_path, discord, environ=wrong, connected=False) as centre:
        await until(lambda: "DISCORD_BOT_TOKEN was refused (401)" in str(centre.runtime.parts.failing))
        await centre.person("bob")
        assert "bob" in str(await centre.ask("bob", "/whoami"))
        probes = {each.name: each for each in await centre.runtime.health.check()}
        assert not probes["transport.discord"].ok
        assert "Reset Token" in probes["transport.discord"].detail


async def test_a_connection_that_is_up_but_deaf_is_given_up_and_resumed(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtoc_bots.plugins.discord.sdk.HEARTBEAT_TIMEOUT_SECONDS", 0.6)
    discord.gateway.heartbeat_ms = 200
    async with running(database_urls, tmp_path, discord) as centre:
        ada = await centre.operator("Ada")
        await until(lambda: discord.gateway.heartbeats > 2)
        assert discord.gateway.resumed == []
        discord.gateway.deaf = True
        await until(lambda: discord.gateway.resumed)
        discord.gateway.deaf = False
        held = await ada.slash("whoami")
        await until(lambda: "Ada" in text_of(held.original))


async def test_a_token_of_another_application_is_one_clear_line(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    environ = {"DISCORD_APP_ID": "1100000000000000009", "PLUGINS_DISABLED": "telegram"}
    async with running(database_urls, tmp_path, discord, environ=environ, connected=False) as centre:
        await until(lambda: "DISCORD_APP_ID is 1100000000000000009" in str(centre.runtime.parts.failing))
        discord.refused.clear()  # commands for an application that this isn't


async def test_a_gateway_that_can_t_be_had_is_said_by_health(centre: DiscordCentre) -> None:
    await centre.discord.gateway.cut()
    centre.discord.gateway.refuses = -1
    await until(lambda: not centre.discord.gateway.live)

    async def detail() -> str:
        probes = {each.name: each for each in await centre.runtime.health.check()}
        return "" if probes["transport.discord"].ok else probes["transport.discord"].detail

    for _ in range(200):
        if "not connected" in await detail():
            return
        await asyncio.sleep(0)
    raise AssertionError("health says nothing of it")


async def test_each_shard_is_held_by_one_of_two_processes(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    environ = {"DISCORD_SHARD_COUNT": "2", "VTOC_LEASE_SECONDS": "2"}
    (tmp_path / "b").mkdir()
    async with running(database_urls, tmp_path, discord, environ=environ) as first:
        ada = await first.operator("Ada")
        await until(lambda: len(discord.gateway.live) == 2, 20)
        async with running(database_urls, tmp_path / "b", discord, environ=environ):
            assert sorted(session.shard for session in discord.gateway.live) == [(0, 2), (1, 2)]
            for session in list(discord.gateway.sessions):
                payload: Any = await said_everywhere(ada, session)
                await until(lambda p=payload: any(p["id"] in str(each) for each in discord.shown()))
    begun = [at for _, at in discord.gateway.identified]
    assert begun[1] - begun[0] >= 4.5


async def said_everywhere(who: Any, session: Any) -> dict[str, Any]:
    """A message that reaches the bot by one shard."""
    gateway = who.discord.gateway
    at = gateway.sessions.index(session)
    gateway.sessions.append(gateway.sessions.pop(at))
    return await who.say(f"<@{ME}> whoami", HALL)


async def test_commands_are_published_once_and_again_only_when_they_change(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    async with running(database_urls, tmp_path, discord):
        assert discord.puts == 1
    async with running(database_urls, tmp_path, discord) as centre:
        ada = await centre.operator("Ada")
        held = await ada.slash("whoami")
        await until(lambda: held.original)
        reads = [path for method, path in discord.requests if method == "GET" and path.endswith("/commands")]
        await until(lambda: len(reads) == 2)
        assert discord.puts == 1
        discord.commands[None][0]["description"] = "another"
    async with running(database_urls, tmp_path, discord):
        await until(lambda: discord.puts == 2)


async def test_commands_go_to_one_server_where_that_is_set(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    async with running(database_urls, tmp_path, discord, environ={"DISCORD_GUILD_ID": GUILD}) as centre:
        ada = await centre.operator("Ada")
        assert list(discord.commands) == [GUILD]
        held = await ada.slash("whoami", guild=GUILD)
        await until(lambda: "Ada" in text_of(held.original))


async def test_where_one_server_is_set_nothing_is_taken_from_another_but_direct_messages(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    other = "1200000000000000077"
    async with running(database_urls, tmp_path, discord, environ={"DISCORD_GUILD_ID": other}) as centre:
        ada = await centre.operator("Ada")
        await ada.say(f"<@{ME}> whoami")
        held = await ada.slash("whoami", guild=other)
        await until(lambda: answer_kind(held) == (4, True))
        assert "serves another server" in text_of(held.original)
        await ada.say("whoami", ada.direct_channel())
        await until(lambda: "Ada" in text_of(next(iter(ada.direct()), None)))
        assert (await centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox"))["n"] == 1


async def test_publishing_is_tried_again_when_discord_fails(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    discord.faults.append(Fault("PUT", ".*/commands", 500))
    async with running(database_urls, tmp_path, discord):
        assert discord.puts == 1
