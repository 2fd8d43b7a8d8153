"""Progress of runs that wait in their middle: it says what they wait for, once, in its one message."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vtoc_bots import ActionContext, OutboundKind, action, hookimpl
from vtoc_bots.testing import TELEGRAM, Fault, OpensWorld, Person, Shown, World

HEAD = "title: Patrol\nprivate: false\nsteps:\n  - {id: one, uses: kit.gate}\n"
PLAYBOOKS = {
    "asking": "id: asking\n" + HEAD + "  - {id: two, needs: [one], uses: kit.gate, approve: {level: lead}}\n",
    "resting": "id: resting\n" + HEAD + "  - {id: two, needs: [one], wait: {for: 10m}}\n",
}


class Gate:
    """An action that waits for the test."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    @hookimpl
    def vtoc_actions(self) -> list[Any]:
        @action("kit.gate")
        async def gate(ctx: ActionContext) -> None:
            """Wait until the gate is open."""
            await self.opened.wait()

        return [gate]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def world(open_world: OpensWorld, gate: Gate) -> World:
    return await open_world(plugins={"gate": gate}, playbooks=PLAYBOOKS, platforms=(TELEGRAM,))


def progress(person: Person) -> list[Shown]:
    """The messages that tell how far a run is."""
    refs = {person.platform.refs[each.key] for each in person.platform.outbounds if each.kind is OutboundKind.PROGRESS}
    return [shown for shown in person.sees() if shown.ref.rpartition(".")[0] in refs]


async def shows(world: World, person: Person, words: str) -> None:
    """Wait until the one progress message has these words."""

    async def there() -> bool:
        return any(words in shown.text for shown in progress(person))

    await world.until(there, lambda: f"{words!r} in {[shown.text for shown in person.sees()]}")
    assert len(progress(person)) == 1


async def test_progress_says_that_a_step_waits_for_approval(world: World, gate: Gate) -> None:
    ada, bob = await world.person("ada"), await world.person("bob", "admin")
    await ada.says("/playbook asking")
    await shows(world, ada, "0 of 2")
    gate.opened.set()
    await shows(world, ada, "waits for approval")
    await bob.presses("Approve")
    await shows(world, ada, "succeeded")
    await world.settled()
    assert len(progress(ada)) == 1


async def test_beside_a_question_that_comes_at_once_no_progress_is_shown(world: World, gate: Gate) -> None:
    gate.opened.set()
    ada = await world.person("ada", "admin")
    await ada.says("/playbook asking")
    await world.becomes("SELECT count(*) FROM vtoc_engine.runs WHERE waiting_for = 'approval'", 1)
    await world.settled()
    assert (len(ada.sees()), progress(ada)) == (1, [])


async def test_a_long_wait_is_told_of_however_soon_it_begins_and_not_twice(world: World, gate: Gate) -> None:
    gate.opened.set()
    ada = await world.person("ada", "admin")
    said = await ada.says("/playbook resting")
    await shows(world, ada, "waits until")
    await world.store.execute("UPDATE vtoc_engine.runs SET due_at = now()")  # looked at before its time
    await world.becomes("SELECT count(*) FROM vtoc_engine.runs WHERE attempt > 1 AND due_at > now()", 1)
    await world.settled()
    assert [shown.edits for shown in progress(ada)] == [0]
    await world.advance(minutes=10)
    await world.reply_to(said)
    await shows(world, ada, "succeeded")
    assert len(ada.sees()) == 2


async def test_progress_that_is_still_to_be_sent_says_what_is_waited_for(world: World, gate: Gate) -> None:
    ada = await world.person("ada", "admin")
    ada.platform.when = lambda outbound: outbound.kind is OutboundKind.PROGRESS
    ada.platform.fails(Fault.FAILING, 1000)
    await ada.says("/playbook asking")
    await world.becomes("SELECT count(*) FROM vtoc_engine.outbox WHERE kind = 'progress' AND tries > 0", 1)
    gate.opened.set()
    await world.becomes("SELECT count(*) FROM vtoc_engine.runs WHERE waiting_for = 'approval'", 1)
    await ada.platform.recovers()
    await world.advance(seconds=15)
    await shows(world, ada, "waits for approval")
    assert [shown.edits for shown in progress(ada)] == [0]
