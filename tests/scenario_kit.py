"""One installation as a real process before strict platforms, and what people do there, whatever the platform."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import aiohttp

from vtoc_bots import Sender
from vtoc_bots.core.access import Level
from vtoc_bots.core.store.operators import Operators
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.testing import FakePlatform, Shown

PATIENCE_SECONDS = 60.0
AIRCRAFT = [("3949e1", "RESCUE1", 43.60, 1.40), ("3949e2", "NAVY7", 43.70, 1.50), ("3949e3", "EXR3", 43.50, 1.30)]
POLICIES = """
rules:
  - actions: playbook:op_airtrack_merge
    effect: require-approval
    reason: The air picture goes out with a second pair of eyes.
"""
HELD = """
import asyncio
from pathlib import Path


async def hold(ctx) -> None:
    '''Count boats until the gate is open.'''
    await ctx.progress("Counting boats", 2, 3)
    while not Path(__file__).with_name("gate").exists():
        await asyncio.sleep(0.05)
"""
"""A playbook's only step: it goes on until the test opens the gate, so how far it is can be seen for as long."""


class Stand(FakePlatform):
    """A stand-in to which a real process speaks by its settings."""

    name: str
    """The transport's."""
    asks: Literal["form", "dialog", "card"]
    """How a missing value is asked for."""
    edits = True
    """Whether a message that was sent can be changed."""
    shows_progress = True
    """Whether people are shown how far a run is."""
    knows_everybody = False
    """Whether who is there needs no invitation."""
    stranger = "9999"
    """The id of somebody whom nobody knows."""

    def installed(self, installation: Installation) -> None:
        """Told which installation it stands before; for stands that are a process of their own."""
        return

    @abstractmethod
    def environ(self) -> Mapping[str, str]:
        """The variables by which a process finds it."""

    @abstractmethod
    def conversation(self, room: str) -> str:
        """The text form of a room's conversation, as stations.yml has it."""


class Installation:
    """A process on the test's database, which can be killed and started again."""

    def __init__(
        self, urls: DatabaseUrls, folder: Path, stands: Mapping[str, Stand], notices: str, **more: str
    ) -> None:
        """`more` are further variables of its processes."""
        self._urls, self.folder, self._stands, self._more = urls, folder, stands, more
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None
        for stand in stands.values():
            stand.address = f"http://127.0.0.1:{self.port}"
        self._write(notices)

    @property
    def environ(self) -> dict[str, str]:
        """What the processes of this installation are given."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(self.folder),
            "DATABASE_URL": self._urls.main.text,
            "DATABASE_ADMIN_URL": self._urls.admin.text,
            "API_PORT": str(self.port),
            "VTOC_API_HOST": "127.0.0.1",
            "VTOC_LEASE_SECONDS": "2",
            "VTOC_SWEEP_SECONDS": "0.2",
            "VTOC_COMMANDS_PER_MINUTE": "30",
            **{name: value for stand in self._stands.values() for name, value in stand.environ().items()},
            **self._more,
        }

    def _write(self, notices: str) -> None:
        config = self.folder / "config"
        config.mkdir()
        aircraft = [
            {"hex": code, "flight": flight, "lat": lat, "lon": lon, "alt_baro": 5000, "gs": 200, "track": 90, "seen": 0}
            | {"seen_pos": 0}
            for code, flight, lat, lon in AIRCRAFT
        ]
        recording = self.folder / "aircraft.json"
        recording.write_text(json.dumps({"now": 1_796_000_000, "messages": 9, "aircraft": aircraft}))
        sources = {"sources": {"roof": {"type": "adsb", "url": recording.as_uri()}}}
        (config / "connectors.yml").write_text(json.dumps(sources))
        (config / "stations.yml").write_text(json.dumps({"stations": {"toc-s1": {"notices": [notices]}}}))
        (config / "policies.yml").write_text(POLICIES)
        (self.folder / "held.py").write_text(HELD)
        added = {"name": "Boats", "station_role": "ops", "entrypoint": "held:hold", "options": {"private": False}}
        (config / "agentkit.yml").write_text(json.dumps({"playbooks": {"boats": added}}))

    async def start(self) -> None:
        """Start a process, and wait until it and every platform are ready."""
        command = [sys.executable, "-m", "vtoc_bots", "run"]
        folders = ["--config", str(self.folder / "config"), "--data", str(self.folder / "data")]
        log = (self.folder / "run.log").open("ab")
        self.process = await asyncio.create_subprocess_exec(
            *command, *folders, env=self.environ, stdout=log, stderr=log, cwd=self.folder
        )
        log.close()
        await until(self._is_up, "the process did not become ready", self.log)
        for stand in self._stands.values():
            await asyncio.wait_for(stand.ready(), PATIENCE_SECONDS)

    def open_gate(self) -> None:
        """Let the playbook ``boats`` go on."""
        (self.folder / "gate").touch()

    async def metrics(self) -> str:
        """What the process counts."""
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{self.port}/metrics") as answer:
            return await answer.text()

    async def command(self, *words: str) -> tuple[int, str]:
        """Run one of vtoc-bots' commands for this installation; its exit code, and what it printed."""
        folders = ["--config", str(self.folder / "config"), "--data", str(self.folder / "data")]
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "vtoc_bots", *words, *folders],
            env=self.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.folder,
        )
        printed, _ = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
        return process.returncode or 0, printed.decode()

    async def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def close(self) -> None:
        """End the process, whatever it does."""
        if self.process is not None and self.process.returncode is None:
            await self.kill()

    def log(self) -> str:
        """The end of what the processes logged."""
        path = self.folder / "run.log"
        return path.read_text()[-6000:] if path.exists() else ""

    async def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, self.log()
        try:
            async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{self.port}/healthz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


