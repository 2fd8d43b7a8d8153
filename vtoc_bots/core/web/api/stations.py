"""Stations: what they are, which playbooks they have, which tasks, which agent actions."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from vtoc_bots.core.access import Station
from vtoc_bots.core.playbooks.inputs import inputs_schema
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.store.station_views import station_tasks
from vtoc_bots.core.web.documents import Answered, Json, Moment
from vtoc_bots.core.web.tools import playbook_tools, usable_playbooks
from vtoc_bots.core.web.typed import PREFIX, Call, operation

Role = Literal["ops", "intel", "logistics"]


class StationDocument(Answered):
    """A station; WGS84 degrees and metres."""

    id: UUID
    slug: str
    callsign: str
    name: str
    role: Role
    timezone: str
    latitude: float | None
    longitude: float | None
    radius_m: float | None


class ApprovalDocument(Answered):
    """Who must approve before a playbook acts."""

    quorum: int
    level: str
    exclude_requester: bool
    expires_seconds: float | None
    on_expiry: Literal["deny", "hold"]


class PlaybookDocument(Answered):
    """A playbook; `inputs` is the JSON Schema of what it takes."""

    id: str
    title: str
    description: str
    role: Role | None
    inputs: Json
    approval: ApprovalDocument | None
    approval_in_steps: bool = Field(description="Whether single steps ask for approval")


class StationPlaybooks(Answered):
    """A station's playbooks."""

    station: StationDocument
    playbooks: list[PlaybookDocument]


class Task(Answered):
    """What a station has to do with a source that is assigned to it."""

    id: str
    title: str
    status: str
    priority: Literal["high", "normal"]
    created_at: Moment
    metadata: Json


class StationTasks(Answered):
    """A station's tasks."""

    station: StationDocument
    tasks: list[Task]


class AgentKitAction(Answered):
    """A playbook as an agent calls it."""

    name: str
    description: str
    endpoint: str
    method: Literal["POST"]
    metadata: Json


class StationActions(Answered):
    """A station's agent actions."""

    station: StationDocument
    actions: list[AgentKitAction]


def station_document(station: Station) -> StationDocument:
    """A station as the API shows it."""
    return StationDocument.model_validate({name: getattr(station, name) for name in StationDocument.model_fields})


def _playbook_document(playbook: Playbook) -> PlaybookDocument:
    rule = playbook.approval
    approval = None
    if rule is not None:
        approval = ApprovalDocument(
            quorum=rule.quorum,
            level=str(rule.level),
            exclude_requester=rule.exclude_requester,
            expires_seconds=rule.expires_seconds,
            on_expiry=rule.on_expiry,
        )
    return PlaybookDocument.model_validate(
        {
            "id": playbook.id,
            "title": playbook.title,
            "description": playbook.description,
            "role": playbook.role,
            "inputs": inputs_schema(playbook),
            "approval": approval,
            "approval_in_steps": any(step.approve is not None for step in playbook.steps),
        }
    )


@operation("GET", "/stations")
async def list_stations(call: Call) -> list[StationDocument]:
    """List the stations that the credential is for: its own one."""
    return [station_document(call.station)]


@operation("GET", "/stations/{slug}")
async def get_station(call: Call, slug: str) -> StationDocument:
    """Show a station."""
    return station_document(call.station)


@operation("GET", "/stations/{slug}/playbooks")
async def list_station_playbooks(call: Call, slug: str) -> StationPlaybooks:
    """List the playbooks of the station's role that the caller may run, perhaps after an approval."""
    playbooks = [_playbook_document(playbook) for playbook in usable_playbooks(call)]
    return StationPlaybooks(station=station_document(call.station), playbooks=playbooks)


@operation("GET", "/stations/{slug}/tasks")
async def list_station_tasks(call: Call, slug: str) -> StationTasks:
    """List the tasks that follow from the sources assigned to the station."""
    async with call.parts.store.session(call.station) as session:
        rows = await station_tasks(session)
    tasks = [
        Task(
            id=f"{call.station.slug}:{row['source']}:{row['id']}",
            title=f"Watch {row['name']}",
            status="active" if row["is_active"] and row["source_active"] else "paused",
            priority="high" if row["role"] == "primary" else "normal",
            created_at=row["created_at"],
            metadata={
                "role": row["role"],
                "source_id": str(row["source_id"]),
                "source_type": row["source_type"],
                "last_ingested_at": row["last_ingested_at"],
            },
        )
        for row in rows
    ]
    return StationTasks(station=station_document(call.station), tasks=tasks)


@operation("GET", "/stations/{slug}/agentkit/actions")
async def list_station_actions(call: Call, slug: str) -> StationActions:
    """List the playbooks of the station as actions that an agent can ask for."""
    actions = [
        AgentKitAction(
            name=tool.name,
            description=tool.description,
            endpoint=f"{PREFIX}/agent-actions/execute",
            method="POST",
            metadata={**tool.metadata, "signature": tool.signature},
        )
        for tool in playbook_tools(call)
    ]
    return StationActions(station=station_document(call.station), actions=actions)


OPERATIONS = (list_stations, get_station, list_station_playbooks, list_station_tasks, list_station_actions)
