"""What becomes of a card when Slack refuses, limits, fails, hangs or drops the connection in the middle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.slack_kit import words
from tests.slack_transport import Alone, open_alone
from vtoc_bots import (
    Button,
    Buttons,
    Card,
    File,
    Image,
    NotSent,
    OutboundKind,
    RateLimited,
    Refused,
    StartupError,
    Table,
    Unknown,
)
from vtoc_bots.plugins.slack import api

HALL, ADA = "C0HALL0001", "U0ADA00001"
PNG = b"\x89PNG" + bytes(100)


@pytest_asyncio.fixture
async def alone() -> AsyncIterator[Alone]:
    async with open_alone() as opened:
        yield opened


def behave(alone: Alone, **manners: str) -> None:
    """How Slack answers calls of methods, their dots written as underscores."""
    named = {name.replace("_", "."): manner for name, manner in manners.items()}
    alone.slack.manners = lambda method, arguments: named.get(method)


async def picture(alone: Alone, name: str = "map.png") -> Card:
    blob = await alone.blobs.put(PNG, "image/png")
    return Card.of("Map", Image(blob=blob, alt="A map", name=name, size=len(PNG)))


@pytest.mark.parametrize(
    ("manner", "becomes"),
    [
        ("limit", RateLimited),
        ("limit-bare", RateLimited),
        ("ratelimited", RateLimited),
        ("fail", Unknown),
        ("away", Unknown),
        ("drop", Unknown),
        ("drop-after", Unknown),
        ("internal_error", Unknown),
        ("fatal_error", Unknown),
        ("service_unavailable", NotSent),
        ("invalid_auth", NotSent),
        ("token_revoked", NotSent),
        ("channel_not_found", Refused),
        ("not_in_channel", Refused),
        ("is_archived", Refused),
        ("msg_too_long", Refused),
        ("invalid_blocks", Refused),
        ("a_new_word_of_slacks", Refused),
    ],
)
async def test_an_answer_of_slack_says_what_became_of_the_card(alone: Alone, manner: str, becomes: type) -> None:
    behave(alone, chat_postMessage=manner)
    with pytest.raises(becomes) as caught:
        await alone.send("Hello")
    assert isinstance(caught.value, becomes)
    assert str(caught.value).startswith("slack: ")
    assert "xoxb-good" not in str(caught.value)


async def test_a_refusal_is_told_in_plain_words(alone: Alone) -> None:
    behave(alone, chat_postMessage="not_in_channel")
    with pytest.raises(Refused, match="invite it there with /invite"):
        await alone.send("Hello")


async def test_a_platform_that_hangs_leaves_the_card_unknown(alone: Alone) -> None:
    behave(alone, chat_postMessage="hang")
    opened = alone.transport._opened()
    opened.http._timeout = aiohttp.ClientTimeout(total=0.2)
    with pytest.raises(Unknown):
        await alone.send("Hello")


async def test_a_platform_that_is_not_there_did_not_get_the_card(alone: Alone) -> None:
    alone.transport._opened().client.base_url = "http://127.0.0.1:9/api/"
    with pytest.raises(NotSent):
        await alone.send("Hello")


async def test_slack_is_not_asked_again_before_the_time_it_named(alone: Alone) -> None:
    behave(alone, chat_postMessage="limit")
    with pytest.raises(RateLimited) as limited:
        await alone.send("Hello")
    assert limited.value.after_seconds == 3.0
    behave(alone)
    alone.clock.seconds += 2.5
    with pytest.raises(RateLimited) as limited:
        await alone.send("Hello")
    assert limited.value.after_seconds == pytest.approx(0.5)
    assert len(alone.slack.of("chat.postMessage")) == 1
    alone.slack.channel("C0OTHER001", "other")
    await alone.send("Elsewhere", "C0OTHER001")
    alone.clock.seconds += 0.6
    await alone.send("Hello")
    assert [words(message) for message in alone.slack.shown(HALL)] == ["Hello"]


async def test_a_limit_without_a_time_is_waited_for_a_little(alone: Alone) -> None:
    behave(alone, chat_postMessage="limit-bare")
    with pytest.raises(RateLimited) as limited:
        await alone.send("Hello")
    assert limited.value.after_seconds == api.RETRY_AFTER_SECONDS


async def test_a_card_whose_answer_was_lost_is_found_by_its_metadata(alone: Alone) -> None:
    await alone.send("Before")
    behave(alone, chat_postMessage="drop-after")
    outbound = alone.outbound("Hello", thread="1.000001")
    with pytest.raises(Unknown):
        await alone.transport.send(outbound)
    behave(alone)
    behave(alone, conversations_replies="fail")
    with pytest.raises(Unknown):
        await alone.transport.look_up(outbound)
    behave(alone)
    alone.slack.channels[HALL].messages.append({"ts": "1.000001", "text": "the thread's first"})
    found = await alone.transport.look_up(outbound)
    assert found is not None
    assert found.ref == alone.slack.shown(HALL)[-1]["ts"]
    edited = await alone.transport.send(replace(outbound, edits=found, revision=1, card=Card.of("Changed")))
    assert edited.ref == found.ref
    assert [words(message) for message in alone.slack.shown(HALL)] == ["Before", "Changed"]


async def test_a_card_that_never_came_is_not_found(alone: Alone) -> None:
    behave(alone, chat_postMessage="drop")
    outbound = alone.outbound("Hello")
    with pytest.raises(Unknown):
        await alone.transport.send(outbound)
    behave(alone)
    for number in range(450):
        alone.slack.channels[HALL].messages.append({"ts": alone.slack.ts(), "text": f"chatter {number}"})
    assert await alone.transport.look_up(outbound) is None
    assert len(alone.slack.of("conversations.history")) == 3, "every page is read"


async def test_what_can_not_be_looked_up_is_not_taken_for_unsent(alone: Alone) -> None:
    for private_to, channel in ((ADA, HALL), (None, "C0FAR00001"), (None, f"home:{ADA}")):
        notice = alone.outbound("Hello", channel, private_to=private_to, kind=OutboundKind.NOTICE)
        with pytest.raises(Refused):
            await alone.transport.look_up(notice)
    assert await alone.transport.look_up(alone.outbound("Home", f"home:{ADA}")) is None, "it is published once more"


@pytest.mark.parametrize(("manner", "parts"), [("limit", 2), ("service_unavailable", 2), ("drop-after", 4)])
async def test_a_private_card_of_several_messages_goes_on_where_it_was_held_up(
    alone: Alone, manner: str, parts: int
) -> None:
    outbound = alone.outbound(Card.of("Long", *["word " * 500] * 8), private_to=ADA)
    alone.slack.manners = lambda method, arguments: manner if alone.slack.ephemerals else None
    with pytest.raises(Unknown):
        await alone.transport.send(outbound)
    behave(alone)
    alone.clock.seconds += 10
    await alone.transport.send(replace(outbound, may_be_repeat=True))
    assert len(alone.slack.ephemerals) == parts, "only what may be shown comes again"


async def test_a_picture_that_was_cut_off_follows_without_the_card_again(alone: Alone) -> None:
    outbound = alone.outbound(await picture(alone))
    behave(alone, files_completeUploadExternal="fail")
    with pytest.raises(Unknown):
        await alone.transport.send(outbound)
    behave(alone)
    receipt = await alone.transport.send(outbound)
    assert len(alone.slack.of("chat.postMessage")) == 1
    card, shown = alone.slack.shown(HALL)
    assert receipt.ref == card["ts"]
    assert shown["files"][0]["name"].startswith("map-")


async def test_another_process_goes_on_behind_what_was_shown(alone: Alone) -> None:
    outbound = alone.outbound(await picture(alone))
    behave(alone, files_getUploadURLExternal="limit")
    with pytest.raises(Unknown):
        await alone.transport.send(outbound)
    behave(alone)
    async with open_alone(alone.slack) as other:
        await other.blobs.put(PNG, "image/png")
        assert await other.transport.look_up(outbound) is None, "it is not shown whole"
        await other.transport.send(replace(outbound, may_be_repeat=True))
        assert await other.transport.look_up(outbound) is not None
    assert len(alone.slack.of("chat.postMessage")) == 1
    assert len(alone.slack.shown(HALL)) == 2


async def test_a_file_that_is_too_large_becomes_a_link() -> None:
    async with open_alone(link="https://vtoc.example/files") as alone:
        blob = await alone.blobs.put(bytes(2**20 + 1), "application/zip")
        await alone.send(
            Card.of("Data", File(blob=blob, name="all.zip", content_type="application/zip", size=2**20 + 1))
        )
        assert f"https://vtoc.example/files/{blob[:12]}/all.zip" in words(alone.slack.shown(HALL)[0])
        assert alone.slack.files == {}


async def test_a_file_that_is_gone_is_said_to_be(alone: Alone) -> None:
    await alone.send(Card.of("Data", File(blob="0" * 64, name="all.zip", content_type="application/zip", size=10)))
    assert "no longer stored" in words(alone.slack.shown(HALL)[0])


async def test_a_private_card_with_a_picture_goes_by_direct_message(alone: Alone) -> None:
    await alone.transport.send(alone.outbound(await picture(alone), private_to=ADA))
    assert alone.slack.shown(HALL) == []
    direct = alone.slack.direct(ADA)
    assert [len(message.get("files", ())) for message in direct.messages] == [0, 1]


async def test_a_private_result_that_comes_late_goes_by_direct_message(alone: Alone) -> None:
    late = {"kind": OutboundKind.RESULT, "private_to": ADA, "message_id": alone.id(before_seconds=3600)}
    await alone.send("Late", **late)
    assert words(alone.slack.direct(ADA).messages[0]) == "Late"
    await alone.send("Early", **{**late, "message_id": alone.id(before_seconds=60)})
    assert words(alone.slack.ephemerals[0]) == "Early"


async def test_progress_that_only_one_sees_is_shown_once(alone: Alone) -> None:
    outbound = alone.outbound("Half", private_to=ADA, kind=OutboundKind.PROGRESS)
    receipt = await alone.transport.send(outbound)
    assert await alone.transport.send(replace(outbound, edits=receipt, revision=1)) == receipt
    assert len(alone.slack.ephemerals) == 1


async def test_an_old_response_url_is_not_used(alone: Alone) -> None:
    context: dict[str, Any] = {"response_url": alone.slack.response_url(), "pressed": True}
    context["until"] = alone.clock.now().timestamp() + 1740
    receipt = await alone.send("Secret", private_to=ADA)
    page = alone.outbound("Page 2", private_to=ADA, edits=receipt, revision=1, reply_context=context)
    await alone.transport.send(page)
    assert [body["replace_original"] for body in alone.slack.responses] == [True]
    alone.clock.seconds += 1800
    await alone.transport.send(page)
    assert len(alone.slack.responses) == 1
    assert words(alone.slack.ephemerals[-1]) == "Page 2"


async def test_what_was_answered_by_address_is_never_posted_twice_for_its_progress(alone: Alone) -> None:
    alone.slack.channel("C0FAR00001", "far", bot=False)
    context = {"response_url": alone.slack.response_url(), "until": alone.clock.now().timestamp() + 1740}
    card = await picture(alone)
    begun = alone.outbound(card, "C0FAR00001", kind=OutboundKind.PROGRESS, reply_context=context)
    receipt = await alone.transport.send(begun)
    assert await alone.transport.send(replace(begun, edits=receipt, revision=1, card=Card.of("Half"))) == receipt
    page = replace(
        begun, kind=OutboundKind.PAGE, card=Card.of("Page"), edits=receipt, reply_context={**context, "pressed": True}
    )
    await alone.transport.send(page)
    assert "the app must be in this channel" in words(alone.slack.responses[0])
    ways = [(body.get("response_type"), body.get("replace_original")) for body in alone.slack.responses]
    assert ways == [("in_channel", None), (None, True)]


async def test_what_one_may_see_never_replaces_what_all_see(alone: Alone) -> None:
    page = alone.outbound("Page 1", kind=OutboundKind.PAGE)
    receipt = await alone.transport.send(page)
    refused = replace(page, edits=receipt, revision=1, private_to=ADA, card=Card.of("Not allowed"))
    await alone.transport.send(refused)
    assert [words(message) for message in alone.slack.shown(HALL)] == ["Page 1"]
    assert [words(message) for message in alone.slack.ephemerals] == ["Not allowed"]


async def test_a_private_card_that_went_by_direct_message_is_edited_there_and_nowhere_else(alone: Alone) -> None:
    outbound = alone.outbound(await picture(alone), private_to=ADA)
    receipt = await alone.transport.send(outbound)
    direct = alone.slack.direct(ADA)
    edited = replace(outbound, edits=receipt, revision=1, card=Card.of("Changed"))
    await alone.transport.send(edited)
    assert words(direct.messages[0]) == "Changed"
    direct.messages.clear()
    await alone.transport.send(edited)
    assert [words(message) for message in direct.messages] == ["Changed"]
    assert alone.slack.shown(HALL) == []


async def test_an_api_without_tables_gets_them_in_fixed_pitch_from_then_on(alone: Alone) -> None:
    alone.slack.has_tables = False
    card = Card.of("Table", Table(columns=("a", "b"), rows=(("1", "2"),)))
    for _ in range(2):
        await alone.send(card)
    assert all("```" in words(message) for message in alone.slack.shown(HALL))
    assert len(alone.slack.of("chat.postMessage")) == 3


async def test_a_long_card_is_several_messages_and_an_edit_changes_each(alone: Alone) -> None:
    long = Card.of("Long", *(f"{number} " + "word " * 500 for number in range(10)))
    outbound = alone.outbound(long)
    receipt = await alone.transport.send(outbound)
    assert len(alone.slack.shown(HALL)) == 3
    assert len(receipt.detail["parts"]) == 3
    await alone.transport.send(replace(outbound, edits=receipt, revision=1, card=Card.of("Short")))
    assert [words(message) for message in alone.slack.shown(HALL)] == ["Short"]


async def test_what_is_too_long_for_messages_is_a_file(alone: Alone) -> None:
    everything = [f"line {number} " + "word " * 500 for number in range(40)]
    await alone.send(Card.of("Long", *everything, Buttons(buttons=(Button(label="Go", token="t" * 21),)), footer="ID"))
    [file] = alone.slack.files.values()
    assert all(f"line {number} " in file["data"].decode() for number in range(40))
    assert "Go" in words(alone.slack.shown(HALL)[2])
    assert "ID" in words(alone.slack.shown(HALL)[2])


async def test_an_edit_of_a_message_that_is_gone_is_posted_anew(alone: Alone) -> None:
    outbound = alone.outbound("Hello")
    receipt = await alone.transport.send(outbound)
    alone.slack.channels[HALL].messages.clear()
    await alone.transport.send(replace(outbound, edits=receipt, revision=1, card=Card.of("Again")))
    assert [words(message) for message in alone.slack.shown(HALL)] == ["Again"]


async def test_a_wrong_bot_token_stops_the_transport_with_one_clear_line() -> None:
    from tests.slack_server import FakeSlack

    slack = FakeSlack()
    slack.bot_token = "xoxb-another"
    with pytest.raises(StartupError, match=r"slack: SLACK_BOT_TOKEN was refused \(invalid_auth\)"):
        async with open_alone(slack):
            pass


async def test_without_a_way_to_receive_the_transport_says_which_settings_there_are() -> None:
    with pytest.raises(StartupError, match="neither SLACK_APP_LEVEL_TOKEN"):
        async with open_alone(settings={"SLACK_SIGNING_SECRET": None}):
            pass


async def test_health_is_a_round_trip_and_the_age_of_the_last_event(alone: Alone) -> None:
    assert "nothing came yet" in await alone.transport.probe()
    behave(alone, auth_test="token_revoked")
    with pytest.raises(Exception, match="SLACK_BOT_TOKEN was refused"):
        await alone.transport.probe()
