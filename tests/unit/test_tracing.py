"""Tracing: one trace from chat to reply, its context on rows, and next to nothing when it is off."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.contextvars import get_contextvars

from vtoc_bots.core.errors import ActionError, StartupError
from vtoc_bots.core.observe.exporting import open_provider
from vtoc_bots.core.observe.tracing import configure_tracing, current_traceparent, span, span_context_of, wanted

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def finished(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {found.name: found for found in exporter.get_finished_spans()}


def test_one_trace_runs_from_chat_through_the_row_to_the_reply(exporter: InMemorySpanExporter) -> None:
    with span("chat", platform="telegram") as chat:
        row = chat.traceparent
    with span("run", row, playbook="op_airtrack_merge") as run:
        with span("step", None, step="map", attempt=2):
            pass
        second_row = run.traceparent
    with span("reply", second_row):
        pass
    spans = finished(exporter)
    assert len({found.context.trace_id for found in spans.values() if found.context}) == 1
    parents = {name: found.parent.span_id if found.parent else None for name, found in spans.items()}
    ids = {name: found.context.span_id for name, found in spans.items() if found.context}
    assert parents == {"chat": None, "run": ids["chat"], "step": ids["run"], "reply": ids["run"]}
    assert dict(spans["step"].attributes or {}) == {"vtoc.step": "map", "vtoc.attempt": 2}


def test_a_given_traceparent_is_the_parent_and_the_new_one_is_handed_on(exporter: InMemorySpanExporter) -> None:
    with span("run", GIVEN) as found:
        assert found.traceparent == current_traceparent()
        assert found.traceparent is not None
        assert found.traceparent.split("-")[1] == GIVEN.split("-")[1]
        assert found.traceparent.split("-")[2] != GIVEN.split("-")[2]
        assert get_contextvars()["trace_id"] == GIVEN.split("-")[1]
    assert current_traceparent() is None
    assert "trace_id" not in get_contextvars()


def test_an_error_marks_the_span_and_shows_only_our_own_texts(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ActionError), span("step"):
        raise ActionError("merge: no reports")
    with pytest.raises(ValueError, match="hunter22"), span("reply"):
        raise ValueError("password hunter22")
    spans = finished(exporter)
    assert (spans["step"].status.is_ok, spans["step"].status.description) == (False, "merge: no reports")
    assert spans["reply"].status.description == "ValueError"
    assert "hunter22" not in spans["reply"].to_json()


async def test_a_cancelled_span_is_no_error(exporter: InMemorySpanExporter) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        with span("step"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    found = finished(exporter)["step"]
    assert found.status.is_unset
    assert dict(found.attributes or {}) == {"vtoc.cancelled": True}


async def test_spans_of_tasks_side_by_side_are_not_mixed_up(exporter: InMemorySpanExporter) -> None:
    async def run(name: str) -> None:
        with span(f"run {name}"):
            await asyncio.sleep(0)
            with span(f"step {name}"):
                await asyncio.sleep(0)

    await asyncio.gather(run("a"), run("b"))
    spans = finished(exporter)
    for name in "ab":
        parent, context = spans[f"step {name}"].parent, spans[f"run {name}"].context
        assert parent is not None
        assert context is not None
        assert parent.span_id == context.span_id


async def test_a_correlation_id_stands_on_every_span_and_line_within(exporter: InMemorySpanExporter) -> None:
    with span("run", correlation_id="c1"):
        assert get_contextvars()["correlation_id"] == "c1"
        with span("step"):
            pass
    with span("other"):
        pass
    spans = finished(exporter)
    found = {name: dict(each.attributes or {}).get("vtoc.correlation_id") for name, each in spans.items()}
    assert found == {"run": "c1", "step": "c1", "other": None}
    assert "correlation_id" not in get_contextvars()


def test_without_an_exporter_the_correlation_id_stands_on_log_lines() -> None:
    with span("run", correlation_id="c1"):
        assert get_contextvars()["correlation_id"] == "c1"
    assert "correlation_id" not in get_contextvars()


def test_attributes_may_be_added_later(exporter: InMemorySpanExporter) -> None:
    with span("step") as found:
        found.set(outcome="done", nested={"a": 1})
    assert dict(finished(exporter)["step"].attributes or {}) == {"vtoc.outcome": "done", "vtoc.nested": "{'a': 1}"}


def test_without_an_exporter_the_context_is_handed_on_and_nothing_else() -> None:
    with span("run", GIVEN) as run:
        assert run.traceparent == GIVEN
        assert current_traceparent() == GIVEN
        with span("step", step="map") as step:
            step.set(outcome="done")
            assert step.traceparent == GIVEN
    assert current_traceparent() is None
    with span("chat") as chat:
        assert chat.traceparent is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "00-0-0-0",
        GIVEN.upper(),
        GIVEN + "-00",
        "ff" + GIVEN[2:],
        "00-" + "0" * 32 + GIVEN[35:],
        GIVEN[:36] + "0" * 16 + "-01",
    ],
)
def test_a_traceparent_that_can_not_be_read_begins_a_new_trace(exporter: InMemorySpanExporter, text: str) -> None:
    assert span_context_of(text) is None
    with span("run", text) as found:
        assert found.traceparent is not None
    assert finished(exporter)["run"].parent is None


def test_a_later_version_of_traceparent_is_read_as_far_as_it_is_known() -> None:
    assert span_context_of("01" + GIVEN[2:] + "-more") is not None


@given(st.text())
def test_any_text_may_stand_where_a_traceparent_should(text: str) -> None:
    with span("run", text):
        pass


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_a_traceparent_is_handed_on_as_it_was(trace_id: int, span_id: int, sampled: bool) -> None:
    text = f"00-{trace_id:032x}-{span_id:016x}-{int(sampled):02x}"
    with span("run", text):
        assert current_traceparent() == text


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, False),
    ],
)
def test_the_standard_variables_turn_tracing_on(variables: dict[str, str], on: bool) -> None:
    assert wanted(variables) is on


async def test_nothing_is_opened_when_nothing_is_asked_for() -> None:
    tracing = configure_tracing({})
    assert not tracing.on
    await tracing.close()


def test_an_exporter_that_is_not_installed_is_named() -> None:
    with pytest.raises(StartupError, match="no exporter zipkin is installed"):
        open_provider({"OTEL_TRACES_EXPORTER": "zipkin"})
    with pytest.raises(StartupError, match="no exporter otlp_proto_grpc is installed"):
        open_provider({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"})


PROGRAM = """
import asyncio, sys, time
from vtoc_bots.core.observe.tracing import configure_tracing, span
async def main():
    tracing = configure_tracing({variables})
    with span("run", playbook="x"):
        pass
    loaded = any(module and name.startswith("opentelemetry.sdk") for name, module in sys.modules.items())
    assert loaded is {sdk}
    await tracing.close()
asyncio.run(main())
"""


def python(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, **variables},
        check=False,
    )


def test_the_sdk_is_not_even_imported_when_tracing_is_off() -> None:
    done = python(PROGRAM.format(variables={}, sdk=False))
    assert done.returncode == 0, done.stderr


def test_spans_are_exported_when_it_is_on_with_variables_from_a_file() -> None:
    variables = {"OTEL_TRACES_EXPORTER": "console", "OTEL_SERVICE_NAME": "station-one"}
    done = python(PROGRAM.format(variables=variables, sdk=True))
    assert done.returncode == 0, done.stderr
    assert '"vtoc.playbook": "x"' in done.stdout
    assert '"service.name": "station-one"' in done.stdout


def test_without_the_sdk_tracing_stays_off_and_says_how_to_install_it() -> None:
    hidden = "import sys; sys.modules['opentelemetry.sdk'] = None\n"
    done = python(hidden + PROGRAM.format(variables={"OTEL_TRACES_EXPORTER": "console"}, sdk=False))
    assert done.returncode == 0, done.stderr
    assert "vtoc-bots[otel]" in done.stdout
