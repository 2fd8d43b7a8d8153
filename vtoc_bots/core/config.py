"""The stations and telemetry sources of config/stations.yml and config/connectors.yml, typed."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from vtoc_bots.core.documents import Document, Problem, nearest, parse_document, validate
from vtoc_bots.core.errors import ConfigError, StartupError
from vtoc_bots.core.messages import ConversationId
from vtoc_bots.core.values import DURATION

M = TypeVar("M", bound=BaseModel)
Role = Literal["ops", "intel", "logistics"]
Mode = Literal["online", "offline", "chatkit"]

ROLES: Final[tuple[str, ...]] = get_args(Role)
CAPTURE_KEYS: Final = frozenset(
    {
        "log_path",
        "capture_path",
        "packet_log",
        "tle_file",
        "iq_recording",
        "json_log",
        "gpx_file",
        "nmea_log",
    }
)
"""The platform's own names for an input that is a recorded file."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9.-]*")
_SOURCE_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_INTERVAL = re.compile(r"[1-9][0-9]*[smhd]")


def slug_of(text: str) -> str:
    """A callsign or slug as a slug: lower case, ``-`` for ``_``."""
    return text.strip().lower().replace("_", "-")


def role_of(text: str) -> str:
    """``ops``, ``vtoc_ops`` or ``OPS`` as ``ops``. Raises ValueError naming the three roles."""
    role = text.strip().lower().removeprefix("vtoc_")
    if role not in ROLES:
        raise ValueError("a station role is ops, intel or logistics (vtoc_ops … mean the same)")
    return role


def _slug(text: str) -> str:
    slug = slug_of(text)
    if not _SLUG.fullmatch(slug):
        raise ValueError("a slug has only letters, digits, - and .")
    return slug


def _schedule(text: str) -> str:
    text = text.strip()
    if text == "now" or (_INTERVAL.fullmatch(text) and DURATION.parse(text)):
        return text
    if len(text.split()) == 5 and croniter.is_valid(text):
        return text
    raise ValueError("a schedule is five cron fields ('*/5 * * * *'), an interval such as 30s or 15m, or now")


def _conversation(text: str) -> str:
    return str(ConversationId.parse(text))


def _timezone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (ValueError, OSError, LookupError):  # a path, a folder, or nothing of that name
        raise ValueError("no such timezone; take an IANA name such as UTC or Europe/Paris") from None


RoleName = Annotated[Role, BeforeValidator(lambda value: role_of(value) if isinstance(value, str) else value)]
Slug = Annotated[str, AfterValidator(_slug)]


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StationEntry(_Keys):
    """A station as configured. WGS84 degrees and metres.

    `channels` are globs over conversations' text form; `notices` are conversations where the station is told of
    approvals and of what is wrong.
    """

    slug: Slug
    callsign: str
    name: str
    role: RoleName = "ops"
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)
    radius_m: float | None = Field(None, gt=0)
    channels: tuple[str, ...] = ()
    notices: tuple[Annotated[str, AfterValidator(_conversation)], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("slug"), str):
            return value
        callsign = value.get("callsign", value["slug"].upper())
        return {"name": str(callsign), **value, "callsign": callsign}

    @model_validator(mode="after")
    def _whole(self) -> StationEntry:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude come together; give both or neither")
        if self.radius_m is not None and self.latitude is None:
            raise ValueError("radius_m needs latitude and longitude")
        return self


def channels_of(stations: Sequence[StationEntry]) -> dict[str, str]:
    """Whose a conversation is: stations' slugs by glob, those of `channels` first.

    Where one station alone is told of approvals, they are decided: that conversation is the station's too.
    """
    theirs = {glob: station.slug for station in stations for glob in station.channels}
    told = [(conversation, station.slug) for station in stations for conversation in station.notices]
    alone = {conversation: slug for conversation, slug in told if [each for each, _ in told].count(conversation) == 1}
    return {**theirs, **{conversation: slug for conversation, slug in alone.items() if conversation not in theirs}}


class _SourceKeys(BaseModel):
    """What every source has; the rest belongs to its connector."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = Field(min_length=1)
    enabled: bool = True
    mode: Mode | None = None
    schedule: Annotated[str, AfterValidator(_schedule)] | None = None
    station: Slug | None = None
    station_role: RoleName | None = None
    chatkit_channel: str | None = None
    broadcast: bool = False


_NO_DOCUMENT: Final = parse_document("", "defaults")


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A telemetry source as configured; `options` are the keys of its connector, which `read` makes typed."""

    slug: str
    type: str
    station: str
    enabled: bool = True
    mode: Mode = "online"
    schedule: str | None = None
    chatkit_channel: str | None = None
    broadcast: bool = False
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    document: Document = field(default=_NO_DOCUMENT, repr=False, compare=False)

    @property
    def where(self) -> str:
        """``file:line`` of the entry."""
        return self.document.where("sources", self.slug)

    @property
    def kept(self) -> dict[str, Any]:
        """What stands of it in the source's row, for whoever has no configuration file."""
        return {"chatkit_channel": self.chatkit_channel}

    def read(self, model: builtins.type[M]) -> M:
        """The connector's own keys as its settings model. Raises ConfigError naming every wrong key and its line."""
        value, problems = validate(model, self.document, ("sources", self.slug), dict(self.options))
        if value is None:
            raise config_error(problems)
        return value


