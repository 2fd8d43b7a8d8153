"""One shard of Discord's gateway: connected, resumed, connected again, and never confirming what was not taken."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import discord
import orjson
import structlog
import yarl

from vtoc_bots import Card, Clock, NotSent, RateLimited, Severity, StartupError, TransientError, Unknown
from vtoc_bots.plugins.discord.api import DiscordApi
from vtoc_bots.plugins.discord.failures import WRONG_CREDENTIAL, DiscordRefused, TokenRefused
from vtoc_bots.plugins.discord.lanes import Lanes
from vtoc_bots.plugins.discord.receive import Receiver
from vtoc_bots.plugins.discord.sdk import DiscordWebSocket, GatewayClient, ReconnectWebSocket
from vtoc_bots.plugins.discord.sequence import Session, SessionFile
from vtoc_bots.plugins.discord.wire import Place, is_edit, is_for_us, message_of_event, place_of_channel

logger = structlog.get_logger(__name__)

FAILURES_TO_TELL: Final = 3
CONNECT_SECONDS: Final = 60.0
SAVE_SECONDS: Final = 5.0
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
HEALTHY_SECONDS: Final = 30.0
_KEEPS_SESSION: Final = 4000
"""Closing with this code leaves the session to be resumed; 1000 would end it."""
_SESSION_ENDED: Final = frozenset({4007, 4009})
_CODES: Final[Mapping[int, str]] = {
    4004: WRONG_CREDENTIAL,
    4010: "discord: its gateway refused the shard (4010). Correct DISCORD_SHARD_COUNT or leave it out.",
    4011: "discord: its gateway wants more shards (4011). Raise DISCORD_SHARD_COUNT or leave it out.",
    4012: "discord: its gateway no longer speaks this version (4012). Update vtoc-bots.",
    4013: "discord: its gateway does not know what was asked for (4013). Update vtoc-bots.",
}
_NO_CONTENT: Final = (
    "the Message Content intent was refused (4014): only slash commands, buttons, mentions and direct messages are"
    " seen. For /text in channels turn it on in the Developer Portal: your application, Bot, Privileged Gateway Intents"
)

_UNREADABLE: Final = (KeyError, AttributeError, TypeError, ValueError, IndexError)
_BROKEN: Final = (OSError, aiohttp.ClientError, TimeoutError, RuntimeError)
_PASSING: Final = (
    *(OSError, aiohttp.ClientError, TimeoutError, discord.HTTPException, discord.GatewayNotFound),
    *(NotSent, Unknown, RateLimited, TransientError, DiscordRefused),
)


@dataclass(frozen=True, slots=True)
class ShardPlace:
    """Which shard of how many, and where the gateway is (None: where Discord says)."""

    id: int
    count: int
    url: str | None


class Shard:
    """One gateway connection and its session."""

    def __init__(
        self,
        place: ShardPlace,
        base_url: str,
        token: str,
        account: str,
        api: DiscordApi,
        receiver: Receiver,
        file: SessionFile,
        clock: Clock,
        notice: Callable[[Card, str], Awaitable[None]],
        turn: Callable[[], Awaitable[None]],
        *,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._place, self._base_url, self._token, self._account = place, base_url, token, account
        self._api, self._receiver, self._file, self._clock = api, receiver, file, clock
        self._notice, self._turn, self._jitter = notice, turn, jitter
        self._session: Session | None = None
        self._failures = self._unresumed = 0
        self._live_since: float | None = None
        self._told = False
        self._client: GatewayClient | None = None
        self._lanes = Lanes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._message_content: bool | None = None
        self._asks_too_much = False
        self._me = ""
        self._acknowledged_at: float | None = None
        self._heard_at: float | None = None
        self.live = False
        """Whether a session runs: begun or resumed."""
        self.trouble = ""
        """Why not, in words."""
        self.remark = ""
        """What is less than it could be."""

    async def run(self, epoch: int) -> None:
        """Hold the connection until cancelled. Raises StartupError for what a person must put right."""
        self._session = await asyncio.to_thread(self._file.load)
        saving = asyncio.create_task(self._save_forever())
        try:
            while True:
                await self._once()
                if self._asks_too_much:
                    self._asks_too_much = False
                    await self._drop_client()
        finally:
            self.live = False
            saving.cancel()
            await self._lanes.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(saving, *self._tasks, return_exceptions=True)
            await self._drop_client()
            await asyncio.to_thread(self._file.save, self._session)

    @property
    def waiting(self) -> int:
        """Messages that are not stored yet."""
        return self._lanes.waiting

    def state(self) -> str:
        """How it is, in words."""
        now = self._clock.monotonic()
        name = f"shard {self._place.id} of {self._place.count}"
        if not self.live or self._client is None or self._client.ws is None:
            return f"{name}: not connected ({self.trouble or 'connecting'})"
        parts = [f"heartbeat {self._client.latency * 1000:.0f} ms"]
        if self._acknowledged_at is not None:
            parts.append(f"acknowledged {now - self._acknowledged_at:.0f} s ago")
        if self._heard_at is not None:
            parts.append(f"last event {now - self._heard_at:.0f} s ago")
        return f"{name}: {', '.join(parts)}"

    # Connecting

    async def _once(self) -> None:
        """One connection, from its beginning to its end, and the pause after it."""
        least = 0.0
        try:
            await self._connected()
        except ReconnectWebSocket as again:
            if not again.resume:
                self._forget_session()
            self._ended("the gateway asked to connect again" if again.resume else "the session was not resumed")
        except discord.ConnectionClosed as closed:
            self._closed(closed)
        except (TokenRefused, discord.LoginFailure) as error:
            raise StartupError(WRONG_CREDENTIAL) from error
        except _PASSING as error:
            least = error.after_seconds if isinstance(error, RateLimited) else 0.0
            self._ended(str(error) or type(error).__name__)
        await self._pause(least)

    async def _connected(self) -> None:
        """Connect and listen; ends by raising."""
        client = await self._logged_in()
        session = self._session
        url = self._place.url or (session.resume_url if session else str((await self._api.gateway())["url"]))
        async with asyncio.timeout(CONNECT_SECONDS):  # wait_for may forget a cancellation
            socket = client.ws = await DiscordWebSocket.from_client(
                client,
                initial=True,
                gateway=yarl.URL(url),
                shard_id=self._place.id,
                session=session.id if session else None,
                sequence=session.settled if session else None,
                resume=session is not None,
            )
        try:
            while True:
                await self._lanes.room()
                try:
                    await socket.poll_event()
                except _UNREADABLE:  # discord.py's own reading of an event, which we had before it
                    logger.warning("discord_event_unreadable", shard=self._place.id, exc_info=True)
        finally:
            self.live = False
            with suppress(*_BROKEN):  # it is being given up anyway
                await socket.close(code=_KEEPS_SESSION)

    async def _logged_in(self) -> GatewayClient:
        """The client, which outlives connections: its knowledge of channels is not sent again after a resume."""
        if self._client is not None:
            return self._client
        if self._message_content is None:
            flags = int((await self._api.application()).get("flags") or 0)
            self._message_content = bool(flags & (1 << 18 | 1 << 19))
            self.remark = "" if self._message_content else "without the Message Content intent"
        self._me = await self._api.me()
        client = GatewayClient(
            self._base_url,
            self._packet,
            self._turn,
            shard_id=self._place.id,
            shard_count=self._place.count,
            message_content=self._message_content,
        )
        try:
            await client.login(self._token)
        except BaseException:
            await client.close()
            raise
        self._client = client
        return client

    async def _drop_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(*_BROKEN):  # whatever it says, it is not used again
                await client.close()

    def _closed(self, closed: discord.ConnectionClosed) -> None:
        """What a close code means. Raises StartupError where connecting again would change nothing."""
        if closed.code == 4014 and self._message_content:
            self._message_content, self.remark, self._asks_too_much = False, _NO_CONTENT, True
            logger.error("discord_intent_refused", error=f"discord: {_NO_CONTENT}")
            self._ended("without the Message Content intent again")
            return
        if closed.code == 4014:
            raise StartupError("discord: its gateway refused the intents (4014). Check the bot's Privileged Intents.")
        if closed.code in _CODES:
            raise StartupError(_CODES[closed.code])
        if closed.code in _SESSION_ENDED:
            self._forget_session()
        self._ended(f"closed with {closed.code}")

    def _forget_session(self) -> None:
        if self._session is not None:
            logger.warning("discord_session_lost", shard=self._place.id, sequence=self._session.settled)
        self._session = None

    def _ended(self, why: str) -> None:
        """A connection ended or did not come about."""
        now, since = self._clock.monotonic(), self._live_since
        self._live_since, self.live, self.trouble = None, False, why
        self._failures = 0 if since is not None and now - since >= HEALTHY_SECONDS else self._failures + 1
        self._unresumed += since is None
        logger.info("discord_disconnected", shard=self._place.id, why=why, unresumed=self._unresumed)

    async def _pause(self, least: float) -> None:
        """Wait longer after each failure; the third that followed another is told to people."""
        if self._unresumed >= FAILURES_TO_TELL and not self._told:
            self._told = True
            await self._tell()
        # What ended after it was well is resumed at once, so that little is missed; everything else is spread.
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures - 1, 10))
        pause = self._jitter(longest / 2, longest) if self._failures > 1 else self._jitter(0.0, 0.2)
        await self._clock.sleep(max(least, pause))

    async def _tell(self) -> None:
        text = (
            f"Shard {self._place.id} of {self._place.count} could not be connected {self._unresumed} times in a row"
            f" ({self.trouble}). It is tried on, at most {LONGEST_PAUSE_SECONDS:g} s apart; until then nothing that is"
            " said to the bot there arrives."
        )
        card = Card.of("Discord is not connected", text, severity=Severity.BAD)
        since = self._clock.now().strftime("%Y%m%dT%H%M%S")
        try:
            await self._notice(card, f"gateway-{self._place.id}-{since}")
        except TransientError as error:
            self._told = False
            logger.warning("discord_notice_failed", error=str(error))

    # Listening

    def _packet(self, text: str) -> None:
        """Every packet, in order. Nothing here waits: the heartbeat is on the same loop."""
        try:
            self._heed(orjson.loads(text))
        except (KeyError, TypeError, ValueError):
            logger.exception("discord_packet_failed", shard=self._place.id)

    def _heed(self, packet: Mapping[str, Any]) -> None:
        now = self._clock.monotonic()
        if packet["op"] == 11:
            self._acknowledged_at = now
            return
        if packet["op"] != 0:
            return
        self._heard_at = now
        name, data, number = packet["t"], packet["d"], packet["s"]
        if name == "READY":
            self._session = Session(str(data["session_id"]), str(data["resume_gateway_url"]), number)
            self._is_live("begun")
        session = self._session
        if session is None:
            return
        session.heard(number)
        if name == "RESUMED":
            self._is_live("resumed")
        elif name == "INTERACTION_CREATE" and data.get("type") != 1:
            self._interaction(session, number, data)
        elif name == "MESSAGE_CREATE" or (name == "MESSAGE_UPDATE" and is_edit(data, self._clock.now())):
            self._message(session, number, data)

    def _is_live(self, how: str) -> None:
        self.live, self.trouble, self._unresumed, self._told = True, "", 0, False
        self._live_since = self._clock.monotonic()
        logger.info("discord_connected", shard=self._place.id, session=how)

    def _interaction(self, session: Session, number: int, data: Mapping[str, Any]) -> None:
        if not session.begin(number):
            return

        async def take() -> None:
            try:
                await self._receiver.interaction(data)
            except Exception:
                logger.exception("discord_interaction_failed", interaction=data.get("id"))
            finally:
                session.done(number)

        task = asyncio.create_task(take())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _message(self, session: Session, number: int, data: Mapping[str, Any]) -> None:
        client, guild = self._client, data.get("guild_id")
        roles = client.roles_in(int(guild)) if client and guild and data.get("mention_roles") else frozenset()
        if client is None or not self._receiver.serves(data) or not is_for_us(data, self._me, roles):
            return
        if not session.begin(number):
            return

        async def take() -> None:
            place = await self._place_of(str(data["channel_id"]), bool(guild))
            await self._receiver.message(message_of_event(data, place, self._account, self._me, roles))
            session.done(number)

        async def taken() -> None:
            try:
                await take()
            except (KeyError, TypeError, ValueError):
                logger.exception("discord_message_failed", message=data.get("id"))
                session.done(number)  # it would fail again

        self._lanes.add(str(data["channel_id"]), taken)

    async def _place_of(self, channel: str, in_guild: bool) -> Place:
        """Where a message was written: an event doesn't say whether its channel is a thread, and whose."""
        client = self._client
        if not in_guild or client is None:
            return Place(channel)
        known, parent = client.parent_of(int(channel))
        if known:
            return Place(channel, None if parent is None else str(parent))
        try:
            return place_of_channel(await self._api.channel(channel))
        except _PASSING as error:
            logger.warning("discord_channel_unknown", channel=channel, error=str(error))
            return Place(channel)

    async def _save_forever(self) -> None:
        while True:
            await self._clock.sleep(SAVE_SECONDS)
            try:
                await asyncio.to_thread(self._file.save, self._session)
            except OSError as error:
                logger.warning("discord_session_not_saved", error=str(error))
