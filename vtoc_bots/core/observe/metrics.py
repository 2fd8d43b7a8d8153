"""What the process counts and measures, for Prometheus; each runtime has its own registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

logger = structlog.get_logger(__name__)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SLOW: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

Kind = TypeVar("Kind", bound=MetricWrapperBase)
SourceStats = Callable[[], Mapping[str, Any]]


class GroupCounts(Protocol):
    """What a group commit counts since the start."""

    groups: int
    items: int
    split: int
    refused: int


class ClientCounts(Protocol):
    """What a client of a service counts since the start."""

    answered: int
    refused: int
    failed: int
    retried: int
    kept_away: int
    in_flight: int
    waiting: int


class MetricDoc(NamedTuple):
    """One metric as documented."""

    name: str
    kind: str
    labels: tuple[str, ...]
    about: str


class Metrics:
    """Every metric, as a typed attribute, and a method for each thing that happens to the engine."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._docs: list[MetricDoc] = []
        self._sources: dict[str, SourceStats] = {}
        self._groups: dict[str, GroupCounts] = {}
        self._clients: dict[str, ClientCounts] = {}
        self._make_engine()
        self._make_edges()
        self.registry.register(_Watched(self._sources, self._groups, self._clients))
        ProcessCollector(namespace="vtoc", registry=self.registry)

    def _make_engine(self) -> None:
        self.messages = self._new(
            Counter,
            "messages",
            "Messages by what accept did: accepted, duplicate, refused, dropped",
            "transport",
            "outcome",
        )
        self.messages_handled = self._new(
            Counter, "messages_handled", "Messages handled, by outcome: done, failed, refused", "outcome"
        )
        self.message_seconds = self._new(
            Histogram, "message_seconds", "From accepting a message to its being handled", buckets=_SLOW
        )
        self.jobs = self._new(Counter, "jobs", "Jobs taken, by kind and outcome: done, failed", "kind", "outcome")
        self.runs = self._new(
            Counter, "runs", "Runs that came to a state: ready, waiting, succeeded, failed, cancelled", "state"
        )
        self.steps = self._new(
            Counter, "steps", "Steps ended, by action and state: done, skipped, failed, retrying", "action", "state"
        )
        self.step_seconds = self._new(Histogram, "step_seconds", "How long steps took", "action", buckets=_SLOW)
        self.outbox = self._new(
            Counter,
            "outbox",
            "Attempts to send, by queue and state: sent, due (again later), unknown, refused (or given up), expired",
            "queue",
            "state",
        )
        self.reply_seconds = self._new(
            Histogram, "reply_seconds", "From accepting a message to its reply being sent", "queue", buckets=_SLOW
        )

    def _make_edges(self) -> None:
        self.queue_drops = self._new(Counter, "queue_drops", "What a full bounded queue dropped", "queue")
        self.loop_lag_seconds = self._new(
            Histogram, "loop_lag_seconds", "How late the event loop was for its heartbeat", buckets=_FAST
        )
        self.loop_blocked = self._new(
            Counter, "loop_blocked", "Times the event loop was blocked too long, by the plugin that did it", "plugin"
        )
        self.http_requests = self._new(
            Counter, "http_requests", "HTTP requests answered, by route and status", "method", "route", "status"
        )
        self.http_seconds = self._new(
            Histogram, "http_seconds", "How long HTTP requests took, by route", "route", buckets=_FAST
        )
        self.probe_ok = self._new(Gauge, "probe_ok", "Whether a probe of /readyz succeeded: 1 or 0", "probe")

    def _new(self, kind: type[Kind], name: str, about: str, *labels: str, **options: Any) -> Kind:
        ending = "_total" if kind is Counter else ""
        self._docs.append(MetricDoc(f"vtoc_{name}{ending}", kind.__name__.lower(), labels, about))
        return kind(name, about, labels, namespace="vtoc", registry=self.registry, **options)

    def message_accepted(self, transport: str, *, duplicate: bool = False) -> None:
        """A message was stored, or was known already."""
        self.messages.labels(transport, "duplicate" if duplicate else "accepted").inc()

    def message_refused(self, transport: str) -> None:
        """A message could not be stored; its platform will deliver it again."""
        self.messages.labels(transport, "refused").inc()

    def message_dropped(self, transport: str) -> None:
        """A stranger sent too many."""
        self.messages.labels(transport, "dropped").inc()

    def message_handled(self, outcome: str, seconds: float) -> None:
        """A message was handled, `seconds` after it was accepted."""
        self.messages_handled.labels(outcome).inc()
        self.message_seconds.observe(seconds)

    def job_ended(self, kind: str, outcome: str) -> None:
        """A job of ``handle``, ``advance`` or ``deliver`` ended."""
        self.jobs.labels(kind, outcome).inc()

    def run_moved(self, state: str) -> None:
        """A run came to a state."""
        self.runs.labels(state).inc()

    def step_ended(self, action: str, state: str, seconds: float | None = None) -> None:
        """A step ended, after `seconds` where they are known."""
        self.steps.labels(action, state).inc()
        if seconds is not None:
            self.step_seconds.labels(action).observe(seconds)

    def outbox_ended(self, queue: str, state: str, seconds: float | None = None) -> None:
        """An attempt to send ended, `seconds` after its message was accepted where that is known."""
        self.outbox.labels(queue, state).inc()
        if seconds is not None:
            self.reply_seconds.labels(queue).observe(seconds)

    def watch_source(self, slug: str, stats: SourceStats) -> None:
        """Report a source's own counters (`Connector.stats`) whenever metrics are read."""
        self._sources[slug] = stats

    def forget_source(self, slug: str) -> None:
        """Report that source no more."""
        self._sources.pop(slug, None)

    def watch_group(self, name: str, counts: GroupCounts) -> None:
        """Report a group commit's counts whenever metrics are read."""
        self._groups[name] = counts

    def watch_client(self, name: str, counts: ClientCounts) -> None:
        """Report what became of the requests to a service whenever metrics are read."""
        self._clients[name] = counts

    def render(self) -> bytes:
        """Every metric in the Prometheus text format, whose content type is `CONTENT_TYPE`."""
        return generate_latest(self.registry)

    def documented(self) -> tuple[MetricDoc, ...]:
        """What is counted and measured, in order."""
        return (*self._docs, *WATCHED)


