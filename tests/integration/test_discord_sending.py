"""Sending to a Discord that refuses, limits, fails, hangs and drops: what is known of the message, and no repeats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.discord_payloads import APP, HALL
from tests.discord_people import Person, text_of
from tests.discord_server import TOKEN, FakeDiscord, Fault
from vtoc_bots import (
    Buttons,
    Card,
    ConversationId,
    File,
    Image,
    NotSent,
    Outbound,
    OutboundKind,
    RateLimited,
    Refused,
    Unknown,
    new_id,
)
from vtoc_bots.core.cards import Button
from vtoc_bots.plugins.discord import send as send_module
from vtoc_bots.plugins.discord.acks import Acks
from vtoc_bots.plugins.discord.api import DiscordApi
from vtoc_bots.plugins.discord.send import Sender
from vtoc_bots.testing import AheadClock, OpenedContext

CREATE = ("POST", f"/channels/{HALL}/messages")


class Bench:
    """A sender, and the platform it sends to."""

    def __init__(self, discord: FakeDiscord, folder: Path) -> None:
        self.discord, self.clock, self.acks = discord, AheadClock(), Acks()
        self.api = DiscordApi(discord.base_url, TOKEN, APP, self.clock)
        self.api.open()
        opened = OpenedContext(APP, self.clock, folder)
        self.blobs = opened.blobs
        self.sender = Sender(self.api, opened.context, self.acks)

    def later(self, **period: float) -> None:
        """Move our clock and Discord's ahead."""
        span = timedelta(**period)
        self.clock.advance(span.total_seconds())
        self.discord.ahead += span

    async def interaction(self, *, private: bool = False, acked: bool = True) -> dict[str, Any]:
        """The reply context of an interaction, acknowledged or not."""
        who = Person(self.discord, "Ada", 1)
        self.discord.commands[None] = [{"id": "1", "name": "x", "type": 1, "options": []}]

        async def unsent(payload: dict[str, Any]) -> None:
            return None

        who.send = unsent
        held = await who.slash("x")
        if acked:
            flags = {"data": {"flags": 64}} if private else {}
            self.discord.take_answer(held.payload["token"], {"type": 5, **flags})
        until = (self.clock.now() + timedelta(minutes=15)).isoformat()
        return {"interaction": held.payload["id"], "token": held.payload["token"], "until": until}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with FakeDiscord().open() as discord:
        made = Bench(discord, tmp_path)
        yield made
        await made.api.close()
        assert discord.refused == []


def outbound(card: Card | None = None, **parts: Any) -> Outbound:
    made = Outbound(
        id=new_id(),
        key=f"message:{new_id()}:reply",
        conversation=ConversationId("discord", APP, HALL),
        kind=OutboundKind.REPLY,
        card=card or Card.of("Hello", "Some text.", footer="7K3M9QXZ"),
        correlation_id=UUID(int=7),
    )
    return replace(made, **parts)


async def test_a_message_is_sent_once_however_often_it_is_tried(bench: Bench) -> None:
    out = outbound()
    first = await bench.sender.send(out)
    assert (await bench.sender.send(out)).ref == first.ref
    assert len(bench.discord.shown()) == 1


async def test_a_dropped_connection_is_unknown_and_looked_up_long_after_the_nonce_is_forgotten(bench: Bench) -> None:
    out = outbound()
    bench.discord.faults.append(Fault(*CREATE, "drop after"))
    with pytest.raises(Unknown):
        await bench.sender.send(out)
    assert len(bench.discord.shown()) == 1
    bench.later(minutes=20)
    found = await bench.sender.look_up(out)
    assert found is not None
    assert found.ref == bench.discord.shown()[0]["id"]
    assert await bench.sender.look_up(outbound()) is None


async def test_one_that_was_dropped_before_it_arrived_is_looked_up_in_vain(bench: Bench) -> None:
    out = outbound()
    bench.discord.faults.append(Fault(*CREATE, "drop"))
    with pytest.raises(Unknown):
        await bench.sender.send(out)
    assert await bench.sender.look_up(out) is None
    await bench.sender.send(out)
    assert len(bench.discord.shown()) == 1


async def test_nothing_is_sent_where_nobody_listens(bench: Bench, unused_tcp_port: int) -> None:
    api = DiscordApi(f"http://127.0.0.1:{unused_tcp_port}", TOKEN, APP, bench.clock)
    api.open()
    with pytest.raises(NotSent, match="can't be reached"):
        await api.ping()
    await api.close()


async def test_a_server_that_hangs_is_unknown(bench: Bench) -> None:
    bench.discord.faults.append(Fault("GET", "/users/@me", "hang"))
    with pytest.raises(Unknown):
        await bench.api._call("GET", "/users/@me", seconds=0.2)


async def test_a_failing_server_may_have_taken_a_new_message(bench: Bench) -> None:
    out = outbound()
    bench.discord.faults.append(Fault(*CREATE, 502))
    with pytest.raises(Unknown, match="502"):
        await bench.sender.send(out)
    assert await bench.sender.look_up(out) is None
    await bench.sender.send(out)
    context = await bench.interaction(private=False)
    bench.discord.faults.append(Fault("POST", "/webhooks/.*", 504))
    with pytest.raises(Unknown, match="504"):
        await bench.sender.send(outbound(reply_context=context, private_to="1300000000000000101"))


