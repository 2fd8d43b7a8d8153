"""Calls of a source by playbooks and commands: which source, whether it can be called, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vtoc_bots.core.access import Station
from vtoc_bots.core.config import SourceEntry
from vtoc_bots.core.documents import nearest
from vtoc_bots.core.errors import ActionError, NotFound
from vtoc_bots.core.ports import Connector, SourceCall, TakesCalls
from vtoc_bots.core.source_writer import SourceWriter


def called_entry(source: str, entries: Sequence[SourceEntry], station: Station) -> SourceEntry:
    """The station's source of that slug. Raises NotFound, naming those that are there."""
    here = {entry.slug: entry for entry in entries if entry.station == station.slug}
    found = here.get(source)
    if found is None:
        known = ", ".join(here) or "none"
        raise NotFound(
            f"station {station.slug} has no source {source}; config/connectors.yml has {known}.{nearest(source, here)}"
        )
    return found


async def called(entry: SourceEntry, connector: Connector, call: SourceCall, writer: SourceWriter) -> Any:
    """What a connector gives when it is called; what it collects is written. Raises ActionError, and what it raises."""
    if not isinstance(connector, TakesCalls):
        raise ActionError(
            f"source {entry.slug} has the type {entry.type}, which reads by itself; telemetry.collect takes its reports"
        )
    given = await connector.call(call)
    if call.verb == "collect":
        for event in given:
            writer.add(event)
        await writer.flush()
    return given
