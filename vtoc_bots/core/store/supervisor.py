"""The process that runs the embedded server for as long as a process uses it, and never longer.

Started by `embedded.py` in a session of its own, so that a terminal's Ctrl-C does not reach it. Standard library only:
it is started without site-packages and stays small.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, Final

from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.account import environment, identity
from vtoc_bots.core.store.cluster import Cluster, prepare
from vtoc_bots.core.store.strays import FAST_SECONDS, IMMEDIATE_SECONDS, clear_strays, until

SERVER_LOCK: Final = "postgres.lock"
"""Locked by the supervisor while it lives."""
USERS_LOCK: Final = "postgres.users"
"""Locked in common by every process that uses the server; when the supervisor can lock it alone, nobody does."""

_POLL_SECONDS: Final = 0.2
_STARTING_POLL_SECONDS: Final = 0.01
_LOCK_PATIENCE_SECONDS: Final = 0.2
_HEALTHY_SECONDS: Final = 60.0
_MOST_PAUSE_SECONDS: Final = 5.0
_LARGEST_LOG_BYTES: Final = 10 * 2**20
_MOST_KILLED: Final = 3
_PR_SET_PDEATHSIG: Final = 1

SETTINGS: Final = {
    "cluster_name": "vtoc-bots",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "effective_cache_size": "512MB",
    # One machine, no replica: the least log, and no processes for what is not used.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_wal_size": "512MB",
    "min_wal_size": "64MB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "huge_pages": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %a ",
    "password_encryption": "scram-sha-256",
    # A client that vanished without a word is noticed while its statement runs.
    "client_connection_check_interval": "5s",
}
SETTINGS_18: Final = {"io_method": "sync"}
NOT_DURABLE: Final = {"fsync": "off", "full_page_writes": "off"}
"""For tests: a power cut may lose everything, a killed server still loses nothing."""


def main() -> None:
    """Run from `embedded.py`, which gives the order as JSON and reads one line of JSON: ready, busy or an error."""
    order = json.loads(sys.argv[1])
    if os.fork():
        # Who started us need not wait for our end: it may come after theirs.
        os._exit(0)
    os.umask(0o077)
    data = Path(os.fsdecode(bytes.fromhex(order["data"])))
    wheel = Path(order["wheel"]) if order["wheel"] else None
    supervisor = Supervisor(data, wheel, durable=order["durable"])
    try:
        report: dict[str, Any] = {} if supervisor.begin() else {"busy": True}
    except StartupError as error:
        report = {"error": str(error)}
    _report(report)
    if not report:
        supervisor.watch()


def _report(report: dict[str, Any]) -> None:
    """Tell the one who started us, and let go of the pipe: we may outlive them."""
    try:
        os.write(1, json.dumps(report).encode() + b"\n")
    except BrokenPipeError:
        sys.stderr.write("supervisor: who started it is gone\n")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)


class Supervisor:
    """Holds the lock, starts the server, restarts it when it falls, stops it when nobody uses it and not before."""

    def __init__(self, data: Path, wheel: Path | None, *, durable: bool) -> None:
        self._data = data
        self._wheel = wheel
        self._durable = durable
        self._lock = -1
        self._users = -1
        self._server: subprocess.Popen[bytes] | None = None
        self._folder = data
        self._stopping = False
        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        # A service manager signals every process at once; the server must outlast what its users still have to write.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, _noted)

    def begin(self) -> bool:
        """Make the cluster if need be and start the server; False where another supervisor has it, or nobody wants it.

        Raises StartupError where it can't be started.
        """
        self._lock = os.open(self._data / SERVER_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._users = os.open(self._data / USERS_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Users look whether it is free by taking it for a moment.
        if not until(lambda: locked(self._lock), _LOCK_PATIENCE_SECONDS):
            return False
        if self._wants_stop():
            return False
        self._open_log()
        self._start()
        return True

    def watch(self) -> None:
        """Until the last user is gone, restart the server when it falls."""
        pause, since = 0.1, time.monotonic()
        while not self._wants_stop():
            if self._server is not None and self._server.poll() is None:
                self._wait(_POLL_SECONDS)
                continue
            if not self._is_ours():
                return
            _log(f"the server ended ({self._server and self._server.returncode}); starting it again in {pause:.1f} s")
            self._wait(pause)
            pause = 0.1 if time.monotonic() - since > _HEALTHY_SECONDS else min(pause * 2, _MOST_PAUSE_SECONDS)
            since = time.monotonic()
            try:
                self._start()
            except StartupError as error:
                _log(str(error))
        self._stop()

    def _start(self) -> None:
        """Start the server and wait until it takes connections. Raises StartupError where it ends instead."""
        for _ in range(_MOST_KILLED):
            size = os.fstat(2).st_size
            self._server = self._launched()
            if self._is_up(self._server):
                return
            # A signal says nothing about what is wrong with the server.
            if self._server.returncode > 0:
                break
        raise StartupError(why_not_started(self._data, _log_since(self._data, size)))

    def _launched(self) -> subprocess.Popen[bytes]:
        cluster = prepare(self._data, self._wheel, durable=self._durable)
        clear_strays(cluster.folder)
        self._folder = cluster.folder
        libc, us = ctypes.CDLL(None) if sys.platform.startswith("linux") else None, os.getpid()

        def tie() -> None:
            """In the child: end with us, however we end."""
            if libc:
                libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
                if os.getppid() != us:
                    os._exit(1)

        return subprocess.Popen(  # noqa: S603  the program and every argument are ours
            [cluster.binaries.folder / "postgres", "-D", cluster.folder, *arguments(cluster, durable=self._durable)],
            stdin=subprocess.DEVNULL,
            stdout=2,
            env=environment(),
            cwd="/",
            preexec_fn=tie,
            **identity(cluster.account),
        )

    def _is_up(self, server: subprocess.Popen[bytes]) -> bool:
        """Wait: True when it takes connections or nobody wants it any more, False when it ended."""
        while not _is_ready(self._folder, server.pid):
            if server.poll() is not None:
                return False
            if self._wants_stop():
                return True
            self._wait(_STARTING_POLL_SECONDS)
        return True

    def _stop(self) -> None:
        """Fast, then at once, then by force."""
        if self._server is None:
            return
        for number, patience in (
            (signal.SIGINT, FAST_SECONDS),
            (signal.SIGQUIT, IMMEDIATE_SECONDS),
            (signal.SIGKILL, IMMEDIATE_SECONDS),
        ):
            if self._server.poll() is not None:
                return
            self._server.send_signal(number)
            try:
                self._server.wait(patience)
            except subprocess.TimeoutExpired:
                _log(f"the server did not end within {patience:.0f} s of signal {number.name}")

    def _wants_stop(self) -> bool:
        # Once taken, the users' lock is kept: who comes now waits until we are gone and starts another supervisor.
        self._stopping = self._stopping or locked(self._users)
        return self._stopping

    def _is_ours(self) -> bool:
        """Whether the data folder is still the one whose lock we hold: it may have been removed, and made anew."""
        try:
            return os.path.samestat(os.fstat(self._lock), os.stat(self._data / SERVER_LOCK))
        except FileNotFoundError:
            return False

    def _wait(self, seconds: float) -> None:
        """Until a signal comes, at most so long."""
        if select.select([self._wake[0]], [], [], seconds)[0]:
            os.read(self._wake[0], 512)

    def _open_log(self) -> None:
        """Everything written to stderr, ours and the server's, goes to the log from here on."""
        log = log_path(self._data)
        log.parent.mkdir(mode=0o755, exist_ok=True)
        if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
            log.rename(log.with_suffix(".log.1"))
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(descriptor, 2)
        os.close(descriptor)


