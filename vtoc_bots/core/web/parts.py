"""What the API's operations are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vtoc_bots.core.access import Access
from vtoc_bots.core.agent_actions import AgentActions
from vtoc_bots.core.emergencies import Emergencies
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.people import People
from vtoc_bots.core.playbooks.library import Library
from vtoc_bots.core.ports import Clock, ConnectorSpec, Telemetry
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.run_pages import RunPages
from vtoc_bots.core.store.run_views import RunViews
from vtoc_bots.core.web.auth import Authenticator
from vtoc_bots.core.web.run_watch import RunWatch
from vtoc_bots.core.web.settings import ApiSettings


@dataclass(frozen=True, slots=True)
class Parts:
    """Given to every operation."""

    store: Store
    clock: Clock
    people: People
    access: Access
    library: Library
    telemetry: Telemetry
    connectors: Mapping[str, ConnectorSpec]
    authenticator: Authenticator
    settings: ApiSettings
    runs: RunViews
    pages: RunPages
    watch: RunWatch
    actions: AgentActions
    notices: Notices
    emergencies: Emergencies
    own_station: str
    """The slug of this process's station."""
