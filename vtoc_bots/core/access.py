"""Who may do what: stations, operators, levels, and the one function that decides."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from vtoc_bots.core.ports import Policy

POLICY_SECONDS: Final = 1.0
"""How long a plugin's policy may take."""


class Level(IntEnum):
    """What an operator may do at a station; each level includes the ones below."""

    OBSERVER = 1
    OPERATOR = 2
    LEAD = 3
    ADMIN = 4

    @classmethod
    def parse(cls, text: str) -> Level:
        """The level of a name. Raises ValueError naming the four."""
        try:
            return cls[text.upper()]
        except KeyError:
            raise ValueError(f"unknown level {text!r}: observer, operator, lead or admin") from None

    def __str__(self) -> str:
        return _LEVEL_NAMES[self]


_LEVEL_NAMES: Final = ("", *(level.name.lower() for level in Level))
"""By value: an Enum's own name costs more than the rest of a decision."""


@dataclass(frozen=True, slots=True)
class Station:
    """A post in the centre. Position in WGS84 degrees, radius in metres; `role` is ops, intel or logistics."""

    id: UUID
    slug: str
    callsign: str
    name: str
    role: str
    timezone: str = "UTC"
    latitude: float | None = None
    longitude: float | None = None
    radius_m: float | None = None

    @property
    def position(self) -> tuple[float, float] | None:
        """(latitude, longitude), or None when it has none."""
        if self.latitude is None or self.longitude is None:
            return None
        return self.latitude, self.longitude


@dataclass(frozen=True, slots=True)
class Operator:
    """A person. `levels` is by station slug; ``*`` stands for every station."""

    id: UUID
    name: str
    levels: Mapping[str, Level]
    default_station: str | None = None

    def level_at(self, station: str) -> Level | None:
        """The operator's level at a station, None where they have none."""
        here, everywhere = self.levels.get(station), self.levels.get("*")
        if here is None or everywhere is None:
            return here or everywhere
        return max(here, everywhere)

    def sees_private(self, asked_by: UUID | None, station: str) -> bool:
        """Whether they see what a private run came to: it is for whoever asked for it, and for leads of its station."""
        level = self.level_at(station)
        return asked_by == self.id or (level is not None and level >= Level.LEAD)


class Verdict(IntEnum):
    """What is decided; the greater one beats the lesser."""

    ALLOW = 1
    REQUIRE_APPROVAL = 2
    DENY = 3


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, the sentence that explains it, and who gave it (``levels``, ``policies.yml:12``, a policy's name)."""

    verdict: Verdict
    reason: str
    by: str = "levels"

    @property
    def allowed(self) -> bool:
        """Whether it may go on, perhaps after an approval."""
        return self.verdict is not Verdict.DENY

    @property
    def at_once(self) -> bool:
        """Whether it may go on without an approval."""
        return self.verdict is Verdict.ALLOW


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody wants to do: ``command:map``, ``playbook:op_airtrack_merge``, ``approve:<playbook>`` …"""

    action: str
    level: Level | None = Level.OPERATOR
    """The least level; None is anyone, an unknown identity included."""
    roles: frozenset[str] = frozenset()
    """Roles whose stations may do it; empty means any."""
    arguments: Mapping[str, Any] | None = None
    """Canonical JSON by name, defaults included. None asks in general, as help does: who acts must give them."""
    transport: str | None = None
    private: bool | None = None


class Rules(Protocol):
    """Verdicts of configuration; `policies.Policies` is one."""

    def verdicts(self, operator: Operator, station: Station, ask: Ask) -> Iterable[Decision]:
        """The decisions of all rules that apply. Pure but for the clock."""
        ...


class Access:
    """Decides what an operator may do, the same for every surface.

    The level at the station, the station's role, the rules of policies.yml and the plugins' policies each give a
    verdict; deny beats require-approval beats allow. A policy that fails or takes longer than `policy_seconds` is a
    deny that names it.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        policies: Sequence[Policy] = (),
        *,
        policy_seconds: float = POLICY_SECONDS,
    ) -> None:
        self._rules, self._policies, self._policy_seconds = rules, tuple(policies), policy_seconds

    async def decide(self, operator: Operator | None, station: Station | None, ask: Ask) -> Decision:
        """The decision, with a reason that explains itself."""
        decision = self.decide_now(operator, station, ask)
        if not self._policies or decision.verdict is Verdict.DENY or operator is None or station is None:
            return decision
        asked = [_bounded(policy, operator, station, ask, self._policy_seconds) for policy in self._policies]
        for verdict in await asyncio.gather(*asked):
            if verdict is not None and verdict.verdict > decision.verdict:
                decision = verdict
        return decision

    def decide_now(self, operator: Operator | None, station: Station | None, ask: Ask) -> Decision:
        """The decision without the plugins' policies: what help and completion go by."""
        decision = decide_by_level(operator, station, ask)
        if self._rules is None or decision.verdict is Verdict.DENY or operator is None or station is None:
            return decision
        try:
            for verdict in self._rules.verdicts(operator, station, ask):
                if verdict.verdict > decision.verdict:
                    decision = verdict
        except Exception as error:
            reason = f"the rules could not be read for {ask.action} ({type(error).__name__}: {error}); tell an admin"
            return Decision(Verdict.DENY, reason, "rules")
        return decision


