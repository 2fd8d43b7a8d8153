"""One scenario, unchanged on every transport, before a real process that is killed in the middle of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.scenario_kit import At, Installation, Stand, invited, until
from tests.stands import STANDS
from vtoc_bots import Level, Sender
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.testing import Shown

APPROVERS = {
    "telegram": "slack",
    "slack": "discord",
    "discord": "telegram",
    "terminal": "telegram",
    "chatkit": "telegram",
}
PLAYBOOK = "op_airtrack_merge"


class Scene:
    """Ada asks on one platform, Bob decides on another, Eve is nobody."""

    def __init__(self, installation: Installation, store: Store, asked: Stand, decided: Stand) -> None:
        self.installation, self.store, self.asked, self.decided = installation, store, asked, decided
        self.ada = At(asked, asked.people[0], installation)
        self.bob = At(decided, decided.people[1], installation)

    @property
    def notices(self) -> str:
        """The room where Bob is told of approvals."""
        return self.decided.rooms[1]

    async def count(self, sql: str) -> int:
        """A number in the database."""
        return int(await self.store.fetchval(sql))


@pytest.fixture(params=sorted(APPROVERS))
async def scene(request: pytest.FixtureRequest, database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Scene]:
    missing = {request.param, APPROVERS[request.param]} - STANDS.keys()
    if missing:
        pytest.skip(f"no stand for {', '.join(sorted(missing))}")
    async with opened(request.param, APPROVERS[request.param], database_urls, tmp_path) as made:
        yield made


@asynccontextmanager
async def opened(asked: str, decided: str, urls: DatabaseUrls, folder: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        stands = {name: STANDS[name]() for name in (asked, decided)}
        for stand in stands.values():
            await stand.start()
            stack.push_async_callback(stand.stop)
        installation = Installation(urls, folder, stands, stands[decided].conversation(stands[decided].rooms[1]))
        stack.push_async_callback(installation.close)
        for stand in stands.values():
            stand.installed(installation)
        await installation.start()
        store = await Store.open(urls)
        stack.push_async_callback(store.close)
        made = Scene(installation, store, stands[asked], stands[decided])
        await joined(made.ada, store, Level.LEAD)
        await joined(made.bob, store, Level.LEAD)
        yield made


async def joined(person: At, store: Store, level: Level) -> None:
    """Let a person in by an invitation, unless the platform knows them by itself."""
    if person.stand.knows_everybody:
        return
    await person.says(f"/link {await invited(store, person.who.name, level)}")
    await person.sees("Linked", person.who.name)


async def asks(scene: Scene) -> None:
    """Ask, lack an argument, see a plan."""
    await scene.ada.says("/help")
    await scene.ada.sees("/playbook", "/approvals")
    await scene.ada.says(f"/playbook {PLAYBOOK} --dry-run")
    await scene.ada.sees("nothing has been run")
    assert await scene.count("SELECT count(*) FROM vtoc_engine.runs") == 0


async def runs_through_a_kill(scene: Scene) -> None:
    """Start, see that it waits, lose the process, have it approved elsewhere, get the result with its picture."""
    await scene.ada.runs_a_playbook(PLAYBOOK)
    await scene.ada.sees("Approval needed")
    await scene.bob.sees("Approval needed", room=scene.notices)
    await scene.installation.kill()
    await scene.installation.start()
    question = await scene.bob.sees("Approval needed", room=scene.notices)
    await scene.bob.presses(question, "Approve")
    await scene.ada.sees("Air tracks", "3")
    await until(lambda: _true(has_picture(scene.asked)), "no picture came", scene.installation.log)
    if scene.asked.edits:
        await scene.ada.sees("Approval approved", "Bob")
    await scene.bob.sees("Approval approved", "Bob", room=scene.notices)
    assert await scene.count("SELECT count(*) FROM vtoc_engine.runs WHERE state = 'succeeded'") == 1
    assert len([s for s in scene.asked.shown if "Air tracks" in s.text and "RESCUE1" in readable(s)]) == 1


async def follows_progress(scene: Scene) -> None:
    """See how far a run is while it is at work; the same message, edited, says how it ended, beside the result."""
    before = len(scene.asked.shown)
    await scene.ada.says("/playbook boats")
    if not scene.asked.shows_progress:
        scene.installation.open_gate()
        await scene.ada.sees("Boats", "Done.", after=before)
        return
    begun = await scene.ada.sees("Boats", "Counting boats 2/3", "0 of 1 steps", after=before)
    edits = begun.edits
    scene.installation.open_gate()
    await scene.ada.sees("Boats", "Done.", after=before)
    ended = await scene.ada.sees("Boats: succeeded", after=before)
    assert ended.ref == begun.ref
    assert ended.edits > edits
    assert "Counting boats" not in ended.text
    assert len([each for each in list(scene.asked.shown)[before:] if "Boats" in each.text]) == 2


async def turns_pages(scene: Scene) -> None:
    """A second run that Ada cancels, then two pages of one run each, then a button that is too old."""
    await scene.ada.says(f"/playbook {PLAYBOOK} area=40nm")
    await until(lambda: _waiting(scene), "the second run does not wait", scene.installation.log)
    before = len(scene.asked.shown)
    await scene.ada.says("/runs --limit 1")
    first = await scene.ada.sees("Runs", "waiting", after=before)
    await scene.ada.presses(first, "Older")
    second = await scene.ada.sees("Runs", "succeeded", after=0 if scene.asked.edits else before)
    await scene.store.execute("UPDATE vtoc_engine.buttons SET expires_at = now() - interval '1 minute'")
    await scene.ada.presses(second, "Newer")
    await scene.ada.sees("too old")


async def keeps_strangers_out(scene: Scene) -> None:
    """Somebody unknown gets one polite answer; what is forged is turned away; what comes twice is done once."""
    if scene.asked.knows_everybody:
        return
    eve = At(scene.asked, Sender(scene.asked.stranger, "Eve", scene.ada.who.workspace), scene.installation)
    before = len(scene.asked.shown)
    await eve.says("/runs")
    await eve.sees("do not know you", after=before)
    if scene.asked.has("forges"):
        assert await scene.asked.forges("/cancel everything")
    if scene.asked.has("again"):
        event = await scene.asked.says(scene.ada.who, "/whoami", scene.asked.rooms[0])
        await scene.ada.sees("Who you are")
        repeat = await scene.asked.again(event)
        if repeat.acknowledged is None:  # nobody acknowledges here; but one room's messages are taken in order
            await scene.ada.says("/station")
            await scene.ada.sees("Stations")
        else:
            acknowledged = repeat.acknowledged
            await until(lambda: _true(acknowledged.is_set()), "the repeat was not acknowledged", scene.installation.log)
        assert await scene.count("SELECT count(*) FROM vtoc_engine.inbox WHERE body::text LIKE '%whoami%'") == 1
    for _ in range(40):
        await eve.says("/runs")
    await until(lambda: _dropped(scene), "nothing of the flood was dropped", scene.installation.log)
    of_eve = f"body -> 'sender' ->> 0 = '{scene.asked.stranger}'"
    assert await scene.count(f"SELECT count(*) FROM vtoc_engine.inbox WHERE {of_eve}") <= 25


async def test_an_operator_asks_another_approves_and_a_kill_changes_nothing(scene: Scene) -> None:
    await asks(scene)
    await runs_through_a_kill(scene)
    await follows_progress(scene)
    await turns_pages(scene)
    await keeps_strangers_out(scene)


async def _true(value: bool) -> bool:
    return value


async def _waiting(scene: Scene) -> bool:
    return await scene.count("SELECT count(*) FROM vtoc_engine.approvals WHERE state = 'open'") == 1


async def _dropped(scene: Scene) -> bool:
    return f'outcome="dropped",transport="{scene.asked.name}"' in await scene.installation.metrics()


def has_picture(stand: Stand) -> bool:
    return any(data.startswith(b"\x89PNG") for shown in stand.shown for data in shown.files.values())


def readable(shown: Shown) -> str:
    files = [data.decode("utf-8", "replace") for data in shown.files.values() if not data.startswith(b"\x89PNG")]
    return "\n".join([shown.text, *files])
