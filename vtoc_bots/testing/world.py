"""A whole centre in a test: real Postgres and runtimes, people on platforms in memory, time that can be stepped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from vtoc_bots.core.access import Level
from vtoc_bots.core.messages import Outbound, OutboundKind, Sender
from vtoc_bots.core.runtime import Duties
from vtoc_bots.core.settings import Settings, load_settings
from vtoc_bots.core.store.operators import Operators
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls
from vtoc_bots.testing.clock import AheadClock
from vtoc_bots.testing.person import Person, Reply, Said
from vtoc_bots.testing.process import Process, owning_task
from vtoc_bots.testing.profiles import DISCORD, SLACK, TELEGRAM, Profile
from vtoc_bots.testing.simulated import SimulatedPlatform
from vtoc_bots.testing.timeline import Hands, Timeline

PATIENCE_SECONDS: Final = 20.0
LEASE_SECONDS: Final = 3.0
ENVIRON: Final = {
    "VTOC_SWEEP_SECONDS": "0.2",
    "VTOC_LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "VTOC_HANDLER_TIMEOUT_SECONDS": "5",
    "API_PORT": "0",
    "VTOC_API_HOST": "127.0.0.1",
}
_IN_HAND: Final = """
SELECT (SELECT count(*) FROM vtoc_engine.inbox WHERE state = 'new' AND due_at <= now())
    + (SELECT count(*) FROM vtoc_engine.outbox WHERE state IN ('due', 'unknown') AND due_at <= now())
    + (SELECT count(*) FROM vtoc_engine.runs WHERE state = 'ready'
        OR (state = 'waiting' AND (due_at <= now() OR lease_until > now())))
    + (SELECT count(*) FROM vtoc_engine.conversations WHERE handle_until > now() OR deliver_until > now())
