"""The MCP servers of config/mcp.yml, typed: how each is reached, what may be called there, whose diagnostics it has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from vtoc_bots.core.config import config_error
from vtoc_bots.core.documents import Document, Problem, nearest, read_document, validate
from vtoc_bots.core.settings import HttpUrl

FILE: Final = "mcp.yml"
SLUG: Final = r"[a-z0-9][a-z0-9_-]{0,62}"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _slugs(names: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in names:
        if not re.fullmatch(SLUG, name):
            raise ValueError(f"{name!r}: a system's name has only small letters, digits, _ and -")
    return names


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class Check(_Keys):
    """One tool of a system's diagnostics."""

    tool: str = Field(min_length=1, description="the tool to call; it must be one that `tools` allows")
    arguments: dict[str, Any] = Field(default_factory=dict, description="what it is called with")
    title: str | None = Field(None, description="what people read; default: the tool's name")
    remedy: str | None = Field(None, description="what to do when it fails, for people")


class OAuth(_Keys):
    """OAuth2 client credentials."""

    token_url: HttpUrl = Field(description="the token endpoint")
    client_id: str = Field(min_length=1, description="${VARIABLE} of the client's id")
    client_secret: str = Field(min_length=1, description="${VARIABLE} of the client's secret")
    scope: str | None = Field(None, description="scopes to ask for, separated by spaces")


class ServerEntry(_Keys):
    """A server as configured: a program to start (`command`), or a service to reach (`url`)."""

    command: str | None = Field(
        None, min_length=1, description="the program to start; it speaks MCP on stdin and stdout"
    )
    args: tuple[str, ...] = Field((), description="its arguments")
    env: dict[str, str] = Field(default_factory=dict, description="its variables; ${VARIABLE} stands for one of ours")
    cwd: str | None = Field(None, description="the folder it is started in")
    url: HttpUrl | None = Field(None, description="the service's streamable HTTP endpoint")
    token: str | None = Field(None, min_length=1, description="${VARIABLE} of its bearer token")
    oauth: OAuth | None = Field(None, description="client credentials, instead of a token")
    tools: tuple[str, ...] = Field(min_length=1, description='globs over the tools that may be called; ["*"]: all')
    protocol: Literal["auto", "legacy"] = Field(
        "auto", description="legacy: greet as servers before 2026 expect it, without asking which era it is of"
    )
    enabled: bool = True
    required: bool = Field(False, description="whether this process is unready while the server does not answer")
    at_once: int = Field(4, ge=1, le=64, description="connections at most; each carries one call at a time")
    connect_seconds: float = Field(15.0, gt=0, le=300, description="how long starting and greeting it may take")
    timeout_seconds: float = Field(30.0, gt=0, le=3600, description="how long one call may take, people not counted")
    answer_seconds: float = Field(900.0, gt=0, le=86_400, description="how long a person has to answer what it asks")
    repeatable: tuple[str, ...] = Field(
        (), description="globs over tools that may be called again when it is not known whether they were done"
    )
    diagnostics: Annotated[dict[str, tuple[Check, ...]], AfterValidator(_slugs)] = Field(
        default_factory=dict, description="by system: the tools that `/diagnostics SYSTEM` calls"
    )

    @model_validator(mode="after")
    def _one_way(self) -> ServerEntry:
        if (self.command is None) == (self.url is None):
            raise ValueError("give command or url, and not both")
        if self.url is None and (self.token is not None or self.oauth is not None):
            raise ValueError("token and oauth are for a url; a program gets what it needs by env")
        if self.command is None and (self.args or self.env or self.cwd):
            raise ValueError("args, env and cwd are for a command")
        if self.token is not None and self.oauth is not None:
            raise ValueError("give token or oauth, and not both")
        for system, checks in self.diagnostics.items():
            refused = next((check.tool for check in checks if not self.allows(check.tool)), None)
            if refused is not None:
                raise ValueError(f"diagnostics.{system} calls {refused}, which tools does not allow")
        return self

    def allows(self, tool: str) -> bool:
        """Whether a tool may be called."""
        return any(fnmatchcase(tool, glob) for glob in self.tools)

    def may_repeat(self, tool: str) -> bool:
        """Whether the configuration says that calling it twice does no harm."""
        return any(fnmatchcase(tool, glob) for glob in self.repeatable)


