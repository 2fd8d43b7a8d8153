"""The OpenTelemetry SDK, loaded only when traces are asked for: makes the provider that the variables describe."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from vtoc_bots.core.errors import StartupError

_GROUP: Final = "opentelemetry_traces_exporter"
_OTLP: Final[Mapping[str, str]] = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


def open_provider(variables: Mapping[str, str]) -> TracerProvider:
    """A provider that sends in the background to the exporters of ``OTEL_TRACES_EXPORTER`` (default ``otlp``).

    Endpoint, headers, sampler and batching are the SDK's own variables. Raises StartupError for an unknown exporter.
    """
    attributes = {} if "OTEL_SERVICE_NAME" in variables else {SERVICE_NAME: "vtoc-bots"}
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    for name in variables.get("OTEL_TRACES_EXPORTER", "otlp").split(","):
        provider.add_span_processor(BatchSpanProcessor(_exporter(name.strip(), variables)))
    return provider


def _exporter(name: str, variables: Mapping[str, str]) -> SpanExporter:
    wanted = name
    if name == "otlp":
        protocol = variables.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", variables.get("OTEL_EXPORTER_OTLP_PROTOCOL"))
        wanted = _OTLP.get(protocol or "http/protobuf", name)
    found = next(iter(entry_points(group=_GROUP, name=wanted)), None)
    if found is None:
        known = ", ".join(sorted({point.name for point in entry_points(group=_GROUP)})) or "none"
        raise StartupError(
            f"tracing: no exporter {wanted} is installed (installed: {known}). Install its package, correct"
            " OTEL_TRACES_EXPORTER or OTEL_EXPORTER_OTLP_PROTOCOL, or set OTEL_TRACES_EXPORTER=none"
        )
    exporter: SpanExporter = found.load()()
    return exporter
