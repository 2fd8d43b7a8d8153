"""Lanes, sessions, limits, acknowledgements, refusals, settings and the invitation, each by itself."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from tests.discord_people import until
from vtoc_bots import NotSent, RateLimited, StartupError, Unknown
from vtoc_bots.core.settings import load_settings
from vtoc_bots.plugins.discord import discord_spec
from vtoc_bots.plugins.discord.acks import MOST, Acks
from vtoc_bots.plugins.discord.failures import DiscordRefused, EverythingLimited, TokenRefused, failure_of
from vtoc_bots.plugins.discord.invite import app, invite_link
from vtoc_bots.plugins.discord.lanes import Lanes
from vtoc_bots.plugins.discord.limits import MOST_BUCKETS, Limits
from vtoc_bots.plugins.discord.sequence import Session, SessionFile
from vtoc_bots.plugins.discord.settings import DiscordSettings

VARIABLES = {"DISCORD_BOT_TOKEN": "MTEwMDAwMDAwMDAwMDAwMDAwMQ.x.y", "DISCORD_APP_ID": "1100000000000000001"}


class StillClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        """Some time."""
        return datetime(2026, 3, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        """The moved time."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """At once."""
        self.seconds += seconds


async def test_a_lane_keeps_its_order_while_others_go_on_and_an_error_ends_nothing() -> None:
    lanes, done = Lanes(), []
    gate = asyncio.Event()

    async def slow() -> None:
        await gate.wait()
        done.append("slow")

    async def quick(name: str) -> None:
        done.append(name)

    async def broken() -> None:
        raise ValueError("broken")

    lanes.add("a", slow)
    lanes.add("a", broken)
    lanes.add("a", lambda: quick("after"))
    lanes.add("b", lambda: quick("other"))
    await until(lambda: done == ["other"])
    gate.set()
    await until(lambda: not lanes.waiting)
    assert done == ["other", "slow", "after"]


async def test_lanes_have_room_for_so_many_and_no_more() -> None:
    lanes, gate = Lanes(most=2), asyncio.Event()

    async def waits() -> None:
        await gate.wait()

    lanes.add("a", waits)
    await lanes.room()
    lanes.add("b", waits)
    waiting = asyncio.ensure_future(lanes.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    await waiting
    lanes.add("c", waits)
    await lanes.close()


def test_a_session_is_settled_up_to_the_first_event_that_is_under_way() -> None:
    session = Session("s", "wss://gateway.example", 0)
    for number in range(1, 6):
        session.heard(number)
    assert session.settled == 5
    assert session.begin(3)
    assert session.begin(5)
    assert not session.begin(3)
    assert session.settled == 2
    session.done(3)
    assert session.settled == 4
    session.done(5)
    session.heard(4)  # again, after a resume
    assert session.settled == 5


def test_a_session_is_remembered_and_forgotten(tmp_path: Path) -> None:
    file = SessionFile(tmp_path, "app", 0, 1)
    assert file.load() is None
    session = Session("s", "wss://gateway.example", 7)
    file.save(session)
    [path] = (tmp_path / "discord").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    found = SessionFile(tmp_path, "app", 0, 1).load()
    assert found is not None
    assert (found.id, found.resume_url, found.settled) == ("s", "wss://gateway.example", 7)
    path.write_text("garbage")
    assert file.load() is None
    file.save(None)
    assert not path.exists()


def test_limits_hold_what_they_are_for_and_end_by_themselves() -> None:
    clock = StillClock()
    limits = Limits(clock)
    limits.learn("a", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "2.5"})
    limits.learn("b", {"X-RateLimit-Remaining": "1", "X-RateLimit-Reset-After": "2.5"})
    limits.learn("b", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "soon"})
    with pytest.raises(RateLimited) as limited:
        limits.check("a")
    assert limited.value.after_seconds == 2.5
    limits.check("b")
    limits.refused("b", 4, everything=True)
    with pytest.raises(RateLimited):
        limits.check("c")
    clock.seconds += 5
    for key in "abc":
        limits.check(key)
    for number in range(MOST_BUCKETS * 2):
        limits.refused(str(number), 1, everything=False)
    limits.check(str(MOST_BUCKETS * 2 - 1))


async def test_acknowledgements_are_known_once_they_are_made_and_the_oldest_are_forgotten() -> None:
    acks = Acks()
    assert await acks.kind("1") is None
    acks.begin("1")
    waiting = asyncio.ensure_future(acks.kind("1"))
    await asyncio.sleep(0)
    acks.end("1", "private")
    assert await waiting == "private"
    for number in range(2, MOST + 3):
        acks.begin(str(number))
    assert await acks.kind("1") is None


NESTED = {
    "code": 50035,
    "message": "Invalid Form Body",
    "errors": {"embeds": {"0": {"description": {"_errors": [{"code": "X", "message": "Must be 4096 or fewer."}]}}}},
}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, NESTED, DiscordRefused, r"embeds\.0\.description: Must be 4096 or fewer \(50035\)"),
        (403, {"code": 50013, "message": "Missing Permissions"}, DiscordRefused, "lacks a permission"),
        (404, {"code": 10003, "message": "Unknown Channel"}, DiscordRefused, "the channel is gone"),
        (404, {}, DiscordRefused, "it answered 404"),
        (400, {"code": 40060, "message": "Already acknowledged"}, DiscordRefused, "by another program"),
        (401, {"code": 0, "message": "401: Unauthorized"}, TokenRefused, "Reset Token"),
        (401, {"code": 50027, "message": "Invalid Webhook Token"}, DiscordRefused, "50027"),
        (500, {}, NotSent, "500"),
        (429, {"retry_after": 1.5}, RateLimited, "1.5 s"),
        (429, {"retry_after": 1.5, "global": True}, EverythingLimited, "everything"),
        (400, {"code": 30046, "message": "Too many edits"}, RateLimited, "60 s"),
        (429, {"retry_after": "soon"}, RateLimited, "5 s"),
    ],
)
def test_an_answer_that_is_no_success_says_what_becomes_of_the_message(
    status: int, body: Any, kind: type[Exception], words: str
) -> None:
    failure = failure_of(status, {}, json.dumps(body).encode())
    assert type(failure) is kind
    with pytest.raises(kind, match=words):
        raise failure


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_fails_may_have_made_what_it_was_to_make(status: int) -> None:
    assert type(failure_of(status, {}, b"<html>", writes=True)) is Unknown
    assert type(failure_of(status, {}, b"<html>")) is NotSent


def test_a_proxy_s_page_is_no_json_and_its_header_counts() -> None:
    limited = failure_of(429, {"Retry-After": "9"}, b"<html>")
    assert isinstance(limited, RateLimited)
    assert limited.after_seconds == 9


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DISCORD_APP_ID", "vtoc"),
        ("DISCORD_PUBLIC_KEY", "abc"),
        ("DISCORD_SHARD_COUNT", "-1"),
        ("DISCORD_API_BASE_URL", "discord.com"),
        ("DISCORD_GATEWAY_URL", "https://gateway.discord.gg"),
        ("DISCORD_BOT_TOKEN", "short"),
    ],
)
def test_a_wrong_setting_is_named_and_a_secret_never_shown(tmp_path: Path, name: str, value: str) -> None:
    settings = load_settings(tmp_path, tmp_path, environ={**VARIABLES, name: value})
    with pytest.raises(StartupError, match=name) as error:
        settings.read(DiscordSettings)
    if "TOKEN" in name:
        assert value not in str(error.value)


def test_the_account_is_the_application(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, tmp_path, environ=VARIABLES).read(DiscordSettings)
    assert discord_spec(settings).account == VARIABLES["DISCORD_APP_ID"]
    assert VARIABLES["DISCORD_BOT_TOKEN"] not in repr(settings)


def test_the_invitation_asks_for_what_the_bot_needs_and_no_more() -> None:
    query = parse_qs(urlsplit(invite_link("1100000000000000001", "5")).query)
    assert query["scope"] == ["bot applications.commands"]
    assert query["client_id"] == ["1100000000000000001"]
    assert query["guild_id"] == ["5"]
    permissions = int(query["permissions"][0])
    assert permissions & 1 << 11
    assert not permissions & 1 << 3  # Administrator


def test_the_command_prints_the_link_or_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISCORD_APP_ID", raising=False)
    missing = CliRunner().invoke(app, ["invite"])
    assert missing.exit_code == 2
    assert "DISCORD_APP_ID" in missing.output
    (tmp_path / ".env.station").write_text("DISCORD_APP_ID=1100000000000000001\n")
    found = CliRunner().invoke(app, ["invite"])
    assert found.exit_code == 0
    assert "client_id=1100000000000000001" in found.output