class McpFile(_Keys):
    """config/mcp.yml."""

    servers: dict[str, ServerEntry] = Field(default_factory=dict, description="by a name of small letters and digits")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """A server, its variables filled in. `secrets` must never be shown."""

    name: str
    entry: ServerEntry
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    token: str | None = field(default=None, repr=False)
    client_id: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)

    @property
    def credential(self) -> str:
        """Where a person finds the credential, for error texts."""
        key = "token" if self.entry.token else "oauth" if self.entry.oauth else "env"
        return f"servers.{self.name}.{key} in config/{FILE}"

    @property
    def place(self) -> str:
        """Where a person finds how it is reached, for error texts."""
        return f"servers.{self.name}.{'url' if self.entry.url else 'command'} in config/{FILE}"


def load_mcp(path: Path, variables: Mapping[str, str]) -> tuple[ServerConfig, ...]:
    """The enabled servers of a file; a missing one has none. Raises ConfigError or StartupError naming every wrong
    line, and every variable that is not set."""
    document = read_document(path)
    servers, problems = ([], []) if document is None else servers_from(document, variables)
    if problems:
        raise config_error(problems)
    return tuple(servers)


def servers_from(document: Document, variables: Mapping[str, str]) -> tuple[list[ServerConfig], list[Problem]]:
    """The enabled servers of a document, in its order, and everything that is wrong with it."""
    if document.data is None:
        return [], []
    if not isinstance(document.data, dict) or not isinstance(document.data.get("servers") or {}, dict):
        return [], [Problem(document.where("servers"), "begins with `servers:`, then one entry a server below it")]
    problems = [
        Problem(document.where(key), f"{key} is not a known key.{nearest(key, ['servers'])} Only servers is")
        for key in document.data
        if key != "servers"
    ]
    servers: list[ServerConfig] = []
    for name, value in (document.data.get("servers") or {}).items():
        keys = ("servers", name)
        if not re.fullmatch(SLUG, name):
            where = document.where(*keys)
            problems.append(Problem(where, f"{name!r}: a server's name has only small letters, digits, _ and -"))
        entry, wrong = validate(ServerEntry, document, keys, value)
        problems.extend(wrong)
        if entry is None or not entry.enabled:
            continue
        missing = [variable for variable in _named(entry) if variable not in variables]
        problems += [Problem(document.where(*keys), f"servers.{name}: {each} is not set") for each in missing]
        if not missing:
            servers.append(_filled(name, entry, variables))
    return servers, problems


def mcp_schema() -> dict[str, Any]:
    """The JSON Schema of mcp.yml, as config/mcp.schema.json holds it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **McpFile.model_json_schema(),
        "title": FILE,
    }


def _named(entry: ServerEntry) -> Iterator[str]:
    """The variables that an entry refers to."""
    texts = [*entry.env.values(), entry.token or ""]
    if entry.oauth is not None:
        texts += [entry.oauth.client_id, entry.oauth.client_secret]
    for text in texts:
        yield from _REFERENCE.findall(text)


def _filled(name: str, entry: ServerEntry, variables: Mapping[str, str]) -> ServerConfig:
    def fill(text: str) -> str:
        return _REFERENCE.sub(lambda found: variables[found[1]], text)

    oauth = entry.oauth
    return ServerConfig(
        name,
        entry,
        MappingProxyType({key: fill(value) for key, value in entry.env.items()}),
        None if entry.token is None else fill(entry.token),
        None if oauth is None else fill(oauth.client_id),
        None if oauth is None else fill(oauth.client_secret),
    )
