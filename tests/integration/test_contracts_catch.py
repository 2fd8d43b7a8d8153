"""The contract suite of transports can fail: each promise that is broken is caught by the test that is about it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import vtoc_bots.testing
from vtoc_bots import (
    Accepted,
    Card,
    Inbox,
    Message,
    NotSent,
    Outbound,
    RateLimited,
    Receipt,
    TransientError,
    TransportContext,
)
from vtoc_bots.testing import SLACK, Fault, SimulatedPlatform, Stage, TransportContract, staged, unblocked
from vtoc_bots.testing.loop_watch import LoopWatch
from vtoc_bots.testing.simulated import SimulatedTransport

Suite = TransportContract


class Broken(SimulatedTransport):
    """A transport whose flaw is what the test puts in its place."""

    flaw: Callable[[Broken, Outbound], Awaitable[Receipt]] | None = None
    hears: Callable[[Message], Message] = staticmethod(lambda message: message)

    async def run(self, inbox: Inbox) -> None:
        hears = self.hears

        class Flawed:
            async def accept(self, message: Message) -> Any:
                try:
                    return await inbox.accept(hears(message))
                except TransientError:
                    return Accepted(None)  # a lie

            async def unopened(self, message: Message) -> Any:
                return Accepted(None)

        await super().run(Flawed())  # type: ignore[arg-type]  # an inbox

    async def send(self, outbound: Outbound) -> Receipt:
        return await super().send(outbound) if self.flaw is None else await self.flaw(outbound)


async def plain(self: Broken, outbound: Outbound) -> Receipt:
    return await SimulatedTransport.send(self, outbound)


async def impatient(self: Broken, outbound: Outbound) -> Receipt:
    try:
        return await plain(self, outbound)
    except Exception:
        return await plain(self, outbound)


async def vague(self: Broken, outbound: Outbound) -> Receipt:
    try:
        return await plain(self, outbound)
    except Exception as error:
        raise NotSent("something") from error


async def hasty(self: Broken, outbound: Outbound) -> Receipt:
    try:
        return await plain(self, outbound)
    except RateLimited as error:
        raise RateLimited("slow", 0.1) from error


async def talkative(self: Broken, outbound: Outbound) -> Receipt:
    return await plain(self, replace(outbound, private_to=None))


async def forgetful(self: Broken, outbound: Outbound) -> Receipt:
    return await plain(
        self, replace(outbound, card=outbound.card.model_copy(update={"blocks": outbound.card.blocks[:1]}))
    )


async def doubling(self: Broken, outbound: Outbound) -> Receipt:
    return await plain(self, replace(outbound, edits=None))


def numbered() -> Callable[[Message], Message]:
    count = iter(range(1000))
    return lambda message: replace(message, event_id=f"mine-{next(count)}")


FLAWS: list[tuple[str, Any, Any, dict[str, Any]]] = [
    ("test_a_failed_send_is_not_tried_again_by_the_transport", impatient, None, {"fault": Fault.FAILING}),
    ("test_a_send_that_fails_says_what_is_known_and_the_next_one_goes_on", vague, None, {"fault": Fault.REFUSED}),
    ("test_a_send_that_fails_says_what_is_known_and_the_next_one_goes_on", hasty, None, {"fault": Fault.LIMITED}),
    ("test_what_is_private_is_seen_by_that_person_alone", talkative, None, {}),
    ("test_every_kind_of_block_is_shown_with_every_word", forgetful, None, {}),
    ("test_a_long_text_stays_within_the_limit_and_loses_nothing", forgetful, None, {"letters": "x"}),
    ("test_an_edit_replaces_what_was_shown", doubling, None, {}),
    ("test_an_event_that_comes_twice_is_one_message", None, numbered(), {}),
    ("test_an_event_has_the_same_id_after_a_restart", None, numbered(), {}),
    ("test_what_could_not_be_stored_is_not_acknowledged_and_comes_again", None, None, {}),
    ("test_core_is_told_when_a_form_could_not_be_opened", None, None, {}),
    ("test_what_is_said_is_handed_over_as_it_was_said", None, lambda m: replace(m, text=m.text.lower()), {}),
]


@pytest.mark.parametrize(
    ("test", "flaw", "hears", "given"), FLAWS, ids=[f"{n}-{row[0]}" for n, row in enumerate(FLAWS)]
)
async def test_a_broken_promise_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: str, flaw: Any, hears: Any, given: dict[str, Any]
) -> None:
    monkeypatch.setattr("vtoc_bots.testing.stage.PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(Broken, "flaw", flaw)
    if hears is not None:
        monkeypatch.setattr(Broken, "hears", staticmethod(hears))

    class Platform(SimulatedPlatform):
        def open(self, context: TransportContext) -> SimulatedTransport:
            self.linked.clear()
            return Broken(self, context)

    async with staged(Platform(SLACK), tmp_path) as stage:
        with pytest.raises(AssertionError):
            await getattr(Suite(), test)(stage, **given)


async def test_a_loop_that_is_given_no_processor_is_held_up_by_nobody() -> None:
    watch = LoopWatch(__name__, lambda thread: time.monotonic())
    thread, beating = threading.Thread(target=watch.look), asyncio.create_task(watch.beat())
    thread.start()
    await asyncio.sleep(0)
    time.sleep(0.6)  # noqa: ASYNC251  as if it stood in the queue for a processor
    watch.end()
    beating.cancel()
    await asyncio.to_thread(thread.join)
    assert watch.blocked_at == set()


async def test_code_that_blocks_the_loop_is_named() -> None:
    with pytest.raises(AssertionError, match="test_contracts_catch"):
        async with unblocked(__name__):
            time.sleep(0.6)  # noqa: ASYNC251  blocking is what is tested
    async with unblocked(__name__):
        for _ in range(3):
            await asyncio.sleep(0)


async def test_a_transport_that_ends_by_itself_is_not_waited_for(tmp_path: Path) -> None:
    class Ending(SimulatedTransport):
        async def run(self, inbox: Inbox) -> None:
            raise NotSent("the end")

    class Platform(SimulatedPlatform):
        def open(self, context: TransportContext) -> SimulatedTransport:
            return Ending(self, context)

    with pytest.raises(NotSent, match="the end"):
        async with staged(Platform(SLACK), tmp_path):
            pass


async def test_the_stage_shows_what_was_sent(tmp_path: Path) -> None:
    async with staged(SimulatedPlatform(SLACK), tmp_path) as stage:
        assert isinstance(stage, Stage)
        _, shown = await stage.send(await stage.said("/help"), Card.of("One", "two"))
        assert [each.text for each in shown] == ["One\ntwo"]


def test_the_kits_names_are_exact_and_documented() -> None:
    names = vtoc_bots.testing.__all__
    assert len(set(names)) == len(names)
    assert all(getattr(vtoc_bots.testing, name) is not None for name in names)
    bare = [
        name
        for name in names
        if isinstance(getattr(vtoc_bots.testing, name), type) and not getattr(vtoc_bots.testing, name).__doc__
    ]
    assert bare == []


def test_without_pytest_the_kit_says_what_it_needs() -> None:
    code = "import sys; sys.modules['pytest'] = None; import vtoc_bots.testing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install 'vtoc-bots[testing]'")
