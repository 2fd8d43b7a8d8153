"""Everything that can be set, typed: the environment, the .env files and config/*.yml, read once at start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    SkipValidation,
    ValidationError,
)
from pydantic.fields import FieldInfo

from vtoc_bots.core.config import (
    ROLES,
    RoleName,
    SourceEntry,
    StationEntry,
    config_error,
    slug_of,
    sources_from,
    stations_from,
)
from vtoc_bots.core.documents import Problem, read_document
from vtoc_bots.core.environment import is_secret_name, merged, secret_values
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.transports import TerminalOptions

M = TypeVar("M", bound=BaseModel)

DEFAULT_CALLSIGN: Final = "TOC-S1"


def _words(value: Any) -> Any:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _database_url(value: SecretStr) -> SecretStr:
    """``postgres://`` and SQLAlchemy's ``postgresql+asyncpg://`` become ``postgresql://``."""
    scheme, _, rest = value.get_secret_value().partition("://")
    urlsplit(f"postgresql://{rest}").port  # noqa: B018  raises ValueError on a wrong port or host
    if scheme.partition("+")[0] not in ("postgres", "postgresql") or not rest:
        raise ValueError("not a Postgres URL")
    return SecretStr(f"postgresql://{rest}")


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an HTTP URL")
    return value.rstrip("/")


