"""The piped terminal passes the contract of transports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.terminal_kit import Typed
from vtoc_bots import Sender, Transport, TransportContext
from vtoc_bots.plugins.terminal.exchange import LineState
from vtoc_bots.plugins.terminal.files import FileSaver
from vtoc_bots.plugins.terminal.piped import PipedFrontEnd
from vtoc_bots.plugins.terminal.seat import TerminalSeat, sender_of_process
from vtoc_bots.plugins.terminal.transport import TerminalTransport
from vtoc_bots.testing import Event, FakePlatform, Fault, Shown, ShownButton, TransportContract


class Screen(StringIO):
    """Keeps what is printed, a message for each card."""

    def __init__(self, platform: TerminalScreen) -> None:
        super().__init__()
        self._platform = platform

    def write(self, text: str) -> int:
        self._platform.printed(text)
        return len(text)


class LineTaken:
    """Whether the terminal takes a line for handed over."""

    def __init__(self, platform: TerminalScreen, text: str) -> None:
        self._platform, self._text = platform, text

    def is_set(self) -> bool:
        exchange = self._platform.transport._exchange
        lines = exchange.lines if exchange is not None else []
        return any(line.text == self._text and line.state is LineState.OPEN for line in lines)


class TerminalScreen(FakePlatform):
    """Somebody at the terminal: one person in one room, whose screen never fails while it is there."""

    rooms = ("1",)
    cannot = frozenset(Fault)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seat = TerminalSeat.take(folder)
        self.account = self.seat.data_id
        self.people: Sequence[Sender] = (sender_of_process(self.seat.data_id),)
        self._shown: list[Shown] = []
        self._typed = Typed(end=False)
        self.transport: Any = None

    def open(self, context: TransportContext) -> Transport:
        self.seat.release()
        self.seat, self._typed = TerminalSeat.take(self._folder), Typed(end=False)
        front = PipedFrontEnd(
            aiter(self._typed), Screen(self), StringIO(), wait_seconds=10_000_000, clock=context.clock
        )
        files = FileSaver(context.blobs.get, self._folder / "out")
        self.transport = TerminalTransport(context, self.seat, front, files)
        return self.transport

    async def stop(self) -> None:
        self.seat.release()

    def printed(self, text: str) -> None:
        paths = [Path(path) for path in re.findall(r"^\[(?:image|file)\] (\S+)", text, re.MULTILINE)]
        files = {path.name: path.read_bytes() for path in paths}
        labels = re.findall(r"\[(\d+)\] (.+?)(?=  \[|  \(type)", text)
        self._shown.append(
            Shown(
                f"s{len(self._shown)}", "1", text, tuple(ShownButton(label, number) for number, label in labels), files
            )
        )

    @property
    def shown(self) -> Sequence[Shown]:
        exchange = self.transport._exchange
        tokens = {choice.label: choice.token for choice in exchange._choices[1]} if exchange is not None else {}
        if self._shown and self._shown[-1].buttons:  # what a number stands for is kept by the terminal itself
            last = self._shown[-1]
            last.buttons = tuple(ShownButton(each, tokens.get(each, "")) for each in (b.label for b in last.buttons))
        return self._shown

    async def says(self, who: Sender, text: str, room: str = "1", thread: str | None = None) -> Event:
        self._typed.type(text)
        return Event(who, text, LineTaken(self, text))  # type: ignore[arg-type]  # as much of an event as is asked for

    async def presses(self, who: Sender, shown: Shown, label: str) -> Event:
        number = 1 + [button.label for button in shown.buttons].index(label)
        return await self.says(who, str(number))

    def fails(self, fault: Fault, times: int = 1) -> None:
        raise AssertionError(f"a terminal can't be {fault}")


class TestPipedTerminal(TransportContract):
    @pytest.fixture
    def platform(self, tmp_path: Path) -> FakePlatform:
        return TerminalScreen(tmp_path)
