"""What a command lacks is asked for, by forms, dialogs or cards; pages replace themselves; events have commands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.centre_kit import Centre, open_centre
from vtoc_bots import (
    Accepted,
    Button,
    Buttons,
    Caps,
    Card,
    Choices,
    CommandSpec,
    Context,
    Invalid,
    Level,
    MessageKind,
    OpenForm,
    OutboundKind,
    Refused,
    command,
    hookimpl,
)
from vtoc_bots.core.store.urls import DatabaseUrls

PLAYBOOKS = {
    "counting": (
        "inputs: {what: {type: string, required: true}, more: {type: int, default: 2}}\n"
        "steps:\n  - {id: one, uses: centre.count, with: {what: '${{ inputs.what }}'}}\n"
    )
}
FORMS = Caps(edit=True, buttons=True, forms=True, form_errors=True)
MODALS = Caps(edit=True, buttons=True, forms=True)
DIALOG = Caps(edit=True, buttons=True, dialog=True)
Opens = Callable[..., AbstractAsyncContextManager[Centre]]


@pytest.fixture
def opens(database_urls: DatabaseUrls, tmp_path: Path) -> Opens:
    @asynccontextmanager
    async def opened(caps: Caps, environ: dict[str, str] | None = None) -> AsyncIterator[Centre]:
        async with open_centre(database_urls, tmp_path, PLAYBOOKS, environ, caps) as centre:
            await centre.person("ada")
            yield centre

    return opened


def native(**arguments: Any) -> dict[str, Any]:
    return {"kind": MessageKind.COMMAND, "command": "count", "arguments": arguments}


def words(card: Any) -> str:
    return str(card.model_dump(mode="json"))


async def form_of(centre: Centre, **message: Any) -> OpenForm:
    opened = await centre.send("ada", "", **message)
    assert isinstance(opened, OpenForm)
    return opened


async def test_a_native_command_with_all_its_values_is_called(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        card = await centre.answer(await centre.say("ada", "", **native(number=4, unit="nm")))
        assert card.title == "4 nm"


async def test_a_native_command_that_lacks_a_value_opens_a_form_and_the_form_completes_it(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        opened = await form_of(centre, **native(unit="nm"))
        assert [field.name for field in opened.form.fields] == ["number"]
        filled = await centre.say("ada", "", kind=MessageKind.FORM, token=opened.form.token, arguments={"number": "7"})
        assert (await centre.answer(filled)).title == "7 nm"
        assert centre.plugin.calls == ["count 7 nm"]
        replies = [outbound.message_id for outbound in centre.transport.sends]
        assert opened.message_id not in replies  # the open form is the answer


async def test_a_forms_own_errors_are_shown_in_it_and_store_nothing(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        opened = await form_of(centre, **native())
        wrong = await centre.send("ada", "", kind=MessageKind.FORM, token=opened.form.token, arguments={"number": "0"})
        assert isinstance(wrong, Invalid)
        assert "at least 1" in wrong.errors["number"]
        assert (await centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox WHERE body ->> 'kind' = 'form'"))[
            "n"
        ] == 0


async def test_where_a_form_can_not_show_errors_a_card_does_and_offers_the_form_again(opens: Opens) -> None:
    async with opens(MODALS) as centre:
        card = await centre.ask("ada", "/count")
        assert "number" in words(card)
        pressed = await form_of(centre, kind=MessageKind.BUTTON, token=centre.token("Fill in"))
        wrong = await centre.say("ada", "", kind=MessageKind.FORM, token=pressed.form.token, arguments={"number": "x"})
        assert "not right" in (await centre.answer(wrong)).title
        again = await form_of(centre, kind=MessageKind.BUTTON, token=centre.token("Fill in again"))
        right = await centre.say("ada", "", kind=MessageKind.FORM, token=again.form.token, arguments={"number": "2"})
        assert (await centre.answer(right)).title == "2 km"


async def test_a_form_that_could_not_be_opened_is_asked_for_by_a_card(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        message = centre.message("ada", "", **native())
        assert centre.transport.inbox is not None
        assert isinstance(await centre.transport.inbox.accept(message), OpenForm)
        unopened = await centre.transport.inbox.unopened(message)
        assert "needs number" in words(await centre.answer(unopened.message_id))
        assert (await centre.transport.inbox.unopened(message)).duplicate


async def test_a_form_is_only_for_who_opened_it(opens: Opens) -> None:
    async with opens(MODALS) as centre:
        await centre.person("bob")
        opened = await form_of(centre, **native())
        other = await centre.say("bob", "", kind=MessageKind.FORM, token=opened.form.token, arguments={"number": "2"})
        assert "too old" in words(await centre.answer(other))
        assert centre.plugin.calls == []


async def test_strangers_and_the_unentitled_get_no_form(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        stranger = await centre.send("mallory", "", **native())
        assert isinstance(stranger, Accepted)
        assert "do not know you" in words(await centre.answer(stranger.message_id))


async def test_a_playbooks_missing_inputs_are_asked_for_too(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        message = {"kind": MessageKind.COMMAND, "command": "playbook", "arguments": {"id": "counting"}}
        opened = await form_of(centre, **message)
        assert [field.name for field in opened.form.fields] == ["what"]
        filled = await centre.say("ada", "", kind=MessageKind.FORM, token=opened.form.token, arguments={"what": "salt"})
        assert (await centre.answer(filled)).title == "counting"
        assert centre.plugin.calls == ["one:salt"]


async def test_the_form_for_a_playbook_offers_the_playbooks(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        opened = await form_of(centre, kind=MessageKind.COMMAND, command="playbook")
        assert "counting" in [value for value, _ in opened.form.fields[0].choices]


async def test_a_dialog_asks_for_one_value_after_the_other_and_takes_plain_answers(opens: Opens) -> None:
    async with opens(DIALOG) as centre:
        question = await centre.ask("ada", "/count --unit nm")
        assert question.asks
        assert "Number" in words(question)
        wrong = await centre.ask("ada", "many")
        assert wrong.asks
        assert "many" in words(wrong)
        assert (await centre.ask("ada", "6")).title == "6 nm"
        assert centre.plugin.calls == ["count 6 nm"]


async def test_a_dialog_is_its_askers_alone_and_a_command_ends_it(opens: Opens) -> None:
    async with opens(DIALOG) as centre:
        await centre.person("bob")
        await centre.ask("ada", "/count")
        await centre.say("bob", "6")
        assert (await centre.ask("ada", "/whoami")).title != "6 km"
        said = await centre.say("ada", "6")
        await centre.ask("ada", "/whoami")  # handled after it, and nothing was said to it
        assert said not in [outbound.message_id for outbound in centre.transport.sends]
        assert centre.plugin.calls == []


async def test_a_dialog_can_be_cancelled_by_its_button(opens: Opens) -> None:
    async with opens(DIALOG) as centre:
        await centre.ask("ada", "/count")
        assert "Cancelled" in words(await centre.answer(await centre.press("ada", "Cancel")))
        assert (await centre.row("SELECT count(*) AS n FROM vtoc_engine.dialogs WHERE expires_at > now()"))["n"] == 0


async def test_a_button_answers_no_other_question_than_its_own(opens: Opens) -> None:
    async with opens(DIALOG) as centre:
        await centre.person("bob")
        await centre.ask("ada", "/count")
        older = centre.token("Cancel")
        await centre.ask("ada", "many")  # and is asked again
        await centre.ask("bob", "/count")
        for token in (older, centre.token("Cancel")):
            pressed = await centre.say("ada", "", kind=MessageKind.BUTTON, token=token)
            assert "another question" in words(await centre.answer(pressed))
        assert (await centre.ask("ada", "6")).title == "6 km"
        assert (await centre.ask("bob", "7")).title == "7 km"


async def test_a_dialog_asks_for_a_playbooks_inputs(opens: Opens) -> None:
    async with opens(DIALOG) as centre:
        assert (await centre.ask("ada", "/playbook counting")).asks
        assert (await centre.ask("ada", "rope")).title == "counting"
        assert centre.plugin.calls == ["one:rope"]


async def test_autocomplete_offers_the_values_of_the_parameter_being_typed(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        typing = {"kind": MessageKind.CHOICES, "command": "count", "arguments": {"unit": "n"}, "focused": "unit"}
        offered = await centre.send("ada", "", **typing)
        assert isinstance(offered, Choices)
        assert [value for value, _ in offered.choices] == ["nm"]
        assert (await centre.send("mallory", "", **typing)) == Choices(())


async def test_a_page_replaces_the_card_whose_button_was_pressed(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        first = await centre.say("ada", "/count 1")
        await centre.answer(first)
        pressed = await centre.say(
            "ada", "", kind=MessageKind.BUTTON, token=centre.token("Next"), reply_context={"press": "1"}
        )
        await centre.wait_for("SELECT count(*) FROM vtoc_engine.outbox WHERE revision = 1 AND state = 'sent'", 1)
        shown = centre.transport.latest[f"message:{first}:reply"]
        assert shown.card.title == "2 km"
        assert shown.kind is OutboundKind.PAGE
        assert shown.edits is not None
        assert shown.reply_context == {"press": "1"}
        assert f"message:{pressed}:reply" not in centre.transport.latest


async def test_a_page_that_the_platform_refused_is_said_to_be_and_can_be_turned_again(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        first = await centre.say("ada", "/count 1")
        await centre.answer(first)
        centre.transport.fails = lambda outbound: Refused("too long") if outbound.edits is not None else None
        await centre.press("ada", "Next")
        await centre.wait_for("SELECT count(*) FROM vtoc_engine.outbox WHERE key LIKE '%:plain' AND state = 'sent'", 1)
        centre.transport.fails = lambda outbound: None
        await centre.press("ada", "Next")
        await centre.wait_for("SELECT count(*) FROM vtoc_engine.outbox WHERE revision = 2 AND state = 'sent'", 1)
        assert centre.transport.latest[f"message:{first}:reply"].card.title == "2 km"


async def test_where_nothing_can_be_edited_the_next_page_comes_after_the_first(opens: Opens) -> None:
    async with opens(Caps(buttons=True)) as centre:
        await centre.ask("ada", "/count 1")
        await centre.press("ada", "Next")
        await centre.wait_for("SELECT count(*) FROM vtoc_engine.outbox WHERE revision = 1 AND state = 'sent'", 1)
        assert [outbound.card.title for outbound in centre.transport.sends] == ["1 km", "2 km"]
        assert centre.transport.sends[-1].edits is None


async def test_an_event_reaches_the_command_declared_for_it_and_nobody_can_call_that(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        event = await centre.say(
            "mallory", "", kind=MessageKind.EVENT, command="room event", arguments={"what": "a bell"}
        )
        assert (await centre.answer(event)).title == "Noticed"
        assert centre.plugin.calls == ["event a bell"]
        called = await centre.ask("ada", "/room event what=lies")
        assert called.title != "Noticed"
        assert "room event" not in words(await centre.ask("ada", "/help"))
        assert centre.plugin.calls == ["event a bell"]


async def test_a_strangers_flood_is_dropped_and_counted_and_an_operators_is_not(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        accepted = [await centre.say("mallory", "/whoami") for _ in range(30)]
        assert len([each for each in accepted if each is not None]) == 20
        known = [await centre.say("ada", "hello") for _ in range(30)]
        assert None not in known
        assert b'vtoc_messages_total{outcome="dropped",transport="room"} 10.0' in centre.runtime.metrics.render()


async def test_only_accounts_on_the_allow_list_are_operators(opens: Opens) -> None:
    async with opens(FORMS, {"OPERATOR_ALLOWLIST": "room:bob, room::cyd"}) as centre:
        for name in ("bob", "cyd"):
            await centre.person(name, Level.OPERATOR)
            assert "do not know you" not in words(await centre.ask(name, "/whoami"))
        assert "do not know you" in words(await centre.ask("ada", "/runs"))
        assert "allow list" in words(await centre.ask("ada", "/link ABCDE-ABCDE-ABCDE"))


async def test_a_page_stays_as_it_is_when_somebody_presses_who_may_not(opens: Opens) -> None:
    async with opens(FORMS) as centre:
        first = await centre.say("ada", "/count 1")
        await centre.answer(first)
        refused = await centre.say("eve", "", kind=MessageKind.BUTTON, token=centre.token("Next"))
        assert "I do not know you" in words(await centre.answer(refused))
        assert centre.transport.latest[f"message:{first}:reply"].card.title == "1 km"


async def test_who_must_say_beforehand_how_the_answer_comes_is_told(opens: Opens) -> None:
    async with opens(Caps(edit=True, buttons=True, forms=True, private=True, defers=True)) as centre:

        async def told(who: str, text: str = "", **message: Any) -> tuple[bool, bool]:
            accepted = await centre.send(who, text, **message)
            assert isinstance(accepted, Accepted)
            return accepted.private, accepted.replaces

        assert await told("ada", **native(number=1)) == (False, False)
        assert await told("eve", **native(number=1)) == (True, False)
        assert await told("ada", **native(number="many")) == (True, False)
        await centre.answer(await centre.say("ada", "/count 1"))
        assert await told("ada", kind=MessageKind.BUTTON, token=centre.token("Next")) == (False, True)
        assert await told("ada", kind=MessageKind.BUTTON, token="x" * 21) == (True, False)
        playbook = {"kind": MessageKind.COMMAND, "command": "playbook"}
        assert await told("ada", "counting what=salt", **playbook) == (False, False)
        assert await told("ada", "counting what=salt --dry-run", **playbook) == (True, False)


async def test_a_native_command_s_wrong_form_can_be_filled_in_again(opens: Opens) -> None:
    async with opens(MODALS) as centre:
        form = (await form_of(centre, **native(unit="nm"))).form
        wrong = {"kind": MessageKind.FORM, "token": form.token, "arguments": {"number": "many"}}
        await centre.answer(await centre.say("ada", "", **wrong))
        again = await form_of(centre, kind=MessageKind.BUTTON, token=centre.token("Fill in again"))
        right = {"kind": MessageKind.FORM, "token": again.form.token, "arguments": {"number": "4"}}
        assert (await centre.answer(await centre.say("ada", "", **right))).title == "4 nm"


class Offering:
    """/offer, whose button does its work one time and needs a value first."""

    @hookimpl
    def vtoc_commands(self) -> tuple[CommandSpec, ...]:
        """/offer."""

        @command("offer")
        async def offer(ctx: Context) -> Card:
            """Offer to count."""
            return Card.of("Offer", Buttons(buttons=(Button(label="Count it", command="/count", once=True),)))

        return (offer,)


async def test_a_button_for_one_time_is_used_up_by_the_form_it_opens(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    async with open_centre(database_urls, tmp_path, PLAYBOOKS, None, FORMS, plugins={"offering": Offering()}) as centre:
        await centre.person("ada")
        await centre.ask("ada", "/offer")
        press = {"kind": MessageKind.BUTTON, "token": centre.token("Count it")}
        form = (await form_of(centre, **press)).form
        filled = {"kind": MessageKind.FORM, "token": form.token, "arguments": {"number": "4"}}
        assert (await centre.answer(await centre.say("ada", "", **filled))).title == "4 km"
        assert "confirmed already" in words(await centre.answer(await centre.say("ada", "", **press)))


async def test_a_button_for_one_time_is_used_up_by_the_questions_it_begins(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    plugins = {"offering": Offering()}
    async with open_centre(database_urls, tmp_path, PLAYBOOKS, None, DIALOG, plugins=plugins) as centre:
        for name in ("ada", "bob"):
            await centre.person(name)
        await centre.ask("ada", "/offer")
        press = {"kind": MessageKind.BUTTON, "token": centre.token("Count it")}
        for name in ("ada", "bob"):
            assert "number" in words(await centre.answer(await centre.say(name, "", **press))).casefold()
        assert "whole number" in words(await centre.ask("ada", "many"))
        assert (await centre.ask("ada", "4")).title == "4 km"
        assert "confirmed already" in words(await centre.ask("bob", "5"))
        assert "confirmed already" in words(await centre.answer(await centre.say("ada", "", **press)))
        assert centre.plugin.calls == ["count 4 km"]
