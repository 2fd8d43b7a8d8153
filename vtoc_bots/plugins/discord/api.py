"""The part of Discord's REST API that we use: one request each, never repeated, failures told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson

from vtoc_bots import Clock, NotSent, RateLimited, TransientError, Unknown, downloaded, origin_of
from vtoc_bots.plugins.discord.failures import EverythingLimited, TokenRefused, failure_of
from vtoc_bots.plugins.discord.limits import Limits

TIMEOUT_SECONDS: Final = 12.0
CONNECT_SECONDS: Final = 5.0
OPEN_SECONDS: Final = 2.0
REFUSED_SECONDS: Final = 60.0
"""How long a token that was refused is not tried again."""
ANSWER_SECONDS: Final = 3.0
"""How long an interaction may stay unanswered, by Discord's rule."""
_FILES: Final = ("https://cdn.discordapp.com", "https://media.discordapp.net")
"""Where files that people send are."""
_AGENT: Final = "DiscordBot (https://vtoc-bots.example, 0.1) aiohttp"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that goes with a message."""

    name: str
    content_type: str
    data: bytes


class DiscordApi:
    """Calls of one application's bot.

    Every method raises NotSent (certainly not done, or only a question), Unknown (the connection ended meanwhile, or
    the server failed where something was to be done), RateLimited or DiscordRefused. Nothing is tried twice and nothing
    waits: core decides when to try again.
    """

    def __init__(self, base_url: str, token: str, app_id: str, clock: Clock) -> None:
        self._base, self._token, self._app = base_url, token, app_id
        self._limits, self._clock = Limits(clock), clock
        self._origins = frozenset((*_FILES, origin_of(base_url)))
        self._refused_until = 0.0
        self._session: aiohttp.ClientSession | None = None
        self._is_open = asyncio.Event()
        self._me: str | None = None

    def open(self) -> None:
        """Take calls from now on."""
        self._session = aiohttp.ClientSession(headers={"User-Agent": _AGENT}, cookie_jar=aiohttp.DummyCookieJar())
        self._is_open.set()

    async def close(self) -> None:
        """Close the connections; calls are NotSent until it is opened again."""
        self._is_open.clear()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # What we are

    async def me(self) -> str:
        """The bot's user id, asked for once."""
        if self._me is None:
            self._me = str((await self.ping())["id"])
        return self._me

    async def ping(self) -> Mapping[str, Any]:
        """The bot's user: an active round trip."""
        return _object(await self._call("GET", "/users/@me"))

    async def application(self) -> Mapping[str, Any]:
        """The application with its flags."""
        return _object(await self._call("GET", "/applications/@me"))

    async def gateway(self) -> Mapping[str, Any]:
        """``{url, shards, session_start_limit}``."""
        return _object(await self._call("GET", "/gateway/bot"))

    # Commands

    def _commands(self, guild: str | None) -> str:
        where = "" if guild is None else f"/guilds/{guild}"
        return f"/applications/{self._app}{where}/commands"

    async def commands(self, guild: str | None) -> list[Any]:
        """What is published."""
        found = await self._call("GET", self._commands(guild))
        return found if isinstance(found, list) else []

    async def put_commands(self, guild: str | None, commands: Sequence[Mapping[str, Any]]) -> None:
        """Publish these and no others."""
        await self._call("PUT", self._commands(guild), json=list(commands))

    # Interactions

    async def answer(self, interaction: str, token: str, response: Mapping[str, Any]) -> None:
        """Answer an interaction, within three seconds of it."""
        path = f"/interactions/{interaction}/{quote(token, safe='')}/callback"
        await self._call("POST", path, key="", json=response, signed=False, seconds=ANSWER_SECONDS)

    async def original(self, token: str) -> Mapping[str, Any]:
        """The message that answers an interaction."""
        return _object(await self._call("GET", f"{self._hook(token)}/messages/@original", signed=False))

    async def edit_by_hook(
        self, token: str, message: str, body: Mapping[str, Any], files: Sequence[Upload] = ()
    ) -> Mapping[str, Any]:
        """Edit a message of an interaction; ``@original`` is its answer."""
        path = f"{self._hook(token)}/messages/{message}"
        return _object(await self._call("PATCH", path, json=body, files=files, signed=False))

    async def follow_up(self, token: str, body: Mapping[str, Any], files: Sequence[Upload] = ()) -> Mapping[str, Any]:
        """One more message for an interaction."""
        query = {"wait": "true"}
        sent = self._call("POST", self._hook(token), json=body, files=files, signed=False, query=query)
        return _object(await sent)

    async def delete_original(self, token: str) -> None:
        """Take the answer of an interaction away."""
        await self._call("DELETE", f"{self._hook(token)}/messages/@original", signed=False)

    def _hook(self, token: str) -> str:
        return f"/webhooks/{self._app}/{quote(token, safe='')}"

    # Messages

    async def create(self, channel: str, body: Mapping[str, Any], files: Sequence[Upload] = ()) -> Mapping[str, Any]:
        """Send a message."""
        return _object(await self._call("POST", f"/channels/{channel}/messages", json=body, files=files))

    async def edit(
        self, channel: str, message: str, body: Mapping[str, Any], files: Sequence[Upload] = ()
    ) -> Mapping[str, Any]:
        """Edit a message of ours."""
        path = f"/channels/{channel}/messages/{message}"
        return _object(await self._call("PATCH", path, json=body, files=files))

    async def recent(self, channel: str, after: str, limit: int = 100) -> list[Any]:
        """Messages after that id."""
        query = {"after": after, "limit": str(limit)}
        found = await self._call("GET", f"/channels/{channel}/messages", query=query)
        return found if isinstance(found, list) else []

    async def channel(self, channel: str) -> Mapping[str, Any]:
        """A channel or thread."""
        return _object(await self._call("GET", f"/channels/{channel}"))

    async def direct(self, user: str) -> str:
        """The channel of direct messages with a person."""
        return str(_object(await self._call("POST", "/users/@me/channels", json={"recipient_id": user}))["id"])

    async def file(self, url: str) -> bytes:
        """The bytes of a file that a person sent; its address holds for a day, and takes no token.

        Raises TransientError or NotFound with why not.
        """
        if self._session is None:
            raise TransientError("the connection to Discord is closed")
        data, _ = await downloaded(self._session, url, origins=self._origins)
        return data

    # The request

    async def _call(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        json: Any = None,
        files: Sequence[Upload] = (),
        query: Mapping[str, str] | None = None,
        signed: bool = True,
        seconds: float = TIMEOUT_SECONDS,
    ) -> Any:
        """One request; its JSON. An empty `key` is for what no limit holds up."""
        session = await self._opened()
        limit = f"{method} {path}" if key is None else key
        if limit:
            self._limits.check(limit)
        if signed and self._clock.monotonic() < self._refused_until:
            raise TokenRefused  # too many wrong requests, and Discord shuts the whole address out
        headers = {"Authorization": f"Bot {self._token}"} if signed else {}
        data: Any = None
        if files:
            data = _form(json, files)
        elif json is not None:
            data, headers["Content-Type"] = orjson.dumps(json), "application/json"
        timeout = aiohttp.ClientTimeout(total=seconds, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS)
        try:
            async with session.request(
                method, f"{self._base}{path}", data=data, headers=headers, params=query, timeout=timeout
            ) as response:
                body = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSent(f"discord: can't be reached ({type(error).__name__})") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unknown(f"discord: the connection ended ({type(error).__name__})") from error
        if limit:
            self._limits.learn(limit, response.headers)
        if 200 <= response.status < 300:
            return orjson.loads(body) if body else None
        failure = failure_of(response.status, response.headers, body, writes=method != "GET")
        if isinstance(failure, TokenRefused):
            self._refused_until = self._clock.monotonic() + REFUSED_SECONDS
        if limit and isinstance(failure, RateLimited):
            self._limits.refused(limit, failure.after_seconds, everything=isinstance(failure, EverythingLimited))
        raise failure

    async def _opened(self) -> aiohttp.ClientSession:
        """The connections; at a process's start they are waited for."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._is_open.wait()
        except TimeoutError:
            raise NotSent("discord: it is not running") from None
        if self._session is None:
            raise NotSent("discord: it is not running")
        return self._session


def _form(json: Any, files: Sequence[Upload]) -> aiohttp.FormData:
    # With quoted field names "files[0]" would be escaped, and Discord would not know it.
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("payload_json", orjson.dumps(json).decode(), content_type="application/json")
    for index, file in enumerate(files):
        form.add_field(f"files[{index}]", file.data, filename=file.name, content_type=file.content_type)
    return form


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Unknown("discord: its answer was not understood")
    return value
