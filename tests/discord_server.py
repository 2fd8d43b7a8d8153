"""A small strict Discord over real sockets: it validates every request, and refuses what Discord refuses."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests import discord_payloads as payloads
from tests.discord_gateway import Gateway
from tests.discord_rules import problems_of_commands, problems_of_message, problems_of_modal
from tests.discord_schema import problems_of_request
from tests.file_shelf import PATH, Shelf

TOKEN = "MTEwMDAwMDAwMDAwMDAwMDAwMQ.fake.token-of-the-tests"
BASE = "/api/v10"
NONCE_SECONDS = 300.0
ANSWER_SECONDS = 3.0
LIVES = timedelta(minutes=15)
Files = Sequence[tuple[str, bytes]]


@dataclass
class Held:
    """An interaction that Discord knows."""

    payload: dict[str, Any]
    made_at: datetime
    began: float
    answer: dict[str, Any] | None = None
    original: dict[str, Any] | None = None
    follow_ups: list[dict[str, Any]] = field(default_factory=list)
    answered_after: float | None = None


@dataclass
class Fault:
    """What happens instead of an answer: a status, ``drop`` before anything is done, ``drop after``, ``hang``."""

    method: str
    path: str
    does: str | int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1


class Wrong(Exception):
    """Discord's refusal."""

    def __init__(self, status: int, code: int, message: str, errors: Any = None) -> None:
        super().__init__(message)
        self.status, self.code, self.errors = status, code, errors


