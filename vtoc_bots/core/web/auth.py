"""Who calls the API: a station's token or a signed-in user of its Supabase project, as an operator of one station."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from uuid import UUID, uuid5

from vtoc_bots.core.access import Level, Operator, Station
from vtoc_bots.core.config import role_of
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.store.api_tokens import PREFIX, ApiTokens, GoodToken
from vtoc_bots.core.store.clean import clean_text
from vtoc_bots.core.store.stations import Stations
from vtoc_bots.core.web.problems import Refusal

REMEMBERED_SECONDS: Final = 2.0
MOST_REMEMBERED: Final = 1000
_LONGEST: Final = 4096
_USERS: Final = UUID("6f1c2f0e-6c1b-5d0a-9a55-0f6b5e3f2a11")
"""The namespace of ids made for subjects that are no UUIDs."""

Claims = Callable[[str], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: as an operator with a level at the one station that the credential is for."""

    operator: Operator
    station: Station
    actor: str
    """As the audit log names it: ``token:<id>`` or ``user:<subject>``."""


class Authenticator:
    """Finds the principal of an ``Authorization`` header. What was found of a token is believed for two seconds."""

    def __init__(
        self,
        tokens: ApiTokens,
        stations: Stations,
        clock: Clock,
        claims: Claims | None = None,
    ) -> None:
        """`claims` checks a signed token and gives what it says; None where nothing is set to check one by."""
        self._tokens, self._stations, self._clock, self._claims = tokens, stations, clock, claims
        self._known: dict[str, tuple[float, GoodToken | None]] = {}

    def forget(self) -> None:
        """Believe nothing; after a change made here."""
        self._known.clear()

    async def principal(self, authorization: str | None) -> Principal:
        """The caller. Raises Refusal (401) for no credential or a bad one."""
        if not authorization:
            refuse("send a credential: Authorization: Bearer <token>", None)
        scheme, _, credential = authorization.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential or len(credential) > _LONGEST:
            refuse("the credential must be a bearer token: Authorization: Bearer <token>", "invalid_request")
        if credential.startswith(PREFIX):
            return await self._of_token(credential)
        return await self._of_jwt(credential)

    async def _of_token(self, token: str) -> Principal:
        now = self._clock.monotonic()
        known = self._known.get(token)
        if known is not None and now - known[0] < REMEMBERED_SECONDS:
            found = known[1]
        else:
            found = await self._tokens.find(token)
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[token] = (now, found)
        if found is None or (found.expires_at is not None and found.expires_at <= self._clock.now()):
            refuse("this token is unknown, revoked or expired; `vtoc-bots token create` makes a new one")
        operator = Operator(found.id, f"token {found.name}", {found.station.slug: found.level}, found.station.slug)
        return Principal(operator, found.station, f"token:{found.id}")

    async def _of_jwt(self, token: str) -> Principal:
        if self._claims is None:
            refuse("this is no station's token, and nothing is set here by which a signed one could be checked")
        claims = await self._claims(token)
        trusted = {**_mapping(claims.get("app_metadata")), **claims}
        station = await self._station(trusted)
        level = _level(trusted.get("station_level", "operator"))
        subject = clean_text(str(claims["sub"]))
        try:
            operator_id = UUID(subject)
        except ValueError:
            operator_id = uuid5(_USERS, subject)
        name = clean_text(str(claims.get("email") or subject))
        operator = Operator(operator_id, name, {station.slug: level}, station.slug)
        return Principal(operator, station, f"user:{subject}")

    async def _station(self, claims: dict[str, Any]) -> Station:
        """The station that the claims name by id. Its role must be the one that they give, if they do."""
        wanted = str(claims.get("station_id", ""))
        found = next((each for each in await self._stations.all() if str(each.id) == wanted.lower()), None)
        if found is None:
            refuse("the claim station_id names no station here")
        role = claims.get("station_role")
        try:
            agrees = role is None or role_of(str(role)) == found.role
        except ValueError:
            agrees = False
        if not agrees:
            refuse("the claim station_role is not the role of the station in station_id")
        return found


def _level(value: Any) -> Level:
    try:
        return Level.parse(str(value))
    except ValueError:
        refuse("the claim station_level is none of observer, operator, lead and admin")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def refuse(detail: str, error: str | None = "invalid_token") -> NoReturn:
    """Raise the Refusal (401) with the challenge of RFC 6750."""
    challenge = "Bearer" if error is None else f'Bearer error="{error}"'
    raise Refusal(401, detail, {"WWW-Authenticate": challenge})
