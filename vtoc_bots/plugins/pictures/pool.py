"""Keeps the processes that draw pictures, so that a map never holds up the event loop.

They are plain subprocesses and not `concurrent.futures`: those import the parent's main module (and with it the whole
of core) into every worker, and can't end a picture that takes too long.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO

from vtoc_bots import ActionError, TransientError
from vtoc_bots.plugins.pictures.picture import MapPicture

LENGTH_BYTES = 8
DRAWN = b"+"
"""What begins an answer that is a picture; see `vtoc_bots.plugins.pictures.worker`."""
PACKAGE = "vtoc_bots.plugins.pictures"
BOOT = """
import sys, types
package = types.ModuleType(sys.argv[1])
package.__path__ = [sys.argv[2]]
sys.modules[sys.argv[1]] = package
from vtoc_bots.plugins.pictures.worker import main
main()
"""
"""Starts a worker without running the plugin's `__init__`: that offers actions and so needs core, a drawer does not."""
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
"""What of the environment a worker gets: it needs no secret."""
EXIT_SECONDS = 2.0
LARGE_REQUEST_BYTES = 3_000_000
"""About 1,500 tracks with trails; a worker holds on to some twenty times that."""


class Crashed(Exception):
    """A worker ended without an answer."""


class Worker:
    """One process that draws."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.drawn = 0
        self.bloated = False
        """Whether it drew so much that it holds more memory than it will need again."""

    async def draw(self, request: bytes) -> bytes:
        """Return the answer's body. Raises `Crashed` when the process ends first."""
        source, target = self.process.stdout, self.process.stdin
        if source is None or target is None:
            raise Crashed("has no pipes")
        try:
            target.write(len(request).to_bytes(LENGTH_BYTES, "big"))
            target.write(request)
            await target.drain()
            head = await source.readexactly(LENGTH_BYTES)
            body = await source.readexactly(int.from_bytes(head, "big"))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Crashed(f"ended with {await self.process.wait()}") from error
        self.drawn += 1
        self.bloated = len(request) > LARGE_REQUEST_BYTES
        return body

    async def stop(self) -> None:
        """End the process: ask it by closing its input, then insist."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), EXIT_SECONDS)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End the process at once."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


class MapPool:
    """Draws maps in worker processes. Workers start when first needed and live until `close`.

    `data_dir` gets a cache folder for matplotlib's list of fonts and the workers' log. A worker is replaced after
    `pictures_per_worker` pictures, which bounds its memory, and when a picture takes over `timeout_seconds`.
    """

    def __init__(
        self, data_dir: Path, *, workers: int = 1, timeout_seconds: float = 30.0, pictures_per_worker: int = 500
    ) -> None:
        self._cache = data_dir / "cache" / "pictures"
        self._timeout_seconds = timeout_seconds
        self._pictures_per_worker = pictures_per_worker
        self._workers = workers
        self._turns = asyncio.Semaphore(workers)
        self._idle: list[Worker] = []
        self._alive: set[Worker] = set()
        self._closed = False

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the live workers."""
        return tuple(sorted(worker.process.pid for worker in self._alive))

    async def render(self, picture: MapPicture) -> bytes:
        """Return the picture as PNG.

        Raises TransientError when it took too long or its worker crashed twice, and ActionError when it can't be drawn.
        """
        request = pickle.dumps(picture, protocol=pickle.HIGHEST_PROTOCOL)
        async with self._turns:
            try:
                body = await self._draw(request)
            except Crashed:
                # A crash may be the worker's (out of memory, killed); a second one is most likely the picture's.
                body = await self._draw_again(request)
        if not body.startswith(DRAWN):
            reason = body[1:].decode(errors="replace")
            raise ActionError(f"pictures: the map could not be drawn ({reason}). Report it with the run's id.")
        return body[1:]

    async def warm_up(self) -> None:
        """Start a worker and let it load fonts and chart, so that the first map asked for does not wait for that."""
        await self.render(MapPicture(title="", at=datetime.fromtimestamp(0, UTC), tracks=()))

    async def close(self, grace_seconds: float = 5.0) -> None:
        """Let pictures under way end for at most `grace_seconds`, then end every worker. No picture is taken after."""
        self._closed = True
        taken = 0
        try:
            async with asyncio.timeout(grace_seconds):
                while taken < self._workers:
                    await self._turns.acquire()
                    taken += 1
        except TimeoutError:
            for worker in list(self._alive):
                await worker.kill()
        for worker in list(self._alive):
            await worker.stop()
        self._alive.clear()
        self._idle.clear()
        # Who still waits for a turn gets it, and is told that the pool is closed.
        for _ in range(taken):
            self._turns.release()

    async def __aenter__(self) -> MapPool:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _draw(self, request: bytes) -> bytes:
        async with self._worker() as worker:
            return await self._timed(worker, request)

    async def _draw_again(self, request: bytes) -> bytes:
        try:
            return await self._draw(request)
        except Crashed as error:
            raise TransientError(f"pictures: a map worker {error}, twice. {self._log_hint()}") from error

    async def _timed(self, worker: Worker, request: bytes) -> bytes:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await worker.draw(request)
        except TimeoutError as error:
            seconds = f"{self._timeout_seconds:g} s"
            raise TransientError(
                f"pictures: the map was not drawn within {seconds}; its worker was ended. Ask for a smaller area."
            ) from error

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[Worker]:
        """Lend a worker; it goes back only when it answered, else its answer would be taken for the next one's."""
        if self._closed:
            raise TransientError("pictures: is shutting down; ask again.")
        worker = self._idle.pop() if self._idle else await self._started()
        try:
            yield worker
        except BaseException:
            self._alive.discard(worker)
            await worker.kill()
            raise
        if worker.drawn < self._pictures_per_worker and not worker.bloated:
            self._idle.append(worker)
        else:
            self._alive.discard(worker)
            await worker.stop()

    async def _started(self) -> Worker:
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with self._log().open("ab") as log:
                process = await self._spawn(log)
        except OSError as error:
            raise ActionError(f"pictures: no map worker could be started ({error}). Check {self._cache}.") from error
        worker = Worker(process)
        self._alive.add(worker)
        return worker

    async def _spawn(self, log: IO[bytes]) -> asyncio.subprocess.Process:
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment |= {
            "MPLCONFIGDIR": str(self._cache),
            "MPLBACKEND": "agg",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", BOOT, PACKAGE, str(Path(__file__).parent)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=environment,
            # Its own session: Ctrl-C in the terminal is the parent's to handle.
            start_new_session=True,
        )

    def _log(self) -> Path:
        return self._cache / "worker.log"

    def _log_hint(self) -> str:
        return f"Its last words are in {self._log()}."
