"""What the tests of the embedded Postgres share: users in processes of their own, and a look at who runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from vtoc_bots.core.store.cluster import OWNER_FILE, SHARED, State
from vtoc_bots.core.store.embedded import is_unsupervised
from vtoc_bots.core.store.strays import processes_in

REPOSITORY = Path(__file__).parents[1]


class User:
    """A process that uses a folder's server."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.started = ""

    async def ask(self, line: str) -> Any:
        """Send a line: ``started``, ``close`` or SQL; the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        return await self.answer()

    async def answer(self) -> Any:
        """The next line it says."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        if not line:
            assert self.process.stderr is not None
            raise AssertionError((await self.process.stderr.read()).decode())
        return json.loads(line)

    async def close(self) -> None:
        """Let it end by itself."""
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.write(b"close\n")
        code = await asyncio.wait_for(self.process.wait(), 60)
        assert code == 0, f"it ended with {code}: {(await self.process.stderr.read()).decode()}"


@asynccontextmanager
async def user(data: Path, *, wait: bool = True, **arguments: Any) -> AsyncIterator[User]:
    """A process that uses the folder; killed at the end if it still runs."""
    python = arguments.pop("python", sys.executable)
    process = await asyncio.create_subprocess_exec(
        python,
        "-m",
        "tests.embedded_user",
        str(data),
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **arguments,
    )
    started = User(process)
    try:
        if wait:
            started.started = (await started.answer())["started"]
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        # The pipes' transports, or their loss is told as a warning.
        process._transport.close()  # type: ignore[attr-defined]  # asyncio offers no other way


def postmaster(data: Path) -> int:
    """The server's process number."""
    return int((cluster_folder(data) / "postmaster.pid").read_text().split("\n")[0])


def supervisor(data: Path) -> int:
    """The supervisor's process number: the server's parent."""
    stat = Path(f"/proc/{postmaster(data)}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def cluster_folder(data: Path) -> Path:
    """Where the cluster is."""
    state = State.load(data)
    return Path((state and state.home) or data) / "postgres"


def is_running(data: Path) -> bool:
    """Whether any process of the folder's server lives."""
    return bool(processes_in(cluster_folder(data), 0))


def uid_of(number: int) -> int:
    """The user that a process runs as."""
    return Path(f"/proc/{number}").stat().st_uid


def has_ended(number: int) -> bool:
    """Whether no process has that number."""
    return not Path(f"/proc/{number}").exists()


def kill(number: int) -> None:
    """As ``kill -9`` does."""
    os.kill(number, signal.SIGKILL)


async def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until it is true; fails where it does not become so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.01)


@contextmanager
def data_folder(name: str = "data", mode: int = 0o755) -> Iterator[Path]:
    """A data folder to be made, in a short temporary folder of the given mode; nothing of it is left behind."""
    base = Path(tempfile.mkdtemp(prefix="vtoc-"))
    base.chmod(mode)
    data = base / name
    try:
        yield data
    finally:
        remove_cluster(data)
        shutil.rmtree(base)


def remove_cluster(data: Path) -> None:
    """Remove a data folder's cluster where it is elsewhere, once its server has ended by itself."""
    # A supervisor may be in the middle of a start when its last user was killed.
    if data.exists():
        asyncio.run(eventually(lambda: is_unsupervised(data) and not is_running(data)))
    state = State.load(data)
    if state and state.home:
        shutil.rmtree(state.home)


def remove_clusters_of(folder: Path) -> None:
    """Remove the clusters elsewhere of all data folders in this one: the next to have their names would find them."""
    for note in SHARED.glob(f"*/{OWNER_FILE}"):
        data = Path(os.fsdecode(note.read_bytes()))
        if folder in data.parents:
            remove_cluster(data)
            # Of a data folder that is gone.
            asyncio.run(eventually(lambda home=note.parent: not processes_in(home / "postgres", 0)))
            shutil.rmtree(note.parent, ignore_errors=True)


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder to be made."""
    with data_folder() as folder:
        yield folder
