"""The operator's terminal: a prompt for people, piped lines for scripts."""

from __future__ import annotations

import importlib
from typing import Final

from vtoc_bots import PluginManifest, Settings, TerminalOptions, Transport, TransportContext, TransportSpec, hookimpl
from vtoc_bots.plugins.terminal.seat import TRANSPORT, TerminalSeat
from vtoc_bots.plugins.terminal.settings import TerminalSettings

MODULE: Final = "vtoc_bots.plugins.terminal.start"

manifest = PluginManifest(summary="The operator's terminal: a prompt, or piped lines")


@hookimpl
def vtoc_transports(settings: Settings) -> tuple[TransportSpec, ...]:
    """Offers a terminal where this process was asked to be one; only then is a seat taken."""
    options: TerminalOptions | None = getattr(settings, "terminal", None)
    if options is None:
        return ()
    seat = TerminalSeat.take(settings.data_dir)
    return (terminal_spec(options, seat, settings.station.callsign, settings.read(TerminalSettings)),)


def terminal_spec(
    options: TerminalOptions, seat: TerminalSeat, station: str, settings: TerminalSettings
) -> TransportSpec:
    """The terminal at a seat; `station` is the callsign that its prompt shows."""

    def opened(context: TransportContext) -> Transport:
        # prompt_toolkit, Rich and markdown-it take a fifth of a second to import: only a process with a terminal pays.
        start = importlib.import_module(MODULE)
        transport: Transport = start.terminal_transport(context, seat, options, station, settings)
        return transport

    return TransportSpec(TRANSPORT, opened, account=seat.data_id, queue=seat.queue, imports=MODULE)
