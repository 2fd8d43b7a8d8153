"""Questions that go wrong: a model that fails in any way, a budget that is used up, a crash between two calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from aiohttp import web

from tests.agent_kit import HarbourPlugin, agent_world, to_us
from tests.mcp_kit import free_port
from tests.model_kit import KEY, MODEL, FakeModel, Turn, failure
from vtoc_bots.core import audit
from vtoc_bots.testing import OpensWorld, World

ENVIRON = {
    "VTOC_AGENT_CALLS": "3",
    "VTOC_AGENT_TOKENS": "5000",
    "VTOC_AGENT_SECONDS": "60",
    "VTOC_AGENT_REPLY_SECONDS": "1",
}


@pytest.fixture
def kit() -> HarbourPlugin:
    return HarbourPlugin()


@pytest_asyncio.fixture
async def opened(open_world: OpensWorld, kit: HarbourPlugin) -> AsyncIterator[tuple[World, FakeModel]]:
    async with agent_world(open_world, kit, **ENVIRON) as (world, model):
        yield world, model


@pytest.fixture
def world(opened: tuple[World, FakeModel]) -> World:
    return opened[0]


@pytest.fixture
def model(opened: tuple[World, FakeModel]) -> FakeModel:
    return opened[1]


async def health(world: World) -> tuple[bool, str]:
    """What the process's health says of the model."""
    found = await world.process.runtime.health.check()
    (result,) = [each for each in found if each.name == "action.agent.answer"]
    assert not result.required, "everything but the agent works without a model"
    return result.ok, result.detail


def answering(status: int, words: str) -> Turn:
    async def turn(request: web.Request) -> web.StreamResponse:
        return failure(status, words)

    return turn


async def hanging(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("lists", "ok", "said"),
    [
        (None, True, MODEL),
        (answering(404, "no such path"), True, MODEL),
        (answering(401, f"Incorrect API key {KEY}"), False, "Check OPENAI_API_KEY"),
        (answering(503, "overloaded"), False, "503"),
        (hanging, False, "did not answer within 1.5 s"),
    ],
)
async def test_health_says_whether_the_model_is_there(
    world: World, model: FakeModel, lists: Turn | None, ok: bool, said: str
) -> None:
    model.lists = lists or model.lists
    found, detail = await health(world)
    assert found is ok
    assert said in detail
    assert KEY not in detail
    assert "agent.answer" in (await (await world.person("ada", "observer")).asks("/health")).text


async def test_the_model_is_not_asked_for_our_health_each_second(world: World, model: FakeModel) -> None:
    for _ in range(5):
        assert (await health(world))[0]
        world.clock.advance(2.0)
    assert model.listed == 1
    model.lists = answering(403, "not for you")
    world.clock.advance(31.0)
    assert not (await health(world))[0]


async def test_health_says_that_nobody_is_at_the_models_address(open_world: OpensWorld, kit: HarbourPlugin) -> None:
    environ = {**ENVIRON, "OPENAI_BASE_URL": f"http://127.0.0.1:{free_port()}/v1"}
    async with agent_world(open_world, kit, **environ) as (world, _):
        ok, detail = await health(world)
    assert not ok
    assert "can't be reached" in detail
    assert "OPENAI_BASE_URL" in detail


async def results(world: World) -> list[str]:
    """The keys of what was sent as results."""
    return [row["key"] for row in await world.store.fetch("SELECT key FROM vtoc_engine.outbox WHERE kind = 'result'")]


