"""Links to stored files: Supabase Storage's where a project is set and gives them, else our own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

import aiohttp
import structlog
from aiohttp import web

from vtoc_bots.core.clients.registry import Clients, ClientSpec
from vtoc_bots.core.clients.storage import SERVICE, Bucket
from vtoc_bots.core.errors import VtocError
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.ports import Blobs, Clock
from vtoc_bots.core.settings import Settings
from vtoc_bots.core.web.files import SHOWN, FileLinks
from vtoc_bots.core.web.settings import StorageSettings
from vtoc_bots.core.web.shelf import Shelf

logger = structlog.get_logger(__name__)

TIDY_SECONDS: Final = 6 * 3600.0


class Links:
    """Makes links. `shelf` opens Supabase Storage, None where none is set."""

    def __init__(self, own: FileLinks, clock: Clock, shelf: Callable[[], Awaitable[Shelf]] | None = None) -> None:
        self._own, self._clock, self._shelf = own, clock, shelf

    async def address(self, blob: str, name: str, content_type: str) -> str | None:
        """A link that is good for a day; None where there is neither Storage nor an address of ours."""
        own = self._own.address(blob, name, content_type)
        if self._shelf is None:
            return own
        found = await (await self._shelf()).address(blob, content_type, alone=own is None)
        if found is None:
            return own
        return found if content_type in SHOWN else f"{found}&download={quote(name, safe='')}"

    def add_routes(self, app: web.Application) -> None:
        """Serve those that are our own."""
        self._own.add_routes(app)

    @property
    def tidies(self) -> bool:
        """Whether there is something for `run` to do."""
        return self._shelf is not None

    async def run(self) -> None:
        """Delete from Storage what no good link leads to, again and again. Deleting twice is deleting once."""
        assert self._shelf is not None, "nothing to tidy"
        while True:
            try:
                await (await self._shelf()).tidy()
            except VtocError as error:
                logger.warning("storage_not_tidied", error=str(error))
            await self._clock.sleep(TIDY_SECONDS)


def links_of(
    settings: Settings,
    password: str | None,
    blobs: Blobs,
    clients: Clients,
    session: Callable[[], aiohttp.ClientSession],
    clock: Clock,
    metrics: Metrics,
) -> Links:
    """The links that the settings describe; `password` is that of the engine's database."""
    own = FileLinks(blobs, clock, password, settings.public_url)
    chosen = settings.read(StorageSettings)
    if chosen.url is None or chosen.key is None:
        return Links(own, clock)
    bucket = Bucket.at(chosen.url, chosen.key.get_secret_value(), chosen.bucket, session, clock)
    metrics.watch_client(SERVICE.name, bucket.http.counts)

    async def opened() -> Shelf:
        return Shelf(bucket, blobs, clock)

    async def probe(shelf: Shelf) -> str | None:
        return await shelf.probe()

    async def closed(shelf: Shelf) -> None:
        await shelf.close()

    spec = ClientSpec(SERVICE.name, opened, probe, closed)
    clients.register(spec)
    return Links(own, clock, lambda: clients.get(spec))