"""
_SWEEPER: Final = "SELECT holder FROM vtoc_engine.leases WHERE name = 'sweeper' AND expires_at > now()"


class World:
    """A centre in a database of its own; open it as an asynchronous context, or by the fixture `open_world`.

    `plugins` are modules or objects by name, beside those that are installed; `playbooks` YAML texts by id; `platforms`
    the profiles of the chat platforms, the first being where people are if nothing else is said; `config` the texts of
    configuration files by name; `environ` variables.
    """

    def __init__(
        self,
        urls: DatabaseUrls,
        folder: Path,
        *,
        plugins: Mapping[str, Any] | None = None,
        playbooks: Mapping[str, str] | None = None,
        platforms: Sequence[Profile] = (TELEGRAM, SLACK, DISCORD),
        config: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        duties: Duties | None = None,
    ) -> None:
        self.clock = AheadClock()
        """The time of everything in this World; `advance` steps it."""
        self.platforms = {profile.name: SimulatedPlatform(profile) for profile in platforms}
        self.processes: list[Process] = []
        """Those that were started, dead ones too."""
        self._urls, self._folder, self._plugins = urls, folder, dict(plugins or {})
        self._duties = duties or Duties(web=False, sources=False)
        self._texts = {
            **{f"playbooks/{name}.yml": text for name, text in (playbooks or {}).items()},
            **{f"config/{name}": text for name, text in (config or {}).items()},
        }
        self._environ = dict(environ or {})
        self._store: Store | None = None
        self._timeline: Timeline | None = None
        self._factory: Any = None

    async def __aenter__(self) -> Self:
        """Make the World, with one process at work."""
        await asyncio.to_thread(self._write)
        self._timeline = await Timeline.install(self._urls)
        self._store = await Store.open(self._urls)
        loop = asyncio.get_running_loop()
        self._factory = loop.get_task_factory()
        loop.set_task_factory(owning_task)
        try:
            await self.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End every process and leave nothing behind."""
        await self._close()

    @property
    def store(self) -> Store:
        """The test's own way to the database, which no crash touches."""
        assert self._store is not None, "the World is not open"
        return self._store

    @property
    def settings(self) -> Settings:
        """What the processes are started with."""
        urls = {"DATABASE_URL": self._urls.main, "DATABASE_DIRECT_URL": self._urls.direct}
        given = {name: url.text for name, url in {**urls, "DATABASE_ADMIN_URL": self._urls.admin}.items()}
        return load_settings(
            self._folder / "config", self._folder / "data", environ={**ENVIRON, **given, **self._environ}
        )

    # Processes

    async def start(self, duties: Duties | None = None) -> Process:
        """One more process, at work when this returns."""
        process = Process(
            self.settings,
            duties or self._duties,
            self.clock,
            self.platforms,
            self._folder / "playbooks",
            self._plugins,
        )
        self.processes.append(process)
        await process.start()
        return process

    @property
    def process(self) -> Process:
        """The process that was started last and lives."""
        return self._alive()[-1]

    async def crash(self, process: Process | None = None) -> None:
        """Kill a process, the last one by default: what it was doing ends where it was, its rows stay as they were."""
        await (process or self.process).kill()

    async def crash_and_restart(self, process: Process | None = None) -> Process:
        """Kill a process and start another.

        What the dead one held is free when its leases have run out: after three seconds, or `advance(seconds=3)`.
        """
        await self.crash(process)
        return await self.start()

    # Time

    async def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Step the time of every process and of the database; what fell due has been looked at when this returns.

        Leases of live processes go along, those of dead ones run out. Time-outs of code at work are real time.
        """
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        if span <= 0:
            raise ValueError("time only goes on")
        assert self._timeline is not None, "the World is not open"
        alive = self._alive()
        hands = Hands()
        for each in alive:
            held = each.hands()
            hands.tokens += held.tokens
            hands.runs += held.runs
            hands.holders += held.holders
        await self._timeline.advance(span, hands)
        self.clock.advance(span)
        for each in alive:
            each.follow(span)
        await self._swept()

    async def settled(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until nothing is due or in hand: what was going to happen has happened."""

        async def quiet() -> bool:
            return bool(await self.store.fetchval(_IN_HAND) == 0)

        await self.until(quiet, "everything is done", seconds)

    # People

    async def person(self, name: str, level: str = "operator", on: str | None = None, station: str = "*") -> Person:
        """An operator with an account on a platform; a known name's new account joins that operator, as they are.

        `level` is held at a station, by its slug, or at every one.
        """
        person, operators = self.stranger(name, on), Operators(self.store)
        account = person.platform.profile.name, person.sender.workspace, person.sender.user_id
        if not any(row["name"] == name for row in await operators.list()):
            await operators.add(name, {station: Level.parse(level)})
        code, _ = await operators.invite(name, "the World", 1)
        await operators.redeem(code, *account, name)
        for process in self._alive():
            process.runtime.people.forget()
        return person

    def stranger(self, name: str, on: str | None = None) -> Person:
        """Somebody whom the centre does not know."""
        platform = self.platforms[on] if on is not None else next(iter(self.platforms.values()))
        return Person(self, platform, Sender(f"u-{name}", name))

    async def reply_to(self, said: Said, seconds: float = PATIENCE_SECONDS) -> Reply:
        """The reply to what somebody said, or the result of the run that it started; waits for it."""
        assert said.message_id is not None, f"nothing was accepted of it: {said.problem or said.delivery.answer}"

        def found() -> Outbound | None:
            for outbound in said.person.platform.outbounds:
                is_result = outbound.kind is OutboundKind.RESULT and outbound.message_id == said.message_id
                is_page = outbound.kind is OutboundKind.PAGE and outbound.message_id == said.message_id
                if is_result or is_page or outbound.key == f"message:{said.message_id}:reply":
                    return outbound
            return None

        async def there() -> bool:
            return found() is not None

        await self.until(there, f"a reply to {said.delivery.payload!r}", seconds)
        outbound = found()
        assert outbound is not None
        return Reply(outbound)

    # Looking

    async def row(self, sql: str, *arguments: Any) -> dict[str, Any] | None:
        """A row of the database."""
        found = await self.store.fetchrow(sql, *arguments)
        return None if found is None else dict(found)

    async def becomes(self, sql: str, expected: Any, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until a query's value is as expected."""
        seen: list[Any] = [None]

        async def there() -> bool:
            seen[0] = await self.store.fetchval(sql)
            return bool(seen[0] == expected)

        await self.until(there, lambda: f"{sql}: {seen[0]!r} instead of {expected!r}", seconds)

    async def until(
        self,
        condition: Callable[[], Awaitable[bool]],
        what: str | Callable[[], str],
        seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Wait, really, until a condition holds; fails after so many seconds, or with why a process ended."""
        deadline = time.monotonic() + seconds
        while not await condition():
            said = what() if callable(what) else what
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {said}"
            await asyncio.sleep(0.01)

    def _alive(self) -> list[Process]:
        return [process for process in self.processes if process.is_alive]

    async def _swept(self) -> None:
        """Wait until the sweeper has looked at what is due now, if one of ours is the sweeper."""
        holder = await self.store.fetchval(_SWEEPER)
        sweeping = next((each for each in self._alive() if each.runtime.holder == holder), None)
        if sweeping is None:
            return
        stepped_at = self.clock.now()

        async def swept() -> bool:
            last_at = sweeping.runtime.sweeper.last_at
            return not sweeping.is_alive or (last_at is not None and last_at >= stepped_at)

        await self.until(swept, "a sweep")

    def _write(self) -> None:
        for name in ("playbooks", "config", "data"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        for name, text in self._texts.items():
            (self._folder / name).write_text(text, encoding="utf-8")

    async def _close(self) -> None:
        for process in self._alive():
            await process.stop()
        for platform in self.platforms.values():
            await platform.stop()
        asyncio.get_running_loop().set_task_factory(self._factory)
        if self._store is not None:
            await self._store.close()
        if self._timeline is not None:
            await self._timeline.close()


OpensWorld: TypeAlias = Callable[..., Awaitable[World]]
"""``await open_world(plugins=…, playbooks=…, platforms=…)``: a World, closed after the test; the fixture's type."""