async def test_an_edit_that_a_server_fails_at_is_tried_again_as_it_is(bench: Bench) -> None:
    receipt = await bench.sender.send(outbound())
    edit = outbound(kind=OutboundKind.RESULT, edits=receipt, revision=1)
    bench.discord.faults.append(Fault("PATCH", ".*/messages/.*", 502))
    with pytest.raises(Unknown, match="502"):
        await bench.sender.send(edit)
    await bench.sender.send(edit)
    assert len(bench.discord.shown()) == 1


async def test_a_waiting_place_that_a_server_fails_at_is_filled_by_the_next_try(bench: Bench) -> None:
    context = await bench.interaction(private=True)
    out = outbound(reply_context=context, private_to="1300000000000000101")
    bench.discord.faults.append(Fault("PATCH", ".*/@original", 502))
    with pytest.raises(Unknown, match="502"):
        await bench.sender.send(out)
    assert await bench.sender.look_up(out) is None
    await bench.sender.send(out)
    held = bench.discord.interactions[context["token"]]
    assert "Some text." in text_of(held.original)
    assert held.follow_ups == []


async def test_an_answer_stands_though_the_waiting_place_could_not_be_taken_away(bench: Bench) -> None:
    context = await bench.interaction(private=True)
    bench.discord.faults.append(Fault("DELETE", ".*/@original", 502))
    receipt = await bench.sender.send(outbound(reply_context=context, kind=OutboundKind.RESULT))
    assert [each["id"] for each in bench.discord.shown()] == [receipt.ref]


async def test_limits_are_told_and_kept_without_asking_again(bench: Bench) -> None:
    body = {"message": "You are being rate limited.", "retry_after": 7.5, "global": False}
    bench.discord.faults.append(Fault(*CREATE, 429, body))
    for _ in range(2):
        with pytest.raises(RateLimited) as limited:
            await bench.sender.send(outbound())
        assert 7 < limited.value.after_seconds <= 7.5
    assert bench.discord.requests.count(CREATE) == 1
    await bench.api.ping()  # the limit is the channel's


@pytest.mark.parametrize(
    "fault",
    [
        Fault(*CREATE, 429, {"message": "…", "retry_after": 30, "global": True}),
        Fault(*CREATE, 429, {"message": "…", "retry_after": 30}, {"X-RateLimit-Scope": "global"}),
    ],
)
async def test_a_global_limit_holds_everything_up_but_answers_to_interactions(bench: Bench, fault: Fault) -> None:
    bench.discord.faults.append(replace(fault, times=1))
    context = await bench.interaction(acked=False)
    with pytest.raises(RateLimited):
        await bench.sender.send(outbound())
    with pytest.raises(RateLimited):
        await bench.api.ping()
    await bench.api.answer(context["interaction"], context["token"], {"type": 5})


async def test_a_limit_without_retry_after_has_a_pause_all_the_same(bench: Bench) -> None:
    bench.discord.faults.append(Fault(*CREATE, 429, "a proxy's page"))
    with pytest.raises(RateLimited) as limited:
        await bench.sender.send(outbound())
    assert limited.value.after_seconds == 5


async def test_an_exhausted_bucket_is_not_tried(bench: Bench) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "3.0"}
    bench.discord.faults.append(Fault("GET", "/users/@me", 200, {"id": "1"}, headers))
    await bench.api.ping()
    with pytest.raises(RateLimited):
        await bench.api.ping()


@pytest.mark.parametrize(
    ("code", "words"), [(50001, "give it View Channel"), (50013, "lacks a permission in this channel")]
)
async def test_a_closed_channel_is_refused_in_plain_words(bench: Bench, code: int, words: str) -> None:
    bench.discord.closed[HALL] = code
    with pytest.raises(Refused, match=words):
        await bench.sender.send(outbound())


async def test_a_channel_that_is_gone_and_a_person_who_takes_no_messages_are_refused(bench: Bench) -> None:
    with pytest.raises(Refused, match="the channel is gone"):
        await bench.sender.send(outbound(conversation=ConversationId("discord", APP, "12")))
    bench.discord.faults.append(Fault("POST", "/users/@me/channels", 403, {"message": "…", "code": 50007}))
    with pytest.raises(Refused, match="takes no direct messages"):
        await bench.sender.send(outbound(private_to="1300000000000000101"))


async def test_a_wrong_token_keeps_what_was_to_be_sent(bench: Bench) -> None:
    api = DiscordApi(bench.discord.base_url, "wrong", APP, bench.clock)
    api.open()
    with pytest.raises(NotSent, match=r"DISCORD_BOT_TOKEN was refused \(401\)"):
        await api.create(HALL, {"content": "x"})
    await api.close()


