"""A small strict chat platform over a real socket, a transport plugin that speaks to it, and workers to be killed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vtoc_bots import (
    ActionContext,
    Caps,
    Inbox,
    Outbound,
    OutboundKind,
    RateLimited,
    Receipt,
    Refused,
    TransportSpec,
    Unknown,
    action,
    hookimpl,
)
from vtoc_bots.core.access import Level
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.runtime import Duties, Runtime
from vtoc_bots.core.settings import load_settings
from vtoc_bots.core.store.inbox import InboxRows, NewMessage
from vtoc_bots.core.store.operators import Operators
from vtoc_bots.core.store.pool import Store

ROOT = Path(__file__).parents[1]
PLAYBOOK = """
id: mark_three
title: Three marks
private: false
inputs:
  n: {type: int, required: true}
steps:
  - {id: one, uses: kit.mark}
  - {id: two, uses: kit.mark, needs: [one]}
  - {id: three, uses: kit.mark, needs: [two]}
reply: {card: {title: "Done ${{ inputs.n }}"}}
"""


class Platform:
    """The platform: takes messages by key, tells what it has, and does as `manners` says for a key."""

    def __init__(self) -> None:
        self.sent: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.manners: Callable[[dict[str, Any]], str] = lambda request: "ok"
        self.port = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Platform]:
        """Listen on the loopback for the length of the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    def results(self) -> dict[str, list[dict[str, Any]]]:
        """What was sent as results of runs, by key; edits left out."""
        return {k: v for k, v in self.sent.items() if k.endswith(":result")}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                request = json.loads(line)
                manner = self.manners(request) if request["op"] == "send" else "ok"
                if request["op"] == "send" and manner in ("ok", "drop", "shown and stalled"):
                    self.sent[request["key"]].append(request)
                if manner == "drop":
                    break
                if manner in ("hang", "shown and stalled"):
                    await asyncio.sleep(3600)
                known = self.sent.get(request["key"])
                answer = {"status": manner, "ref": request["key"] if known else None}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


class KitTransport:
    """Speaks to the platform. Whether it can look receipts up is an attribute of the subclass."""

    caps = Caps(edit=True)

    def __init__(self, port: int) -> None:
        self._port = port

    async def run(self, inbox: Inbox) -> None:
        """Messages are accepted by the test itself."""
        await asyncio.Event().wait()

    async def send(self, outbound: Outbound) -> Receipt:
        """Send, and know the truth about what became of it."""
        request = {
            "op": "send",
            "key": outbound.key,
            "revision": outbound.revision,
            "edit": outbound.edits is not None,
            "title": outbound.card.title,
            "text": outbound.card.model_dump_json(),
            "repeat": outbound.may_be_repeat,
            "conversation": str(outbound.conversation),
            "kind": outbound.kind.value,
            "at": time.time(),
            "pid": os.getpid(),
        }
        answer = await self._ask(request)
        if answer is None:
            raise Unknown("the platform closed the connection")
        if answer["status"] == "refuse":
            raise Refused("the platform takes no such message")
        if answer["status"] == "limit":
            raise RateLimited("too fast", 0.5)
        return Receipt(answer["ref"], datetime.now(UTC))

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            await writer.drain()
            line = await reader.readline()
            return json.loads(line) if line else None
        finally:
            writer.close()


class LookingTransport(KitTransport):
    """Also finds out what became of a send."""

    async def look_up(self, outbound: Outbound) -> Receipt | None:
        """What the platform has under the key."""
        answer = await self._ask({"op": "find", "key": outbound.key})
        if answer is None:
            raise Unknown("the platform closed the connection")
        return Receipt(answer["ref"], datetime.now(UTC)) if answer["ref"] else None


@action("kit.mark", summary="Leave a mark")
async def mark(ctx: ActionContext) -> str:
    """Write ``run:step pid time`` to the marks file, then work for a moment; waits while a gate file says so."""
    folder = Path(os.environ["KIT_FOLDER"])
    line = f"{ctx.idempotency_key} {os.getpid()} {time.time()}\n".encode()
    descriptor = os.open(folder / "marks", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line)
    os.close(descriptor)
    while (folder / f"gate-{ctx.idempotency_key.rpartition(':')[2]}").exists():
        await ctx.clock.sleep(0.02)
    await ctx.clock.sleep(0.03)
    return ctx.idempotency_key


