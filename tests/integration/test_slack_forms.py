"""Slack's modals, menus, pages, shortcuts and App Home with the whole runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests import slack_payloads as payloads
from tests.slack_kit import ADA, BOB, EVE, HALL, SlackCentre, element_of, open_slack, words
from tests.slack_server import BOT_ID
from vtoc_bots.core.store.urls import DatabaseUrls

PLAYBOOKS = {
    "needs": (
        "inputs: {what: {type: string, required: true}, many: {type: int, required: true}}\n"
        'steps:\n  - {id: one, uses: centre.count, with: {what: "${{ inputs.what }}"}}\n'
    ),
    "guarded": (
        "approval: {quorum: 1, level: lead, exclude_requester: true, expires: 4h}\n"
        "steps:\n  - {id: one, uses: centre.count, with: {what: salt}}\n"
    ),
}


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[SlackCentre]:
    async with open_slack(database_urls, tmp_path, PLAYBOOKS) as opened:
        yield opened


async def test_what_a_command_lacks_is_asked_for_in_a_modal_and_a_wrong_value_is_shown_in_it(
    centre: SlackCentre,
) -> None:
    await centre.command(ADA, "playbook needs")
    view = centre.slack.views[-1]
    assert [block["block_id"] for block in view["blocks"]] == ["what", "many"]
    wrong = await centre.fill_in(ADA, {"what": "salt", "many": "several"})
    assert wrong["response_action"] == "errors"
    assert set(wrong["errors"]) == {"many"}
    assert await centre.fill_in(ADA, {"what": "salt", "many": "3"}) == ""
    await centre.shown("needs")
    await centre.settled()
    assert centre.centre.plugin.calls == ["one:salt"]


async def test_a_form_sent_twice_is_one_run(centre: SlackCentre) -> None:
    await centre.command(ADA, "playbook needs")
    view = centre.slack.views[-1]
    for _ in range(2):
        await centre.fill_in(ADA, {"what": "salt", "many": "3"}, view)
    await centre.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'succeeded'", 1)
    await centre.settled()
    assert centre.centre.plugin.calls == ["one:salt"]


async def test_a_form_that_slack_does_not_open_is_asked_for_by_a_card_with_a_button(centre: SlackCentre) -> None:
    manners = {"views.open": "expired_trigger_id"}
    centre.slack.manners = lambda method, arguments: manners.get(method)
    await centre.command(ADA, "playbook needs")
    asked = await centre.shown("Fill in")
    manners.clear()
    await centre.press(ADA, "Fill in", asked)
    assert [block["block_id"] for block in centre.slack.views[-1]["blocks"]] == ["what", "many"]


async def test_a_mention_that_lacks_values_gets_a_button_that_opens_the_modal_and_the_answer_its_thread(
    centre: SlackCentre,
) -> None:
    event = await centre.mention(ADA, "playbook needs")
    await centre.press(ADA, "Fill in", await centre.shown("Fill in"))
    await centre.fill_in(ADA, {"what": "salt", "many": "3"})
    await centre.settled()
    assert all(message["thread_ts"] == event["ts"] for message in centre.slack.shown(HALL))
    assert len(centre.slack.shown(HALL)) >= 2


async def test_a_form_of_somebody_else_is_not_taken(centre: SlackCentre) -> None:
    await centre.command(ADA, "playbook needs")
    await centre.fill_in(BOB, {"what": "salt", "many": "3"})
    await centre.shown("too old")
    assert centre.centre.plugin.calls == []


async def test_a_page_replaces_the_one_before(centre: SlackCentre) -> None:
    await centre.command(ADA, "leaf")
    first = await centre.shown("Page 1")
    await centre.press(ADA, "Next", first)
    second = await centre.shown("Page 2")
    assert second["ts"] == first["ts"]
    assert len(centre.slack.shown(HALL)) == 1


async def test_a_private_page_replaces_the_one_before_by_the_address_of_the_press(centre: SlackCentre) -> None:
    await centre.command(ADA, "secret")
    await centre.press(ADA, "Next", await centre.whispered("Secret 1"))
    replaced = await centre.found(lambda: centre.slack.responses, "Secret 2")
    assert replaced["replace_original"] is True
    assert centre.slack.shown(HALL) == []
    assert len(centre.slack.ephemerals) == 1


async def test_more_than_five_choices_are_a_menu(centre: SlackCentre) -> None:
    await centre.command(ADA, "menu")
    shown = await centre.shown("Choose")
    assert element_of(shown["blocks"], "No. 6")[1]["type"] == "static_select"
    await centre.press(ADA, "No. 6", shown)
    await centre.shown("You chose 6")


async def test_an_old_button_says_so(centre: SlackCentre) -> None:
    await centre.command(ADA, "leaf")
    shown = await centre.shown("Page 1")
    await centre.runtime.store.execute("DELETE FROM vtoc_engine.buttons")
    await centre.press(ADA, "Next", shown)
    await centre.shown("too old")


async def test_the_home_shows_my_runs_and_approvals_and_a_button_there_decides(centre: SlackCentre) -> None:
    await centre.command(ADA, "playbook guarded")
    await centre.centre.wait_for("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'", 1)
    direct = centre.slack.direct(BOB).id
    await centre.deliver(payloads.callback(centre.slack, payloads.home_opened(BOB, direct, centre.slack.ts())))
    home = await centre.home("guarded", BOB)
    label = next(text for text in words(home).splitlines() if text.startswith("Approve "))
    block, element, value = element_of(home["blocks"], label)
    await centre.deliver(payloads.pressed_at_home(centre.slack, BOB, home, element, block["block_id"], value))
    await centre.home("approved", BOB)
    await centre.centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'succeeded'", 1)
    await centre.deliver(payloads.callback(centre.slack, payloads.home_opened(ADA, direct, centre.slack.ts())))
    assert "succeeded" in words(await centre.home("My runs", ADA))


async def test_the_messages_tab_is_no_home(centre: SlackCentre) -> None:
    opened = payloads.home_opened(ADA, centre.slack.direct(ADA).id, centre.slack.ts(), tab="messages")
    assert await centre.deliver(payloads.callback(centre.slack, opened)) == (200, "")
    await centre.settled()
    assert centre.slack.homes == {}


async def test_a_strangers_home_says_how_to_be_let_in(centre: SlackCentre) -> None:
    opened = payloads.home_opened(EVE, centre.slack.direct(EVE).id, centre.slack.ts())
    await centre.deliver(payloads.callback(centre.slack, opened))
    await centre.home("I do not know you yet", EVE)


async def test_a_global_shortcut_opens_the_form_and_answers_in_direct_messages(centre: SlackCentre) -> None:
    await centre.deliver(payloads.shortcut(centre.slack, ADA, "vtoc_playbook"))
    options = element_of_input(centre.slack.views[-1]["blocks"][0])
    assert "guarded" in options
    await centre.deliver(payloads.shortcut(centre.slack, ADA, "vtoc_status"))
    await centre.shown("Status", centre.slack.direct(ADA).id)


def element_of_input(block: dict[str, object]) -> list[str]:
    element = block["element"]
    assert isinstance(element, dict)
    return [option["value"] for option in element["options"]]


async def test_a_messages_shortcut_runs_the_message_as_a_command_in_its_thread(centre: SlackCentre) -> None:
    said = await centre.say(BOB, "whoami")
    await centre.deliver(payloads.message_shortcut(centre.slack, ADA, "vtoc_run_message", said, HALL))
    shown = await centre.shown("Who you are")
    assert shown["thread_ts"] == said["ts"]
    assert ADA in words(shown)


async def test_the_other_slash_commands_are_what_they_say(centre: SlackCentre) -> None:
    await centre.command(ADA, "", command="/vtoc-status")
    await centre.shown("Status")
    await centre.command(ADA, "playbook", command="/vtoc-help")
    await centre.shown("/playbook")
    await centre.command(ADA, "")
    await centre.shown("/whoami")


async def test_a_command_in_a_channel_without_the_app_is_answered_all_the_same(centre: SlackCentre) -> None:
    centre.slack.channel("C0FAR00001", "far", ADA, bot=False)
    await centre.command(ADA, "whoami", "C0FAR00001")
    answered = await centre.found(lambda: centre.slack.responses, "Who you are")
    assert answered["response_type"] == "in_channel"
    await centre.command(ADA, "secret", "C0FAR00001")
    answered = await centre.found(lambda: centre.slack.responses, "Secret 1")
    assert answered["response_type"] == "ephemeral"
    assert not any(message.get("bot_id") == BOT_ID for message in centre.slack.channels["C0FAR00001"].messages)


async def test_a_private_answer_goes_to_the_direct_messages_of_who_is_not_in_the_channel(centre: SlackCentre) -> None:
    centre.slack.channels[HALL].members.discard(ADA)
    await centre.mention(ADA, "secret")
    await centre.shown("Secret 1", centre.slack.direct(ADA).id)