class FakeDiscord:
    """The platform, as far as a bot can tell."""

    def __init__(self) -> None:
        self.gateway = Gateway(TOKEN)
        self.ahead = timedelta()
        """How far its clock is ahead: moved by tests, with the runtime's."""
        self.flags = 0
        self.shards = 1
        self.sessions_left = 1000
        self.channels: dict[str, dict[str, Any]] = {
            payloads.HALL: payloads.text_channel(payloads.HALL, "hall"),
            payloads.OPS: payloads.text_channel(payloads.OPS, "ops"),
            payloads.THREAD: payloads.thread_channel(payloads.THREAD, payloads.HALL, "mission"),
        }
        self.closed: dict[str, int] = {}
        """Channels that the bot may not write in, with the error code."""
        self.messages: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.interactions: dict[str, Held] = {}
        self.commands: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
        self.puts = 0
        self.edits: list[dict[str, Any]] = []
        self.refused: list[str] = []
        """Every request that was against Discord's rules, and why."""
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.base_url = ""
        self.token = TOKEN
        self.keeps_alive = True
        """Whether a connection is used again. If not, it can be told that nothing was sent when nobody listens."""
        self.contents: dict[str, bytes] = {}
        """What is in the files that were sent, by attachment id."""
        self.shelf = Shelf()
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._nonces: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FakeDiscord]:
        """Listen for the length of the block."""
        await self.listen()
        try:
            yield self
        finally:
            await self.vanish()

    async def listen(self) -> None:
        """Take connections, at the same address as before."""
        app = web.Application(client_max_size=2**25)
        app.router.add_get("/gateway", self.gateway.handle)
        app.router.add_get(PATH, self.shelf.give)
        app.router.add_route("*", BASE + "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{self._port}{BASE}"
        self.gateway.url = f"ws://127.0.0.1:{self._port}/gateway"

    def leave(self) -> None:
        """Refuse connections at once, and end those that there are; `vanish` and `listen` bring it back."""
        assert self._runner is not None
        for site in self._runner.sites:
            site._server.close()  # type: ignore[attr-defined]  # its own stop() waits
        assert self._runner.server is not None
        for connection in list(self._runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def vanish(self) -> None:
        """End every connection and take no more."""
        await self.gateway.cut()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def now(self) -> datetime:
        """Its time."""
        return datetime.now(UTC) + self.ahead

    def shown(self, channel: str = payloads.HALL) -> list[dict[str, Any]]:
        """What everybody sees in a channel, the bot's messages only: sent by it, or answers of interactions."""
        return [each for each in self.messages[channel] if each["author"]["id"] == payloads.ME]

    # Requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(BASE)
        self.requests.append((request.method, path))
        fault = self._fault(request.method, path)
        if fault is not None and fault.does != "drop after":
            return await self._failed(request, fault)
        try:
            body, files = await _body(request)
            self._check(request, path, body)
            answer = await self._routed(request, path, body, files)
        except Wrong as wrong:
            document = {"message": str(wrong), "code": wrong.code}
            if wrong.errors:
                document["errors"] = wrong.errors
            return _json(document, wrong.status)
        if fault is not None and request.transport is not None:
            request.transport.abort()
        made = web.Response(status=204) if answer is None else _json(answer)
        if not self.keeps_alive:
            made.force_close()
        return made

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method == method and re.fullmatch(fault.path, path):
                fault.times -= 1
                return fault
        return None

    async def _failed(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        while fault.does == "hang":
            await asyncio.sleep(0.02)
            if request.transport is None or request.transport.is_closing():
                break
        if isinstance(fault.does, int):
            return _json(fault.body, fault.does, fault.headers)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _check(self, request: web.Request, path: str, body: Any) -> None:
        """Refuse what Discord refuses before it looks at what the request is about."""
        hooked = path.startswith(("/webhooks/", "/interactions/"))
        credential = request.headers.get("Authorization")
        if not hooked and credential != f"Bot {self.token}":
            raise Wrong(401, 0, "401: Unauthorized")
        if hooked and credential is not None:
            raise self._against("a token is sent where none is needed", path)
        if not request.headers.get("User-Agent", "").startswith("DiscordBot ("):
            raise self._against("the User-Agent must begin with DiscordBot", path)
        if path != "/oauth2/applications/@me":
            for problem in problems_of_request(request.method, path, body):
                raise self._against(problem, path)

    def _against(self, problem: str, path: str) -> Wrong:
        self.refused.append(f"{path}: {problem}")
        return Wrong(400, 50035, "Invalid Form Body", {"_errors": [{"code": "INVALID", "message": problem}]})

    async def _routed(self, request: web.Request, path: str, body: Any, files: Files) -> Any:
        for method, pattern, handler in self._routes():
            match = re.fullmatch(pattern, path)
            if match and method == request.method:
                made = handler(*match.groups(), body=body, files=files, query=request.query)
                return await made if asyncio.iscoroutine(made) else made
        raise self._against(f"nothing here does {request.method}", path)

    def _routes(self) -> list[tuple[str, str, Callable[..., Any | Awaitable[Any]]]]:
        hook = rf"/webhooks/{payloads.APP}/([^/]+)"
        commands = rf"/applications/{payloads.APP}(?:/guilds/(\d+))?/commands"
        return [
            ("GET", r"/users/@me", lambda **_: payloads.BOT),
            ("GET", r"/applications/@me", lambda **_: self._application()),
            ("GET", r"/oauth2/applications/@me", lambda **_: self._application()),
            ("GET", r"/gateway/bot", lambda **_: self._advice()),
            ("GET", commands, lambda guild, **_: self.commands[guild]),
            ("PUT", commands, self._put_commands),
            ("POST", r"/interactions/(\d+)/([^/]+)/callback", self._answered),
            ("GET", hook + "/messages/@original", lambda token, **_: self._original(token)),
            ("PATCH", hook + "/messages/([^/]+)", self._edit_by_hook),
            ("DELETE", hook + "/messages/@original", self._delete_original),
            ("POST", hook, self._follow_up),
            ("GET", r"/channels/(\d+)/messages", self._recent),
            ("POST", r"/channels/(\d+)/messages", self._create),
            ("PATCH", r"/channels/(\d+)/messages/(\d+)", self._edit),
            ("GET", r"/channels/(\d+)", lambda channel, **_: self._channel(channel)),
            ("POST", r"/users/@me/channels", self._direct),
        ]

    def _application(self) -> dict[str, Any]:
        owner = payloads.user("1300000000000000001", "Owner")
        about = {"id": payloads.APP, "name": "vtoc", "icon": None, "description": "", "bot_public": True}
        more = {"bot_require_code_grant": False, "verify_key": "00" * 32, "owner": owner, "team": None, "summary": ""}
        return about | more | {"flags": self.flags, "interactions_endpoint_url": None, "rpc_origins": []}

    def _advice(self) -> dict[str, Any]:
        limit = {"total": 1000, "remaining": self.sessions_left, "reset_after": 60000, "max_concurrency": 1}
        return {"url": self.gateway.url, "shards": self.shards, "session_start_limit": limit}

    def _put_commands(self, guild: str | None, *, body: Any, **_: Any) -> Any:
        for problem in problems_of_commands(body):
            raise self._against(problem, "commands")
        self.puts += 1
        made = [
            {
                "id": payloads.snowflake(),
                "application_id": payloads.APP,
                "version": payloads.snowflake(),
                "type": 1,
                "nsfw": False,
                "dm_permission": True,
                "contexts": None,
                "integration_types": [0],
                **each,
                "default_member_permissions": _text(each.get("default_member_permissions")),
            }
            for each in body
        ]
        self.commands[guild] = made
        return made

    # Interactions

    def _held(self, token: str) -> Held:
        held = self.interactions.get(token)
        if held is None:
            raise Wrong(404, 10015, "Unknown Webhook")
        if self.now() - held.made_at > LIVES:
            raise Wrong(401, 50027, "Invalid Webhook Token")
        return held

    def take_answer(self, token: str, answer: dict[str, Any]) -> None:
        """What an interaction is answered with, by callback or in the response to HTTP. Raises Wrong."""
        held = self.interactions.get(token)
        if held is None or time.monotonic() - held.began > ANSWER_SECONDS:
            raise Wrong(404, 10062, "Unknown interaction")
        if held.answer is not None:
            raise Wrong(400, 40060, "Interaction has already been acknowledged.")
        kind, asked = answer["type"], held.payload["type"]
        allowed = {2: {4, 5, 9}, 3: {4, 5, 6, 7, 9}, 4: {8}, 5: {4, 5, 6, 7}}[asked]
        if kind not in allowed:
            raise self._against(f"type {kind} does not answer an interaction of type {asked}", "callback")
        data = answer.get("data") or {}
        problems = problems_of_modal(data) if kind == 9 else []
        if kind in (4, 7):
            problems = problems_of_message(data, [])
        for problem in problems:
            raise self._against(problem, "callback")
        held.answer, held.answered_after = answer, time.monotonic() - held.began
        if kind in (4, 5):
            waits = 128 if kind == 5 else 0
            held.original = self._made(held.payload["channel_id"], {**data, "flags": data.get("flags", 0) | waits})
            if not held.original["flags"] & 64:
                self.messages[held.original["channel_id"]].append(held.original)
        elif kind in (6, 7):
            held.original = self._source(held)

    def _source(self, held: Held) -> dict[str, Any]:
        """The message whose button was pressed."""
        wanted = held.payload["message"]["id"]
        for each in self._all():
            if each["id"] == wanted:
                return each
        raise Wrong(404, 10008, "Unknown Message")

    def _all(self) -> list[dict[str, Any]]:
        found = [each for messages in self.messages.values() for each in messages]
        for held in self.interactions.values():
            found += [each for each in (held.original, *held.follow_ups) if each is not None]
        return found

    def _answered(self, interaction: str, token: str, *, body: Any, **_: Any) -> None:
        held = self.interactions.get(token)
        if held is not None and held.payload["id"] != interaction:
            raise Wrong(404, 10062, "Unknown interaction")
        self.take_answer(token, body)

    def _original(self, token: str) -> dict[str, Any]:
        held = self._held(token)
        if held.answer is None:
            raise Wrong(404, 10015, "Unknown Webhook")
        if held.original is None:
            raise Wrong(404, 10008, "Unknown Message")
        return held.original

    def _edit_by_hook(self, token: str, which: str, *, body: Any, files: Files, **_: Any) -> dict[str, Any]:
        held = self._held(token)
        if held.answer is None:
            raise Wrong(404, 10015, "Unknown Webhook")
        mine = [each for each in (held.original, *held.follow_ups) if each is not None]
        found = held.original if which == "@original" else next((each for each in mine if each["id"] == which), None)
        if found is None:
            raise Wrong(404, 10008, "Unknown Message")
        return self._changed(found, body, files)

    def _delete_original(self, token: str, **_: Any) -> None:
        found = self._original(token)
        self._held(token).original = None
        self.messages[found["channel_id"]] = [each for each in self.messages[found["channel_id"]] if each is not found]

    def _follow_up(self, token: str, *, body: Any, files: Files, **_: Any) -> dict[str, Any]:
        held = self._held(token)
        if held.answer is None:
            raise Wrong(404, 10015, "Unknown Webhook")
        for problem in problems_of_message(body, [name for name, _ in files]):
            raise self._against(problem, "follow-up")
        made = self._made(held.payload["channel_id"], body, files)
        held.follow_ups.append(made)
        if not made["flags"] & 64:
            self.messages[made["channel_id"]].append(made)
        return made

    # Messages

    def _made(self, channel: str, body: Mapping[str, Any], files: Files = ()) -> dict[str, Any]:
        parts = {key: body[key] for key in ("content", "embeds", "components", "flags", "nonce") if body.get(key)}
        attached = [
            {"id": payloads.snowflake(), "filename": name, "size": len(data), "url": name} for name, data in files
        ]
        self.contents.update({each["id"]: data for each, (_, data) in zip(attached, files, strict=True)})
        made = payloads.message(payloads.BOT, channel, self.now(), attachments=attached, application_id=payloads.APP)
        reference = body.get("message_reference")
        return made | parts | ({"message_reference": reference} if reference else {})

    def _changed(self, found: dict[str, Any], body: Mapping[str, Any], files: Files) -> dict[str, Any]:
        for problem in problems_of_message(body, [name for name, _ in files]):
            raise self._against(problem, "edit")
        kept = {key: value for key, value in found.items() if key not in ("embeds", "components")}
        changed = self._made(found["channel_id"], body, files)
        found.clear()
        found.update(kept | {key: changed[key] for key in ("embeds", "components", "attachments")})
        found["flags"] = kept.get("flags", 0) & ~128
        found["edited_timestamp"] = self.now().isoformat()
        self.edits.append(json.loads(json.dumps(found)))
        return found

    def _channel(self, channel: str) -> dict[str, Any]:
        if channel not in self.channels:
            raise Wrong(404, 10003, "Unknown Channel")
        if self.closed.get(channel) == 50001:
            raise Wrong(403, 50001, "Missing Access")
        return self.channels[channel]

    def _writable(self, channel: str) -> None:
        self._channel(channel)
        if channel in self.closed:
            raise Wrong(403, self.closed[channel], "Missing Permissions")

    def _recent(self, channel: str, *, query: Mapping[str, str], **_: Any) -> list[dict[str, Any]]:
        self._channel(channel)
        after = int(query.get("after", 0))
        found = [each for each in self.messages[channel] if int(each["id"]) > after]
        # Whether Discord keeps nonces is nowhere promised: this one doesn't.
        kept = [{key: value for key, value in each.items() if key != "nonce"} for each in found]
        return list(reversed(kept[: int(query.get("limit", 50))]))

    def _create(self, channel: str, *, body: Any, files: Files, **_: Any) -> dict[str, Any]:
        self._writable(channel)
        for problem in problems_of_message(body, [name for name, _ in files]):
            raise self._against(problem, "message")
        nonce = body.get("nonce")
        at, known = self._nonces.get((channel, str(nonce)), (float("-inf"), {}))
        if nonce and body.get("enforce_nonce") and self.now().timestamp() - at < NONCE_SECONDS:
            return known
        made = self._made(channel, body, files)
        self.messages[channel].append(made)
        if nonce:
            self._nonces[(channel, str(nonce))] = (self.now().timestamp(), made)
        return made

    def _edit(self, channel: str, message: str, *, body: Any, files: Files, **_: Any) -> dict[str, Any]:
        self._channel(channel)
        found = next((each for each in self.messages[channel] if each["id"] == message), None)
        if found is None:
            raise Wrong(404, 10008, "Unknown Message")
        return self._changed(found, body, files)

    def _direct(self, *, body: Any, **_: Any) -> dict[str, Any]:
        who = payloads.user(str(body["recipient_id"]), "Somebody")
        channel = f"9{str(body['recipient_id'])[1:]}"
        self.channels.setdefault(channel, payloads.direct_channel(channel, who))
        return self.channels[channel]


def _json(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    made = web.Response(body=json.dumps(document).encode(), status=status, headers=headers)
    made.headers["Content-Type"] = "application/json"  # as Discord: without a charset, which discord.py looks at
    return made


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


async def _body(request: web.Request) -> tuple[Any, Files]:
    """The JSON of a request, and the files that came with it."""
    if request.content_type == "application/json":
        return json.loads(await request.read()), []
    if not request.content_type.startswith("multipart/"):
        return None, []
    body: Any = None
    files: list[tuple[str, bytes]] = []
    async for part in await request.multipart():
        assert part.name is not None
        if part.name == "payload_json":
            body = json.loads(await part.text())
        else:
            assert part.name == f"files[{len(files)}]"
            data = await part.read()
            assert data
            files.append((str(part.filename), bytes(data)))
    return body, files
