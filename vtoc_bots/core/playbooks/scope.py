"""What a run's expressions see of the station and the run itself."""

from __future__ import annotations

from typing import Any

from vtoc_bots.core.access import Station
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.playbooks.decisions import RunView
from vtoc_bots.core.playbooks.model import Playbook


def station_scope(station: Station) -> dict[str, Any]:
    """What expressions see of a station."""
    return {
        "slug": station.slug,
        "callsign": station.callsign,
        "name": station.name,
        "role": station.role,
        "timezone": station.timezone,
        "latitude": station.latitude,
        "longitude": station.longitude,
        "radius_m": station.radius_m,
    }


def run_scope(playbook: Playbook, run: RunView) -> dict[str, Any]:
    """What expressions see of a run."""
    return {
        "id": str(run.id),
        "short_id": short_id(run.id),
        "playbook": playbook.id,
        "title": playbook.title,
        "operator": run.operator,
        "conversation": run.conversation,
        "correlation_id": None if run.correlation_id is None else str(run.correlation_id),
        "created_at": run.created_at.isoformat(),
    }
