"""The ChatKit transport: a webhook in, and cards out to a remote organisation or to the threads that live here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
import structlog
from aiohttp import web

from vtoc_bots import (
    Backoff,
    Caps,
    ChatKitOrganisation,
    ConversationId,
    Declined,
    Inbox,
    Message,
    MessageKind,
    NotSent,
    Outbound,
    Receipt,
    Sender,
    StartupError,
    TransientError,
    TransportContext,
    VtocError,
)
from vtoc_bots.plugins.chatkit.endpoint import Endpoint
from vtoc_bots.plugins.chatkit.files import EventFiles
from vtoc_bots.plugins.chatkit.home import Home
from vtoc_bots.plugins.chatkit.organisation import Organisation, refused_key
from vtoc_bots.plugins.chatkit.purpose import Purpose, Threads
from vtoc_bots.plugins.chatkit.settings import OWN, ChatKitSettings
from vtoc_bots.plugins.chatkit.webhook import PATH, Webhook
from vtoc_bots.plugins.chatkit.wire import TRANSPORT

logger = structlog.get_logger(__name__)

PROBE_SECONDS: Final = 5.0
THREAD_EVENT: Final = "chatkit thread"


class ChatKitTransport:
    """Channels of one organisation, or of ours. `stations` are callsigns by slug: each has a channel."""

    caps = Caps(
        edit=True, threads=True, dialog=True, buttons=True, files=True, text_limit=20_000, looks_up_receipts=True
    )

    def __init__(
        self,
        context: TransportContext,
        settings: ChatKitSettings,
        public_url: str | None,
        stations: Mapping[str, str],
        own_station: str,
    ) -> None:
        self._context, self._settings, self._stations = context, settings, stations
        self._inbox: Inbox | None = None
        self._threads = Threads(context)
        self._session: aiohttp.ClientSession | None = None
        self._home = Home(context, stations, own_station, self._threads, self._thread_made)
        self._api: ChatKitOrganisation | None = None
        self._organisation: Organisation | None = None
        if settings.api_base_url and settings.org_id:
            key = None if settings.api_key is None else settings.api_key.get_secret_value()
            self._api = ChatKitOrganisation.at(
                settings.api_base_url, settings.org_id, key, self._open_session, context.clock
            )
            self._organisation = Organisation(self._api, context, self._threads, self._thread_made)
        self._endpoint = Endpoint(context, OWN, public_url)
        note = self._home.note if self._api is None else None
        files = EventFiles(context, settings, self._open_session)
        self._webhook = Webhook(settings.secret, context.account, context.clock, self._threads, files, note)

    def routes(self) -> Sequence[web.RouteDef]:
        """The webhook, and the server."""
        return (web.post(PATH, self._webhook.handle), *self._endpoint.routes())

    async def run(self, inbox: Inbox) -> None:
        """Receive until cancelled. Raises StartupError for a key that the organisation refuses."""
        self._inbox = self._webhook.inbox = self._endpoint.inbox = inbox
        work = [asyncio.create_task(self._organised())]
        if self._endpoint.watch is not None:
            work.append(asyncio.create_task(self._endpoint.watch.run()))
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in work:
                if task.done():
                    task.result()
        finally:
            self._inbox = self._webhook.inbox = self._endpoint.inbox = None
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            session, self._session = self._session, None  # a run that begins anew opens another
            if session is not None:
                await session.close()

    async def _organised(self) -> None:
        """Know the organisation, where there is one, and keep the stations' channels; until cancelled."""
        if self._api is not None:
            await self._known(self._api)
        await self._context.hold("channels", self._keep_channels)

    async def send(self, outbound: Outbound) -> Receipt:
        """Show a card, or make the one that is shown into it. Raises NotSent, Unknown, RateLimited or Refused."""
        return await self._place(outbound).send(outbound)

    async def look_up(self, outbound: Outbound) -> Receipt | None:
        """Its receipt, or None where it was not shown."""
        return await self._place(outbound).look_up(outbound)

    async def probe(self) -> str:
        """How the organisation answers, and how old the last event is. Raises VtocError."""
        if self._api is None:
            return f"threads live here; {self._endpoint.state()}; {self._webhook.age()}"
        clock = self._context.clock
        began = clock.monotonic()
        try:
            await asyncio.wait_for(self._api.channels(), PROBE_SECONDS)
        except TimeoutError:
            raise TransientError("chatkit: the organisation does not answer") from None
        milliseconds = (clock.monotonic() - began) * 1000
        return f"{self._api.org} answers in {milliseconds:.0f} ms; {self._webhook.age()}"

    def _place(self, outbound: Outbound) -> Organisation | Home:
        """Where a conversation lives: one that began in our own server stays there."""
        if self._organisation is not None and outbound.conversation.account == self._context.account:
            return self._organisation
        return self._home

    async def _known(self, api: ChatKitOrganisation) -> None:
        """Return once the organisation has answered. Raises StartupError where it refuses the key."""
        backoff, clock = Backoff(0.5, 30.0), self._context.clock
        while True:
            try:
                await api.channels()
                return
            except VtocError as error:
                if isinstance(error, Declined) and error.status in (401, 403):
                    raise StartupError(refused_key(error.status)) from error
                seconds = backoff.failed(clock.monotonic())
                logger.warning("chatkit_unreachable", error=str(error), seconds=round(seconds, 1))
                await clock.sleep(seconds)

    async def _keep_channels(self, epoch: int) -> None:
        """Make the channels that stations lack, then keep the lease."""
        backoff, clock = Backoff(1.0, 60.0), self._context.clock
        while True:
            try:
                if self._api is None:
                    await self._home.keep_channels()
                else:
                    for slug in await self._api.keep_channels(self._stations):
                        logger.info("channel_made", channel=slug)
                break
            except VtocError as error:
                seconds = backoff.failed(clock.monotonic())
                logger.warning("channels_not_made", error=str(error), seconds=round(seconds, 1))
                await clock.sleep(seconds)
        await asyncio.Event().wait()

    async def _thread_made(self, outbound: Outbound, purpose: Purpose, thread: str) -> None:
        """Have it noted that a mission has a thread now. Raises NotSent where that can't be stored."""
        if purpose.mission is None:
            return
        if self._inbox is None:
            raise NotSent("chatkit: not receiving yet")
        at = outbound.conversation
        event = Message(
            TRANSPORT,
            at.account,
            f"thread:{thread}",
            ConversationId(TRANSPORT, at.account, at.channel),
            Sender("vtoc-bots", "vtoc-bots"),
            kind=MessageKind.EVENT,
            command=THREAD_EVENT,
            arguments={"mission": purpose.mission, "thread": thread},
            station_names=(at.channel,),
        )
        try:
            await self._inbox.accept(event)
        except TransientError as error:
            raise NotSent(f"chatkit: {error}") from error

    def _open_session(self) -> aiohttp.ClientSession:
        """Made when it is first needed; the transport's run closes it."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session
