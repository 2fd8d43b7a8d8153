"""Puts a terminal together: the front end that was asked for, on this process's own input and output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Final

from vtoc_bots import TerminalOptions, TransportContext
from vtoc_bots.plugins.terminal.files import FileSaver
from vtoc_bots.plugins.terminal.history import open_history
from vtoc_bots.plugins.terminal.piped import PipedFrontEnd
from vtoc_bots.plugins.terminal.prompt import Banner, PromptFrontEnd, RawInput
from vtoc_bots.plugins.terminal.seat import TerminalSeat
from vtoc_bots.plugins.terminal.settings import TerminalSettings
from vtoc_bots.plugins.terminal.stdin import lines_of
from vtoc_bots.plugins.terminal.transport import FrontEnd, TerminalTransport

NOBODY_TO_ASK: Final = "This is no terminal: nothing is read from it, replies are printed as plain text."


def terminal_transport(
    context: TransportContext, seat: TerminalSeat, options: TerminalOptions, station: str, settings: TerminalSettings
) -> TerminalTransport:
    """The transport at a seat. A prompt needs a terminal; without one nothing is read and replies are plain text."""
    return TerminalTransport(
        context,
        seat,
        _front_end(context, seat, options, station, settings),
        FileSaver(context.blobs.get, options.out_dir),
    )


def _front_end(
    context: TransportContext, seat: TerminalSeat, options: TerminalOptions, station: str, settings: TerminalSettings
) -> FrontEnd:
    lines = lines_of(sys.stdin.fileno()) if options.mode == "piped" else _nothing()
    if options.mode == "prompt":
        banner = Banner(station, options.out_dir, context.address)
        if sys.stdin.isatty() and sys.stdout.isatty():
            history = open_history(seat.folder, settings.history_lines)
            return PromptFrontEnd(banner, history, sys.stdout, RawInput(sys.stdin), colour=not settings.no_color)
        print(*banner.facts(), NOBODY_TO_ASK, "", sep="\n", flush=True)
    return PipedFrontEnd(lines, sys.stdout, sys.stderr, wait_seconds=options.wait_seconds, clock=context.clock)


async def _nothing() -> AsyncIterator[str]:
    """No line, ever: what a prompt reads where there is nobody to ask."""
    await asyncio.Event().wait()
    yield ""
