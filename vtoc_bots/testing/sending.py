"""The part of the transport contract about what is shown: whole, within the platform's limits, to whom it concerns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vtoc_bots.core.cards import (
    Button,
    Buttons,
    Card,
    Divider,
    Fields,
    File,
    Image,
    Plan,
    PlanStep,
    Progress,
    Severity,
    Table,
    Text,
)
from vtoc_bots.core.errors import Unknown
from vtoc_bots.core.messages import MessageKind, Outbound, OutboundKind, Receipt
from vtoc_bots.core.transports import LooksUpReceipts
from vtoc_bots.testing.loop_watch import package_of, unblocked
from vtoc_bots.testing.platform import Fault
from vtoc_bots.testing.stage import Stage, answer, in_order, missing, text_of

TOKEN = "tokenAAAAAAAAAAAAAAA0"
NASTY = (
    "alfa **bold _both bravo* `code ~~gone charlie `` [link](no where delta <b>not html</b> & &amp; echo\n"
    "\n```\nfence never closed <script> foxtrot\n\n> quote *in > quote golf\n\n| a | b\nhotel \\ _ * ` |"
    " @everyone <@1> #x"
)
NASTY_WORDS = ("alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def everything() -> Card:
    """A card with each kind of block that is text in the end."""
    return Card.of(
        "Titleword",
        Text(text="A **boldword** and a `codeword`.\n\n- firstword\n- secondword"),
        Fields.of(fieldname="fieldvalue", another_name="othervalue"),
        Divider(),
        Plan(steps=(PlanStep(title="stepdone", state="done"), PlanStep(title="steplater", detail="stepdetail"))),
        Progress(text="progressword", done=3, total=7),
        footer="footerword",
    )


WORDS = (
    *("Titleword", "boldword", "codeword", "firstword", "secondword", "fieldname", "fieldvalue", "othervalue"),
    *("stepdone", "steplater", "stepdetail", "progressword", "footerword"),
)


def buttons(count: int) -> Buttons:
    """So many buttons, each with a token of its own."""
    return Buttons(buttons=tuple(Button(label=f"Choice {n}", token=f"{TOKEN[:-2]}{n:02}") for n in range(count)))


class SendingContract:
    """Tests of what a transport shows; see TransportContract."""

    pytestmark = pytest.mark.asyncio

    async def test_a_card_is_shown_where_the_message_came_from_and_has_a_receipt(self, stage: Stage) -> None:
        """The receipt proves it: a reference, and an aware time."""
        room = stage.platform.rooms[-1]
        receipt, shown = await stage.send(await stage.said("/help", room=room), Card.of("Title", "body", footer="X1"))
        assert receipt.ref
        assert receipt.sent_at.tzinfo is not None
        assert {each.room for each in shown} == {room}
        assert missing(("Title", "body", "X1"), text_of(shown)) == []

    async def test_every_kind_of_block_is_shown_with_every_word(self, stage: Stage) -> None:
        """Whatever a platform's markup is, no word is lost, and the order stays."""
        _, shown = await stage.send(await stage.said("/help"), everything())
        text = text_of(shown)
        assert missing(WORDS, text) == []
        assert in_order(("Titleword", "boldword", "fieldvalue", "stepdone", "progressword", "footerword"), text)

    async def test_a_table_is_shown_with_every_cell_or_as_a_picture(self, stage: Stage) -> None:
        """Also a long one."""
        rows = tuple((f"name{n:03}", f"place{n:03}", str(1000 + n)) for n in range(120))
        table = Table(columns=("name", "place", "height"), rows=rows, numeric=(2,))
        _, shown = await stage.send(await stage.said("/help"), Card.of("Long", table))
        if any(name.endswith((".png", ".jpg")) for each in shown for name in each.files):
            return
        assert missing([cell for row in rows for cell in row], text_of(shown)) == []

    async def test_text_that_is_no_markup_is_taken_as_it_is(self, stage: Stage) -> None:
        """Stars, brackets and fences that close nowhere: the platform takes it, and every word is there."""
        _, shown = await stage.send(await stage.said("/help"), Card.of(f"T {NASTY_WORDS[0]} <*_`", NASTY, NASTY))
        assert missing(NASTY_WORDS, text_of(shown)) == []

    @pytest.mark.parametrize("letters", ["x", "🛰", "é"])
    async def test_a_long_text_stays_within_the_limit_and_loses_nothing(self, stage: Stage, letters: str) -> None:
        """It is measured after rendering and split between blocks and words."""
        words = [f"w{n:04}{letters}" for n in range(1500)]
        blocks = [Text(text=" ".join(words[at : at + 300])) for at in range(0, 1500, 300)]
        _, shown = await stage.send(await stage.said("/help"), Card.of("Long", *blocks, footer="the end"))
        limit = stage.platform.longest_text
        assert limit is None or max(len(each.text) for each in shown) <= limit
        text = text_of(shown)
        assert missing(words, text) == []
        assert in_order(words, text)

    async def test_a_long_card_does_not_hold_up_the_loop(self, stage: Stage) -> None:
        """Rendering it gives way, or is quick."""
        message = await stage.said("/help")
        rows = tuple((f"name{n}", f"**place** {n}", "x" * 40) for n in range(1000))
        card = Card.of("Long", NASTY * 50, Table(columns=("name", "place", "rest"), rows=rows), NASTY * 50)
        async with unblocked(package_of(type(stage.transport).__module__)):
            await stage.send(message, card)

    async def test_severity_and_exercise_are_told_in_words_or_shapes(self, stage: Stage) -> None:
        """Colour is never the only signal."""
        message = await stage.said("/help")
        _, plain = await stage.send(message, Card.of("Same", "words"))
        _, bad = await stage.send(message, Card.of("Same", "words", severity=Severity.BAD))
        _, drill = await stage.send(message, Card.of("Same", "words", exercise=True))
        assert text_of(plain) != text_of(bad)
        assert "exercise" in text_of(drill).lower()

    async def test_a_picture_has_its_words_and_a_file_its_bytes(self, stage: Stage) -> None:
        """Only with `caps.files`."""
        if not stage.transport.caps.files:
            pytest.skip("it shows no files")
        picture = await stage.opened.blobs.put(PNG, "image/png")
        log = await stage.opened.blobs.put(b"one line\n", "text/plain")
        card = Card.of(
            "Map",
            Image(blob=picture, alt="three aircraft north of the field", name="map.png", size=len(PNG)),
            File(blob=log, name="log.txt", content_type="text/plain", size=9),
        )
        _, shown = await stage.send(await stage.said("/map"), card)
        contents = [data for each in shown for data in each.files.values()]
        assert PNG in contents
        assert b"one line\n" in contents
        if stage.platform.shows_alt:
            assert "three aircraft" in text_of(shown)

    async def test_the_same_send_marked_as_a_repeat_says_so(self, stage: Stage) -> None:
        """Where core could not find out whether a reply was shown, the person is told."""
        _, shown = await stage.send(await stage.said("/help"), Card.of("Told", "twice"), may_be_repeat=True)
        assert "repeat" in text_of(shown).lower()

    async def test_an_edit_replaces_what_was_shown(self, stage: Stage) -> None:
        """Only with `caps.edit`: nothing new appears, nothing old stays, however long the new text is."""
        if not stage.transport.caps.edit:
            pytest.skip("it can not edit")
        message = await stage.said("/run")
        first = answer(message, Card.of("Working", "oldword", buttons(2)), kind=OutboundKind.APPROVAL)
        receipt = await stage.delivered(first)
        count = len(stage.platform.shown)
        receipt = await stage.delivered(_revised(first, 1, Card.of("Done", "newword"), receipt))
        assert len(stage.platform.shown) == count
        text = text_of(stage.platform.shown)
        assert "newword" in text
        assert "oldword" not in text
        assert not any(each.buttons for each in stage.platform.shown), "its buttons stayed"
        words = [f"v{n:04}" for n in range(1200)]
        receipt = await stage.delivered(_revised(first, 2, Card.of("Long", " ".join(words)), receipt))
        await stage.delivered(_revised(first, 3, Card.of("Short", "lastword"), receipt))
        text = text_of(stage.platform.shown)
        assert "lastword" in text
        assert len(missing(words, text)) == len(words), "parts of the longer revision stayed"

    async def test_what_is_private_is_seen_by_that_person_alone(self, stage: Stage) -> None:
        """Only with `caps.private`."""
        if not stage.transport.caps.private:
            pytest.skip("it can not show anything privately")
        message = await stage.said("/whoami")
        _, shown = await stage.send(message, Card.of("Secret", "for you", private=True))
        assert "for you" in text_of(shown)
        assert {each.only_for for each in shown} == {message.sender.user_id}

    async def test_buttons_carry_their_tokens_and_nothing_else(self, stage: Stage) -> None:
        """Only with `caps.buttons`: all are shown, with no more than a token in each, at most 64 bytes."""
        if not stage.transport.caps.buttons:
            pytest.skip("it has no buttons")
        row = buttons(12)
        _, shown = await stage.send(await stage.said("/menu"), Card.of("Choose", row))
        found = [button for each in shown for button in each.buttons]
        for wanted in row.buttons:
            assert wanted.token is not None
            (kept,) = [button for button in found if wanted.token in button.value]
            assert wanted.label in kept.label
            assert len(kept.value.encode()) <= 64

    async def test_a_pressed_button_gives_its_token(self, stage: Stage) -> None:
        """With who pressed it, in the conversation that it stands in."""
        if not stage.transport.caps.buttons:
            pytest.skip("it has no buttons")
        message = await stage.said("/menu")
        _, shown = await stage.send(message, Card.of("Choose", buttons(3)), kind=OutboundKind.APPROVAL)
        there = next(each for each in shown if each.buttons)
        label = there.buttons[1].label
        pressed = await stage.heard(await stage.platform.presses(stage.platform.people[-1], there, label))
        assert pressed.kind is MessageKind.BUTTON
        assert pressed.token == f"{TOKEN[:-2]}01"
        assert pressed.sender.user_id == stage.platform.people[-1].user_id
        assert pressed.conversation == message.conversation

    async def test_what_was_sent_can_be_looked_up(self, stage: Stage) -> None:
        """Only of transports that promise it: what is there is found by its outbound, and nothing else is."""
        transport = stage.transport
        if not isinstance(transport, LooksUpReceipts):
            pytest.skip("it looks nothing up")
        assert transport.caps.looks_up_receipts
        message = await stage.said("/help")
        sent, never = answer(message, Card.of("Sent", "once")), answer(message, Card.of("Never", "sent"))
        receipt = await stage.delivered(sent)
        found = await transport.look_up(sent)
        assert found is not None
        assert found.ref == receipt.ref
        assert await transport.look_up(never) is None

    async def test_what_was_shown_before_the_connection_died_is_found(self, stage: Stage) -> None:
        """Only of transports that look up, on platforms whose connections can die."""
        transport = stage.transport
        if not isinstance(transport, LooksUpReceipts) or Fault.DROPPED in stage.platform.cannot:
            pytest.skip("nothing to look up")
        outbound = answer(await stage.said("/help"), Card.of("Shown", "and dropped"))
        stage.platform.fails(Fault.DROPPED)
        with pytest.raises(Unknown):
            await transport.send(outbound)
        assert await transport.look_up(outbound) is not None


def _revised(outbound: Outbound, revision: int, card: Card, edits: Receipt) -> Outbound:
    return replace(outbound, revision=revision, card=card, edits=edits)
