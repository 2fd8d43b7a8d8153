"""Discord as a transport: receives by its gateway and by HTTP, sends by its REST API."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog
from aiohttp import web

from vtoc_bots import (
    Caps,
    CommandSpec,
    Inbox,
    NotSent,
    Outbound,
    RateLimited,
    Receipt,
    StartupError,
    TransportContext,
    Unknown,
    VtocError,
)
from vtoc_bots.plugins.discord.acks import Acks
from vtoc_bots.plugins.discord.api import DiscordApi
from vtoc_bots.plugins.discord.endpoint import PATH, Endpoint
from vtoc_bots.plugins.discord.failures import DiscordRefused, TokenRefused
from vtoc_bots.plugins.discord.gateway import Shard, ShardPlace
from vtoc_bots.plugins.discord.menu import is_published, menu_of_commands
from vtoc_bots.plugins.discord.receive import Receiver
from vtoc_bots.plugins.discord.send import Sender
from vtoc_bots.plugins.discord.sequence import SessionFile
from vtoc_bots.plugins.discord.settings import DiscordSettings

logger = structlog.get_logger(__name__)

CAPS: Final = Caps(
    edit=True,
    threads=True,
    forms=True,
    private=True,
    buttons=True,
    files=True,
    text_limit=4096,
    looks_up_receipts=True,
    defers=True,
)
IDENTIFY_SECONDS: Final = 5.0
"""Time between two sessions begun, by Discord's rule."""
LONGEST_WAIT_SECONDS: Final = 300.0
LONGEST_PAUSE_SECONDS: Final = 60.0
_PASSING: Final = (NotSent, Unknown, RateLimited, DiscordRefused)


