"""The terminal as a stand: a piped ``vtoc-bots chat`` of its own beside the process that does the work."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.scenario_kit import Installation, Stand, until
from vtoc_bots import Sender, Transport, TransportContext
from vtoc_bots.testing import Event, Fault, Shown, ShownButton

END = re.compile(r"^-- [0-9A-Z]{8}$", re.MULTILINE)
BUTTON = re.compile(r"\[(\d+)\] (.+?)(?=  \[\d|  \(type|$)", re.MULTILINE)
SAVED = re.compile(r"^\[(?:image|file)\] (\S+)", re.MULTILINE)


class TerminalStand(Stand):
    """One person, whose lines are answered as plain text."""

    name, asks, edits, knows_everybody = "terminal", "card", False, True
    shows_progress = False  # piped, only answers are printed
    people = (Sender("me", "me"),)
    rooms = ("1",)
    cannot = frozenset(Fault)

    def __init__(self) -> None:
        self._installation: Installation | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._text = ""
        self._reading: asyncio.Task[None] | None = None

    def installed(self, installation: Installation) -> None:
        self._installation = installation

    def environ(self) -> Mapping[str, str]:
        return {}

    def conversation(self, room: str) -> str:
        raise AssertionError("nobody is told anything in a terminal that they did not ask there")

    def open(self, context: TransportContext) -> Transport:
        raise AssertionError("it runs in a process of its own")

    async def ready(self) -> None:
        """Started with the first process, and left alone when that one is killed."""
        if self._process is not None:
            return
        assert self._installation is not None
        folder = self._installation.folder
        options = {"config": "config", "data": "terminal", "out": "out"}
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(folder / value))]
        log = (folder / "chat.log").open("wb")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "vtoc_bots", "chat", *arguments, "--wait", "600"),
            env=self._installation.environ,
            cwd=folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        log.close()
        self._reading = asyncio.create_task(self._read())
        await self.says(self.people[0], "/whoami")

        async def answered() -> bool:
            return bool(self.shown)

        await until(answered, "the terminal does not answer", lambda: (folder / "chat.log").read_text())

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    @property
    def shown(self) -> Sequence[Shown]:
        found, begin = [], 0
        for end in END.finditer(self._text):
            text = self._text[begin : end.end()]
            begin = end.end()
            buttons = tuple(ShownButton(label, number) for number, label in BUTTON.findall(text))
            files = {Path(path).name: Path(path).read_bytes() for path in SAVED.findall(text)}
            found.append(Shown(str(len(found)), "1", text, buttons, files))
        return found

    async def says(self, who: Sender, text: str, room: str = "1", thread: str | None = None) -> Event:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())
        await self._process.stdin.drain()
        return Event(who, text, None)

    async def presses(self, who: Sender, shown: Shown, label: str) -> Event:
        number = next(button.value for button in shown.buttons if button.label == label)
        return await self.says(who, number)

    def fails(self, fault: Fault, times: int = 1) -> None:
        raise AssertionError(f"a terminal can't be {fault}")

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(65536):
            self._text += data.decode()
