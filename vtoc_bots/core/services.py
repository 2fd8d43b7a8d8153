"""The shared services that handlers and actions are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vtoc_bots.core.access import Station
from vtoc_bots.core.alerts import Alerts
from vtoc_bots.core.cards import Card
from vtoc_bots.core.notices import Notices
from vtoc_bots.core.playbooks.actions import act
from vtoc_bots.core.playbooks.library import Library
from vtoc_bots.core.ports import Agents, Blobs, Deputy, Telemetry, Tools
from vtoc_bots.core.store.forgetting import Forgetting
from vtoc_bots.core.store.pool import Store


class SharedServices:
    """Implements ports.Services over the store."""

    def __init__(
        self,
        store: Store,
        telemetry: Telemetry,
        blobs: Blobs,
        library: Library,
        notices: Notices,
        tools: Tools,
        agents: Agents,
    ) -> None:
        self.telemetry, self.blobs, self.tools, self.agents = telemetry, blobs, tools, agents
        self.deputy: Deputy
        """Set once the desk is there, which needs the services itself."""
        self._store, self._library, self._notices = store, library, notices
        self._alerts = Alerts(store, notices)

    def session(self, station: Station) -> Any:
        """A Session on the station's role schema, limited to its rows."""
        return self._store.session(station)

    async def act(self, context: Any, name: str, inputs: Mapping[str, Any]) -> Any:
        """Call an action by name."""
        return await act(self._library.action(name), context, inputs)

    async def notice(self, station: Station, card: Card, key: str) -> None:
        """Tell the station's notice conversations, once for each key."""
        await self._notices.send(station.slug, card, f"notice:{key}")

    async def alert(self, station: Station, card: Card, key: str) -> None:
        """Raise an alert of the station, once for each key."""
        await self._alerts.alert(station, card, key)

    async def forget(self, transport: str, workspace: str, user_id: str, notices: Sequence[str]) -> None:
        """Take out what the engine holds of an account's words."""
        forgetting = Forgetting(self._store)
        await forgetting.words(transport, workspace, user_id)
        await forgetting.notices([f"{kind}:{key}" for key in notices for kind in ("notice", "alert")])