async def test_the_first_answer_of_an_interaction_takes_the_waiting_place_and_later_ones_come_after(
    bench: Bench,
) -> None:
    context = await bench.interaction()
    reply = await bench.sender.send(outbound(reply_context=context))
    result = outbound(reply_context=context, kind=OutboundKind.RESULT)
    sent = await bench.sender.send(result)
    assert [each["id"] for each in bench.discord.shown()] == [reply.ref, sent.ref]
    assert (await bench.sender.send(result)).ref == sent.ref


async def test_a_result_whose_edit_of_the_waiting_place_was_cut_off_is_known_again(bench: Bench) -> None:
    context = await bench.interaction()
    out = outbound(reply_context=context, kind=OutboundKind.RESULT)
    bench.discord.faults.append(Fault("PATCH", ".*/@original", "drop after"))
    with pytest.raises(Unknown):
        await bench.sender.send(out)
    found = await bench.sender.look_up(out)
    assert found is not None
    assert (await bench.sender.send(out)).ref == found.ref
    assert len(bench.discord.shown()) == 1


async def test_a_private_answer_never_shows_in_a_place_that_all_see(bench: Bench) -> None:
    context = await bench.interaction(private=False)
    out = outbound(reply_context=context, private_to="1300000000000000101")
    receipt = await bench.sender.send(out)
    held = bench.discord.interactions[context["token"]]
    assert [each["id"] for each in held.follow_ups] == [receipt.ref]
    assert held.follow_ups[0]["flags"] & 64
    assert bench.discord.shown() == []
    assert held.original is None


async def test_a_private_answer_that_was_cut_off_is_not_taken_for_unsent(bench: Bench) -> None:
    context = await bench.interaction(private=False)
    out = outbound(reply_context=context, private_to="1300000000000000101")
    bench.discord.faults.append(Fault("POST", "/webhooks/.*", "drop after"))
    with pytest.raises(Unknown):
        await bench.sender.send(out)
    with pytest.raises(Refused):
        await bench.sender.look_up(out)


async def test_a_public_result_of_a_private_question_is_shown_to_all(bench: Bench) -> None:
    context = await bench.interaction(private=True)
    await bench.sender.send(outbound(reply_context=context, kind=OutboundKind.RESULT))
    assert len(bench.discord.shown()) == 1
    assert bench.discord.interactions[context["token"]].original is None


async def test_an_interaction_that_another_process_is_acknowledging_is_waited_for(bench: Bench) -> None:
    context = await bench.interaction(acked=False)
    with pytest.raises(RateLimited) as soon:
        await bench.sender.send(outbound(reply_context=context))
    assert soon.value.after_seconds < 1
    bench.later(seconds=20)
    await bench.sender.send(outbound(reply_context=context))  # never acknowledged: it goes to the channel
    assert len(bench.discord.shown()) == 1


async def test_commands_work_where_the_bot_may_not_write(bench: Bench) -> None:
    context = await bench.interaction()
    await bench.sender.send(outbound(reply_context=context))
    bench.discord.closed[HALL] = 50001
    await bench.sender.send(outbound(reply_context=context, kind=OutboundKind.RESULT))
    assert len(bench.discord.shown()) == 2


async def test_an_edit_of_a_message_that_is_gone_is_sent_anew_or_dropped(bench: Bench) -> None:
    receipt = await bench.sender.send(outbound())
    bench.discord.messages[HALL].clear()
    progress = outbound(kind=OutboundKind.PROGRESS, edits=receipt, revision=1)
    assert await bench.sender.send(progress) == receipt
    assert bench.discord.shown() == []
    await bench.sender.send(outbound(kind=OutboundKind.RESULT, edits=receipt, revision=1))
    assert len(bench.discord.shown()) == 1


async def test_small_files_are_attached_and_large_ones_linked(bench: Bench) -> None:
    small = await bench.blobs.put(b"small", "text/plain")
    large = await bench.blobs.put(b"x" * (send_module.MOST_BYTES + 1), "image/png")
    card = Card.of(
        "Files",
        File(blob=small, name="a list.csv", content_type="text/csv", size=5),
        Image(blob=large, alt="A map", name="map.png"),
        File(blob="0" * 64, name="old.txt", content_type="text/plain"),
    )
    await bench.sender.send(outbound(card))
    [shown] = bench.discord.shown()
    assert [each["filename"] for each in shown["attachments"]] == ["a_list.csv"]
    assert f"https://files.example/{large[:12]}/map.png" in text_of(shown)
    assert "it is kept no longer" in text_of(shown)


async def test_more_than_five_choices_are_a_menu_of_tokens(bench: Bench) -> None:
    buttons = tuple(Button(label=f"Choice {n}", token=f"token-{n:015}") for n in range(7))
    await bench.sender.send(outbound(Card.of("Choose", Buttons(buttons=buttons))))
    [row] = bench.discord.shown()[0]["components"]
    assert [each["value"] for each in row["components"][0]["options"]] == [each.token for each in buttons]


async def test_the_time_on_a_message_is_when_it_was_made(bench: Bench) -> None:
    await bench.sender.send(outbound())
    made = datetime.fromisoformat(bench.discord.shown()[0]["embeds"][-1]["timestamp"])
    assert abs(datetime.now(UTC) - made) < timedelta(seconds=5)
