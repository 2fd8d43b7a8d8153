"""Operations of the API: a typed function becomes a route that authorises, reads, calls, answers and is documented."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from vtoc_bots.core.access import Level, Station
from vtoc_bots.core.web.auth import Principal
from vtoc_bots.core.web.documents import Page
from vtoc_bots.core.web.parts import Parts

PREFIX: Final = "/api/v1"
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
EVENTS: Final = "text/event-stream"
KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
"""An idempotency key."""
_ALWAYS: Final = (401, 403, 404, 503)

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


@dataclass(frozen=True, slots=True)
class Call:
    """One request that may be answered: who asks, for which station, and what the answer can be made of."""

    http: web.Request | None
    """None where it came by no request of its own: by MCP."""
    parts: Parts
    principal: Principal
    station: Station
    correlation_id: UUID
    key: str | None = None
    """Its Idempotency-Key."""
    digest: str = ""
    """Of operation, path and body: what a key stands for."""

    @property
    def request(self) -> web.Request:
        """The request, for operations that only HTTP has."""
        if self.http is None:
            raise RuntimeError("this call came by no HTTP request")
        return self.http

    @property
    def request_key(self) -> str:
        """A key that is this caller's alone: the same for what is sent again under an Idempotency-Key."""
        own = f"key:{self.key}" if self.key is not None else f"request:{self.correlation_id}"
        return f"api:{self.principal.actor}:{own}"


@dataclass(frozen=True, slots=True)
class SignedCall:
    """One webhook whose signature holds. It is for no station until its body says so."""

    request: web.Request
    parts: Parts
    correlation_id: UUID


class Batch(NamedTuple):
    """A body that is a list: how some of its items are checked, and how many there may be."""

    items: TypeAdapter[Any]
    most: int


@dataclass(frozen=True, slots=True)
class Operation:
    """A route and everything that its documentation says.

    `level` is the least one at the station. `station_in_path`: its ``{slug}`` is the request's station. `keyed`: it
    takes an Idempotency-Key. `audited`: a row of the audit log is written before it is done. `signed`: a webhook,
    whose signature stands for the credential; it is called with a SignedCall. `starts`: what it starts is decided on
    by itself, and may wait for an approval, which nothing else here can. `batch`: the body may be a list of these.
    """

    id: str
    method: str
    path: str
    call: Callable[..., Awaitable[Any]]
    summary: str
    description: str
    tag: str
    level: Level
    status: int
    path_types: Mapping[str, TypeAdapter[Any]]
    query: type[BaseModel] | None
    body: TypeAdapter[Any] | None
    answer: TypeAdapter[Any] | None
    is_page: bool
    is_stream: bool
    problems: tuple[int, ...]
    station_in_path: bool
    keyed: bool
    audited: bool
    ndjson: bool
    signed: bool
    starts: bool
    batch: Batch | None


def operation(
    method: str,
    path: str,
    *,
    level: Level = Level.OBSERVER,
    status: int = 200,
    problems: tuple[int, ...] = (),
    keyed: bool = False,
    audited: bool = False,
    ndjson: bool = False,
    signed: bool = False,
    starts: bool = False,
    batch: Batch | None = None,
) -> Callable[[Callable[..., Awaitable[Any]]], Operation]:
    """Make an Operation of ``async def f(call: Call, <path parameters>, query: Q, body: B) -> Answer``.

    `query` is a model, `body` any type that pydantic knows, other parameters are the path's. The docstring is the
    documentation; `problems` are the statuses it answers besides those that follow from the signature. `batch`: of a
    body that may be a long list, how its items are checked: in parts, so that others are served meanwhile.
    """

    def make(call: Callable[..., Awaitable[Any]]) -> Operation:
        hints = get_type_hints(call, include_extras=True)
        returned = hints.pop("return", None)
        query, body = hints.pop("query", None), hints.pop("body", None)
        hints.pop("call", None)
        is_page, is_stream = get_origin(returned) is Page, returned is web.StreamResponse
        answer: Any = list[get_args(returned)[0]] if is_page else returned  # type: ignore[misc]  # made at run time
        summary, _, description = (inspect.getdoc(call) or "").partition("\n")
        found = set(_ALWAYS if not signed else (401, 503)) | set(problems)
        found |= {400} if query is not None or body is not None or keyed else set()
        found |= {408, 413, 415} if body is not None else set()
        found |= {422} if keyed else set()
        return Operation(
            id=call.__name__,
            method=method,
            path=path,
            call=call,
            summary=summary.rstrip("."),
            description=description.strip(),
            tag=path.split("/")[1],
            level=level,
            status=status,
            path_types={name: TypeAdapter(hint) for name, hint in hints.items()},
            query=query,
            body=None if body is None else TypeAdapter(body),
            answer=None if is_stream or returned in (None, type(None)) else TypeAdapter(answer),
            is_page=is_page,
            is_stream=is_stream,
            problems=tuple(sorted(found)),
            station_in_path="/stations/{slug}" in path,
            keyed=keyed,
            audited=audited,
            ndjson=ndjson,
            signed=signed,
            starts=starts,
            batch=batch,
        )

    return make
