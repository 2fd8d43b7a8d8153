"""Errors of HTTP requests as problem documents (RFC 9457): who may read what of them, and under which status."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import orjson
from aiohttp import web

from vtoc_bots.core.errors import Conflict, Fate, Forbidden, NotFound, TransientError, VtocError
from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.idempotency import KeyReused

CONTENT_TYPE: Final = "application/problem+json"
_CORRELATION_ID: Final = web.RequestKey("vtoc_correlation_id", UUID)
_KEPT_HEADERS: Final = ("Allow", "Retry-After", "WWW-Authenticate", "Accept")


class Refusal(VtocError):
    """A request is refused with this status; `headers` go with it, `members` are further ones of the document."""

    fate = Fate.CALLER

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.headers, self.members = status, dict(headers or {}), dict(members or {})


def correlation_id(request: web.Request) -> UUID:
    """The id of this request, made when it is first asked for; it stands in its problem document and log lines."""
    found = request.get(_CORRELATION_ID)
    if found is None:
        found = request[_CORRELATION_ID] = new_id()
    return found


def problem(
    status: int, detail: str, correlation_id: UUID, *, headers: Mapping[str, str] | None = None, **members: Any
) -> web.Response:
    """A problem document; `members` are further members of it, and replace `type` or `title`."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "correlation_id": str(correlation_id),
        **members,
    }
    return web.Response(status=status, body=orjson.dumps(document), content_type=CONTENT_TYPE, headers=headers)


def problem_of_http(error: web.HTTPException, request: web.Request) -> web.Response:
    """The problem document of what aiohttp or a handler raised."""
    kept = {name: error.headers[name] for name in _KEPT_HEADERS if name in error.headers}
    return problem(error.status, _http_detail(error, request), correlation_id(request), headers=kept)


def _http_detail(error: web.HTTPException, request: web.Request) -> str:
    if error.text and error.text != f"{error.status}: {error.reason}":
        return error.text
    if isinstance(error, web.HTTPNotFound):
        return f"There is nothing at {request.path}."
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.path} takes {', '.join(sorted(error.allowed_methods))}, not {request.method}."
    return f"{error.reason}."


def problem_of_error(error: VtocError, request: web.Request) -> web.Response:
    """The problem document of an error of ours, whose text is for people and holds no secret."""
    if isinstance(error, Refusal):
        return problem(error.status, str(error), correlation_id(request), headers=error.headers, **error.members)
    headers = {}
    if isinstance(error, TransientError) and error.after_seconds is not None:
        headers["Retry-After"] = str(max(1, round(error.after_seconds)))
    return problem(status_of(error), str(error), correlation_id(request), headers=headers)


def status_of(error: VtocError) -> int:
    """The HTTP status of an error of ours, by its class or else its fate."""
    if isinstance(error, Refusal):
        return error.status
    if isinstance(error, Forbidden):
        return 403
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Conflict):
        return 409
    if isinstance(error, KeyReused):
        return 422
    return {Fate.CALLER: 400, Fate.RETRY: 503, Fate.PERSON: 500, Fate.STOP: 500}[error.fate]


def problem_of_fault(request: web.Request) -> web.Response:
    """The problem document of a fault of ours: nothing of it but the id under which it was logged."""
    detail = "Something went wrong here. Quote the correlation id to whoever runs this service."
    return problem(500, detail, correlation_id(request))
