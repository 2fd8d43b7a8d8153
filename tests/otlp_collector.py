"""A collector of traces over a real socket: what is sent by OTLP in protobuf, as spans to look at."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, slots=True)
class Collected:
    """A span that has ended. Ids are hexadecimal; `parent` is empty where it began the trace."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]


class OtlpCollector:
    """Takes spans in, each once."""

    def __init__(self) -> None:
        self._spans: dict[str, Collected] = {}
        self.address = ""

    @property
    def spans(self) -> list[Collected]:
        """Every span so far."""
        return list(self._spans.values())

    def of(self, trace: str) -> list[Collected]:
        """The spans of a trace."""
        return [span for span in self.spans if span.trace == trace]

    async def take(self, request: web.Request) -> web.Response:
        """POST /v1/traces."""
        body = await request.read()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    found = _collected(span)
                    self._spans[found.id] = found
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf"
        )


def _collected(span: Any) -> Collected:
    attributes = {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}
    return Collected(span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), attributes)


@asynccontextmanager
async def collecting() -> AsyncIterator[OtlpCollector]:
    """A collector that listens."""
    collector = OtlpCollector()
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        collector.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield collector
    finally:
        await runner.cleanup()