def _callsign(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", slug_of(value)):
        raise ValueError("not a callsign")
    return value.strip()


Callsign = Annotated[str, AfterValidator(_callsign)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
LogLevel = Annotated[str, BeforeValidator(str.lower), Field(pattern="^(debug|info|warning|error)$")]

_DATABASE = "a Postgres URL, postgresql://user:password@host:5432/name"
_HTTP = "an address, https://…"
_TEXT = "text"
_NAMES = "names, separated by commas or spaces"


def _set(name: str, default: Any, accepts: str, about: str, **limits: Any) -> Any:
    """A setting: its variable, default, what it accepts and what it is for."""
    return Field(default, alias=name, description=about, json_schema_extra={"accepts": accepts}, **limits)


def _seconds(name: str, default: float, about: str, lowest: float = 0.1) -> Any:
    return _set(name, default, f"seconds, {lowest:g} or more", about, ge=lowest)


_DATABASE_DETAILS: Final = (
    "DATABASE_DIRECT_URL",
    "DATABASE_ADMIN_URL",
    *(f"{name}_{role.upper()}" for name in ("DATABASE_URL", "DATABASE_ADMIN_URL") for role in ROLES),
)
_WHERE_FROM: Final = MappingProxyType(
    {
        "CHATKIT_API_KEY": "Make a key in the ChatKit organisation's settings, API keys.",
        "CHATKIT_ORG_ID": "It stands in the ChatKit organisation's settings, General.",
        "AGENTKIT_CLIENT_ID": "Register an OAuth2 client in the AgentKit organisation, or set AGENTKIT_API_KEY.",
        "AGENTKIT_CLIENT_SECRET": "It was shown when the OAuth2 client was registered; renew it in AgentKit if lost.",
        "POSTGRES_STATION_ROLE": "Set the role of this process's station: ops, intel or logistics.",
        "STATION_CALLSIGN": "Set the callsign of this process's station, such as TOC-S1.",
        "DATABASE_URL": "Set the main database's URL too (Supabase: Project settings, Database).",
    }
)


class Variables(BaseModel):
    """One field a variable; secrets are SecretStr."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True)

    station_callsign: Callsign | None = _set(
        "STATION_CALLSIGN", None, "letters, digits, - _ and ., such as TOC-S1", "This process's station"
    )
    postgres_station_role: RoleName | None = _set(
        "POSTGRES_STATION_ROLE", None, "ops, intel or logistics (or vtoc_ops …)", "The role of this process's station"
    )
    database_url: DatabaseUrl | None = _set(
        "DATABASE_URL", None, _DATABASE, "The main database; SUPABASE_DB_URL wins over it. Unset: embedded Postgres"
    )
    database_direct_url: DatabaseUrl | None = _set(
        "DATABASE_DIRECT_URL", None, _DATABASE, "The same database past any transaction pooler, for LISTEN"
    )
    database_admin_url: DatabaseUrl | None = _set(
        "DATABASE_ADMIN_URL", None, _DATABASE, "The same database with the login that owns the schemas, for migrations"
    )
    database_url_ops: DatabaseUrl | None = _set(
        "DATABASE_URL_OPS", None, _DATABASE, "The database of schema ops, where it is another one"
    )
    database_url_intel: DatabaseUrl | None = _set(
        "DATABASE_URL_INTEL", None, _DATABASE, "The database of schema intel, where it is another one"
    )
    database_url_logistics: DatabaseUrl | None = _set(
        "DATABASE_URL_LOGISTICS", None, _DATABASE, "The database of schema logistics, where it is another one"
    )
    database_admin_url_ops: DatabaseUrl | None = _set(
        "DATABASE_ADMIN_URL_OPS", None, _DATABASE, "That database with the login that owns its schema"
    )
    database_admin_url_intel: DatabaseUrl | None = _set(
        "DATABASE_ADMIN_URL_INTEL", None, _DATABASE, "That database with the login that owns its schema"
    )
    database_admin_url_logistics: DatabaseUrl | None = _set(
        "DATABASE_ADMIN_URL_LOGISTICS", None, _DATABASE, "That database with the login that owns its schema"
    )
    chatkit_api_base_url: HttpUrl | None = _set(
        "CHATKIT_API_BASE_URL", None, _HTTP, "The remote ChatKit service. Unset: our own store"
    )
    chatkit_api_key: SecretStr | None = _set("CHATKIT_API_KEY", None, _TEXT, "Its key")
    chatkit_org_id: str | None = _set("CHATKIT_ORG_ID", None, _TEXT, "The organisation there")
    agentkit_api_base_url: HttpUrl | None = _set(
        "AGENTKIT_API_BASE_URL", None, _HTTP, "The remote AgentKit service. Unset: our own engine"
    )
    agentkit_client_id: str | None = _set("AGENTKIT_CLIENT_ID", None, _TEXT, "Its OAuth2 client")
    agentkit_client_secret: SecretStr | None = _set("AGENTKIT_CLIENT_SECRET", None, _TEXT, "That client's secret")
    agentkit_api_key: SecretStr | None = _set("AGENTKIT_API_KEY", None, _TEXT, "Its key, instead of an OAuth2 client")
    agentkit_org_id: str | None = _set(
        "AGENTKIT_ORG_ID", None, _TEXT, "The organisation there; CHATKIT_ORG_ID stands in for it"
    )
    agentkit_timeout_seconds: float = _set(
        "AGENTKIT_TIMEOUT_SECONDS", 30, "seconds, 0.1 to 45", "How long it may take to answer", ge=0.1, le=45
    )
    plugins_disabled: Words = _set("PLUGINS_DISABLED", (), _NAMES, "Plugins that stay off")
    api_port: int = _set("API_PORT", 8080, "a port, 0 to 65535 (0: any free one)", "Port of HTTP", ge=0, le=65535)
    api_host: str | None = _set(
        "VTOC_API_HOST", None, "an address to listen on", "Default 127.0.0.1 in the embedded profile, else 0.0.0.0"
    )
    public_url: HttpUrl | None = _set(
        "VTOC_PUBLIC_URL", None, _HTTP, "Where people reach this server. Unset: it gives no links to large files itself"
    )
    operator_allowlist: Words = _set(
        "OPERATOR_ALLOWLIST",
        (),
        "accounts as transport:user or transport:workspace:user, separated by commas or spaces",
        "The only accounts that may be operators'. Unset: any account that was linked",
    )
    lease_seconds: float = _seconds("VTOC_LEASE_SECONDS", 10, "How long a claimed row is left to a silent worker")
    sweep_seconds: float = _seconds("VTOC_SWEEP_SECONDS", 1, "How often due rows are looked for")
    handler_timeout_seconds: float = _seconds("VTOC_HANDLER_TIMEOUT_SECONDS", 10, "How long a command may take")
    commands_per_minute: int = _set(
        "VTOC_COMMANDS_PER_MINUTE", 10, "a number, 1 or more", "Commands one operator may give a minute", ge=1
    )
    retention_days: int = _set(
        "VTOC_RETENTION_DAYS",
        30,
        "whole days, 7 or more",
        "How long finished messages, runs and pictures are kept; longer while a run waits that began before",
        ge=7,
    )
    telemetry_retention_days: int = _set(
        "VTOC_TELEMETRY_RETENTION_DAYS", 7, "whole days, 1 or more", "How long telemetry events are kept", ge=1
    )
    thin_seconds: float = _seconds(
        "VTOC_THIN_SECONDS", 5, "One position an entity is stored in this time; 0 stores all", lowest=0
    )
    blocked_seconds: float = _seconds(
        "VTOC_BLOCKED_SECONDS", 0.25, "A loop blocked for longer is logged with the plugin that blocks it", lowest=0.01
    )
    log_level: LogLevel = _set("VTOC_LOG_LEVEL", "info", "debug, info, warning or error", "What is logged")


class Settings(Variables):
    """Everything that is set, frozen."""

    config_dir: Path
    data_dir: Path
    stations: tuple[StationEntry, ...]
    station: StationEntry
    """This process's station, one of `stations`."""
    sources: tuple[SourceEntry, ...]
    """The sources to run: the enabled ones, or the exercise when there is none."""
    disabled_sources: tuple[SourceEntry, ...]
    terminal: TerminalOptions | None = None
    """How this process uses its terminal; None where it does not."""
    variables: SkipValidation[Mapping[str, str]] = Field(repr=False)
    """All variables, for plugins' own settings. Holds secrets."""

    @property
    def embedded(self) -> bool:
        """Whether this is the embedded profile: neither a database nor a remote service is set."""
        return not (self.database_url or self.chatkit_api_base_url or self.agentkit_api_base_url)

    @property
    def listen_host(self) -> str:
        """The address HTTP listens on."""
        return self.api_host or ("127.0.0.1" if self.embedded else "0.0.0.0")  # noqa: S104  a deployment is reached

    def missing(self, *names: str) -> tuple[str, ...]:
        """Those of these variables that are not set."""
        return tuple(name for name in names if name not in self.variables)

    def read(self, model: type[M]) -> M:
        """A plugin's settings, from the variables that the fields' aliases name.

        Raises StartupError naming every wrong variable.
        """
        value, problems = read_variables(model, self.variables)
        if value is None:
            raise _error(problems)
        return value

    def secrets(self) -> frozenset[str]:
        """Every value that must never be shown."""
        return frozenset(secret_values(self.variables))


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One setting as documented."""

    name: str
    default: str
    accepts: str
    about: str


def documented_settings(model: type[BaseModel] = Variables) -> tuple[SettingDoc, ...]:
    """What can be set by variables, in the model's order."""
    return tuple(
        SettingDoc(field.alias, _shown_default(field.default), _accepts(field), field.description or "")
        for field in model.model_fields.values()
        if field.alias
    )


def load_settings(
    config_dir: Path,
    data_dir: Path,
    environ: Mapping[str, str] | None = None,
    env_dir: Path | None = None,
) -> Settings:
    """Read everything that can be set.

    With `environ` None: the process's environment, and the .env files of the working folder. With an `environ` given,
    the .env files are read from `env_dir` only. Raises StartupError naming everything that is wrong or missing.
    """
    if environ is None:
        environ, env_dir = os.environ, env_dir or Path.cwd()
    variables = merged(environ, env_dir)
    checked = {**variables}
    if "SUPABASE_DB_URL" in variables:
        checked["DATABASE_URL"] = variables["SUPABASE_DB_URL"]
    values, problems = read_variables(Variables, checked)
    problems += _missing(checked)
    if values is None or problems:
        raise _error(problems)
    stations, station = _stations(values, config_dir)
    sources = _sources(config_dir, stations, station.slug)
    enabled = tuple(source for source in sources if source.enabled)
    derived = {
        "config_dir": config_dir,
        "data_dir": data_dir,
        "stations": stations,
        "station": station,
        "sources": enabled or (SourceEntry("exercise", "exercise", station.slug),),
        "disabled_sources": tuple(source for source in sources if not source.enabled),
        "variables": MappingProxyType(variables),
    }
    aliases = {field.alias for field in Variables.model_fields.values() if field.alias}
    return Settings.model_validate({name: checked[name] for name in aliases & checked.keys()} | derived)


def read_variables(model: type[M], variables: Mapping[str, str]) -> tuple[M | None, list[Problem]]:
    """A model from the variables that its aliases name, or None and every variable that is wrong."""
    try:
        return model.model_validate(variables), []
    except ValidationError as error:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        names = dict.fromkeys(str(part["loc"][0]) if part["loc"] else model.__name__ for part in error.errors())
        return None, [_wrong(name, fields.get(name), variables, error) for name in names]


def _wrong(name: str, field: FieldInfo | None, variables: Mapping[str, str], error: ValidationError) -> Problem:
    """What is wrong with one variable, without showing a secret."""
    if field is None:
        return Problem(name, error.errors(include_input=False, include_url=False)[0]["msg"])
    message = next(
        part["msg"] for part in error.errors(include_input=False, include_url=False) if part["loc"][:1] == (name,)
    )
    accepts = f"it takes {_accepts(field)}" if _accepts(field) else message
    if name not in variables:
        return Problem(name, f"is not set; {accepts}")
    secret = is_secret_name(name) or "Secret" in str(field.annotation)
    given = "its value (not shown)" if secret else repr(variables[name])
    if name == "DATABASE_URL" and "SUPABASE_DB_URL" in variables:
        name = "SUPABASE_DB_URL"
    return Problem(name, f"{given} is not accepted; {accepts}")


def _missing(variables: Mapping[str, str]) -> list[Problem]:
    """What a deployment with a remote service, or a part of a database's addresses, lacks."""
    lacking: list[tuple[str, str]] = []
    remotes = [name for name in ("CHATKIT_API_BASE_URL", "AGENTKIT_API_BASE_URL") if name in variables]
    if "CHATKIT_API_BASE_URL" in remotes:
        lacking += [("CHATKIT_API_KEY", remotes[0]), ("CHATKIT_ORG_ID", remotes[0])]
    if "AGENTKIT_API_BASE_URL" in remotes and "AGENTKIT_API_KEY" not in variables:
        lacking += [("AGENTKIT_CLIENT_ID", remotes[-1]), ("AGENTKIT_CLIENT_SECRET", remotes[-1])]
    if remotes:
        lacking += [("POSTGRES_STATION_ROLE", remotes[0]), ("STATION_CALLSIGN", remotes[0])]
    lacking += [("DATABASE_URL", name) for name in _DATABASE_DETAILS if name in variables]
    return [
        Problem(name, f"is not set, but {cause} is. {_WHERE_FROM[name]}")
        for name, cause in dict(reversed(lacking)).items()
        if name not in variables
    ][::-1]


def _error(problems: list[Problem]) -> StartupError:
    if len(problems) == 1:
        return StartupError(f"settings: {problems[0].where} {problems[0].message}")
    lines = [f"settings: {len(problems)} variables are wrong or missing:"]
    return StartupError("\n".join([*lines, *(f"  - {problem.where} {problem.message}" for problem in problems)]))


def _stations(values: Variables, config_dir: Path) -> tuple[tuple[StationEntry, ...], StationEntry]:
    """All stations, and this process's own: STATION_CALLSIGN's, else the file's first, else the default one."""
    document = read_document(config_dir / "stations.yml")
    stations, problems = stations_from(document) if document else ([], [])
    if problems:
        raise config_error(problems)
    role = values.postgres_station_role
    if values.station_callsign is None and stations:
        own = stations[0]
    else:
        callsign = values.station_callsign or DEFAULT_CALLSIGN
        slug = slug_of(callsign)
        found = next((station for station in stations if station.slug == slug), None)
        own = found or StationEntry.model_validate({"slug": slug, "callsign": callsign, "role": role or "ops"})
        if found is None:
            stations.append(own)
    if role is not None and role != own.role:
        where = document.where("stations") if document else "settings"
        message = f"station {own.slug} is {own.role}, but POSTGRES_STATION_ROLE is {role}; correct one of them"
        raise config_error([Problem(where, message)])
    return tuple(stations), own


def _sources(config_dir: Path, stations: tuple[StationEntry, ...], own: str) -> list[SourceEntry]:
    document = read_document(config_dir / "connectors.yml")
    sources, problems = sources_from(document, stations, own) if document else ([], [])
    if problems:
        raise config_error(problems)
    return sources


def _accepts(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra.get("accepts", "")) if isinstance(extra, dict) else ""


def _shown_default(default: Any) -> str:
    if default is None or default == ():
        return ""
    return f"{default:g}" if isinstance(default, float | int) else str(default)
