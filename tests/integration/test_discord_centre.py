"""The whole centre on Discord: asked and answered through the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.discord_kit import DiscordCentre, answer_kind, running
from tests.discord_payloads import APP, GUILD, HALL, ME, THREAD, member
from tests.discord_people import text_of, until
from tests.discord_server import FakeDiscord
from vtoc_bots import short_id
from vtoc_bots.core.access import Level
from vtoc_bots.core.store.urls import DatabaseUrls

PLAYBOOKS = {
    "counting": """private: false
inputs:
  what: {type: string, required: true, help: What is counted}
steps:
  - {id: count, uses: centre.count, with: {what: "${{ inputs.what }}"}}
reply: {card: {title: "Counted ${{ inputs.what }}"}}
""",
    "sized": """private: false
inputs:
  size: {type: int, required: true}
steps:
  - {id: one, uses: centre.count}
reply: {card: {title: "Sized ${{ inputs.size }}"}}
""",
    "guarded": """private: false
approval: {quorum: 1, level: lead, exclude_requester: true, expires: 4h, on_expiry: deny}
steps:
  - {id: one, uses: centre.count, with: {what: salt}}
reply: {card: {title: Guarded done}}
""",
    "pictured": """private: false
steps:
  - {id: wait, uses: centre.wait}
  - {id: dot, uses: kit.dot}
reply: {card: {title: Pictured, blocks: [{type: image, blob: "${{ steps.dot }}", alt: A dot, name: dot.png}]}}
""",
    "asking": """private: false
steps:
  - {id: q, wait: {message: 'How many?', for: 1h}}
  - {id: one, uses: centre.count, with: {what: "${{ steps.q.text }}"}}
reply: {card: {title: "Asked ${{ steps.q.text }}"}}
""",
    "secret": """private: true
steps:
  - {id: wait, uses: centre.wait}
