"""Stand-ins for what connectors read: a TCP server, a web server, a file that grows, or nothing."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from vtoc_bots.testing.clock import NOON


@dataclass(frozen=True, slots=True)
class Recording:
    """Bytes of a source as they were received, and what a decoder is told about them.

    `at` is when they were received: live sources refuse what is too old or of the future.
    """

    name: str
    data: bytes
    format: str | None = None
    position: tuple[float, float] | None = None
    at: datetime = NOON


class FakeSource(ABC):
    """What a live connector reads in a test."""

    reads_from_the_end: bool = False
    """Whether only what is sent after the connector's first look is read."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Where it is: keys of the source's entry in connectors.yml."""

    async def start(self) -> None:
        """Begin to serve."""
        return

    async def stop(self) -> None:
        """End it."""
        return

    @abstractmethod
    async def sends(self, data: bytes) -> None:
        """Give these bytes to the connector, once it has connected."""

    async def breaks(self) -> None:
        """Cut the connection, and refuse the next ones until `mends`. Only where there is one."""
        raise NotImplementedError

    async def mends(self) -> None:
        """Take connections again."""
        raise NotImplementedError

    @property
    def can_break(self) -> bool:
        """Whether there is a connection to cut."""
        return type(self).breaks is not FakeSource.breaks


class TcpSource(FakeSource):
    """A server that sends bytes; `key` is the setting that takes its address, as `form` writes it."""

    def __init__(self, key: str = "url", form: str = "tcp://127.0.0.1:{port}", **settings: Any) -> None:
        self._key, self._form, self._settings = key, form, settings
        self._server: asyncio.Server | None = None
        self._port = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._connected = asyncio.Event()

    @property
    def settings(self) -> Mapping[str, Any]:
        """The address and what else was given."""
        return {self._key: self._form.format(port=self._port), **self._settings}

    async def start(self) -> None:
        """Listen on the loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        await self.breaks()

    async def sends(self, data: bytes) -> None:
        """Send to who is connected, waiting for somebody first."""
        await self._connected.wait()
        for writer in self._writers:
            writer.write(data)
            await writer.drain()

    async def breaks(self) -> None:
        """Cut every connection and refuse new ones."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            for writer in self._writers:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)
            await server.wait_closed()
        self._writers.clear()
        self._connected.clear()

    async def mends(self) -> None:
        """Listen again on the same port."""
        await self.start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._connected.set()


class HttpSource(FakeSource):
    """A web server whose document is what was sent last; `key` is the setting that takes its URL."""

    def __init__(self, key: str = "url", path: str = "/data", **settings: Any) -> None:
        self._key, self._path, self._settings = key, path, settings
        self._runner: web.AppRunner | None = None
        self._port, self._document, self._broken = 0, b"", False
        self._asked = asyncio.Event()

    @property
    def settings(self) -> Mapping[str, Any]:
        """The URL and what else was given."""
        return {self._key: f"http://127.0.0.1:{self._port}{self._path}", **self._settings}

    async def start(self) -> None:
        """Serve on the loopback."""
        app = web.Application()
        app.router.add_get(self._path, self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Serve no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def sends(self, data: bytes) -> None:
        """From now on this is the document."""
        self._document = data

    async def breaks(self) -> None:
        """Answer 500."""
        self._broken = True

    async def mends(self) -> None:
        """Answer as before."""
        self._broken = False

    async def _answer(self, request: web.Request) -> web.Response:
        if self._broken:
            return web.Response(status=500)
        return web.Response(body=self._document)


class FileSource(FakeSource):
    """A file that another program appends to; `key` is the setting that takes its path."""

    reads_from_the_end = True

    def __init__(self, folder: Path, key: str = "log_path", **settings: Any) -> None:
        self._path = folder / "source.log"
        self._key, self._settings = key, settings

    @property
    def settings(self) -> Mapping[str, Any]:
        """The path and what else was given."""
        return {self._key: str(self._path), **self._settings}

    async def start(self) -> None:
        """Make the file, empty."""
        await asyncio.to_thread(self._path.touch)

    async def sends(self, data: bytes) -> None:
        """Append to it."""
        await asyncio.to_thread(self._append, data)

    def _append(self, data: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(data)


class SelfMade(FakeSource):
    """For connectors that read nothing and make their events themselves."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    @property
    def settings(self) -> Mapping[str, Any]:
        """What was given."""
        return self._settings

    async def sends(self, data: bytes) -> None:
        """There is nowhere to send it."""
        return
