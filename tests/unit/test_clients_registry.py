"""Clients are opened once when needed, probed by the process's health, and closed in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from vtoc_bots.core.clients.answers import retry_after
from vtoc_bots.core.clients.registry import Clients, ClientSpec
from vtoc_bots.core.errors import TransientError

Probes = dict[str, Callable[[], Awaitable[str | None]]]


def clients() -> tuple[Clients, Probes, list[str]]:
    probes: Probes = {}
    return Clients(lambda name, probe, required: probes.__setitem__(name, probe)), probes, []


def spec(name: str, log: list[str], fails: int = 0) -> ClientSpec[str]:
    failures = iter([True] * fails)

    async def opened() -> str:
        log.append(f"open {name}")
        await asyncio.sleep(0)
        if next(failures, False):
            raise TransientError("not yet")
        return name

    async def probe(client: str) -> str | None:
        return f"{client} is well"

    async def closed(client: str) -> None:
        log.append(f"close {client}")
        if client == "bad":
            raise OSError("already gone")

    return ClientSpec(name, opened, probe, closed)


async def test_a_client_is_opened_once_however_many_ask_and_closed_in_reverse() -> None:
    every, probes, log = clients()
    one, two = spec("one", log), spec("bad", log)
    every.register(one)
    every.register(two)
    assert log == []
    assert await asyncio.gather(*(every.get(one) for _ in range(5))) == ["one"] * 5
    assert await probes["client.bad"]() == "bad is well"
    await every.close()
    assert log == ["open one", "open bad", "close bad", "close one"]


async def test_a_client_that_could_not_be_opened_is_tried_again_when_asked_for() -> None:
    every, probes, log = clients()
    one = spec("one", log, fails=1)
    every.register(one)
    with pytest.raises(TransientError):
        await probes["client.one"]()
    assert await every.get(one) == "one"


async def test_a_name_is_registered_once() -> None:
    every, _, log = clients()
    every.register(spec("one", log))
    with pytest.raises(ValueError, match="already"):
        every.register(spec("one", log))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("9" * 400, 86_400.0),
        ("Thu, 01 Jan 2999 00:00:00 GMT", 86_400.0),
        ("soon", None),
        ("", None),
        ("-3", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}, datetime(2026, 1, 1, tzinfo=UTC)) == seconds