class DiscordTransport:
    """The bot of one Discord application."""

    def __init__(self, context: TransportContext, settings: DiscordSettings) -> None:
        self._context, self._settings = context, settings
        token = settings.bot_token.get_secret_value().strip()
        self._api = DiscordApi(settings.api_base_url, token, settings.app_id, context.clock)
        self._acks = Acks()
        self._receiver = Receiver(self._api, context, self._acks, settings.guild_id)
        self._sender = Sender(self._api, context, self._acks)
        self._shards: dict[int, Shard] = {}
        self._turns: set[asyncio.Future[None]] = set()
        self._token = token

    @property
    def caps(self) -> Caps:
        """What Discord can do."""
        return CAPS

    async def run(self, inbox: Inbox) -> None:
        """Receive until cancelled. Raises StartupError for what a person must put right."""
        self._api.open()
        self._receiver.open(inbox)
        try:
            if self._settings.shard_count == 0:
                if self._settings.public_key is None:
                    raise StartupError(
                        "discord: DISCORD_SHARD_COUNT is 0 and DISCORD_PUBLIC_KEY is not set, so nothing can arrive."
                        " Set the key (General Information in the Developer Portal), or leave the count out."
                    )
                await self._check_application()
                await asyncio.Event().wait()
            await self._check_application()
            count, at_once = await self._advised()
            async with asyncio.TaskGroup() as group:
                for number in range(count):
                    group.create_task(self._held(number, count, at_once))
        except* VtocError as errors:
            raise _first(errors) from errors
        finally:
            for turn in self._turns:
                turn.cancel()
            await asyncio.gather(*self._turns, return_exceptions=True)
            await self._receiver.close()
            await self._api.close()

    async def send(self, outbound: Outbound) -> Receipt:
        """Send or edit. Raises NotSent, Unknown, RateLimited or Refused."""
        return await self._sender.send(outbound)

    async def look_up(self, outbound: Outbound) -> Receipt | None:
        """The receipt of one that Discord has."""
        return await self._sender.look_up(outbound)

    async def publish(self, commands: Sequence[CommandSpec]) -> None:
        """Publish the slash commands, if they are not what Discord has. Raises NotSent to be called again."""
        guild = self._settings.guild_id
        menu = menu_of_commands(commands, guild=guild is not None)
        if menu.left_out:
            logger.warning("discord_commands_left_out", names=menu.left_out)
        try:
            if is_published(menu.commands, await self._api.commands(guild)):
                return
            await self._api.put_commands(guild, menu.commands)
        except (Unknown, RateLimited) as failure:
            raise NotSent(str(failure)) from failure
        except DiscordRefused as refusal:
            raise NotSent(f"{refusal}; the slash commands could not be published") from refusal
        logger.info("discord_commands_published", count=len(menu.commands), guild=guild)

    def routes(self) -> Sequence[web.RouteDef]:
        """The interactions endpoint, where the application's public key is set."""
        key = self._settings.public_key
        if key is None:
            return ()
        endpoint = Endpoint(key, self._receiver, self._acks, self._context.clock)
        return (web.post(PATH, endpoint.handle),)

    async def probe(self) -> str:
        """A round trip to the API, and each shard's heartbeat and last event. Raises VtocError when one is out."""
        clock = self._context.clock
        began = clock.monotonic()
        await self._api.ping()
        parts = [f"API answers in {(clock.monotonic() - began) * 1000:.0f} ms"]
        for _, shard in sorted(self._shards.items()):
            if not shard.live:
                raise VtocError(f"discord: {shard.state()}")
            parts.append(shard.state())
        parts += sorted({shard.remark for shard in self._shards.values() if shard.remark})
        if self._settings.public_key is not None and self._receiver.last_event_at is not None:
            parts.append(f"last message or interaction {clock.monotonic() - self._receiver.last_event_at:.0f} s ago")
        waiting = sum(shard.waiting for shard in self._shards.values())
        if waiting:
            parts.append(f"{waiting} messages wait to be stored")
        if self._receiver.unanswered:
            parts.append(f"{self._receiver.unanswered} interactions could not be acknowledged")
        return "; ".join(parts)

    # Shards

    async def _held(self, number: int, count: int, at_once: int) -> None:
        """Run a shard while its lease is ours."""

        async def work(epoch: int) -> None:
            shard = self._shard(number, count, at_once)
            self._shards[number] = shard
            try:
                await shard.run(epoch)
            finally:
                self._shards.pop(number, None)

        await self._context.hold(f"shard-{number}-of-{count}", work)

    def _shard(self, number: int, count: int, at_once: int) -> Shard:
        return Shard(
            ShardPlace(number, count, self._settings.gateway_url),
            self._settings.api_base_url,
            self._token,
            self._context.account,
            self._api,
            self._receiver,
            SessionFile(self._context.data_dir, self._context.account, number, count),
            self._context.clock,
            self._context.notice,
            lambda: self._turn(number, count, at_once),
        )

    async def _turn(self, number: int, count: int, at_once: int) -> None:
        """Wait until this shard may begin a session: so many of an installation in five seconds."""
        if count == 1:
            return
        ours = asyncio.Event()

        async def work(epoch: int) -> None:
            ours.set()
            await self._context.clock.sleep(IDENTIFY_SECONDS)

        holding: asyncio.Future[None] = asyncio.ensure_future(self._context.hold(f"identify-{number % at_once}", work))
        self._turns.add(holding)
        holding.add_done_callback(self._turns.discard)
        waiting = asyncio.ensure_future(ours.wait())
        try:
            either: set[asyncio.Future[Any]] = {waiting, holding}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not ours.is_set():  # the lease could not be had
            holding.result()

    async def _advised(self) -> tuple[int, int]:
        """How many shards there are, and how many may begin at once; asked until Discord says it."""
        pause = 1.0
        while True:
            try:
                advised = await self._api.gateway()
                limit = advised.get("session_start_limit") or {}
                if limit.get("remaining") == 0:
                    wait = min(LONGEST_WAIT_SECONDS, float(limit.get("reset_after", 0)) / 1000)
                    logger.warning("discord_sessions_used_up", seconds=wait)
                    await self._context.clock.sleep(wait)
                    continue
                count = self._settings.shard_count or int(advised.get("shards") or 1)
                return count, max(1, int(limit.get("max_concurrency") or 1))
            except TokenRefused as error:
                raise StartupError(str(error)) from error
            except _PASSING as error:
                pause = await self._paused(error, pause)

    async def _check_application(self) -> None:
        """Raises StartupError where the token is wrong, or another application's; asked until Discord says it."""
        pause = 1.0
        while True:
            try:
                found = str((await self._api.application()).get("id"))
            except TokenRefused as error:
                raise StartupError(str(error)) from error
            except _PASSING as error:
                pause = await self._paused(error, pause)
                continue
            if found != self._settings.app_id:
                raise StartupError(
                    f"discord: DISCORD_BOT_TOKEN is of application {found}, but DISCORD_APP_ID is"
                    f" {self._settings.app_id}. Set both from the same application in the Developer Portal."
                )
            return

    async def _paused(self, error: Exception, pause: float) -> float:
        """Wait after a failure; how long to wait after the next one."""
        least = error.after_seconds if isinstance(error, RateLimited) else 0.0
        logger.warning("discord_not_reached", error=str(error))
        await self._context.clock.sleep(max(least, pause))
        return min(LONGEST_PAUSE_SECONDS, pause * 2)


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    """One error of several: each says what to do, and the next start shows the next one."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
