"""Spans from chat to reply; without an exporter they only hand the trace context on."""

from __future__ import annotations

import asyncio
import importlib
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from contextvars import Token
from types import TracebackType
from typing import Any, Final, Protocol, Self

import structlog
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, ProxyTracerProvider, SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.trace import Span as OtelSpan
from structlog.contextvars import bind_contextvars, get_contextvars, reset_contextvars

from vtoc_bots.core.errors import VtocError

logger = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 5.0
CORRELATION: Final = "correlation_id"
_INSTRUMENT: Final = "vtoc_bots"
_SWITCHES: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")


class Provider(Protocol):
    """What of the SDK's tracer provider is used here."""

    def shutdown(self) -> None:
        """Send what is left and stop; blocks."""
        ...


class Span:
    """A span while its block runs: ``with span("run", row.trace, playbook=id) as s: … s.traceparent``.

    An error that leaves the block marks the span; its text is recorded only if it is one of ours, which hold no secret.
    A `correlation_id` stands on every span and log line within the block, with an exporter or without.
    """

    __slots__ = ("_attributes", "_bound", "_name", "_otel", "_parent", "_token", "traceparent")

    def __init__(self, name: str, traceparent: str | None, attributes: Mapping[str, Any]) -> None:
        self._name, self._attributes, self._parent = name, attributes, traceparent
        self._otel: OtelSpan | None = None
        self._token: Token[Context] | None = None
        self._bound: Mapping[str, Token[Any]] = {}
        self.traceparent = traceparent
        """The W3C traceparent to store on rows; None when there is neither an exporter nor a caller's context."""

    def set(self, **attributes: Any) -> None:
        """Add attributes that were not known at the start."""
        if self._otel is not None:
            for name, value in attributes.items():
                self._otel.set_attribute(name if "." in name else f"vtoc.{name}", _attribute(value))

    def __enter__(self) -> Self:
        begun = self._attributes.get(CORRELATION)
        if begun is not None:
            self._bound = bind_contextvars(**{CORRELATION: str(begun)})
        provider = trace.get_tracer_provider()
        if isinstance(provider, ProxyTracerProvider):
            self._hand_on()
            return self
        parent = _context_of(self._parent) if self._parent else None
        self._otel = provider.get_tracer(_INSTRUMENT).start_span(self._name, parent)
        inherited = get_contextvars().get(CORRELATION)
        self.set(**self._attributes if inherited is None else {**self._attributes, CORRELATION: inherited})
        self._token = context.attach(trace.set_span_in_context(self._otel, parent))
        found = self._otel.get_span_context()
        self.traceparent = _traceparent(found)
        self._bound = {**bind_contextvars(trace_id=f"{found.trace_id:032x}"), **self._bound}
        return self

    def _hand_on(self) -> None:
        """Without an exporter: make the caller's context the current one, and no span."""
        if self._parent is None:
            self.traceparent = current_traceparent()
        else:
            self._token = context.attach(_context_of(self._parent))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._token is not None:
            context.detach(self._token)
        if self._bound:
            reset_contextvars(**self._bound)
        if self._otel is None:
            return
        if isinstance(error, Exception):
            text = str(error) if isinstance(error, VtocError) else type(error).__name__
            self._otel.set_status(Status(StatusCode.ERROR, text))
            self._otel.set_attribute("error.type", type(error).__qualname__)
        elif isinstance(error, asyncio.CancelledError):
            self._otel.set_attribute("vtoc.cancelled", True)
        self._otel.end()


def span(name: str, /, traceparent: str | None = None, **attributes: Any) -> Span:
    """A span below the one of `traceparent` (W3C trace context, as stored on a row), else below the current one.

    Attributes are exported as ``vtoc.<name>``; a name with a dot in it stays as it is.
    A traceparent that can't be read begins a new trace.
    """
    return Span(name, traceparent, attributes)


def current_traceparent() -> str | None:
    """The W3C traceparent of where we are, None outside any trace."""
    return _traceparent(trace.get_current_span().get_span_context())


def wanted(variables: Mapping[str, str]) -> bool:
    """Whether the standard ``OTEL_*`` variables ask for traces."""
    off = variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    none = variables.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    return not off and not none and any(name in variables for name in _SWITCHES)


class Tracing:
    """The export of this process's spans while it is open."""

    def __init__(self, provider: Provider | None) -> None:
        self._provider = provider

    @property
    def on(self) -> bool:
        """Whether spans are exported."""
        return self._provider is not None

    async def close(self) -> None:
        """Send what is left, for at most `FLUSH_SECONDS`, and stop."""
        if self._provider is None:
            return
        provider, self._provider = self._provider, None
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            provider.shutdown()
            with suppress(RuntimeError):  # the loop did not wait for us
                loop.call_soon_threadsafe(done.set)

        # A thread of its own, and a daemon: an executor's would hold the process until a dead collector times out.
        threading.Thread(target=shut_down, name="vtoc-spans", daemon=True).start()
        try:
            await asyncio.wait_for(done.wait(), FLUSH_SECONDS)
        except TimeoutError:
            logger.warning("spans_lost", seconds=FLUSH_SECONDS)


def configure_tracing(variables: Mapping[str, str]) -> Tracing:
    """Export spans if the ``OTEL_*`` variables ask for it and the SDK is there; a process does this once.

    Those variables are put into the process's environment where it lacks them (they may come from a .env file), for
    that is where the SDK reads them. Raises StartupError for an exporter that is not installed.
    """
    if not wanted(variables):
        return Tracing(None)
    try:
        exporting = importlib.import_module("vtoc_bots.core.observe.exporting")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        logger.warning("tracing_off", reason="the OpenTelemetry SDK is not installed: pip install 'vtoc-bots[otel]'")
        return Tracing(None)
    for name, value in variables.items():
        if name.startswith("OTEL_"):
            os.environ.setdefault(name, value)
    provider = exporting.open_provider(variables)
    trace.set_tracer_provider(provider)
    return Tracing(provider)


def _context_of(traceparent: str) -> Context:
    """The context of a traceparent, an empty one where it can't be read (W3C Trace Context, level 1, §3.2)."""
    found = span_context_of(traceparent)
    return Context() if found is None else trace.set_span_in_context(NonRecordingSpan(found), Context())


def span_context_of(traceparent: str) -> SpanContext | None:
    """The span context of ``00-<32 hex>-<16 hex>-<2 hex>``; None for anything else and for all-zero ids."""
    parts = traceparent.split("-")
    lengths = [len(part) for part in parts[:4]]
    if lengths != [2, 32, 16, 2] or parts[0] == "ff" or (parts[0] == "00" and len(parts) != 4):
        return None
    if not all(character in "0123456789abcdef" for part in parts[:4] for character in part):
        return None
    found = SpanContext(int(parts[1], 16), int(parts[2], 16), is_remote=True, trace_flags=TraceFlags(int(parts[3], 16)))
    return found if found.is_valid else None


def _traceparent(found: SpanContext) -> str | None:
    if not found.is_valid:
        return None
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags & 1:02x}"


def _attribute(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