class KitPlugin:
    """Registers the transport ``kit``, the action and the playbooks of the kit's folder."""

    @hookimpl
    def vtoc_transports(self) -> tuple[TransportSpec, ...]:
        """The platform's transport."""
        kind = LookingTransport if os.environ.get("KIT_LOOKS_UP") == "1" else KitTransport
        port = int(os.environ["KIT_PORT"])
        return (TransportSpec("kit", lambda context: kind(port), account="bot"),)

    @hookimpl
    def vtoc_actions(self) -> tuple[Any, ...]:
        """The marking action."""
        return (mark,)

    @hookimpl
    def vtoc_playbooks(self) -> tuple[Path, ...]:
        """The kit's playbooks."""
        return (Path(os.environ["KIT_FOLDER"]) / "playbooks",)


class Workers:
    """Worker processes on one database, to be killed and frozen."""

    module = "tests.platform_kit"

    def __init__(self, folder: Path, port: int, environ: dict[str, str], *, looks_up: bool = True) -> None:
        (folder / "playbooks").mkdir(exist_ok=True)
        (folder / "playbooks" / "mark_three.yml").write_text(PLAYBOOK)
        self.folder = folder
        self.processes: list[asyncio.subprocess.Process] = []
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "KIT_FOLDER": str(folder),
            "KIT_PORT": str(port),
            "KIT_LOOKS_UP": "1" if looks_up else "0",
            "VTOC_LEASE_SECONDS": "2",
            "VTOC_SWEEP_SECONDS": "0.2",
            "VTOC_COMMANDS_PER_MINUTE": "100000",
            **environ,
        }

    async def start(self) -> asyncio.subprocess.Process:
        """Start a worker; returns at once."""
        log = (self.folder / f"worker-{len(self.processes)}.log").open("wb")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self.module, env=self._environ, stderr=log, stdout=log, cwd=ROOT
        )
        log.close()
        self.processes.append(process)
        return process

    async def close(self) -> None:
        """End them all, whatever they do."""
        for process in self.processes:
            if process.returncode is None:
                process.kill()
        await asyncio.gather(*(process.wait() for process in self.processes))

    def marks(self) -> list[tuple[str, str, int, float]]:
        """(run, step, pid, time) of every beginning of the action."""
        path = self.folder / "marks"
        found = []
        for line in path.read_text().splitlines() if path.exists() else ():
            key, pid, at = line.split()
            run, _, step = key.rpartition(":")
            found.append((run, step, int(pid), float(at)))
        return found

    def logs(self) -> str:
        """What every worker logged."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("worker-*.log")))


async def know_operator(store: Store, name: str = "Ada", user_id: str = "u1", level: Level = Level.ADMIN) -> Any:
    """An operator with an account on the platform."""
    return await Operators(store).own(name, "kit", "", user_id, level)


async def say(store: Store, text: str, room: str, user_id: str = "u1") -> Any:
    """Accept a text in a room, as the transport would; the message's id."""
    message_id = new_id()
    body = {"event_id": str(message_id), "sender": [user_id, user_id, ""], "kind": "text", "text": text}
    new = NewMessage(message_id, "kit", "bot", str(message_id), f"kit:bot:{room}", "kit", body, message_id, None)
    assert await InboxRows(store).accept(new)
    return message_id


async def until(condition: Callable[[], Awaitable[bool]], seconds: float, what: Callable[[], str]) -> None:
    """Wait until the condition holds; fail with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, what()
        await asyncio.sleep(0.05)


def is_result(kind: str) -> bool:
    """Whether an outbound's kind is a run's result."""
    return kind == OutboundKind.RESULT


async def work() -> None:
    """A worker process."""
    folder = Path(os.environ["KIT_FOLDER"])
    settings = load_settings(folder / "config", Path(os.environ.get("KIT_DATA", folder / "data")))
    duties = Duties(worker=True, web=False, sources=False)
    await Runtime(settings, duties, plugins={"kit": KitPlugin()}).run()


if __name__ == "__main__":
    asyncio.run(work())
