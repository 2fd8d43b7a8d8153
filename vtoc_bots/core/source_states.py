"""How a source is: for people, and for readiness."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from vtoc_bots.core.access import Station
from vtoc_bots.core.config import SourceEntry
from vtoc_bots.core.ports import SourceState
from vtoc_bots.core.store import telemetry

REPLAYED: Final = "replayed_sha256"
PUSHED: Final = "pushed"
"""In the configuration of a source that others push into: it counts though no entry of ours names it."""
PUSHED_FRESH: Final = timedelta(minutes=5)


class Read(Protocol):
    """What a source is read by: a connector, or what calls one at its times."""

    def stats(self) -> Mapping[str, Any]:
        """Counters."""
        ...


def connector_state(connector: Read) -> str:
    """Its own word, else ``fresh``."""
    state = getattr(connector, "state", None)
    return str(state()) if state is not None else "fresh"


def entry_of(slug: str, entries: Mapping[str, SourceEntry]) -> SourceEntry | None:
    """The entry that reports as this source: of the same slug, or with a part added (exercise-sbs)."""
    return entries.get(slug) or next((e for s, e in entries.items() if slug.startswith(f"{s}-")), None)


def has_parts(slug: str, rows: Mapping[str, Any]) -> bool:
    """Whether an entry reports as several sources (exercise-sbs), and stands for none of its own name."""
    return any(name.startswith(f"{slug}-") for name in rows)


def source_state(
    slug: str,
    row: telemetry.SourceRow | None,
    entry: SourceEntry | None,
    live: Mapping[str, Mapping[str, Any]],
    station: Station,
    now: datetime,
) -> SourceState:
    """What is known of a source: its row, its entry, and what the process that reads it says in its lease."""
    mode = row.mode if row else entry.mode if entry else "online"
    detail = dict(live.get(entry.slug if entry else slug, {}))
    state = detail.pop("state", None)
    if mode == "offline":
        state = "finished" if row is not None and REPLAYED in row.configuration else "waiting"
        detail = dict(row.configuration.get("stats", {})) if row else {}
    elif mode == "chatkit":
        state = "waiting" if row is None or row.last_ingested_at is None else "finished"
    elif row is not None and row.last_ingested_at is not None and row.configuration.get(PUSHED):
        state = "fresh" if now - row.last_ingested_at < PUSHED_FRESH else "silent"
    if row is not None:
        detail["entities"] = row.entities
    return SourceState(
        slug=slug,
        type=row.type if row else entry.type if entry else "",
        mode=mode,
        station=station.slug,
        state=state or "silent",
        exercise=bool(row and row.exercise) or bool(entry and entry.type == "exercise"),
        last_event_at=row.newest if row else None,
        detail=detail,
    )
