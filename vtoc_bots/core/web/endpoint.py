"""Answers requests for operations: who, for which station, may they, what do they say; then the operation itself."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import ValidationError

from vtoc_bots.core.access import Ask, Decision
from vtoc_bots.core.audit import audit_row
from vtoc_bots.core.observe.tracing import span
from vtoc_bots.core.store.effects import Effects, write_effects
from vtoc_bots.core.web.batches import AT_ONCE, batch_of
from vtoc_bots.core.web.bodies import read_body
from vtoc_bots.core.web.context import station_named, station_of
from vtoc_bots.core.web.documents import Page
from vtoc_bots.core.web.mistakes import mistaken, mistakes
from vtoc_bots.core.web.parsing import loaded, refuse_deep
from vtoc_bots.core.web.parts import Parts
from vtoc_bots.core.web.problems import Refusal, correlation_id
from vtoc_bots.core.web.signatures import check_signature
from vtoc_bots.core.web.tools import refused
from vtoc_bots.core.web.typed import JSON, KEY, NDJSON, PREFIX, Call, Operation, SignedCall

_NDJSON_TYPES: Final = (NDJSON, "application/ndjson", "application/jsonl")


class Endpoint:
    """One operation as aiohttp calls it."""

    def __init__(self, operation: Operation, parts: Parts) -> None:
        self._operation, self._parts = operation, parts

    @property
    def route(self) -> web.RouteDef:
        """Where it stands."""
        return web.route(self._operation.method, PREFIX + self._operation.path, self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        operation = self._operation
        traceparent = request.headers.get("traceparent")
        named = {"bot.platform": "api", "bot.operation": operation.id, "correlation_id": correlation_id(request)}
        with span(f"api {operation.id}", traceparent, **named):
            if operation.signed:
                raw = await read_body(request, request.client_max_size)
                check_signature(self._parts.settings.webhook_secret, request.headers, raw, self._parts.clock.now())
                signed = SignedCall(request, self._parts, correlation_id(request))
                return self._answer(request, await operation.call(signed, body=await self._body(request, raw)))
            call, values = await self._call(request)
            return self._answer(request, await operation.call(call, **values))

    async def _call(self, request: web.Request) -> tuple[Call, dict[str, Any]]:
        """What the operation is called with. Raises Refusal, Forbidden and what reading raises."""
        operation, parts = self._operation, self._parts
        principal = await parts.authenticator.principal(request.headers.get("Authorization"))
        in_path = request.match_info.get("slug") if operation.station_in_path else None
        named = station_named(in_path, request.headers)
        station = station_of(principal, named, await parts.people.stations())
        ask = Ask(f"api:{operation.id}", operation.level, transport="api")
        decision = await parts.access.decide(principal.operator, station, ask)
        call = Call(request, parts, principal, station, correlation_id(request))
        if not decision.at_once and not (decision.allowed and operation.starts):
            await self._audit(call, decision)
            raise refused(decision)
        values = self._path_values(request)
        if operation.query is not None:
            values["query"] = self._query(request)
        key, raw = self._key(request), b""
        if operation.body is not None:
            raw = await read_body(request, request.client_max_size)
            values["body"] = await self._body(request, raw)
        if key is not None:
            about = f"{operation.id} {request.path} {station.slug}\n".encode()
            call = Call(
                request, parts, principal, station, call.correlation_id, key, hashlib.sha256(about + raw).hexdigest()
            )
        if operation.audited:
            await self._audit(call, decision)
        return call, values

    def _path_values(self, request: web.Request) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, kind in self._operation.path_types.items():
            try:
                values[name] = kind.validate_strings(request.match_info[name])
            except ValidationError:
                raise Refusal(404, f"there is nothing of the {name} {request.match_info[name][:80]!r}") from None
        return values

    def _query(self, request: web.Request) -> Any:
        names = [name for name, _ in request.query.items()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise mistaken([{"in": "query", "at": twice, "message": "it is given twice; give it once"}])
        assert self._operation.query is not None
        try:
            return self._operation.query.model_validate_strings(dict(request.query), strict=True)
        except ValidationError as error:
            raise mistaken(mistakes("query", error)) from None

    def _key(self, request: web.Request) -> str | None:
        key = request.headers.get("Idempotency-Key") if self._operation.keyed else None
        if key is not None and not KEY.fullmatch(key):
            message = "it is 1 to 255 printable ASCII characters without spaces"
            raise mistaken([{"in": "header", "at": "Idempotency-Key", "message": message}])
        return key

    async def _body(self, request: web.Request, raw: bytes) -> Any:
        """The checked body. It must be what it says, UTF-8, and strictly JSON: no NaN, no 1 in quotes."""
        operation = self._operation
        kinds = (JSON, *_NDJSON_TYPES) if operation.ndjson else (JSON,)
        if request.content_type not in kinds:
            raise Refusal(415, f"the body must be {' or '.join(kinds[:2])}, not {request.content_type}")
        if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
            raise Refusal(415, f"the body must be UTF-8, not {request.charset}")
        text = raw if request.content_type == JSON else _array_of_lines(raw)
        found = loaded(text)
        if operation.batch is not None and isinstance(found, list) and len(found) > AT_ONCE:
            return await batch_of(operation.batch, text)
        refuse_deep(found)
        assert operation.body is not None
        try:
            return operation.body.validate_json(text, strict=True)
        except ValidationError as error:
            raise mistaken(mistakes("body", error)) from None

    async def _audit(self, call: Call, decision: Decision) -> None:
        """Note in the audit log what is about to be done, or was refused."""
        row = audit_row(
            actor=call.principal.actor,
            event=f"api.{self._operation.id}",
            subject=call.request.path[:500],
            station=call.station.slug,
            detail={"name": call.principal.operator.name, "verdict": decision.verdict.name, "reason": decision.reason},
            correlation_id=call.correlation_id,
            at=self._parts.clock.now(),
        )
        await write_effects(self._parts.store, call.correlation_id, Effects(audit=[row]))

    def _answer(self, request: web.Request, result: Any) -> web.StreamResponse:
        operation = self._operation
        if isinstance(result, web.StreamResponse):
            return result
        headers = {"X-Correlation-Id": str(correlation_id(request))}
        if operation.answer is None:
            return web.Response(status=operation.status, headers=headers)
        if isinstance(result, Page):
            if result.next is not None:
                following = request.rel_url.update_query(cursor=result.next)
                headers |= {"X-Next-Cursor": result.next, "Link": f'<{following}>; rel="next"'}
            result = list(result.items)
        body = operation.answer.dump_json(result, by_alias=True)
        return web.Response(status=operation.status, body=body, content_type=JSON, headers=headers)


def _array_of_lines(raw: bytes) -> bytes:
    """NDJSON as one JSON array; each line must be a value of its own."""
    lines = [line for line in raw.split(b"\n") if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise Refusal(400, f"line {number} is no JSON ({error.msg})") from None
    return b"[" + b",".join(lines) + b"]"
