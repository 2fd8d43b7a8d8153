"""A question that follows others: the model is told the asker's last few exchanges in that conversation, no others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.agent_kit import HarbourPlugin, agent_world, to_us
from tests.model_kit import FakeModel
from vtoc_bots.plugins.agent.talk import LONGEST_REMEMBERED, MOST_REMEMBERED
from vtoc_bots.testing import OpensWorld, World

AGE = "UPDATE vtoc_engine.runs SET finished_at = finished_at - interval '31 minutes'"


@pytest_asyncio.fixture
async def opened(open_world: OpensWorld) -> AsyncIterator[tuple[World, FakeModel]]:
    async with agent_world(open_world, HarbourPlugin()) as (world, model):
        yield world, model


@pytest.fixture
def world(opened: tuple[World, FakeModel]) -> World:
    return opened[0]


@pytest.fixture
def model(opened: tuple[World, FakeModel]) -> FakeModel:
    return opened[1]


def told(model: FakeModel) -> list[tuple[str, Any]]:
    """What the model was told last, without the instructions."""
    return [(each["role"], each["content"]) for each in model.asked[-1]["messages"][1:]]


async def asked(model: FakeModel, who: Any, question: str, answer: str, **where: str) -> Any:
    model.says(answer)
    return await who.asks(to_us(question), **where)


async def test_a_follow_up_comes_with_what_was_asked_and_answered_before(world: World, model: FakeModel) -> None:
    ada = await world.person("ada", "observer")
    await asked(model, ada, "which boat is near the pier?", "The *Elbe*.")
    await asked(model, ada, "and where is it now?", "At sea.")
    assert told(model) == [
        ("user", "which boat is near the pier?"),
        ("assistant", "The Elbe."),
        ("user", "and where is it now?"),
    ]


async def test_nobody_elses_questions_and_no_other_conversations_are_told(world: World, model: FakeModel) -> None:
    ada, bob = await world.person("ada", "observer"), await world.person("bob", "observer")
    await asked(model, bob, "what is mine?", "This is bob's.")
    await asked(model, ada, "what is there?", "This is of another thread.", thread="another")
    await asked(model, ada, "and now?", "Nothing.")
    assert told(model) == [("user", "and now?")]


async def test_it_is_told_a_few_short_ones_of_the_last_half_hour(world: World, model: FakeModel) -> None:
    ada = await world.person("ada", "observer")
    await asked(model, ada, "long ago?", "Yes.")
    await world.store.execute(AGE)
    for number in range(MOST_REMEMBERED + 1):
        await asked(model, ada, f"question {number}?", "x" * (LONGEST_REMEMBERED + 500))
        assert len(told(model)) == 2 * min(number, MOST_REMEMBERED) + 1
    await asked(model, ada, "the last?", "Yes.")
    assert [text for role, text in told(model) if role == "user"] == [
        *(f"question {number}?" for number in range(1, MOST_REMEMBERED + 1)),
        "the last?",
    ]
    assert max(len(text) for _, text in told(model)) == LONGEST_REMEMBERED


async def test_what_follows_a_private_answer_is_private(world: World, model: FakeModel) -> None:
    lea = await world.person("lea", "lead")
    model.calls(("roster", {}))
    assert (await asked(model, lea, "who is on duty?", "Grace.")).card.private
    assert (await asked(model, lea, "say that again", "Grace.")).card.private


async def test_it_is_told_once_however_often_the_model_is_waited_for(world: World, model: FakeModel) -> None:
    ada = await world.person("ada", "observer")
    await asked(model, ada, "which boat?", "The Elbe.")
    model.fails(503)
    await asked(model, ada, "and now?", "At sea.")
    assert len(told(model)) == 3


async def test_a_playbook_of_ones_own_follows_nothing_unless_it_says_so(world: World, model: FakeModel) -> None:
    ada = await world.person("ada", "operator")
    for _ in range(2):
        model.says("All quiet.")
        await ada.asks("/playbook brief question=news?")
        assert told(model) == [("user", "news?")]
