"""A whole runtime with people in rooms: approvals, cancelling, failures, freshness, order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.centre_kit import Centre, open_centre
from tests.platform_kit import until
from vtoc_bots import Level, MessageKind, NotSent, Outbound, RateLimited, Refused
from vtoc_bots.core.audit import verify
from vtoc_bots.core.cards import Text
from vtoc_bots.core.store.urls import DatabaseUrls

GUARDED = """
inputs: {what: {type: string, default: salt}}
approval: {quorum: QUORUM, level: lead, exclude_requester: true, expires: EXPIRES, on_expiry: ON_EXPIRY}
steps:
  - {id: one, uses: centre.count, with: {what: "${{ inputs.what }}"}}
"""


def guarded(quorum: int = 1, expires: str = "4h", on_expiry: str = "deny") -> str:
    return GUARDED.replace("QUORUM", str(quorum)).replace("EXPIRES", expires).replace("ON_EXPIRY", on_expiry)


PLAYBOOKS = {
    "guarded": guarded(),
    "pair": guarded(quorum=2),
    "hurried": guarded(expires="1s"),
    "held": guarded(expires="1s", on_expiry="hold"),
    "waiting": "steps:\n  - {id: one, uses: centre.wait}\n",
    "stubborn": "steps:\n  - {id: one, uses: centre.fail, with: {times: 2}, retry: {attempts: 4, backoff: 1s}}\n",
    "slow": "steps:\n  - {id: one, uses: centre.wait, timeout: 1s}\n",
    "asks": (
        "steps:\n  - {id: q, wait: {message: 'How many?', for: 1h}}\n"
        "  - {id: one, uses: centre.count, with: {what: '${{ steps.q.text }}'}}\n"
    ),
    "wide": "steps:\n"
    + "".join(
        f"  - {{id: s{n}, uses: centre.count, approve: {{level: lead, exclude_requester: false}}}}\n" for n in range(6)
    ),
}


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Centre]:
    async with open_centre(database_urls, tmp_path, PLAYBOOKS) as opened:
        await opened.person("ada")
        await opened.person("bob")
        await opened.person("cyd")
        await opened.person("oli", Level.OPERATOR)
        yield opened


def words(card: object) -> str:
    return card.model_dump_json()  # type: ignore[attr-defined]  # any card


async def asked(centre: Centre, playbook: str, who: str = "ada") -> tuple[object, str]:
    """Start a run that asks for approval; its message and the approval's short id."""
    message_id = await centre.say(who, f"/playbook {playbook}")
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'", 1)
    card = await centre.ask(who, "/approvals")
    table = next(block for block in card.blocks if block.type == "table")
    return message_id, table.rows[0][0]


async def test_the_requester_can_not_approve_where_that_is_excluded(centre: Centre) -> None:
    message_id, short = await asked(centre, "guarded")
    assert "you asked for this yourself" in words(await centre.ask("ada", f"/approve {short}"))
    assert "lead" in words(await centre.ask("oli", f"/approve {short}")), "an operator's level is not enough"
    assert "approved" in (await centre.ask("bob", f"/approve {short} looks fine")).title
    assert "Done" in words(await centre.answer(message_id))
    assert centre.plugin.calls == ["one:salt"]


async def test_two_people_approving_at_once_make_one_decision(centre: Centre) -> None:
    message_id, short = await asked(centre, "guarded")
    cards = await asyncio.gather(
        centre.ask("bob", f"/approve {short}", "room1"), centre.ask("cyd", f"/deny {short}", "room2")
    )
    await centre.answer(message_id)
    assert await centre.row("SELECT count(*) AS n FROM vtoc_engine.votes") == {"n": 1}
    assert sum("already" in words(card) for card in cards) == 1
    decided = await centre.row("SELECT event, count(*) AS n FROM vtoc_engine.audit WHERE event LIKE 'approval.%'"
                               " AND event <> 'approval.asked' GROUP BY event")  # fmt: skip
    assert decided["n"] == 1


async def test_a_quorum_of_two_takes_two_people(centre: Centre) -> None:
    message_id, short = await asked(centre, "pair")
    assert "1 of 2" in words(await centre.ask("bob", f"/approve {short}"))
    assert "before" in words(await centre.ask("bob", f"/approve {short}"))
    assert "approved" in (await centre.ask("cyd", f"/approve {short}")).title
    await centre.answer(message_id)
    assert centre.plugin.calls == ["one:salt"]