def decide_by_level(operator: Operator | None, station: Station | None, ask: Ask) -> Decision:
    """What the operator's level and the station's role alone say."""
    action, least = ask.action, ask.level
    if least is not None:
        if operator is None:
            return Decision(
                Verdict.DENY, f"{action} needs an operator; this account is not linked to one. Send /link <code>"
            )
        if station is None:
            return Decision(Verdict.DENY, f"{action} needs a station; choose one with /station <slug>")
        level = operator.level_at(station.slug)
        if level is None or level < least:
            here = f"you are {level} there" if level is not None else "you have no level there"
            return Decision(Verdict.DENY, f"{action} needs {least} at station {station.slug}; {here}")
    if ask.roles and (station is None or station.role not in ask.roles):
        where = f"station {station.slug} is {station.role}" if station is not None else "no station is chosen"
        return Decision(Verdict.DENY, f"{action} is for {_listed(ask.roles)} stations; {where}", "roles")
    if least is None or station is None:
        return Decision(Verdict.ALLOW, f"{action} is open to anyone")
    return Decision(Verdict.ALLOW, f"{action} needs {least} at station {station.slug}; you are {level} there")


def _listed(roles: frozenset[str]) -> str:
    return " and ".join(sorted(roles))


async def _bounded(policy: Policy, operator: Operator, station: Station, ask: Ask, seconds: float) -> Decision | None:
    """A policy's verdict under its name; a deny where it gives none it can be trusted with."""
    by = f"policy {policy.name}"

    async def asked() -> object:
        return await policy.verdict(operator, station, ask)

    task = asyncio.ensure_future(asked())
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        # Not awaited: a policy that swallows its cancellation must not hold up the decision.
        task.cancel()
        task.add_done_callback(_looked_at)
    if not done:
        return Decision(Verdict.DENY, f"{by} gave no verdict within {seconds:g} s; tell whoever runs it", by)
    if task.cancelled() or task.exception() is not None:
        error = "was cancelled" if task.cancelled() else f"failed ({type(task.exception()).__name__})"
        return Decision(Verdict.DENY, f"{by} {error}; tell whoever runs it", by)
    verdict = task.result()
    if verdict is None:
        return None
    if not isinstance(verdict, Decision):
        return Decision(Verdict.DENY, f"{by} returned no Decision; tell whoever runs it", by)
    return replace(verdict, by=by)


def _looked_at(task: asyncio.Future[object]) -> None:
    """Take the error of a task nobody awaits any more, so that asyncio does not warn of it."""
    if not task.cancelled():
        task.exception()
