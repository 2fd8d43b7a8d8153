"""Puts a terminal together: the front end that was asked for, on this process's own input and output."""

from __future__ import annotations

import sys

from vtoc_bots import TerminalOptions, TransportContext
from vtoc_bots.plugins.terminal.files import FileSaver
from vtoc_bots.plugins.terminal.piped import PipedFrontEnd
from vtoc_bots.plugins.terminal.prompt import PromptFrontEnd
from vtoc_bots.plugins.terminal.seat import TerminalSeat
from vtoc_bots.plugins.terminal.settings import TerminalSettings
from vtoc_bots.plugins.terminal.stdin import lines_of
from vtoc_bots.plugins.terminal.transport import FrontEnd, TerminalTransport


def terminal_transport(
    context: TransportContext, seat: TerminalSeat, options: TerminalOptions, station: str, settings: TerminalSettings
) -> TerminalTransport:
    """The transport at a seat. A prompt needs a terminal; without one nothing is read and replies are plain text."""
    front_end: FrontEnd
    if options.mode == "piped":
        lines = lines_of(sys.stdin.fileno())
        front_end = PipedFrontEnd(lines, sys.stdout, sys.stderr, wait_seconds=options.wait_seconds, clock=context.clock)
    else:
        front_end = PromptFrontEnd(station, settings, seat.folder, sys.stdout)
    return TerminalTransport(context, seat, front_end, FileSaver(context.blobs.get, options.out_dir))
