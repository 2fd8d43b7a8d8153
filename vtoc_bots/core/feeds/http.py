"""Polling a document over HTTP, no more often than its provider allows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import datetime

import aiohttp
from yarl import URL

from vtoc_bots.core.clients.answers import retry_after
from vtoc_bots.core.errors import TransientError
from vtoc_bots.core.ports import Clock

_RATE_LIMIT_HEADERS = ("X-Rate-Limit-Retry-After-Seconds", "Retry-After")
_LARGEST_BODY_BYTES = 64 * 1024 * 1024

Authorise = Callable[[bool], Awaitable[Mapping[str, str]]]
"""Given whether the last answer was a 401, the request headers that prove who asks."""


class HttpPoller:
    """GETs `url` every `interval_seconds` (from start to start), also across errors; `source` is named in error texts.

    `http` gives the process's shared session.
    """

    def __init__(
        self,
        source: str,
        url: str,
        clock: Clock,
        http: Callable[[], aiohttp.ClientSession],
        *,
        interval_seconds: float,
        timeout_seconds: float = 15.0,
        authorise: Authorise | None = None,
    ) -> None:
        self._source, self._url, self._clock, self._http = source, url, clock, http
        self._interval, self._authorise = interval_seconds, authorise
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._next_at = float("-inf")
        self._unauthorised = False

    async def chunks(self) -> AsyncGenerator[tuple[bytes, datetime]]:
        """Yield (document, arrival) without end.

        Raises TransientError on any other answer than 200; its `after_seconds` is what the server asked to wait.
        """
        while True:
            wait = self._next_at - self._clock.monotonic()
            if wait > 0:
                await self._clock.sleep(wait)
            self._next_at = self._clock.monotonic() + self._interval
            body = await self._get()
            yield body, self._clock.now()

    async def _get(self) -> bytes:
        try:
            headers = await self._authorise(self._unauthorised) if self._authorise else {}
            async with self._http().get(self._url, headers=headers, timeout=self._timeout) as response:
                self._unauthorised = response.status == 401
                if response.status != 200:
                    raise self._refusal(response)
                return await self._read(response)
        except TimeoutError:
            raise TransientError(
                f"{self._source}: {self._where()} did not answer in {self._timeout.total:g} s. "
                "Check that it runs, or raise timeout_seconds."
            ) from None
        except aiohttp.ClientError as error:
            what = str(error) or type(error).__name__
            raise TransientError(f"{self._source}: {self._where()}: {what}. Check the source's url.") from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(1 << 18):
            body += chunk
            if len(body) > _LARGEST_BODY_BYTES:
                raise TransientError(f"{self._source}: {self._where()} sent more than 64 MiB. Check the source's url.")
        return bytes(body)

    def _refusal(self, response: aiohttp.ClientResponse) -> TransientError:
        after = retry_after_seconds(response.headers, self._clock.now())
        advice = {
            401: "Check the source's credentials.",
            403: "Check the source's credentials.",
            404: "Check the source's url.",
            429: "It asks for fewer requests: raise the source's interval.",
        }.get(response.status, "It will be tried again.")
        return TransientError(f"{self._source}: {self._where()} answered {response.status}. {advice}", after)

    def _where(self) -> str:
        """The URL without what may hold a secret: its user, password and query."""
        return str(URL(self._url).with_user(None).with_query(None))


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """How long a server asks to wait, at most a day: OpenSky's header, else Retry-After."""
    asked = (retry_after(headers, now, name) for name in _RATE_LIMIT_HEADERS)
    return next((seconds for seconds in asked if seconds is not None), None)