reply: {card: {title: Secret told}}
""",
}


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord().open() as server:
        yield server


@pytest.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[DiscordCentre]:
    async with running(database_urls, tmp_path, discord, PLAYBOOKS) as made:
        yield made


async def test_a_slash_command_is_deferred_and_answered_in_its_place(centre: DiscordCentre) -> None:
    ada = await centre.operator("Ada")
    held = await ada.slash("whoami")
    shown = await until(lambda: held.original and "Ada" in text_of(held.original) and held.original)
    assert answer_kind(held) == (5, False)
    assert centre.discord.shown() == [shown]
    assert held.answered_after is not None
    assert held.answered_after < 3


async def test_a_missing_value_is_asked_for_by_a_form_and_the_run_s_result_takes_the_waiting_place(
    centre: DiscordCentre,
) -> None:
    ada = await centre.operator("Ada")
    asked = await ada.slash("playbook", id="counting")
    await until(lambda: asked.answer)
    assert answer_kind(asked) == (9, False)
    [label] = asked.answer["data"]["components"]
    assert (label["label"], label["description"]) == ("What", "What is counted")
    filled = await ada.fill_in(asked, what="salt")
    shown = await until(lambda: "Counted salt" in text_of(filled.original) and filled.original)
    assert answer_kind(filled) == (5, False)
    assert centre.discord.shown() == [shown]
    assert centre.plugin.calls == ["count:salt"]


async def test_wrong_values_of_a_form_are_answered_with_a_button_to_fill_it_in_again(centre: DiscordCentre) -> None:
    ada = await centre.operator("Ada")
    filled = await ada.fill_in(await ada.slash("playbook", id="sized"), size="many")
    await until(lambda: "no whole number" in text_of(filled.original))
    done = await ada.fill_in(await ada.press("Fill in again"), size="3")
    await until(lambda: "Sized 3" in text_of(done.original))


async def test_a_dry_run_is_shown_to_its_asker_alone_and_changes_nothing(centre: DiscordCentre) -> None:
    ada = await centre.operator("Ada")
    held = await ada.slash("playbook", id="counting", dry_run=True, with_="what=salt")
    await until(lambda: "count" in text_of(held.original))
    assert answer_kind(held) == (5, True)
    assert centre.discord.shown() == []
    assert centre.plugin.calls == []


async def test_an_unknown_person_is_told_how_to_be_let_in_and_nothing_else(centre: DiscordCentre) -> None:
    eve = centre.stranger("Eve")
    held = await eve.slash("runs")
    await until(lambda: "/link" in text_of(held.original))
    assert answer_kind(held) == (5, True)
    assert centre.discord.shown() == []


async def test_an_invitation_links_an_account(centre: DiscordCentre) -> None:
    eve = centre.stranger("Eve")
    await centre.operator("Eva")  # the operator whom the account is to be joined to
    code, _ = await centre.runtime.operators.invite("Eva", "test", 1)
    held = await eve.slash("link", code=code)
    await until(lambda: "Linked" in text_of(held.original))
    assert answer_kind(held) == (5, True)
    me = await eve.slash("whoami")
    await until(lambda: "Eva" in text_of(me.original))


async def test_who_may_not_use_a_command_is_told_so_alone(centre: DiscordCentre) -> None:
    oli = await centre.operator("Oli", Level.OBSERVER)
    held = await oli.slash("cancel", run="7K3M9QXZ")
    await until(lambda: "Not allowed" in text_of(held.original))
    assert answer_kind(held) == (5, True)
    assert centre.discord.shown() == []


async def test_choices_come_while_a_value_is_typed(centre: DiscordCentre) -> None:
    ada = await centre.operator("Ada")
    assert await ada.typing("playbook", "id", "coun") == [("counting", "counting")]
    assert await centre.stranger("Eve").typing("playbook", "id", "coun") == []
    rows = await centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox")
    assert rows["n"] == 0


async def test_an_approval_is_decided_by_another_person_and_its_card_says_so(centre: DiscordCentre) -> None:
    ada, bob = await centre.operator("Ada"), await centre.operator("Bob", Level.LEAD)
    held = await ada.slash("playbook", id="guarded")
    asked = await until(lambda: next((m for m in centre.discord.shown() if "Approve" in str(m)), None))
    mine = await ada.press("Approve", asked)
    await until(lambda: "Not allowed" in text_of(next(iter(ada.private()), None)) or mine.original)
    await bob.press("Approve", asked)
    await until(lambda: any("Guarded done" in text_of(each) for each in centre.discord.shown()))
    await until(lambda: "Bob" in text_of(asked) and not asked["components"])
    assert held.original is None or not held.original["flags"] & 128
    assert centre.plugin.calls == ["one:salt"]


async def test_progress_is_one_message_that_is_edited_and_the_result_has_a_picture(centre: DiscordCentre) -> None:
    ada = await centre.operator("Ada")
    held = await ada.slash("playbook", id="pictured")
    await until(lambda: "running" in text_of(held.original))
    centre.plugin.gate.set()
    shown = await until(lambda: next((m for m in centre.discord.shown() if "Pictured" in text_of(m)), None))
    await until(lambda: "running" not in text_of(held.original))
    assert [each["filename"] for each in shown["attachments"]] == ["dot.png"]
    assert shown["embeds"][-1]["image"]["url"] == "attachment://dot.png"
    assert len(centre.discord.shown()) == 2


async def test_pages_are_turned_in_place_and_a_stale_button_says_so_to_its_presser_alone(
    centre: DiscordCentre,
) -> None:
    ada, eve = await centre.operator("Ada"), centre.stranger("Eve")
    held = await ada.slash("pages")
    await until(lambda: "page 1" in text_of(held.original))
    pressed = await ada.press("Next")
    await until(lambda: "page 2" in text_of(held.original))
    assert answer_kind(pressed) == (6, False)
    strange = await eve.press("Next")
    await until(lambda: "/link" in text_of(strange.original))
    assert answer_kind(strange) == (5, True)
    assert "page 2" in text_of(held.original)
    assert len(centre.discord.shown()) == 1
    await centre.runtime.store.execute("UPDATE vtoc_engine.buttons SET expires_at = now() - interval '1 second'")
    stale = await ada.press("Next")
    await until(lambda: "too old" in text_of(stale.original))
    assert answer_kind(stale) == (5, True)
    assert "page 2" in text_of(held.original)


async def test_a_message_to_the_bot_is_answered_as_a_reply(centre: DiscordCentre) -> None:
    ada = await centre.operator("Ada")
    said = await ada.say(f"<@{ME}> whoami")
    shown = await until(lambda: next(iter(centre.discord.shown()), None))
    assert "Ada" in text_of(shown)
    assert shown["message_reference"]["message_id"] == said["id"]
    await ada.say("nothing for you", HALL)
    direct = await ada.say("whoami", ada.direct_channel())
    await until(lambda: ada.direct())
    assert direct["id"] == ada.direct()[0]["message_reference"]["message_id"]
    assert len(centre.discord.shown()) == 1


async def test_a_run_s_question_is_answered_by_a_reply_to_it(centre: DiscordCentre) -> None:
    ada = await centre.operator("Ada")
    await ada.slash("playbook", id="asking")
    asked = await until(lambda: next((m for m in centre.discord.shown() if "How many?" in text_of(m)), None))
    assert "replying to this message" in text_of(asked)
    await ada.say(f"<@{ME}> seven", type=19)
    await until(lambda: any("Asked seven" in text_of(each) for each in centre.discord.shown()))


async def test_an_approval_of_one_platform_is_decided_on_another_and_closed_on_both(centre: DiscordCentre) -> None:
    bob = await centre.operator("Bob", Level.LEAD)
    await centre.person("ada")
    await centre.say("ada", "/playbook guarded")
    await until(lambda: any(o.kind == "approval" for o in centre.transport.sends))
    row = await centre.row("SELECT id FROM vtoc_engine.approvals")
    held = await bob.slash("approve", approval=short_id(row["id"]))
    await until(lambda: "Bob" in text_of(held.original))

    def closed() -> bool:
        return any(o.kind == "approval" and o.revision and "Bob" in str(o.card) for o in centre.transport.sends)

    await until(closed)


async def test_a_thread_is_a_conversation_of_its_own(centre: DiscordCentre) -> None:
    ada = await centre.operator("Ada")
    await ada.say(f"<@{ME}> whoami", THREAD)
    held = await ada.slash("whoami", THREAD)
    await until(lambda: len(centre.discord.shown(THREAD)) == 2 and "Ada" in text_of(held.original))
    rows = await centre.runtime.store.fetch("SELECT DISTINCT conversation FROM vtoc_engine.inbox")
    assert [row["conversation"] for row in rows] == [f"discord:{APP}:{HALL}:{THREAD}"]


async def test_a_private_answer_to_a_message_in_a_channel_goes_by_direct_message(centre: DiscordCentre) -> None:
    eve = centre.stranger("Eve")
    await eve.say(f"<@{ME}> runs")
    await until(lambda: "/link" in text_of(next(iter(eve.direct()), None)))
    assert centre.discord.shown() == []


async def test_a_private_result_that_comes_after_fifteen_minutes_goes_by_direct_message(centre: DiscordCentre) -> None:
    ada = await centre.operator("Ada")
    held = await ada.slash("playbook", id="secret")
    await until(lambda: held.original and "running" in text_of(held.original))
    assert answer_kind(held) == (5, True)
    centre.later(minutes=16)
    centre.plugin.gate.set()
    await until(lambda: any("Secret told" in text_of(each) for each in ada.direct()))
    assert centre.discord.shown() == []


async def test_after_fifteen_minutes_the_bot_itself_edits_and_answers(centre: DiscordCentre) -> None:
    ada, bob = await centre.operator("Ada"), await centre.operator("Bob", Level.LEAD)
    held = await ada.slash("playbook", id="guarded")
    asked = await until(lambda: next((m for m in centre.discord.shown() if "Approve" in str(m)), None))
    assert asked is held.original
    centre.later(minutes=16)
    await bob.press("Approve", asked)
    await until(lambda: "Bob" in text_of(asked) and not asked["components"])
    await until(lambda: any("Guarded done" in text_of(each) for each in centre.discord.shown()))
    assert ("PATCH", f"/channels/{HALL}/messages/{asked['id']}") in centre.discord.requests


async def test_an_event_that_comes_again_is_answered_once(centre: DiscordCentre) -> None:
    ada = await centre.operator("Ada")
    said = await ada.say(f"<@{ME}> whoami")
    held = await ada.slash("whoami")
    await until(lambda: len(centre.discord.shown()) == 2 and "Ada" in text_of(held.original))
    payload = said | {"guild_id": GUILD, "member": member(ada.user)}
    await centre.discord.gateway.dispatch("MESSAGE_CREATE", payload)
    await centre.discord.gateway.dispatch("INTERACTION_CREATE", held.payload)
    after = await ada.slash("whoami")
    await until(lambda: "Ada" in text_of(after.original))
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.inbox WHERE state <> 'done'", 0)
    assert len(centre.discord.shown()) == 3
