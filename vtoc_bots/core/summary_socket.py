"""The WebSocket that receives the summaries of sources, where `TELEMETRY_BROADCAST_URL` names one."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson
import structlog
from prometheus_client import Counter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.settings import Settings

logger = structlog.get_logger(__name__)

MOST_WAITING: Final = 256
CONNECT_SECONDS: Final = 10.0
SEND_SECONDS: Final = 10.0
HEARTBEAT_SECONDS: Final = 30.0
LONGEST_PAUSE: Final = 60.0
_MOST_HEARD: Final = 4096


def _socket_url(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("not the address of a WebSocket")
    return value


class SummarySettings(BaseModel):
    """The variable of the socket. It is secret: such addresses often hold a token."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    url: Annotated[SecretStr, AfterValidator(_socket_url)] | None = Field(
        None,
        alias="TELEMETRY_BROADCAST_URL",
        description="A WebSocket that gets the summaries of sources with broadcast: true, as JSON",
        json_schema_extra={"accepts": "an address, wss://…"},
    )


def summary_socket(
    settings: Settings, http: Callable[[], aiohttp.ClientSession], clock: Clock, metrics: Metrics
) -> SummarySocket | None:
    """The socket that is set, None where none is. Raises StartupError for a wrong address."""
    url = settings.read(SummarySettings).url
    return (
        None
        if url is None
        else SummarySocket(url.get_secret_value(), http, clock, metrics.queue_drops.labels("summaries"))
    )


class SummarySocket:
    """Sends summaries, the oldest first, each as one JSON object; one that could not be sent waits for the next
    connection. `drops` counts those for which there was no place: the oldest go."""

    def __init__(self, url: str, http: Callable[[], aiohttp.ClientSession], clock: Clock, drops: Counter) -> None:
        self._url, self._http, self._clock, self._drops = url, http, clock, drops
        self._host = urlsplit(url).hostname
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._more = asyncio.Event()
        self._trouble: str | None = None

    def put(self, summary: Mapping[str, Any]) -> None:
        """Have it sent."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._drops.inc()
        self._waiting.append(summary)
        self._more.set()

    async def run(self) -> None:
        """Keep a connection while there is something to be sent, and after it, until cancelled."""
        failures = 0
        while True:
            await self._more.wait()
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    socket = await self._http().ws_connect(
                        self._url, heartbeat=HEARTBEAT_SECONDS, max_msg_size=_MOST_HEARD
                    )
                async with socket:
                    self._note(None)
                    failures = 0
                    await self._serve(socket)
                trouble = "it closed the connection"
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                trouble = type(error).__name__  # its text may hold the address
            self._note(trouble)
            failures += 1
            await self._clock.sleep(min(LONGEST_PAUSE, 2.0 ** min(failures, 6)) * random.uniform(0.5, 1.0))

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Send what comes until the other side closes. What it says is not heard."""
        closed = asyncio.ensure_future(_until_closed(socket))
        try:
            while not closed.done():
                while self._waiting and not closed.done():
                    first = self._waiting[0]
                    async with asyncio.timeout(SEND_SECONDS):
                        await socket.send_str(orjson.dumps(first).decode())
                    if self._waiting and self._waiting[0] is first:
                        self._waiting.popleft()
                    await asyncio.sleep(0)  # whether it has closed
                if self._waiting:
                    return
                self._more.clear()
                more = asyncio.ensure_future(self._more.wait())
                await asyncio.wait({closed, more}, return_when=asyncio.FIRST_COMPLETED)
                more.cancel()
        finally:
            closed.cancel()

    def _note(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self._trouble:
            logger.warning("summaries_not_sent", host=self._host, error=trouble, waiting=len(self._waiting))
        elif trouble is None and self._trouble is not None:
            logger.info("summaries_sent_again", host=self._host)
        self._trouble = trouble


async def _until_closed(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        """Nothing that it says is for us."""
