"""The part of the transport contract about native commands, forms and completion, where a platform has them."""

from __future__ import annotations

import pytest

from vtoc_bots.core.cards import Button, Buttons, Card
from vtoc_bots.core.forms import Form, FormField
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.messages import MessageKind
from vtoc_bots.core.transports import Invalid, OpenForm
from vtoc_bots.testing.platform import ShownForm
from vtoc_bots.testing.receiving import needs
from vtoc_bots.testing.stage import Stage, values_of

FORM = Form(
    token="formtoken000000000000000000000001"[:32],
    title="/track watch",
    fields=(
        FormField("target", "Target", help="which track"),
        FormField("priority", "Priority", choices=(("low", "Low"), ("high", "High")), required=False),
        FormField("note", "Note", required=False, long=True, default="none"),
    ),
)


async def _opened(stage: Stage) -> ShownForm:
    """The form that a native command opens."""
    if not stage.transport.caps.forms:
        pytest.skip("it opens no forms")
    stage.inbox.answers.append(OpenForm(FORM, new_id()))
    await stage.heard(await stage.platform.gives(stage.who, "track watch", {}))
    await stage.until(lambda: stage.platform.forms, "no form was opened")
    return stage.platform.forms[-1]


class NativeContract:
    """Tests of a platform's own commands and forms; see TransportContract."""

    pytestmark = pytest.mark.asyncio

    async def test_a_native_command_comes_with_its_name_and_its_values(self, stage: Stage) -> None:
        """By parameter, or as the rest of the line where the platform has no parameters."""
        needs(stage, "gives", "there are no native commands")
        event = await stage.platform.gives(stage.who, "track watch", {"target": "A1B2C3"})
        message = await stage.heard(event)
        if message.kind is MessageKind.TEXT:  # a platform whose commands are texts with a slash
            assert message.text.startswith("/track watch")
        else:
            assert message.kind is MessageKind.COMMAND
            assert f"{message.command} {message.text}".startswith("track watch")
        assert values_of(message).get("target") == "A1B2C3" or "A1B2C3" in message.text
        assert message.sender.user_id == stage.who.user_id

    async def test_a_form_is_opened_with_every_field(self, stage: Stage) -> None:
        """Only with `caps.forms`."""
        form = await _opened(stage)
        assert set(form.labels) == {"target", "priority", "note"}
        assert form.who.user_id == stage.who.user_id

    async def test_a_button_opens_a_form_too(self, stage: Stage) -> None:
        """Only with `caps.forms` and `caps.buttons`."""
        if not (stage.transport.caps.forms and stage.transport.caps.buttons):
            pytest.skip("it opens no forms for buttons")
        message = await stage.said("/track watch")
        card = Card.of("Missing", Buttons(buttons=(Button(label="Fill in", token="tokenAAAAAAAAAAAAAAA0"),)))
        _, shown = await stage.send(message, card)
        stage.inbox.answers.append(OpenForm(FORM, new_id()))
        there = next(each for each in shown if each.buttons)
        await stage.heard(await stage.platform.presses(stage.who, there, there.buttons[0].label))
        await stage.until(lambda: stage.platform.forms, "no form was opened")

    async def test_a_form_that_is_sent_comes_with_its_token_and_its_values(self, stage: Stage) -> None:
        """By field, with the token that names the command it completes."""
        form = await _opened(stage)
        message = await stage.heard(await stage.platform.submits(form, {"target": "A1B2C3", "note": "two\nlines"}))
        assert message.kind is MessageKind.FORM
        assert message.token == FORM.token
        values = values_of(message)
        assert (values["target"], values["note"]) == ("A1B2C3", "two\nlines")
        assert message.sender.user_id == stage.who.user_id
        assert message.conversation == stage.inbox.messages[-2].conversation

    async def test_what_is_wrong_in_a_form_is_shown_in_it(self, stage: Stage) -> None:
        """Only with `caps.form_errors`."""
        if not stage.transport.caps.form_errors:
            pytest.skip("its forms show no errors")
        form = await _opened(stage)
        stage.inbox.answers.append(Invalid({"target": "there is no track A1"}))
        await stage.platform.submits(form, {"target": "A1"})
        await stage.until(lambda: stage.platform.forms and stage.platform.forms[-1].errors, "no error was shown")
        assert "there is no track A1" in stage.platform.forms[-1].errors["target"]

    async def test_core_is_told_when_a_form_could_not_be_opened(self, stage: Stage) -> None:
        """So that what is missing is asked for in a card."""
        if not stage.transport.caps.forms:
            pytest.skip("it opens no forms")
        stage.platform.fails_to_open()
        stage.inbox.answers.append(OpenForm(FORM, new_id()))
        event = await stage.platform.gives(stage.who, "track watch", {})
        message = await stage.heard(event)
        await stage.until(lambda: stage.inbox.unopened_forms, "nothing was said about the form")
        assert stage.inbox.unopened_forms[0].event_id == message.event_id

    async def test_what_is_being_typed_is_completed(self, stage: Stage) -> None:
        """Only where the platform asks: values come back, and nothing is stored."""
        needs(stage, "completes", "nothing is completed here")
        stage.inbox.offers = (("A1B2C3", "A1B2C3 – north"), ("A1FFFF", "A1FFFF – south"))
        offered = await stage.platform.completes(stage.who, "track watch", "target", "A1")
        assert list(offered) == ["A1B2C3", "A1FFFF"]
        assert stage.inbox.messages == []
        asked = stage.inbox.handed[-1]
        assert (asked.kind, asked.command) == (MessageKind.CHOICES, "track watch")
        if asked.focused is not None:
            assert (asked.focused, asked.arguments["target"]) == ("target", "A1")

    async def test_a_question_is_answered_by_the_next_message(self, stage: Stage) -> None:
        """Only with `caps.dialog`: a card that asks is shown, and what is said next comes as it is."""
        if not stage.transport.caps.dialog:
            pytest.skip("it has no dialogs")
        message = await stage.said("/track watch")
        await stage.send(message, Card.of("/track watch", "**Target**", asks=True))
        said = await stage.said("A1B2C3")
        assert said.text == "A1B2C3"
        assert said.conversation == message.conversation
