"""The one way to speak HTTP to a service: timeouts, safe retries, a breaker, limits, counts and spans."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import structlog
from multidict import CIMultiDictProxy

from vtoc_bots.core.clients.answers import Answer, Service, Uncertain, error_of_status
from vtoc_bots.core.clients.breaker import Breaker
from vtoc_bots.core.errors import ActionError, TransientError
from vtoc_bots.core.observe.tracing import current_traceparent, span
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.store.clean import dumps_clean

logger = structlog.get_logger(__name__)

TIMEOUT_SECONDS: Final = 10.0
TRIES: Final = 3
FIRST_WAIT_SECONDS: Final = 0.25
LONGEST_WAIT_SECONDS: Final = 5.0
"""A service that asks for a longer wait gets it from whoever asked: the run parks, nobody holds a worker."""
MAX_BODY_BYTES: Final = 4 * 2**20
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})

_LARGE_BYTES: Final = 512 * 1024
_NOT_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
Headers = Callable[[], Awaitable[Mapping[str, str]]]


@dataclass(slots=True)
class HttpCounts:
    """What became of the requests to one service."""

    answered: int = 0
    refused: int = 0
    """Answered with a fault of ours (4xx)."""
    failed: int = 0
    """Not answered, or with a fault of the service."""
    retried: int = 0
    kept_away: int = 0
    """Not even tried: the breaker was open or too many were waiting."""
    in_flight: int = 0
    waiting: int = 0


class ServiceHttp:
    """Requests to one service.

    `headers` gives what each request carries besides (credentials), asked anew for every try. At most `at_once`
    requests are under way and `most_waiting` more wait. Bodies longer than `max_body_bytes` are refused; a request
    has `tries`. Redirects are not followed: they would carry credentials elsewhere. `status_of` says which status an
    answer really has, by its own and its body, for a service that hides it.
    """

    def __init__(
        self,
        session: Callable[[], aiohttp.ClientSession],
        service: Service,
        base_url: str,
        clock: Clock,
        *,
        headers: Headers | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        at_once: int = 8,
        most_waiting: int = 64,
        max_body_bytes: int = MAX_BODY_BYTES,
        tries: int = TRIES,
        chance: Callable[[], float] = random.random,
        status_of: Callable[[int, bytes], int] = lambda status, body: status,
    ) -> None:
        self.service, self.counts, self.breaker = service, HttpCounts(), Breaker(clock)
        self._session, self._base_url, self._clock, self._headers = session, base_url.rstrip("/"), clock, headers
        self._timeout_seconds, self._max_body_bytes, self._chance = timeout_seconds, max_body_bytes, chance
        self._most_waiting, self._tries, self._status_of = most_waiting, tries, status_of
        self._places = asyncio.Semaphore(at_once)

    async def request(
        self,
        method: str,
        *path: str,
        operation: str,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        repeatable: bool = False,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """Ask and return the whole answer. `path` is segment by segment, each percent-encoded here. `data` is a body
        whose type `headers` say.

        Tried again, with backoff and jitter, only where that can't do a thing twice: GET, HEAD, PUT, DELETE, with an
        `idempotency_key`, or where it is `repeatable`.
        `timeout_seconds` is for one try. Raises TransientError where asking again later may help and
        can do no harm, Uncertain where it may have been done, and ActionError with what a person can do.
        """
        again = repeatable or method in IDEMPOTENT or idempotency_key is not None
        url = "/".join([self._base_url, *(quote(part, safe="") for part in path)])
        extra = dict(headers or {})
        body: bytes | aiohttp.FormData | None = data
        if idempotency_key is not None:
            extra["Idempotency-Key"] = idempotency_key
        if json is not None:
            body, extra["Content-Type"] = dumps_clean(json), "application/json"
        elif form is not None:
            body = aiohttp.FormData(dict(form))
        attributes = {"bot.platform": self.service.name, "bot.operation": operation}
        with span(f"{self.service.name} {operation}", **attributes) as traced:
            for tries in range(1, self._tries + 1):
                try:
                    answer = await self._once(
                        method, url, query, body, extra, again, timeout_seconds or self._timeout_seconds
                    )
                except TransientError as error:
                    wait = self._wait(error, tries) if again else None
                    if wait is None:
                        raise
                    self.counts.retried += 1
                    logger.info("request_again", service=self.service.name, operation=operation, error=str(error))
                    await self._clock.sleep(wait)
                else:
                    traced.set(status=answer.status, tries=tries)
                    return answer
        raise AssertionError("the last try returns or raises")

    @asynccontextmanager
    async def stream(
        self, method: str, *path: str, operation: str, json: Any, timeout_seconds: float | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask once, and give the answer while it comes. `timeout_seconds` is for its head, and between two parts of it.

        Raises what `request` does, before the block; what ends the answer too early is the block's to see.
        """
        url = "/".join([self._base_url, *(quote(part, safe="") for part in path)])
        headers = {"Content-Type": "application/json", **(await self._headers() if self._headers else {})}
        if trace := current_traceparent():
            headers["traceparent"] = trace
        seconds = timeout_seconds or self._timeout_seconds
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=seconds / 2, sock_read=seconds)
        attributes = {"bot.platform": self.service.name, "bot.operation": operation}
        with span(f"{self.service.name} {operation}", **attributes):
            self._enter()
            try:
                async with self._place():
                    response = await self._session().request(
                        method, url, data=dumps_clean(json), headers=headers, timeout=timeout, allow_redirects=False
                    )
            except _NOT_SENT as error:
                self._failed(str(error))
                raise TransientError(
                    f"{self.service.name} can't be reached ({_short(error)}). Is {self.service.address} right?"
                ) from error
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                self._failed(_short(error))
                raise Uncertain(f"{self.service.name} broke off ({_short(error)})") from error
            except BaseException:
                self.breaker.left()
                raise
            async with response:
                self.breaker.succeeded()
                if not 200 <= response.status < 300:
                    self.counts.refused += 1
                    body, now = await self._read(response), self._clock.now()
                    heads = _plain(response.headers)
                    raise error_of_status(self.service, response.status, heads, body, now, idempotent=False)
                self.counts.answered += 1
                yield response

    def _failed(self, why: str) -> None:
        self.breaker.failed(why)
        self.counts.failed += 1

    async def probe(self) -> str | None:
        """What `/readyz` shows of the service: raises TransientError while the breaker keeps away from it."""
        if self.breaker.is_open:
            raise TransientError(f"kept away after repeated faults; the last: {self.breaker.last_fault}")
        return f"{self.counts.answered} answered, {self.counts.failed} failed"

    def _wait(self, error: TransientError, tries: int) -> float | None:
        """Seconds before the next try, None when there is none or it would be too far off to wait for here."""
        if tries >= self._tries:
            return None
        wait = FIRST_WAIT_SECONDS * 2.0 ** (tries - 1) * (1.0 - self._chance() / 2)
        wait = max(wait, error.after_seconds or 0.0)
        return wait if wait <= LONGEST_WAIT_SECONDS else None

    async def _once(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None,
        body: Any,
        extra: Mapping[str, str],
        again: bool,
        timeout_seconds: float,
    ) -> Answer:
        """One try."""
        self._enter()
        settled = False
        try:
            async with self._place():
                answer = await self._answered(method, url, query, body, extra, again, timeout_seconds)
            self.breaker.succeeded()
            self.counts.answered += 1
            settled = True
            return answer
        except (TransientError, Uncertain) as error:
            self.breaker.failed(str(error))
            self.counts.failed += 1
            settled = True
            raise
        except ActionError:
            self.breaker.succeeded()
            self.counts.refused += 1
            settled = True
            raise
        finally:
            if not settled:
                self.breaker.left()

    def _enter(self) -> None:
        name = self.service.name
        if self.counts.waiting >= self._most_waiting:
            self.counts.kept_away += 1
            raise TransientError(f"too many requests wait for {name} already", after_seconds=1.0)
        left = self.breaker.enter()
        if left is not None:
            self.counts.kept_away += 1
            raise TransientError(f"{name} failed repeatedly and is left alone for now: {self.breaker.last_fault}", left)

    def _place(self) -> _Place:
        return _Place(self._places, self.counts)

    async def _answered(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None,
        body: Any,
        extra: Mapping[str, str],
        again: bool,
        timeout_seconds: float,
    ) -> Answer:
        name = self.service.name
        headers = {"Accept": "application/json", **extra, **(await self._headers() if self._headers else {})}
        trace = current_traceparent()
        if trace is not None:
            headers["traceparent"] = trace
        # Connecting has a limit of its own: what was not sent may be sent again.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout_seconds / 2)
        # A large body goes out in parts, or writing it would hold the loop.
        sent = io.BytesIO(body) if isinstance(body, bytes) and len(body) > _LARGE_BYTES else body
        try:
            async with (
                asyncio.timeout(timeout_seconds),
                self._session().request(
                    method, url, params=query, data=sent, headers=headers, timeout=timeout, allow_redirects=False
                ) as response,
            ):
                data = await self._read(response)
                status, heads = self._status_of(response.status, data), _plain(response.headers)
                if 200 <= status < 300:
                    return Answer(self.service, status, heads, data)
                raise error_of_status(self.service, status, heads, data, self._clock.now(), idempotent=again)
        except _NOT_SENT as error:
            raise TransientError(
                f"{name} can't be reached ({_short(error)}). Is {self.service.address} right?"
            ) from error
        except aiohttp.InvalidURL as error:
            raise ActionError(f"{name}: the address is none. Correct {self.service.address}") from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            slow = isinstance(error, TimeoutError)
            what = f"did not answer within {timeout_seconds:g} s" if slow else f"broke off ({_short(error)})"
            if again:
                raise TransientError(f"{name} {what}") from error
            raise Uncertain(f"{name} {what}. Look there whether it was done before you ask again") from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body. Raises ActionError for one that is too long, however well it is packed."""
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_chunked(64 * 1024):
            size += len(part)
            if size > self._max_body_bytes:
                response.close()
                raise ActionError(f"{self.service.name} answered with more than {self._max_body_bytes:,} bytes")
            parts.append(part)
        return b"".join(parts)


class _Place:
    """A place among the requests that are under way, counted while it is waited for and while it is held."""

    def __init__(self, places: asyncio.Semaphore, counts: HttpCounts) -> None:
        self._places, self._counts = places, counts

    async def __aenter__(self) -> None:
        self._counts.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._counts.waiting -= 1
        self._counts.in_flight += 1

    async def __aexit__(self, *_: object) -> None:
        self._counts.in_flight -= 1
        self._places.release()


def _plain(headers: CIMultiDictProxy[str]) -> Mapping[str, str]:
    return headers


def _short(error: BaseException) -> str:
    """An error of the connection without its address, which may hold a secret."""
    return type(getattr(error, "os_error", None) or error).__name__
