"""Reading a byte stream from a TCP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime

from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.ports import Clock

_CHUNK_BYTES = 16_384


class TcpReader:
    """One connection at a time to `host`:`port`; `source` is the slug that error texts name.

    A server that sends nothing for `silence_seconds` is taken for dead: a half-open connection is never noticed
    otherwise.
    """

    def __init__(
        self,
        source: str,
        host: str,
        port: int,
        clock: Clock,
        *,
        connect_seconds: float = 10.0,
        silence_seconds: float = 90.0,
    ) -> None:
        self._source, self._host, self._port, self._clock = source, host, port, clock
        self._connect_seconds, self._silence_seconds = connect_seconds, silence_seconds

    async def chunks(self) -> AsyncGenerator[tuple[bytes, datetime]]:
        """Connect, then yield (bytes, arrival) until the server closes.

        Raises TransientError when it can't connect, the connection breaks or falls silent.
        """
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(self._connect_seconds):
                reader, writer = await asyncio.open_connection(self._host, self._port)
            while True:
                async with asyncio.timeout(self._silence_seconds):
                    data = await reader.read(_CHUNK_BYTES)
                if not data:
                    return
                yield data, self._clock.now()
        except TimeoutError:
            raise TransientError(self._silence() if writer else self._refusal("no answer")) from None
        except OSError as error:
            raise TransientError(self._refusal(error.strerror or str(error))) from error
        finally:
            if writer is not None:
                writer.close()
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(self._connect_seconds):
                        await writer.wait_closed()

    def _silence(self) -> str:
        return (
            f"{self._source}: {self._host}:{self._port} sent nothing for {self._silence_seconds:g} s; connecting anew. "
            "If the feed is that quiet, raise silence_seconds."
        )

    def _refusal(self, what: str) -> str:
        return f"{self._source}: {self._host}:{self._port}: {what}. Check that the receiver runs and its port is right."
