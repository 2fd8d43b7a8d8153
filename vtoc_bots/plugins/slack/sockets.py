"""Socket Mode: envelopes over a WebSocket, each acknowledged only after what it says was accepted.

The SDK's own client is not used: its queue has no bound, it closes the old connection before it opens the next one, and
after a connection that failed it tries the same address for ever, which Slack takes only once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import orjson
import structlog
from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.request import SocketModeRequest

from vtoc_bots import Backoff, Clock, RateLimited, StartupError, TransientError, VtocError
from vtoc_bots.plugins.slack.api import SlackApi, SlackFailure, TokenRefused
from vtoc_bots.plugins.slack.others import Others

logger = structlog.get_logger(__name__)

MOST_AT_ONCE: Final = 256
"""Envelopes in hand; more stay in the connection until one is done."""
HEARTBEAT_SECONDS: Final = 10.0
HELLO_SECONDS: Final = 10.0
LEAVING_SECONDS: Final = 15.0
"""How long a connection that Slack is about to end is still read beside its successor."""


class SocketMode:
    """Keeps one connection open, for ever."""

    def __init__(
        self, app: AsyncApp, api: SlackApi, clock: Clock, others: Others, backoff: Backoff | None = None
    ) -> None:
        self._app, self._api, self._clock, self._others = app, api, clock, others
        self._backoff = backoff or Backoff(1.0, 30.0, 60.0)
        self._reading = 0
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self.connected = False
        self.connections = 0
        """How many were opened."""
        self.unacknowledged = 0
        """Envelopes that were not acknowledged, so that Slack sends them again."""

    async def run(self) -> None:
        """Read until cancelled. Raises StartupError where a person must act."""
        self._start(self._others.stay())
        try:
            while True:
                leaving = asyncio.Event()
                reader = await self._connect(leaving)
                if reader is not None:
                    left = asyncio.create_task(leaving.wait())
                    await asyncio.wait({reader, left}, return_when=asyncio.FIRST_COMPLETED)
                    left.cancel()
                    self.connected = False
                    if leaving.is_set():
                        continue  # the successor is opened while this one is still read
                delay = self._backoff.failed(self._clock.monotonic())
                logger.info("slack_socket_lost", again_in_seconds=round(delay, 1))
                await self._clock.sleep(delay)
        finally:
            self.connected = False
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, leaving: asyncio.Event) -> asyncio.Task[None] | None:
        """Open a connection and read it in a task; None where that failed."""
        try:
            answer = await self._api.post("apps.connections.open")
            socket = await self._api.http.ws_connect(
                str(answer["url"]), heartbeat=HEARTBEAT_SECONDS, timeout=aiohttp.ClientWSTimeout(ws_close=5.0)
            )
        except TokenRefused as error:
            raise StartupError(_refusal(error.code)) from error
        except SlackFailure as error:
            if error.code in ("forbidden_team", "missing_scope", "access_denied", "not_allowed_token_type"):
                raise StartupError(_refusal(error.code)) from error
            logger.warning("slack_socket_not_opened", error=str(error))
            return None
        except RateLimited as limit:
            await self._clock.sleep(limit.after_seconds)
            return None
        except (VtocError, aiohttp.ClientError, OSError, TimeoutError, KeyError) as error:
            logger.warning("slack_socket_not_opened", error=str(error) or type(error).__name__)
            return None
        return self._start(self._read(socket, leaving))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, leaving: asyncio.Event) -> None:
        """Hand envelopes over until the connection ends."""
        send = asyncio.Lock()
        self._reading += 1
        try:
            async with asyncio.timeout(HELLO_SECONDS) as limit:
                async for received in socket:
                    if received.type is not aiohttp.WSMsgType.TEXT:
                        continue
                    envelope = orjson.loads(received.data)
                    kind = envelope.get("type")
                    if kind == "hello":
                        self.connected = True
                        self.connections += 1
                        limit.reschedule(None)
                        self._backoff.connected(self._clock.monotonic())
                        self._start(self._counted(int(envelope.get("num_connections") or 0)))
                    elif kind == "disconnect":
                        logger.info("slack_socket_leaving", reason=envelope.get("reason"))
                        leaving.set()
                        limit.reschedule(asyncio.get_running_loop().time() + LEAVING_SECONDS)
                    elif envelope.get("envelope_id"):
                        await self._slots.acquire()
                        self._start(self._handled(socket, send, envelope), self._slots.release)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            logger.info("slack_socket_ended", error=type(error).__name__)
        finally:
            self._reading -= 1
            await socket.close()

    async def _counted(self, connections: int) -> None:
        try:
            await self._others.counted(connections, self._reading)
        except TransientError as error:
            logger.info("slack_connections_not_counted", error=str(error))

    async def _handled(
        self, socket: aiohttp.ClientWebSocketResponse, send: asyncio.Lock, envelope: dict[str, Any]
    ) -> None:
        """Accept what an envelope holds, then acknowledge it on the connection it came by."""
        request = SocketModeRequest.from_dict(envelope)
        if request is None:
            return
        response = await run_async_bolt_app(self._app, request)
        if response.status != 200:
            self.unacknowledged += 1
            return
        acknowledgement: dict[str, Any] = {"envelope_id": request.envelope_id}
        if response.body:
            acknowledgement["payload"] = orjson.loads(response.body)
        try:
            async with send:
                await socket.send_str(orjson.dumps(acknowledgement).decode())
        except (aiohttp.ClientError, OSError):
            self.unacknowledged += 1  # it is stored; Slack sends it again, and then it is a duplicate

    def _start(self, work: Any, then: Callable[[], None] | None = None) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if then is not None:
            task.add_done_callback(lambda _: then())
        return task


def _refusal(code: str) -> str:
    return (
        f"slack: SLACK_APP_LEVEL_TOKEN was refused ({code}). Make an app-level token (xapp-…) with the scope"
        " connections:write under Basic Information, switch Socket Mode on, and set it in .env.station."
    )
