"""The signed interactions endpoint, and acknowledgements within three seconds whatever happens."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nacl.signing import SigningKey

from tests.discord_kit import DiscordCentre, answer_kind, running
from tests.discord_people import Person, text_of, until
from tests.discord_server import FakeDiscord, Fault
from vtoc_bots import TransientError
from vtoc_bots.core.store.urls import DatabaseUrls

COUNTING = """private: false
inputs:
  what: {type: string, required: true}
steps:
  - {id: count, uses: centre.count, with: {what: "${{ inputs.what }}"}}
reply: {card: {title: "Counted ${{ inputs.what }}"}}
"""


class Signer:
    """Discord, as it calls the endpoint."""

    def __init__(self, centre: DiscordCentre, key: SigningKey, session: aiohttp.ClientSession) -> None:
        self._centre, self._key, self._session = centre, key, session

    async def post(
        self, payload: dict[str, Any], *, key: SigningKey | None = None, age: float = 0.0, body: bytes | None = None
    ) -> tuple[int, Any]:
        """Status and answer of one signed request."""
        data = json.dumps(payload).encode()
        return await self.raw(data, body or data, key or self._key, age)

    async def raw(
        self, signed: bytes, body: bytes | None = None, key: SigningKey | None = None, age: float = 0.0
    ) -> tuple[int, Any]:
        """Status and answer of a request with the signature of these bytes, and another body where one is given."""
        timestamp = str(int(time.time() - age))
        signature = (key or self._key).sign(timestamp.encode() + signed).signature.hex()
        headers = {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": timestamp}
        address = f"{self._centre.runtime.address}/discord/interactions"
        sent = io.BytesIO(signed if body is None else body)
        async with self._session.post(address, data=sent, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def deliver(self, payload: dict[str, Any]) -> None:
        """Call the endpoint, and take what it answers with."""
        status, answer = await self.post(payload)
        assert status == 200, answer
        self._centre.discord.take_answer(payload["token"], answer)


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord().open() as server:
        yield server


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
async def centre(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord, key: SigningKey
) -> AsyncIterator[DiscordCentre]:
    environ = {"DISCORD_PUBLIC_KEY": key.verify_key.encode().hex(), "DISCORD_SHARD_COUNT": "0"}
    places = (database_urls, tmp_path, discord, {"counting": COUNTING}, environ)
    async with running(*places, web=True, connected=False) as made:
        await until(lambda: discord.puts)
        yield made


@pytest.fixture
async def signer(centre: DiscordCentre, key: SigningKey) -> AsyncIterator[Signer]:
    async with aiohttp.ClientSession() as session:
        yield Signer(centre, key, session)


async def through(signer: Signer, who: Person) -> Person:
    who.send = signer.deliver
    return who


async def test_without_a_gateway_everything_works_by_signed_requests(centre: DiscordCentre, signer: Signer) -> None:
    ada = await through(signer, await centre.operator("Ada"))
    held = await ada.slash("whoami")
    assert answer_kind(held) == (5, False)
    await until(lambda: "Ada" in text_of(held.original))
    filled = await ada.fill_in(await ada.slash("playbook", id="counting"), what="salt")
    await until(lambda: "Counted salt" in text_of(filled.original))
    assert await ada.typing("playbook", "id", "co") == [("counting", "counting")]
    turned = await ada.slash("pages")
    await until(lambda: "page 1" in text_of(turned.original))
    await ada.press("Next")
    await until(lambda: "page 2" in text_of(turned.original))
    assert centre.discord.gateway.sessions == []
    assert not [path for _, path in centre.discord.requests if path.endswith("/callback")]


async def test_discord_s_ping_is_answered(signer: Signer) -> None:
    assert await signer.post({"type": 1, "id": "1", "token": "x"}) == (200, {"type": 1})


SHAPELESS = (
    b'{"type": 2, "id": "1", "token": "x"}',
    b'{"type": 2, "id": "1", "token": "x", "data": 5}',
    b'{"type": 3, "id": "1", "token": "x", "data": {}}',
    b'{"type": 4, "id": "1", "token": "x", "data": []}',
    b'{"type": 5, "id": "1", "token": "x", "data": {"custom_id": 7, "components": {}}}',
    b'{"type": "two", "id": "1", "token": "x"}',
)
"""Signed, but of no shape that Discord sends."""


async def test_forged_old_and_garbled_requests_are_refused_and_store_nothing(
    centre: DiscordCentre, signer: Signer
) -> None:
    ada = await centre.operator("Ada")
    ada.send = signer.deliver
    payload: list[dict[str, Any]] = []

    async def kept(made: dict[str, Any]) -> None:
        payload.append(made)

    ada.send = kept
    await ada.slash("whoami")
    assert (await signer.post(payload[0], key=SigningKey.generate()))[0] == 401
    for age in (600, -600):
        assert (await signer.post(payload[0], age=age))[0] == 401
    assert (await signer.post(payload[0], body=b"{}"))[0] == 401
    good = json.dumps(payload[0])
    for body in (b"{", b"[]", b"5", b"\xff\xfe{}", good.encode("utf-16"), b"[" * 100_000, b'{"type": 2}', *SHAPELESS):
        assert (await signer.raw(body))[0] == 400, body[:80]
    assert (await signer.raw(good.ljust(17 * 2**20).encode()))[0] == 413
    assert (await centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox"))["n"] == 0


async def test_a_replayed_request_is_answered_and_done_once(centre: DiscordCentre, signer: Signer) -> None:
    ada = await through(signer, await centre.operator("Ada"))
    held = await ada.slash("whoami")
    await until(lambda: "Ada" in text_of(held.original))
    status, _ = await signer.post(held.payload)
    assert status == 200
    assert (await centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox"))["n"] == 1
    assert len(centre.discord.shown()) == 1


async def test_where_storing_takes_too_long_the_person_is_told_within_three_seconds(
    centre: DiscordCentre, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await through(signer, await centre.operator("Ada"))
    gate = asyncio.Event()
    rows = centre.runtime.inbox_rows
    accept = rows.accept

    async def slow(new: Any) -> bool:
        await gate.wait()
        return await accept(new)

    monkeypatch.setattr(rows, "accept", slow)
    held = await ada.slash("whoami")
    assert held.answered_after is not None
    assert held.answered_after < 3
    assert answer_kind(held) == (4, True)
    assert "longer than usual" in text_of(held.original)
    gate.set()
    await until(lambda: any("Ada" in text_of(each) for each in (*centre.discord.shown(), *ada.private())))


async def test_a_form_that_comes_too_late_is_asked_for_by_a_card(
    centre: DiscordCentre, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await through(signer, await centre.operator("Ada"))
    gate = asyncio.Event()
    rows = centre.runtime.inbox_rows
    accept = rows.accept

    async def slow(new: Any) -> bool:
        await gate.wait()
        return await accept(new)

    monkeypatch.setattr(rows, "accept", slow)
    held = await ada.slash("playbook", id="counting")
    assert answer_kind(held) == (4, True)
    gate.set()
    await until(lambda: any("needs" in text_of(each) for each in (*centre.discord.shown(), *ada.private())))


async def test_where_nothing_can_be_stored_the_person_is_told_and_nothing_is_done(
    centre: DiscordCentre, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await through(signer, await centre.operator("Ada"))

    async def broken(new: Any) -> bool:
        raise TransientError("the database is away")

    monkeypatch.setattr(centre.runtime.inbox_rows, "accept", broken)
    held = await ada.slash("whoami")
    assert answer_kind(held) == (4, True)
    assert (await centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox"))["n"] == 0


async def test_many_at_once_are_all_acknowledged_in_time_and_answered_once(
    centre: DiscordCentre, signer: Signer
) -> None:
    people = [await through(signer, await centre.operator(f"P{n}")) for n in range(8)]
    held = await asyncio.gather(*(who.slash("whoami") for who in people for _ in range(8)))
    assert max(each.answered_after or 9 for each in held) < 3
    await until(lambda: all("who you are" in text_of(each.original).lower() for each in held), 30)
    assert len(centre.discord.shown()) == 64


async def test_a_flood_of_a_stranger_is_dropped_but_acknowledged(centre: DiscordCentre, signer: Signer) -> None:
    eve = await through(signer, centre.stranger("Eve"))
    held = await asyncio.gather(*(eve.slash("whoami") for _ in range(30)))
    kinds = [answer_kind(each) for each in held]
    assert kinds.count((5, True)) == 20
    assert kinds.count((4, True)) == 10
    assert (await centre.row("SELECT count(*) AS n FROM vtoc_engine.inbox"))["n"] == 20


async def test_a_form_that_discord_refuses_is_asked_for_by_a_card(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    async with running(database_urls, tmp_path, discord, {"counting": COUNTING}) as centre:
        ada = await centre.operator("Ada")
        discord.faults.append(Fault("POST", "/interactions/.*", 400, {"message": "Invalid Form Body", "code": 50035}))
        held = await ada.slash("playbook", id="counting")
        await until(lambda: "what" in text_of(held.original))
        assert answer_kind(held) == (5, True)


@pytest.mark.parametrize("what", [502, "drop after"])
async def test_a_form_whose_opening_got_no_answer_is_opened_once(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord, what: Any
) -> None:
    async with running(database_urls, tmp_path, discord, {"counting": COUNTING}) as centre:
        ada = await centre.operator("Ada")
        discord.faults.append(Fault("POST", "/interactions/.*", what))
        held = await ada.slash("playbook", id="counting")
        await until(lambda: sum(path.startswith("/interactions/") for _, path in discord.requests) == 2)
        await until(lambda: answer_kind(held) == (9, False))
        assert held.original is None


async def test_an_endpoint_without_its_key_is_not_there_and_no_way_in_is_one_clear_line(
    database_urls: DatabaseUrls, tmp_path: Path, discord: FakeDiscord
) -> None:
    environ = {"DISCORD_SHARD_COUNT": "0"}
    async with running(database_urls, tmp_path, discord, {}, environ, web=True, connected=False) as centre:
        await until(lambda: "DISCORD_PUBLIC_KEY" in str(centre.runtime.parts.failing))
        address = f"{centre.runtime.address}/discord/interactions"
        async with aiohttp.ClientSession() as session, session.post(address) as response:
            assert response.status == 404
