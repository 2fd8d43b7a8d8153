"""The AgentKit client against a strict service: tokens kept and renewed, tools in both forms, answers that break it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.agentkit_kit import FakeAgentKit, fake_agentkit, hang, status, variables
from tests.service_kit import SteppedClock
from vtoc_bots.core.clients.agentkit import AgentKit, register_agentkit
from vtoc_bots.core.clients.answers import Declined
from vtoc_bots.core.clients.registry import Clients
from vtoc_bots.core.errors import ActionError, TransientError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.settings import load_settings


@pytest_asyncio.fixture
async def service() -> AsyncIterator[FakeAgentKit]:
    async with fake_agentkit() as opened:
        yield opened


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def client(
    service: FakeAgentKit, session: aiohttp.ClientSession, folder: Path, clock: SteppedClock, **more: str
) -> AgentKit:
    given = {name: value for name, value in {**variables(service), **more}.items() if value}
    settings = load_settings(folder, folder, given)
    clients = Clients(lambda name, probe, required: None)
    had = register_agentkit(settings, clients, lambda: session, clock, Metrics())
    assert had is not None
    return await had()


async def test_a_token_is_kept_until_shortly_before_it_expires(
    service: FakeAgentKit, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    service.life, clock = 600, SteppedClock()
    agentkit = await client(service, session, tmp_path, clock)
    assert [tool["name"] for tool in await agentkit.tools()] == ["survey", "report"]
    clock.seconds += 569
    await agentkit.tools()
    assert len(service.tokens) == 1
    clock.seconds += 2
    await agentkit.tools()
    assert len(service.tokens) == 2


async def test_many_requests_with_a_token_that_was_withdrawn_renew_it_once(
    service: FakeAgentKit, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    agentkit = await client(service, session, tmp_path, SteppedClock())
    await agentkit.tools()
    service.valid.clear()
    await asyncio.gather(*(agentkit.tools() for _ in range(20)))
    assert len(service.tokens) == 2


async def test_a_key_is_the_bearer_and_is_not_renewed(
    service: FakeAgentKit, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    service.valid = {"the-key"}
    more = {"AGENTKIT_API_KEY": "the-key", "AGENTKIT_CLIENT_ID": "", "AGENTKIT_CLIENT_SECRET": ""}
    agentkit = await client(service, session, tmp_path, SteppedClock(), **more)
    assert "2 tools" in (await agentkit.probe() or "")
    service.valid.clear()
    with pytest.raises(Declined, match="Check AGENTKIT_API_KEY"):
        await agentkit.tools()
    assert service.tokens == []


async def test_faults_of_the_token_endpoint_are_told_apart(
    service: FakeAgentKit, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    agentkit = await client(service, session, tmp_path, SteppedClock())
    faults: list[tuple[Any, type[Exception], str]] = [
        (status(500), TransientError, "had a fault"),
        (status(429), TransientError, "slow down"),
        (hang(service), TransientError, "did not answer"),
        (status(401), ActionError, "Check AGENTKIT_CLIENT_ID and AGENTKIT_CLIENT_SECRET"),
        (status(200, '{"token": "x"}'), ActionError, "gave no access_token"),
        (status(200, "nonsense"), ActionError, "no JSON"),
    ]
    for fault, kind, words in faults:
        service.faults["token"] = [fault]
        with pytest.raises(kind, match=words):
            await agentkit.tools()
    await agentkit.tools()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"status": "queued"}', "without an action_id"),
        ('{"action_id": "a b", "status": "queued"}', "without an action_id"),
        ('{"id": 7, "status": "done"}', "which is none of queued, running"),
        ("[]", "instead of an object"),
    ],
)
async def test_an_answer_that_breaks_the_contract_is_told(
    service: FakeAgentKit, session: aiohttp.ClientSession, tmp_path: Path, body: str, words: str
) -> None:
    agentkit = await client(service, session, tmp_path, SteppedClock())
    service.faults["post"] = [status(200, body)]
    with pytest.raises(ActionError, match=words):
        await agentkit.post("survey", {}, {}, "key")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"id": 7}', ("7", "queued", None, "")),
        ('{"action_id": "a", "result": 0}', ("a", "succeeded", 0, "")),
        ('{"action_id": "a", "error": "no"}', ("a", "failed", None, "no")),
        ('{"action_id": "a", "status": "running", "message": "half"}', ("a", "running", None, "half")),
        ('{"id": "a", "status": "failed", "error": {"message": "no"}}', ("a", "failed", None, "no")),
    ],
)
async def test_what_an_answer_leaves_out_is_read_from_the_rest(
    service: FakeAgentKit, session: aiohttp.ClientSession, tmp_path: Path, body: str, expected: tuple[Any, ...]
) -> None:
    agentkit = await client(service, session, tmp_path, SteppedClock())
    service.faults["post"] = [status(200, body)]
    action = await agentkit.post("survey", {}, {}, "key")
    assert (action.id, action.status, action.result, action.said) == expected


async def test_without_an_organisation_it_says_what_to_set(
    service: FakeAgentKit, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    with pytest.raises(ActionError, match="set AGENTKIT_ORG_ID"):
        await client(service, session, tmp_path, SteppedClock(), AGENTKIT_ORG_ID="")
