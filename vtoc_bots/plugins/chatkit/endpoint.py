"""The route /chatkit: who asks, then the ChatKit server, whose SDK is imported when it is first asked for."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import structlog
from aiohttp import web

from vtoc_bots import Inbox, NotFound, Refusal, ThreadRows, TransientError, TransportContext, media_type, read_body
from vtoc_bots.plugins.chatkit.speaking import Request
from vtoc_bots.plugins.chatkit.watch import ThreadWatch

logger = structlog.get_logger(__name__)

_Event: TypeAlias = bytes | Exception | None
"""An event, why there are no more, or that there are none."""

PATH: Final = "/chatkit"
FILE_PATH: Final = "/chatkit/files/{id}"
MOST_BYTES: Final = 2**20
MOST_FILE_BYTES: Final = 4 * 2**20
QUIET_SECONDS: Final = 15.0
"""After so long without an event a comment is sent, so that nobody takes the stream for dead."""
MISSING: Final = (
    "the ChatKit server needs the extra `chatkit`, which is not installed: pip install 'vtoc-bots[chatkit]'"
)
LOOK_SECONDS: Final = 1.0
"""How often it is looked whether the client is still there."""
STILL_SECONDS: Final = 10.0
"""After how long the credential of an open stream is looked at again, with the next event or comment."""
MOST_WAITING: Final = 16
"""Events that wait for a slow client; what comes after them waits in the database."""
_STREAM_HEADERS: Final = MappingProxyType(
    {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
)
_SHOWN: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")


class Endpoint:
    """Answers requests of the ChatKit protocol. `account` is that of the conversations which begin here."""

    def __init__(self, context: TransportContext, account: str, public_url: str | None) -> None:
        self._context, self._account, self._public_url = context, account, public_url
        self.inbox: Inbox | None = None
        self.watch = ThreadWatch(self._rows, context.clock) if context.threads is not None else None
        self._server: Any = None
        self._loading = asyncio.Lock()

    def routes(self) -> Sequence[web.RouteDef]:
        """The server, and the files that are uploaded to it."""
        return (
            web.post(PATH, self.handle),
            web.put(FILE_PATH, self.upload),
            web.get(FILE_PATH, self.download),
        )

    def state(self) -> str:
        """Whether it can serve, in words."""
        return "a server at /chatkit" if importlib.util.find_spec("chatkit") else MISSING

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request: JSON, or a stream of events. 401 without a credential, 400 for what is no request, 404 for a
        thread that is not the caller's, 503 while nothing can be accepted."""
        if self._context.caller is None or self.watch is None or self.inbox is None:
            raise web.HTTPServiceUnavailable(text="not receiving yet", headers={"Retry-After": "1"})
        caller = await self._context.caller(request.headers)
        body = await read_body(request, MOST_BYTES)
        server = await self._loaded()
        asked = Request(caller)
        result = await server.answer(body, asked)
        if isinstance(result, bytes):
            return web.Response(body=result, content_type="application/json")
        return await self._streamed(request, result)

    async def upload(self, request: web.Request) -> web.Response:
        """The bytes of a file that was made known; whoever has its address may send them, once."""
        rows = self._rows
        row = await rows.file_to_fill(request.match_info["id"])
        data = await read_body(request, MOST_FILE_BYTES)
        if len(data) != row["size"]:
            raise web.HTTPBadRequest(text=f"the file has {len(data)} bytes, and was to have {row['size']}")
        blob = await self._context.blobs.put(data, request.content_type)
        if not await rows.fill(row["id"], blob):
            raise web.HTTPConflict(text="this file has its bytes already")
        return web.Response(status=204)

    async def download(self, request: web.Request) -> web.Response:
        """The bytes of an uploaded file, for whoever has its address."""
        row = await self._rows.file_to_fill(request.match_info["id"])
        if row["blob"] is None:
            raise NotFound("this file has not been uploaded")
        server = await self._loaded()
        name, content_type = server.file_facts(row["body"])
        kind = "inline" if content_type in _SHOWN else "attachment"
        headers = {"Content-Disposition": f"{kind}; filename*=UTF-8''{quote(name, safe='')}"}
        data = await self._context.blobs.get(row["blob"])
        return web.Response(body=data, headers={**headers, "Content-Type": media_type(content_type)})

    def file_address(self, file_id: str) -> str:
        """Where a file is uploaded and had."""
        base = self._public_url or self._context.address() or ""
        return f"{base}/chatkit/files/{file_id}"

    async def accept(self, message: Any) -> Any:
        """Hand a message over. Raises TransientError."""
        if self.inbox is None:
            raise Refusal(503, "not receiving any more", {"Retry-After": "1"})
        return await self.inbox.accept(message)

    @property
    def _rows(self) -> ThreadRows:
        rows: ThreadRows = self._context.threads
        return rows

    async def _loaded(self) -> Any:
        """The server. Importing its SDK takes more than a second, so that is done beside the loop, and only once."""
        async with self._loading:
            if self._server is None:
                if importlib.util.find_spec("chatkit") is None:
                    raise Refusal(503, MISSING)
                loop = asyncio.get_running_loop()
                name = "vtoc_bots.plugins.chatkit.server"
                module = await loop.run_in_executor(None, importlib.import_module, name)
                assert self.watch is not None
                self._server = module.VtocChatKitServer(
                    self._rows, self.watch, self.accept, self._account, self.file_address, MOST_FILE_BYTES
                )
        return self._server

    async def _streamed(self, request: web.Request, events: AsyncGenerator[bytes, None]) -> web.StreamResponse:
        """Write events as they come. A client that leaves ends its stream and nothing else."""
        queue: asyncio.Queue[_Event] = asyncio.Queue(MOST_WAITING)
        pumping = asyncio.create_task(_pump(events, queue))
        try:
            event = await queue.get()
            if isinstance(event, Exception):  # what can't be answered at all is refused before there is a stream
                raise event
            response = web.StreamResponse(headers=_STREAM_HEADERS)
            await response.prepare(request)
            clock = self._context.clock
            look_at = clock.monotonic() + STILL_SECONDS
            while event is not None:
                if isinstance(event, Exception):
                    raise event
                await response.write(event)
                if clock.monotonic() >= look_at:
                    look_at = clock.monotonic() + STILL_SECONDS
                    await self._still(request)
                event = await self._next(queue, request)
            await response.write_eof()
            return response
        except ConnectionError:
            logger.debug("stream_left", path=request.path)
            return response
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)

    async def _still(self, request: web.Request) -> None:
        """Raises Refusal for whoever may not see any more what the stream tells; a database that is away ends none."""
        assert self._context.caller is not None
        with suppress(TransientError):
            await self._context.caller(request.headers)

    async def _next(self, queue: asyncio.Queue[_Event], request: web.Request) -> _Event:
        """The next event, or after a while a comment. Raises ConnectionResetError where the client has left."""
        for _ in range(round(QUIET_SECONDS / LOOK_SECONDS)):
            with suppress(TimeoutError):
                return await asyncio.wait_for(queue.get(), LOOK_SECONDS)
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError
        return b": still here\n\n"


async def _pump(events: AsyncGenerator[bytes, None], queue: asyncio.Queue[_Event]) -> None:
    """All events, in one task from the first to the last: the SDK keeps context variables between them."""
    try:
        async with aclosing(events):
            async for event in events:
                await queue.put(event)
        await queue.put(None)
    except Exception as error:
        await queue.put(error)