def arguments(cluster: Cluster, *, durable: bool) -> list[str]:
    """The server's command line. Settings given there need no edited file and follow our releases."""
    unix = cluster.state.host.startswith("/")
    settings = {
        **SETTINGS,
        **(SETTINGS_18 if cluster.binaries.major >= 18 else {}),
        **({} if durable else NOT_DURABLE),
        "port": str(cluster.state.port),
        "listen_addresses": "" if unix else cluster.state.host,
        "unix_socket_directories": f'"{cluster.state.host}"' if unix else "",
        "unix_socket_permissions": "0700",
    }
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def log_path(data: Path) -> Path:
    """Where the server and its supervisor write."""
    return data / "log" / "postgres.log"


def locked(descriptor: int) -> bool:
    """Lock the file for us alone if nobody holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def why_not_started(data: Path, log: str) -> str:
    """What the server's last words mean."""
    fatal = re.findall(r"(?:FATAL|PANIC|ERROR):\s*(.*)", log)
    said = "; ".join(fatal[-3:]) or " ".join(log.split())[-300:] or "it said nothing"
    if "No space left" in log:
        return f"postgres: the disk of {data} is full. Free some space and start again ({said})"
    return f"postgres: the server did not start: {said}. Its log is {log_path(data)}"


def _is_ready(folder: Path, number: int) -> bool:
    """Whether this server's own file says that it takes connections (its eighth line; miscadmin.h)."""
    try:
        lines = (folder / "postmaster.pid").read_text().split("\n")
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0] == str(number) and lines[7].strip() == "ready"


def _log_since(data: Path, size: int) -> str:
    with log_path(data).open("rb") as file:
        file.seek(size)
        return file.read(100_000).decode(errors="replace")


def _log(text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    os.write(2, f"{stamp} [{os.getpid()}] supervisor: {text}\n".encode())


def _noted(number: int, frame: FrameType | None) -> None:
    """The wake-up descriptor has said so; the loop looks what it was."""