async def test_a_denied_run_says_who_and_why_and_its_card_is_edited(centre: Centre) -> None:
    message_id, _ = await asked(centre, "guarded")
    await centre.press("bob", "Deny", "another room")
    result = await centre.answer(message_id)
    assert "Denied by bob" in words(result)
    assert centre.plugin.calls == []

    async def edited() -> bool:
        return any(
            o.kind == "approval" and o.edits and "Denied by bob" in words(o.card) for o in centre.transport.sends
        )

    await until(edited, 10, lambda: "the approval's card was not edited")


async def test_an_approval_that_runs_out_denies_or_is_held(centre: Centre) -> None:
    hurried = await centre.say("ada", "/playbook hurried")
    assert "time" in words(await centre.answer(hurried))
    held = await centre.say("ada", "/playbook held", "room2")
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'held'", 1)
    card = await centre.ask("bob", "/approvals")
    short = next(block for block in card.blocks if block.type == "table").rows[0][0]
    await centre.ask("bob", f"/approve {short}")
    assert "Done" in words(await centre.answer(held))


async def test_a_changed_argument_voids_the_approval(centre: Centre) -> None:
    message_id, short = await asked(centre, "guarded")
    await centre.runtime.store.execute("""UPDATE vtoc_engine.runs SET inputs = '{"what": "pepper"}'""")
    await centre.ask("bob", f"/approve {short}")
    assert "void" in words(await centre.answer(message_id))
    assert centre.plugin.calls == []


async def test_no_wake_up_is_lost_when_many_approvals_are_decided_at_once(centre: Centre) -> None:
    message_id = await centre.say("ada", "/playbook wide")
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'", 6)
    card = await centre.ask("ada", "/approvals")
    shorts = [row[0] for row in next(block for block in card.blocks if block.type == "table").rows]
    rooms = [f"room{n}" for n in range(6)]
    await asyncio.gather(
        *(centre.ask("bob", f"/approve {short}", room) for short, room in zip(shorts, rooms, strict=True))
    )
    await centre.answer(message_id)
    assert sorted(centre.plugin.calls) == [f"s{n}:" for n in range(6)]


async def test_the_same_event_delivered_ten_times_at_once_makes_one_run(centre: Centre) -> None:
    ids = await asyncio.gather(*(centre.say("ada", "/playbook asks", event_id="same") for _ in range(10)))
    assert sum(message_id is not None for message_id in ids) == 1
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'waiting'", 1)
    assert await centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox") == {"n": 1}


async def test_a_run_that_waits_for_a_message_gets_it(centre: Centre) -> None:
    message_id = await centre.say("ada", "/playbook asks")
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'waiting'", 1)
    await centre.say("ada", "twelve")
    assert "Done" in words(await centre.answer(message_id))
    assert centre.plugin.calls == ["one:twelve"]
    assert any("How many?" in words(outbound.card) for outbound in centre.transport.sends)