WATCHED: Final = (
    MetricDoc("vtoc_source_records_total", "counter", ("source", "outcome"), "Records of a source: read, decoded, "
              "conflated, dropped, or rejected:REASON"),
    MetricDoc("vtoc_source_reconnects_total", "counter", ("source",), "Times a source was connected to again"),
    MetricDoc("vtoc_source_connected", "gauge", ("source",), "Whether a source is connected: 1 or 0"),
    MetricDoc("vtoc_source_last_event_timestamp_seconds", "gauge", ("source",), "Time of a source's newest event"),
    MetricDoc("vtoc_group_commits_total", "counter", ("group",), "Statements of a group commit"),
    MetricDoc("vtoc_group_items_total", "counter", ("group", "outcome"), "Its items: written or refused; written "
              "divided by commits is the mean size"),
    MetricDoc("vtoc_group_splits_total", "counter", ("group",), "Groups done again in halves to find a bad item"),
    MetricDoc("vtoc_client_requests_total", "counter", ("client", "outcome"), "Requests to a service: answered, "
              "refused, failed, retried, kept_away"),
    MetricDoc("vtoc_client_requests", "gauge", ("client", "state"), "Requests to a service now: in_flight, waiting"),
)  # fmt: skip
"""Metrics that are read from their owners when somebody looks."""


class _Watched(Collector):
    """Reads sources', groups' and clients' own counters at the moment metrics are read."""

    def __init__(
        self,
        sources: Mapping[str, SourceStats],
        groups: Mapping[str, GroupCounts],
        clients: Mapping[str, ClientCounts],
    ) -> None:
        self._sources, self._groups, self._clients = sources, groups, clients

    def collect(self) -> Iterator[Metric]:
        families = {doc.name: _family(doc) for doc in WATCHED}
        for slug, stats in self._sources.items():
            for name, labels, value in _read(slug, stats):
                families[name].add_metric(labels, value)
        for group, counts in self._groups.items():
            families["vtoc_group_commits_total"].add_metric([group], counts.groups)
            families["vtoc_group_items_total"].add_metric([group, "written"], counts.items)
            families["vtoc_group_items_total"].add_metric([group, "refused"], counts.refused)
            families["vtoc_group_splits_total"].add_metric([group], counts.split)
        for client, seen in self._clients.items():
            for outcome in ("answered", "refused", "failed", "retried", "kept_away"):
                families["vtoc_client_requests_total"].add_metric([client, outcome], getattr(seen, outcome))
            for state in ("in_flight", "waiting"):
                families["vtoc_client_requests"].add_metric([client, state], getattr(seen, state))
        yield from families.values()


def _family(doc: MetricDoc) -> CounterMetricFamily | GaugeMetricFamily:
    if doc.kind == "counter":
        return CounterMetricFamily(doc.name, doc.about, labels=doc.labels)
    return GaugeMetricFamily(doc.name, doc.about, labels=doc.labels)


def _read(slug: str, stats: SourceStats) -> list[tuple[str, list[str], float]]:
    """A source's samples, none where its plugin fails to give them: the other metrics must still be readable."""
    try:
        return list(_source_samples(slug, stats()))
    except Exception:
        logger.exception("source_stats_failed", source=slug)
        return []


def _source_samples(slug: str, stats: Mapping[str, Any]) -> Iterable[tuple[str, list[str], float]]:
    for outcome in ("read", "decoded", "conflated", "dropped"):
        if outcome in stats:
            yield "vtoc_source_records_total", [slug, outcome], float(stats[outcome])
    for reason, number in (stats.get("rejected") or {}).items():
        yield "vtoc_source_records_total", [slug, f"rejected:{reason}"], float(number)
    if "reconnects" in stats:
        yield "vtoc_source_reconnects_total", [slug], float(stats["reconnects"])
    if "connected" in stats:
        yield "vtoc_source_connected", [slug], float(bool(stats["connected"]))
    if stats.get("last_event_at") is not None:
        yield "vtoc_source_last_event_timestamp_seconds", [slug], stats["last_event_at"].timestamp()