FINAL: dict[str, tuple[Callable[[FakeModel], None], str]] = {
    "a wrong key": (lambda model: model.fails(401, f"Incorrect API key {KEY}"), "Check OPENAI_API_KEY"),
    "a key that is cut off": (lambda model: model.fails(401, f"{'x' * 185} {KEY}"), "Check OPENAI_API_KEY"),
    "an unknown model": (lambda model: model.fails(404, "no such model"), "no such model"),
    "a page": (lambda model: model.gives("<html>welcome</html>", "text/html"), "Is OPENAI_BASE_URL right?"),
    "no choice": (lambda model: model.gives('{"ok": true}'), "without a choice"),
    "a list": (lambda model: model.gives("[1]"), "instead of an object"),
    "nothing": (lambda model: model.says(""), "Ask in other words"),
    "no content": (lambda model: model.says(None, ended="content_filter"), "(content_filter)"),
    "a long wait": (lambda model: model.fails(429, "quota", Retry_After="3600"), "ask in 3600 s"),
}


@pytest.mark.parametrize("fault", FINAL)
async def test_a_fault_that_stays_ends_in_words_for_a_person(world: World, model: FakeModel, fault: str) -> None:
    script, words = FINAL[fault]
    script(model)
    reply = await (await world.person("ada")).asks(to_us("what is flying?"))
    assert words in reply.text
    assert KEY[:8] not in reply.text
    assert len(model.asked) <= 1
    assert len(await results(world)) == 1


PASSING: dict[str, Callable[[FakeModel], None]] = {
    "429": lambda model: model.fails(429, "slow down", Retry_After="2"),
    "500": lambda model: model.fails(500),
    "503": lambda model: model.fails(503),
    "half a body": lambda model: model.breaks_off(),
    "silence": lambda model: model.hangs(),
}


@pytest.mark.parametrize("fault", PASSING)
async def test_a_fault_that_passes_is_waited_for_parked(
    world: World, model: FakeModel, kit: HarbourPlugin, fault: str
) -> None:
    model.calls(("reports", {}))
    PASSING[fault](model)
    model.says("Two boats.")
    said = await (await world.person("ada")).says(to_us("what is near the pier?"))
    await world.becomes("SELECT state || ' ' || waiting_for FROM vtoc_engine.runs", "waiting remote")
    await world.advance(seconds=3)
    assert "Two boats." in (await world.reply_to(said)).text
    assert kit.looks == 1, "what was looked up is not looked up again"
    assert len(await results(world)) == 1


async def test_a_model_that_stays_away_is_given_up_when_the_questions_time_is_over(
    world: World, model: FakeModel
) -> None:
    for _ in range(12):
        model.fails(500, "overloaded")
    said = await (await world.person("ada")).says(to_us("what is flying?"))
    ended = "SELECT count(*) FROM vtoc_engine.runs WHERE state = 'failed'"
    for _ in range(12):
        await world.settled()
        if await world.store.fetchval(ended):
            break
        await world.advance(seconds=15)
    text = (await world.reply_to(said)).text
    assert "the model had a fault (500): overloaded" in text
    assert "ask again later" in text
    assert len(await results(world)) == 1


async def test_wrong_calls_are_told_to_the_model_and_cost_no_answer(world: World, model: FakeModel) -> None:
    model.calls(("reports", "{no json"), ("reports", {"limit": "many"}))
    model.calls(("weather", {}))
    model.says("I don't know.")
    reply = await (await world.person("ada")).asks(to_us("how is the weather?"))
    assert "I don't know." in reply.text
    assert "no JSON" in model.results[0]
    assert "limit" in model.results[1]
    assert "no tool weather" in model.results[2]
    await audit.seal(world.store)
    count = "SELECT count(*) FROM vtoc_engine.audit WHERE event = 'agent.call' AND detail->>'verdict' = 'deny'"
    assert await world.store.fetchval(count) == 3


async def test_no_more_tools_are_called_than_a_question_may_call(
    world: World, model: FakeModel, kit: HarbourPlugin
) -> None:
    model.calls(("reports", {}), ("reports", {}))
    model.calls(("reports", {}), ("reports", {}))
    model.says("That is all I found.")
    ada = await world.person("ada")
    assert "That is all I found." in (await ada.asks(to_us("everything?"))).text
    assert kit.looks == 3
    assert model.asked[-1]["tool_choice"] == "none"
    assert "no more tools may be called" in model.results[-1]
    for _ in range(4):
        model.calls(("reports", {}))
    reply = await ada.asks(to_us("everything, again?"))
    assert "VTOC_AGENT_CALLS" in reply.text
    assert kit.looks == 6


