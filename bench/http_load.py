"""What the benches of webhooks share: a load over HTTP, signed events of ChatKit, and an inbox that stores nothing."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from vtoc_bots import Accepted
from vtoc_bots.plugins.chatkit.webhook import PATH as CHATKIT_PATH

SECRET, USER = "a-secret-of-the-bench", "U0BENCH001"
CONNECTIONS = 64
AGAIN_EVERY = 50
"""Every so many events one is sent again, as platforms do."""


@dataclass
class Load:
    """What a load got: seconds of each answer, statuses, the ids that were sent, and the server's CPU seconds."""

    waits: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    sent: set[str] = field(default_factory=set)
    cpu: float = 0.0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.waits) / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of the server's CPU an answer."""
        return self.cpu / len(self.waits) * 1e6


def cpu_seconds(pid: int) -> float:
    """The CPU seconds that a process has taken, by its own clock: what the system lists of it is in steps of 10 ms."""
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)


async def loaded(port: int, requests: Iterator[tuple[str, bytes]], seconds: float, load: Load) -> None:
    """Put a load on a port for that long."""
    began = time.perf_counter()
    until = began + seconds
    await asyncio.gather(*(_connection(port, requests, until, load) for _ in range(CONNECTIONS)))
    load.seconds = time.perf_counter() - began


async def _connection(port: int, requests: Iterator[tuple[str, bytes]], until: float, load: Load) -> None:
    """Requests one after the other on one connection, as plain as HTTP can be."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        name, request = next(requests)
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if length:
            await reader.readexactly(length)
        load.waits.append(time.perf_counter() - began)
        status = int(head[9:12])
        load.statuses[status] += 1
        if status in (200, 202):
            load.sent.add(name)
    writer.close()


def endless(make: Callable[[int], tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Signed events without end, every one new but for those that are sent again."""
    number, last = 0, ("", b"")
    while True:
        number += 1
        if number % AGAIN_EVERY == 0:
            yield last
            continue
        last = make(number)
        yield last


def chatkit_request(number: int, path: str = CHATKIT_PATH) -> tuple[str, bytes]:
    """A command on ChatKit's webhook."""
    stamp = str(int(time.time()))
    event = {"id": f"ev{number:08d}", "type": "message.created", "channel": f"toc-s{number % 64}"}
    event |= {"text": f"/number {number}", "user": {"id": USER, "name": "Ada"}, "created_at": "2026-11-29T10:00:00Z"}
    body = orjson.dumps(event)
    signature = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-ChatKit-Timestamp: {stamp}\r\nX-ChatKit-Signature: {signature}\r\n\r\n"
    )
    return f"event:ev{number:08d}", head.encode() + body


class Nowhere:
    """An inbox that stores nothing."""

    accepted = Accepted(UUID(int=0))

    async def accept(self, message: Any) -> Accepted:
        return self.accepted
