"""Jobs: hints that a row wants attention. The only module that knows PgQueuer."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple

import asyncpg
import orjson
import structlog
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.models import Job
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel
from pgqueuer.ports.driver import NotifyCallback

from vtoc_bots.core.errors import LostLease, TransientError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.ports import Clock

logger = structlog.get_logger(__name__)

HANDLE: Final = "handle"
ADVANCE: Final = "advance"
DELIVER: Final = "deliver"

# Replies before new work before long work: with equal ones a backlog of runs delayed replies by half a minute.
PRIORITY: Final = {DELIVER: 30, HANDLE: 20, ADVANCE: 10}


class Hint(NamedTuple):
    """A row that wants attention: ``handle`` a conversation, ``advance`` a run, ``deliver.<queue>`` a conversation."""

    entrypoint: str
    payload: str

    @property
    def priority(self) -> int:
        """Its place among the others; the greater goes first."""
        return PRIORITY[self.entrypoint.partition(".")[0]]


def hint_insert(source: str) -> str:
    """SQL that queues the hints of `source`, a query yielding (priority int, entrypoint text, payload text).

    Meant as a WITH query of the statement that writes the rows hinted at.
    """
    return (
        "INSERT INTO vtoc_engine.pgqueuer (priority, entrypoint, payload, status)"
        " SELECT h.priority, h.entrypoint, convert_to(h.payload, 'UTF8'), 'queued'"
        f" FROM ({source}) AS h(priority, entrypoint, payload)"
    )


SWEEP_HINTS: Final = """
INSERT INTO vtoc_engine.pgqueuer (priority, entrypoint, payload, dedupe_key, status)
SELECT h.priority, h.entrypoint, convert_to(h.payload, 'UTF8'), 'sweep:' || h.entrypoint || ':' || h.payload, 'queued'
FROM unnest($1::int[], $2::text[], $3::text[]) AS h(priority, entrypoint, payload)
ON CONFLICT (dedupe_key) WHERE status IN ('queued', 'picked') AND dedupe_key IS NOT NULL DO NOTHING
"""
"""Hints from the sweeper: at most one waiting for each row, however often it sweeps."""

PRUNE_JOBS: Final = "DELETE FROM vtoc_engine.pgqueuer WHERE updated < now() - interval '1 day'"
"""Jobs that nobody takes, of terminals that are gone; a row that wants attention is hinted at again."""
PRUNE_LOG: Final = "DELETE FROM vtoc_engine.pgqueuer_log WHERE created < now() - interval '1 hour'"


def database_settings() -> DBSettings:
    """PgQueuer's names, each given: it would read bare environment variables (CHANNEL, FUNCTION …) otherwise."""
    return DBSettings(
        prefix="",
        db_schema="vtoc_engine",
        channel=Channel("ch_pgqueuer"),
        function="fn_pgqueuer_changed",
        statistics_table="pgqueuer_statistics",
        queue_status_type="pgqueuer_status",
        queue_table="pgqueuer",
        queue_table_log="pgqueuer_log",
        trigger="tg_pgqueuer_changed",
        schedules_table="pgqueuer_schedules",
        durability=Durability.volatile,
        widen_id=False,
    )


def install_sql() -> str:
    """The statements that create PgQueuer's tables, in the engine's schema.

    Unlogged: a hint may be lost at any moment, the sweeper hints again.
    """
    return QueryBuilderEnvironment(database_settings()).build_install_query(create_schema=False)


Work = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Lane:
    """One queue manager: its entrypoints with their work, and how many jobs it runs at once."""

    name: str
    work: Mapping[str, Work]
    concurrency: int
    batch: int = 32