async def test_a_playbook_may_allow_no_call_at_all(world: World, model: FakeModel) -> None:
    model.says("Nothing looked up.")
    reply = await (await world.person("ada")).asks("/playbook brief question=well?")
    assert "Nothing looked up." in reply.text
    assert model.asked[0]["tool_choice"] == "none"


@pytest.mark.parametrize("tokens", [6_000, None])
async def test_no_more_tokens_are_used_than_a_question_may_use(
    world: World, model: FakeModel, kit: HarbourPlugin, tokens: int | None
) -> None:
    kit.reports = ["a boat " * 1_000] * 3
    model.calls(("reports", {}), tokens=tokens)
    model.calls(("reports", {}), tokens=tokens)
    model.calls(("reports", {}), tokens=tokens)
    reply = await (await world.person("ada")).asks(to_us("everything?"))
    assert "5,000 tokens (VTOC_AGENT_TOKENS)" in reply.text
    assert "Looked at: reports" in reply.text
    assert kit.looks < 3


async def test_no_more_time_is_taken_than_a_question_may_take(
    world: World, model: FakeModel, kit: HarbourPlugin
) -> None:
    model.calls(("reports", {}))
    kit.gate.clear()
    said = await (await world.person("ada")).says(to_us("what is near the pier?"))

    async def looking() -> bool:
        return kit.looks == 1

    await world.until(looking, "it looks")
    await world.advance(seconds=61)
    kit.gate.set()
    assert "60 s (VTOC_AGENT_SECONDS)" in (await world.reply_to(said)).text


@pytest.mark.parametrize("moment", ["in a tool", "in a reply"])
async def test_a_crash_repeats_nothing_that_was_done_and_one_answer_comes(
    world: World, model: FakeModel, kit: HarbourPlugin, moment: str
) -> None:
    model.calls(("reports", {}), ("propose_playbook", {"id": "patrol", "inputs": {"area": "pier"}}))
    if moment == "in a tool":
        model.calls(("reports", {"limit": 1}))
    else:
        model.hangs()
    reached = asyncio.Event()

    async def second() -> None:
        if len(model.asked) == 2:
            kit.gate.clear()
            reached.set()

    model.before = second
    ada = await world.person("ada")
    said = await ada.says(to_us("what is near the pier?"))
    await reached.wait()

    async def there() -> bool:
        return moment == "in a reply" or kit.looks == 2

    await world.until(there, "it is in the second look")
    await world.crash()
    model.before = None
    kit.gate.set()
    if moment == "in a reply":
        model.turns.clear()
    model.says("Two boats; shall I send one?")
    await world.start()
    await world.advance(seconds=4)
    reply = await world.reply_to(said)
    assert "Two boats; shall I send one?" in reply.text
    assert [button.label for button in reply.buttons] == ["Run patrol"]
    assert kit.looks == (3 if moment == "in a tool" else 1), "only the call that was at work is repeated"
    assert len(await results(world)) == 1
    assert len([shown for shown in ada.sees() if "shall I send one" in shown.text]) == 1
    assert await world.store.fetchval("SELECT count(*) FROM vtoc_engine.runs") == 1
    pressed = await ada.presses("Run patrol")
    assert "Patrol sent to pier" in (await world.reply_to(pressed)).text


async def test_a_question_can_be_cancelled_while_the_model_thinks(world: World, model: FakeModel) -> None:
    model.hangs()
    ada = await world.person("ada")
    said = await ada.says(to_us("what is near the pier?"))

    async def asked() -> bool:
        return len(model.asked) == 1

    await world.until(asked, "the model is asked")
    await world.store.execute("UPDATE vtoc_engine.runs SET cancel_by = 'ada', wake_seq = wake_seq + 1")
    assert "cancelled by ada" in (await world.reply_to(said)).text.lower()
