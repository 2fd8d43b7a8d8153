"""Who is there: operators behind platform accounts, and the stations they work at, remembered for two seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Hashable
from fnmatch import fnmatchcase
from typing import Any, Final, TypeVar
from uuid import UUID

from vtoc_bots.core.access import Level, Operator, Station
from vtoc_bots.core.config import slug_of
from vtoc_bots.core.errors import NotFound
from vtoc_bots.core.messages import Message
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.store.operators import Operators
from vtoc_bots.core.store.stations import Stations

REMEMBERED_SECONDS: Final = 2.0
MOST_REMEMBERED: Final = 10_000
T = TypeVar("T")


class People:
    """Looks up operators and stations.

    What was found is believed for two seconds, so a right that is taken away is gone everywhere within that time;
    approvals never rely on it.
    """

    def __init__(
        self,
        operators: Operators,
        stations: Stations,
        clock: Clock,
        channels: dict[str, str],
        default_station: str,
        allowlist: Collection[str] = (),
    ) -> None:
        """`allowlist`: the only accounts that may be operators', empty for any (settings: OPERATOR_ALLOWLIST)."""
        self._allowlist = frozenset(allowlist)
        self._operators, self._stations, self._clock = operators, stations, clock
        self._channels, self._default_station = channels, default_station
        self._known: dict[Hashable, tuple[float, Any]] = {}

    def may_be_known(self, message: Message) -> bool:
        """Whether the message's account may be an operator's. The terminal's may: it has the database's password."""
        sender = message.sender
        names = {f"{message.transport}:{sender.user_id}", f"{message.transport}:{sender.workspace}:{sender.user_id}"}
        return not self._allowlist or message.transport == "terminal" or bool(names & self._allowlist)

    async def sender(self, message: Message) -> Operator | None:
        """The operator behind a message's account, None for an unknown, inactive or not allowed one.

        An account that is nobody's is whom its credential vouches for, where it came with one.
        """
        found = None
        if self.may_be_known(message):
            key = (message.transport, message.sender.workspace, message.sender.user_id)
            found = await self._remembered(key, lambda: self._operators.by_identity(*key))
        return found or _vouched(message)

    async def operator(self, operator_id: UUID) -> Operator | None:
        """The operator of an id, None when there is none any more."""
        return await self._remembered(operator_id, lambda: self._operators.get(operator_id))

    async def station(self, slug: str) -> Station:
        """The station. Raises NotFound."""
        found = await self._remembered(("station", slug), lambda: self._stations.get(slug))
        if found is None:
            raise NotFound(f"there is no station {slug}; config/stations.yml lists them")
        return found

    async def station_of(self, message: Message, operator: Operator | None) -> Station:
        """A message's station: its channel's by configuration, else the one the platform names, else the operator's own
        default, else this process's."""
        conversation = str(message.conversation)
        slug = next((slug for glob, slug in self._channels.items() if fnmatchcase(conversation, glob)), None)
        if slug is None and message.station_names:
            known = {station.slug for station in await self.stations()}
            slug = next((slug for slug in map(slug_of, message.station_names) if slug in known), None)
        if slug is None and operator is not None:
            slug = operator.default_station
        return await self.station(slug or self._default_station)

    async def stations(self) -> list[Station]:
        """All stations, by slug."""
        return await self._remembered("stations", self._stations.all)

    def forget(self) -> None:
        """Believe nothing; after a change made here."""
        self._known.clear()

    async def _remembered(self, key: Hashable, look: Callable[[], Awaitable[T]]) -> T:
        now = self._clock.monotonic()
        known = self._known.get(key)
        if known is not None and now - known[0] < REMEMBERED_SECONDS:
            value: T = known[1]
            return value
        found = await look()
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = (now, found)
        return found


def _vouched(message: Message) -> Operator | None:
    """Whom a message's credential vouches for, None without one."""
    said = message.vouched
    if not said:
        return None
    return Operator(UUID(said["id"]), said["name"], {said["station"]: Level.parse(said["level"])}, said["station"])
