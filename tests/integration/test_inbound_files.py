"""Files that people send, over real sockets: fetched from their platform alone, or told why they could not be."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.file_shelf import DATA, another_server
from tests.stands.chatkit import ChatKitStand
from tests.stands.discord import DiscordStand
from tests.stands.slack import SlackStand
from vtoc_bots import Message, TransientError
from vtoc_bots.core.attachments import MOST_BYTES
from vtoc_bots.core.clock import SystemClock
from vtoc_bots.plugins.chatkit import files as chatkit_files
from vtoc_bots.plugins.chatkit.settings import ChatKitSettings
from vtoc_bots.plugins.chatkit.wire import message_from_event
from vtoc_bots.plugins.discord import receive as discord_receive
from vtoc_bots.plugins.slack import receive as slack_receive
from vtoc_bots.testing import Stage, staged
from vtoc_bots.testing.memory import OpenedContext

FilesStand = SlackStand | DiscordStand | ChatKitStand


@pytest_asyncio.fixture(params=[SlackStand, DiscordStand, ChatKitStand])
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    for module in (slack_receive, discord_receive, chatkit_files):
        monkeypatch.setattr(module, "FETCH_SECONDS", 0.5)
    async with staged(request.param(), tmp_path) as opened:
        yield opened


def stand_of(stage: Stage) -> FilesStand:
    assert isinstance(stage.platform, FilesStand)
    return stage.platform


async def shared(stage: Stage, size: int = len(DATA), url: str | None = None, **more: str) -> Message:
    """Ada says something with a file; the message that came of it."""
    stand = stand_of(stage)
    return await stage.heard(await stand.shares(stage.who, "/log the plan", size, url or f"{stand.origin}/shelf/plan"))


async def test_a_file_is_stored_with_its_message(stage: Stage) -> None:
    stand = stand_of(stage)
    [attachment] = (await shared(stage)).attachments
    assert (attachment.name, attachment.content_type, attachment.problem) == ("plan.pdf", "application/pdf", None)
    assert attachment.blob is not None
    assert await stage.opened.blobs.get(attachment.blob) == DATA
    [headers] = stand.shelf.asked
    assert headers.get("Authorization") == stand.shows


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        ("refuse", "its server does not give it (403)"),
        ("hang", "it did not come within 0.5 s"),
        ("endless", "it is larger than 10 MiB"),
        ("half", "only a part of it came"),
        ("drop", "its server can't be reached (ServerDisconnectedError)"),
    ],
)
async def test_a_message_whose_file_can_not_be_had_is_kept_with_why(stage: Stage, manner: str, why: str) -> None:
    stand_of(stage).shelf.manner = manner
    message = await shared(stage)
    [attachment] = message.attachments
    assert message.text == "/log the plan"
    assert (attachment.blob, attachment.problem) == (None, why)
    assert attachment.url


async def test_a_file_that_is_shorter_than_it_was_said_is_not_taken(stage: Stage) -> None:
    [attachment] = (await shared(stage, len(DATA) + 1)).attachments
    assert (attachment.blob, attachment.problem) == (None, "only a part of it came")


async def test_what_is_too_large_is_not_even_asked_for(stage: Stage) -> None:
    [attachment] = (await shared(stage, 3 * MOST_BYTES)).attachments
    assert attachment.problem == "with 30.0 MiB it is larger than 10 MiB"
    assert stand_of(stage).shelf.asked == []


async def test_no_other_server_is_ever_asked(stage: Stage) -> None:
    async with another_server() as (address, shelf):
        port = address.rpartition(":")[2]
        name = stand_of(stage).origin.removeprefix("http://")
        for url in (
            f"{address}/shelf/plan",
            f"http://{name}@127.0.0.1:{port}/shelf/plan",
            f"https://files.slack.com.localhost:{port}/shelf/plan",
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            "//shelf/plan",
        ):
            [attachment] = (await shared(stage, url=url)).attachments
            assert (attachment.blob, attachment.problem) == (None, "it lies on another server")
        stand_of(stage).shelf.manner = f"{address}/shelf/plan"
        [attachment] = (await shared(stage)).attachments
        assert attachment.problem == "its server does not give it (302)"
        assert shelf.asked == []


async def test_a_message_that_can_not_be_stored_is_taken_with_its_file_later(stage: Stage) -> None:
    stage.inbox.failures.append(TransientError("the database is away"))
    stand = stand_of(stage)
    event = await stand.shares(stage.who, "/log the plan", len(DATA), f"{stand.origin}/shelf/plan")
    await stage.until(lambda: stage.inbox.handed, "it was not handed over")
    if isinstance(stand, SlackStand):  # which sends again what was not acknowledged
        assert not event.acknowledged or not event.acknowledged.is_set()
        event = await stand.again(event)
    await stage.until(lambda: stage.inbox.messages, "it was given up")
    assert stage.inbox.messages[0].attachments[0].blob


async def test_files_that_are_for_nobody_here_are_not_fetched(stage: Stage) -> None:
    stand = stand_of(stage)
    await stand.shares(stage.who, "look at this, Bob", len(DATA), f"{stand.origin}/shelf/plan", to_us=False)
    await stage.said("/help")
    assert stand.shelf.asked == []
    assert not any(attachment.blob for each in stage.inbox.messages for attachment in each.attachments)


async def test_a_strangers_file_is_not_fetched(stage: Stage) -> None:
    stage.opened.known = False
    [attachment] = (await shared(stage)).attachments
    assert (attachment.blob, attachment.problem) == (None, None)
    assert stand_of(stage).shelf.asked == []


async def test_a_page_to_log_in_at_is_no_file(tmp_path: Path) -> None:
    async with staged(SlackStand(), tmp_path) as stage:
        stand_of(stage).shelf.manner = "login"
        [attachment] = (await shared(stage)).attachments
    assert attachment.problem == "the app may not read files: it lacks the scope files:read"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (base64.b64encode(DATA).decode(), None),
        (base64.b64encode(DATA[:-1]).decode(), "only a part of it came"),
        ("no base64!", "its data is no base64"),
        (7, "its data is no base64"),
        (None, "it came without its bytes and without an address"),
    ],
)
async def test_a_file_may_come_in_the_event_itself(tmp_path: Path, data: object, problem: str | None) -> None:
    async with staged(ChatKitStand(), tmp_path) as stage:
        stand = stage.platform
        assert isinstance(stand, ChatKitStand)
        file = {"name": "plan.pdf", "content_type": "text/html\r\nX: y\u0000", "size": len(DATA), "data": data}
        others = [{**file, "data": base64.b64encode(DATA.swapcase()).decode()}]
        message = await stage.heard(await stand.says(stage.who, "/log the plan", attachments=[file, *others]))
        found, other = message.attachments
        assert (found.problem, found.content_type) == (problem, "application/octet-stream")
        assert found.blob is None if problem else await stage.opened.blobs.get(str(found.blob)) == DATA
        assert await stage.opened.blobs.get(str(other.blob)) == DATA.swapcase()


async def test_where_threads_live_here_no_server_is_asked(tmp_path: Path) -> None:
    async with another_server() as (address, shelf):
        context = OpenedContext("own", SystemClock(), tmp_path).context
        async with aiohttp.ClientSession() as session:
            files = chatkit_files.EventFiles(context, ChatKitSettings.model_validate({}), lambda: session)
            event = {
                "channel": "toc-s1",
                "text": "/log",
                "attachments": [{"name": "a", "url": f"{address}/shelf/plan"}],
            }
            message = message_from_event(event, "own", lambda: "1")
            assert message is not None
            [attachment] = (await files.taken(message, event)).attachments
        assert attachment.problem == "it lies on another server"
        assert shelf.asked == []