async def test_cancelling_stops_a_run_at_work_and_a_parked_one(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    async with open_centre(database_urls, tmp_path, PLAYBOOKS, {"VTOC_LEASE_SECONDS": "3"}) as centre:
        await centre.person("ada")
        at_work = await centre.say("ada", "/playbook waiting")
        await centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE attempt = 1", 1)
        parked = await centre.say("ada", "/playbook guarded", "room2")
        await centre.wait_for("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'waiting'", 1)
        card = await centre.ask("ada", "/runs", "room3")
        for row in next(block for block in card.blocks if block.type == "table").rows:
            await centre.ask("ada", f"/cancel {row[0]}", "room3")
        for message_id in (at_work, parked):
            assert "cancelled by ada" in words(await centre.answer(message_id)).lower()
        await centre.wait_for("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'void'", 1)


async def test_steps_are_tried_again_and_time_out(centre: Centre) -> None:
    assert "Done" in words(await centre.ask("ada", "/playbook stubborn"))
    assert await centre.row("SELECT tries, state FROM vtoc_engine.steps") == {"tries": 3, "state": "done"}
    assert "within 1 s" in words(await centre.ask("ada", "/playbook slow", "room2"))


async def test_handlers_that_are_busy_slow_or_broken_end_well(centre: Centre) -> None:
    busy = await centre.say("ada", "/busy")
    behind = await centre.say("ada", "/whoami")
    assert (await centre.answer(busy)).title == "not busy any more"
    await centre.answer(behind)
    order = [outbound.message_id for outbound in centre.transport.sends]
    assert order.index(busy) < order.index(behind), "a conversation's replies keep their order"
    assert "took longer than 1 s" in words(await centre.ask("ada", "/sleepy"))
    broken = words(await centre.ask("ada", "/broken"))
    assert "a secret" not in broken
    assert "id" in broken


async def test_strangers_get_one_polite_answer_and_nothing_else(centre: Centre) -> None:
    card = await centre.ask("eve", "/playbook guarded")
    assert "/link" in words(card)
    assert "not know you" in words(await centre.ask("eve", "/nonsense"))
    assert await centre.row("SELECT count(*) AS n FROM vtoc_engine.runs") == {"n": 0}
    code, _ = await centre.runtime.operators.invite("oli", "ada", 1)
    assert "oli" in words(await centre.ask("eve", f"/link {code}"))
    assert "oli" in words(await centre.ask("eve", "/whoami"))
    assert "unknown, used or expired" in words(await centre.ask("eve", f"/link {code}"))


async def test_a_stale_button_says_so(centre: Centre) -> None:
    message_id = await centre.say("ada", "", kind=MessageKind.BUTTON, token="long-gone")
    assert "too old" in words(await centre.answer(message_id))


@pytest.mark.parametrize("error", [NotSent("down"), RateLimited("slow", 0.3)])
async def test_a_send_that_failed_is_tried_again_once_it_may(centre: Centre, error: Exception) -> None:
    failed: list[str] = []

    def once(outbound: Outbound) -> Exception | None:
        if failed:
            return None
        failed.append(outbound.key)
        return error

    centre.transport.fails = once
    await centre.ask("ada", "/whoami")
    assert len(centre.transport.sends) == 1
    assert centre.transport.sends[0].may_be_repeat is False


async def test_a_refused_reply_is_said_once_in_plain_text(centre: Centre) -> None:
    centre.transport.fails = lambda outbound: Refused("too long") if outbound.kind == "reply" else None
    await centre.say("ada", "/whoami")
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.outbox WHERE state = 'sent'", 1)
    plain = centre.transport.sends[0].card
    assert [type(block) for block in plain.blocks] == [Text]
    assert "too long" in words(plain)


async def test_nothing_older_than_its_deadline_is_sent(centre: Centre) -> None:
    centre.transport.fails = lambda outbound: NotSent("down")
    await centre.say("ada", "/whoami")
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.outbox WHERE tries > 0", 1)
    await centre.world.advance(days=1)
    centre.transport.fails = lambda outbound: None
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.outbox WHERE state = 'expired'", 1)
    assert centre.transport.sends == []


async def test_a_missing_action_under_a_parked_run_fails_naming_the_step(centre: Centre) -> None:
    message_id, short = await asked(centre, "guarded")
    del centre.runtime.library.actions["centre.count"]
    centre.runtime.library._by_digest.clear()
    await centre.ask("bob", f"/approve {short}")
    assert "centre.count" in words(await centre.answer(message_id))


async def test_everything_that_was_done_is_in_the_sealed_audit(centre: Centre) -> None:
    await centre.ask("ada", "/whoami")
    await centre.ask("oli", "/playbook nonsense")
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.audit WHERE position IS NULL", 0)
    report = await verify(centre.runtime.store)
    assert report.ok
    assert report.sealed >= 2


async def test_a_schedule_fires_once_and_an_old_one_is_put_off(centre: Centre) -> None:
    insert = (
        "INSERT INTO vtoc_engine.schedules (name, playbook, station, cron, next_at)"
        " VALUES ($1, 'stubborn', 'toc-s1', '0 0 1 1 *', now() - make_interval(secs => $2))"
    )
    await centre.runtime.store.execute(insert, "due", 1.0)
    await centre.runtime.store.execute(insert, "old", 3600.0)
    await centre.wait_for("SELECT count(*) FROM vtoc_engine.schedules WHERE next_at > now()", 2)
    keys = await centre.row("SELECT array_agg(key) AS keys FROM vtoc_engine.runs")
    assert [key.partition(":2")[0] for key in keys["keys"]] == ["schedule:due"]
