"""Metrics: what is counted, what is read from its owner, and that it is documented."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from vtoc_bots.core.observe.metrics import Metrics

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def labels(*values: str) -> frozenset[str]:
    return frozenset(values)


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[str]], float]:
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_what_happens_to_the_engine_is_counted() -> None:
    metrics = Metrics()
    metrics.message_accepted("telegram")
    metrics.message_accepted("telegram", duplicate=True)
    metrics.message_refused("slack")
    metrics.message_handled("done", 0.02)
    metrics.job_ended("handle", "done")
    metrics.run_moved("succeeded")
    metrics.step_ended("tracks.merge", "done", 0.2)
    metrics.step_ended("tracks.merge", "skipped")
    metrics.outbox_ended("telegram", "sent", 0.03)
    metrics.outbox_ended("telegram", "due")
    found = samples(metrics)
    assert found["vtoc_messages_total", labels("telegram", "accepted")] == 1
    assert found["vtoc_messages_total", labels("telegram", "duplicate")] == 1
    assert found["vtoc_messages_total", labels("slack", "refused")] == 1
    assert found["vtoc_messages_handled_total", labels("done")] == 1
    assert found["vtoc_message_seconds_sum", labels()] == 0.02
    assert found["vtoc_jobs_total", labels("handle", "done")] == 1
    assert found["vtoc_runs_total", labels("succeeded")] == 1
    assert found["vtoc_steps_total", labels("tracks.merge", "skipped")] == 1
    assert found["vtoc_step_seconds_count", labels("tracks.merge")] == 1
    assert found["vtoc_outbox_total", labels("telegram", "due")] == 1
    assert found["vtoc_reply_seconds_count", labels("telegram")] == 1


def test_two_runtimes_share_no_counter() -> None:
    first, second = Metrics(), Metrics()
    first.message_accepted("telegram")
    assert ("vtoc_messages_total", labels("telegram", "accepted")) not in samples(second)


def test_a_sources_own_counters_are_read_when_somebody_looks() -> None:
    metrics = Metrics()
    stats = {"read": 1, "decoded": 1, "rejected": {"no_position": 2}, "dropped": 3, "reconnects": 4, "connected": True}
    metrics.watch_source("paris", lambda: stats)
    stats |= {"read": 7, "last_event_at": datetime(2026, 1, 1, tzinfo=UTC)}
    found = samples(metrics)
    assert found["vtoc_source_records_total", labels("paris", "read")] == 7
    assert found["vtoc_source_records_total", labels("paris", "rejected:no_position")] == 2
    assert found["vtoc_source_records_total", labels("paris", "dropped")] == 3
    assert found["vtoc_source_reconnects_total", labels("paris")] == 4
    assert found["vtoc_source_connected", labels("paris")] == 1
    assert found["vtoc_source_last_event_timestamp_seconds", labels("paris")] == 1767225600
    metrics.forget_source("paris")
    assert ("vtoc_source_connected", labels("paris")) not in samples(metrics)


def test_a_source_that_fails_to_give_its_counters_hides_no_other_metric() -> None:
    metrics = Metrics()
    metrics.watch_source("broken", lambda: {"read": "many"})
    metrics.watch_source("paris", lambda: {"connected": False})
    with capture_logs() as logged:
        found = samples(metrics)
    assert found["vtoc_source_connected", labels("paris")] == 0
    assert [(line["event"], line["source"]) for line in logged] == [("source_stats_failed", "broken")]


@dataclass
class Counts:
    groups: int = 2
    items: int = 10
    split: int = 1
    refused: int = 3


def test_a_group_commits_sizes_can_be_worked_out() -> None:
    metrics = Metrics()
    metrics.watch_group("accept", Counts())
    found = samples(metrics)
    assert found["vtoc_group_commits_total", labels("accept")] == 2
    assert found["vtoc_group_items_total", labels("accept", "written")] == 10
    assert found["vtoc_group_items_total", labels("accept", "refused")] == 3
    assert found["vtoc_group_splits_total", labels("accept")] == 1


@dataclass
class Requests:
    answered: int = 5
    refused: int = 0
    failed: int = 2
    retried: int = 1
    kept_away: int = 0
    in_flight: int = 4
    waiting: int = 3


def test_what_became_of_requests_to_a_service_is_counted() -> None:
    metrics = Metrics()
    metrics.watch_client("agentkit", Requests())
    found = samples(metrics)
    assert found["vtoc_client_requests_total", labels("agentkit", "failed")] == 2
    assert found["vtoc_client_requests", labels("agentkit", "waiting")] == 3


def test_every_metric_is_in_the_documentation_and_no_other() -> None:
    wanted = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels) or '–'} | {metric.about} |"
        for metric in Metrics().documented()
    ]
    written = [line for line in OPERATIONS.read_text(encoding="utf-8").splitlines() if line.startswith("| `vtoc_")]
    assert written == wanted