def config_error(problems: Sequence[Problem]) -> StartupError:
    """One error of all problems; a ConfigError with its place when there is just one."""
    if len(problems) == 1:
        return ConfigError(problems[0].message, problems[0].where)
    return StartupError("\n".join([f"{len(problems)} things are wrong in the configuration:", *map(_bullet, problems)]))


def _bullet(problem: Problem) -> str:
    return f"  - {problem}"


def stations_from(document: Document) -> tuple[list[StationEntry], list[Problem]]:
    """The stations of a stations.yml, in the file's order, and what is wrong with it."""
    entries, problems = _entries(document, "stations")
    stations: list[StationEntry] = []
    for key, value in entries.items():
        if "slug" in value:
            problems.append(Problem(document.where("stations", key, "slug"), f"stations.{key}: the key is the slug"))
            continue
        keys = ("stations", key)
        station, wrong = validate(StationEntry, document, keys, {**value, "slug": key})
        problems.extend(wrong)
        if station is None:
            continue
        if any(station.slug == other.slug for other in stations):
            problems.append(Problem(document.where(*keys), f"station {station.slug} is given twice; keep one"))
        stations.append(station)
    return stations, problems


def sources_from(
    document: Document, stations: Sequence[StationEntry], own: str
) -> tuple[list[SourceEntry], list[Problem]]:
    """The sources of a connectors.yml, in the file's order, and what is wrong with it; `own` is the default station."""
    entries, problems = _entries(document, "sources")
    by_slug = {station.slug: station for station in stations}
    sources: list[SourceEntry] = []
    for key, value in entries.items():
        keys, wrong = validate(_SourceKeys, document, ("sources", key), value)
        problems.extend(wrong)
        if not _SOURCE_SLUG.fullmatch(key):
            where = document.where("sources", key)
            problems.append(Problem(where, f"{key!r}: a source's slug has only letters, digits, _, - and ."))
        if keys is None:
            continue
        station = by_slug.get(keys.station or own)
        problem = _station_problem(keys, station, by_slug)
        if problem is not None:
            problems.append(Problem(document.where("sources", key, problem[0]), f"sources.{key}: {problem[1]}"))
        sources.append(_source(key, keys, own, document))
    return sources, problems


def _station_problem(
    keys: _SourceKeys, station: StationEntry | None, known: Mapping[str, StationEntry]
) -> tuple[str, str] | None:
    """The key at fault and what is wrong, None when station and role fit."""
    if station is None:
        names = ", ".join(known)
        return "station", f"no station {keys.station}; stations.yml knows {names}.{nearest(keys.station or '', known)}"
    if keys.station_role is not None and keys.station_role != station.role:
        return "station_role", f"station {station.slug} is {station.role}, not {keys.station_role}; correct one of them"
    return None


def _source(slug: str, keys: _SourceKeys, own: str, document: Document) -> SourceEntry:
    options = keys.model_extra or {}
    return SourceEntry(
        slug=slug,
        type=keys.type,
        station=keys.station or own,
        enabled=keys.enabled,
        mode=keys.mode or default_mode(options),
        schedule=keys.schedule,
        chatkit_channel=keys.chatkit_channel,
        broadcast=keys.broadcast,
        options=MappingProxyType(options),
        document=document,
    )


def default_mode(options: Mapping[str, Any]) -> Mode:
    """``offline`` for an input that is a file, else ``online``; a file that is rewritten live says ``mode: online``."""
    url = options.get("url")
    is_file = isinstance(url, str) and url.startswith("file:")
    return "offline" if is_file or CAPTURE_KEYS & options.keys() else "online"


def _entries(document: Document, section: str) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """The mappings under a file's one section, and what is wrong with its outline."""
    if document.data is None:
        return {}, []
    if not isinstance(document.data, dict):
        return {}, [Problem(document.where(), f"begins with `{section}:`, then one entry a slug below it")]
    problems = [
        Problem(document.where(key), f"{key} is not a known section.{nearest(key, [section])} Only {section} is")
        for key in document.data
        if key != section
    ]
    entries = document.data.get(section) or {}
    if not isinstance(entries, dict):
        return {}, [*problems, Problem(document.where(section), f"{section} holds one entry a slug, `slug: {{…}}`")]
    wrong = [key for key, value in entries.items() if not isinstance(value, dict)]
    problems += [Problem(document.where(section, key), f"{section}.{key} holds keys and values") for key in wrong]
    return {key: value for key, value in entries.items() if isinstance(value, dict)}, problems