async def until(condition: object, what: str, more: object = lambda: "") -> None:
    """Wait until an asynchronous condition holds; fails after a while with what was waited for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():  # type: ignore[operator]  # a callable that is awaited
        assert time.monotonic() < deadline, f"{what}\n{more()}"  # type: ignore[operator]  # a callable
        await asyncio.sleep(0.05)


class At:
    """A person on a platform."""

    def __init__(self, stand: Stand, who: Sender, installation: Installation) -> None:
        self.stand, self.who, self._installation = stand, who, installation

    async def says(self, text: str, room: str | None = None) -> None:
        """Say something, by default in the platform's first room."""
        await self.stand.says(self.who, text, room or self.stand.rooms[0])

    async def sees(self, *words: str, room: str | None = None, after: int = 0) -> Shown:
        """Wait until a message that this person can see has all these words, not counting the first `after`."""

        def found() -> list[Shown]:
            return [
                shown
                for shown in list(self.stand.shown)[after:]
                if all(word in shown.text for word in words)
                and shown.only_for in (None, self.who.user_id)
                and (room is None or shown.room == room)
            ]

        async def there() -> bool:
            return bool(found())

        await until(there, f"{self.who.name} never saw {words} on {self.stand.name}", self._told)
        return found()[-1]

    async def presses(self, shown: Shown, label: str) -> None:
        """Press a button."""
        await self.stand.presses(self.who, shown, label)

    async def runs_a_playbook(self, playbook: str) -> None:
        """Give ``/playbook`` without saying which, and say it when asked."""
        before = len(self.stand.shown)
        if self.stand.asks == "form":
            await self.stand.gives(self.who, "playbook", {}, self.stand.rooms[0])

            async def opened() -> bool:
                return bool(self.stand.forms)

            await until(opened, f"no form was opened on {self.stand.name}", self._told)
            await self.stand.submits(self.stand.forms[-1], {"id": playbook})
        elif self.stand.asks == "dialog":
            await self.says("/playbook")
            await self.sees("Id", after=before)
            await self.says(playbook)
        else:
            await self.says("/playbook")
            await self.sees("needs id", after=before)
            await self.says(f"/playbook {playbook}")

    def _told(self) -> str:
        seen = "\n---\n".join(
            f"{each.room} {each.only_for or ''}: {each.text}" for each in list(self.stand.shown)[-12:]
        )
        return f"{seen}\n=== log\n{self._installation.log()}"


async def invited(store: Store, name: str, level: Level) -> str:
    """A new operator's invitation code."""
    operators = Operators(store)
    await operators.add(name, {"*": level})
    code, _ = await operators.invite(name, "the test", 1)
    return code


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