class Worker:
    """Runs the lanes of one process until stopped, through restarts of Postgres."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        lanes: list[Lane],
        clock: Clock,
        metrics: Metrics | None = None,
        heartbeat_seconds: float = 30.0,
    ) -> None:
        self._metrics = metrics
        self._connect = connect
        self._lanes = lanes
        self._clock = clock
        self._heartbeat = timedelta(seconds=heartbeat_seconds)
        self._managers: dict[str, QueueManager] = {}
        self._lane_of = {entrypoint: lane for lane in lanes for entrypoint in lane.work}
        self._busy = dict.fromkeys((lane.name for lane in lanes), 0)
        self._group: asyncio.TaskGroup | None = None
        self._stopping = False
        self.connected: dict[str, bool] = {lane.name: False for lane in lanes}
        # PgQueuer reports every lost connection with a traceback; the supervisor below says it once, in our words.
        logging.getLogger("pgqueuer").setLevel(logging.CRITICAL)

    async def run(self) -> None:
        """Work until `stop`; returns when the jobs in hand are done."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for lane in self._lanes:
                group.create_task(self._supervise(lane), name=f"queue:{lane.name}")

    def free(self, places: int) -> list[str]:
        """The entrypoints of lanes that are at work and will be at most half busy with so many jobs more."""
        if self._stopping:
            return []
        return [
            entrypoint
            for entrypoint, lane in self._lane_of.items()
            if self.connected[lane.name] and self._busy[lane.name] + places <= lane.concurrency // 2
        ]

    def take(self, hint: Hint) -> bool:
        """Begin the work of a job that nobody queued; False when it is not of this worker's lanes or it has ended."""
        lane = self._lane_of.get(hint.entrypoint)
        if lane is None or self._group is None:
            return False
        work = self._do(lane, hint.entrypoint, hint.payload)
        try:
            # In a context of its own, as a job is: it is no part of whatever wrote the row.
            self._group.create_task(work, name=f"handed:{hint.entrypoint}", context=contextvars.Context())
        except RuntimeError:  # the last job has just ended after `stop`
            work.close()
            return False
        return True

    def stop(self) -> None:
        """Take no more jobs; `run` returns when those in hand are done."""
        self._stopping = True
        for manager in self._managers.values():
            manager.shutdown.set()

    def _job_of(self, lane: Lane) -> Callable[[Job], Awaitable[None]]:
        async def run(job: Job) -> None:
            await self._do(lane, job.entrypoint, (job.payload or b"").decode())

        return run

    async def _do(self, lane: Lane, entrypoint: str, payload: str) -> None:
        outcome = "done"
        self._busy[lane.name] += 1
        try:
            await lane.work[entrypoint](payload)
        except (LostLease, TransientError) as error:
            # Expected when Postgres restarts, for many jobs at once: their tracebacks would hold the loop for seconds.
            logger.warning("job_put_off", entrypoint=entrypoint, payload=payload, error=str(error))
        except Exception:
            outcome = "failed"
            # The job is deleted either way: the row decides what comes next, and the sweeper hints at it again.
            logger.exception("job_failed", entrypoint=entrypoint, payload=payload)
        finally:
            self._busy[lane.name] -= 1
        if self._metrics is not None:
            self._metrics.job_ended(entrypoint.partition(".")[0], outcome)

    async def _supervise(self, lane: Lane) -> None:
        failures = 0
        while not self._stopping:
            started = self._clock.monotonic()
            try:
                await self._run_lane(lane)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # PgQueuer ends with an exception group when its connection is lost
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise
                logger.warning("queue_connection_lost", lane=lane.name, error=_first_error(error))
            finally:
                self.connected[lane.name] = False
            if self._stopping:
                return
            failures = 0 if self._clock.monotonic() - started > 30 else failures + 1
            await self._clock.sleep(min(5.0, 0.1 * 2 ** min(failures, 6)))

    async def _run_lane(self, lane: Lane) -> None:
        connection = await self._connect()
        try:
            settings = database_settings()
            queries = Queries(
                _Driver(connection, frozenset(lane.work)),
                qbe=QueryBuilderEnvironment(settings),
                qbq=QueryQueueBuilder(settings),
                qbs=QuerySchedulerBuilder(settings),
            )
            manager = QueueManager(queries, channel=settings.channel)
            manager.min_dequeue_poll_interval = timedelta(milliseconds=10)
            for entrypoint in lane.work:
                manager.entrypoint(entrypoint)(self._job_of(lane))
            self._managers[lane.name] = manager
            if self._stopping:
                return
            ended = connection_ended(connection)
            task = asyncio.ensure_future(
                manager.run(
                    dequeue_timeout=timedelta(seconds=2),
                    batch_size=min(lane.batch, max(1, lane.concurrency // 2)),
                    max_concurrent_tasks=lane.concurrency,
                    heartbeat_timeout=self._heartbeat,
                    shutdown_on_listener_failure=True,
                    log_aggregation_interval=timedelta(0),
                )
            )
            self.connected[lane.name] = True
            await _until_either(task, ended)
        finally:
            self._managers.pop(lane.name, None)
            await _close(connection)


class _Driver(AsyncpgDriver):
    """PgQueuer's, without the notices of jobs that are for other lanes: each would cost four statements in vain."""

    def __init__(self, connection: asyncpg.Connection, entrypoints: frozenset[str]) -> None:
        super().__init__(connection)
        self._entrypoints = entrypoints

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Hand on what concerns the lane: its own jobs, and every notice that is not of jobs."""

        def heard(payload: str | bytes | bytearray) -> None:
            whose = orjson.loads(payload).get("entrypoints")
            if whose is None or not self._entrypoints.isdisjoint(whose):
                callback(payload)

        await super().add_listener(channel, heard)


def connection_ended(connection: asyncpg.Connection) -> asyncio.Event:
    """An event that is set when the connection is gone, however it went."""
    ended = asyncio.Event()
    connection.add_termination_listener(lambda _: ended.set())
    if connection.is_closed():
        ended.set()
    return ended


async def _until_either(task: asyncio.Future[None], ended: asyncio.Event) -> None:
    """Wait for the task; cancel it when its connection ended, since it would wait for notices that never come."""
    watch: asyncio.Future[Any] = asyncio.ensure_future(ended.wait())
    both: set[asyncio.Future[Any]] = {task, watch}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
        await task
    except asyncio.CancelledError:
        if not ended.is_set():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        raise ConnectionError("the connection to Postgres ended") from None
    finally:
        watch.cancel()


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await asyncio.wait_for(connection.close(), 2)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


def _first_error(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
