"""A small strict Slack over real sockets: Web API, uploads, response_urls, Socket Mode. It refuses what Slack does."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.file_shelf import PATH, Shelf
from tests.slack_blocks import problems_of_blocks, problems_of_view

TEAM, BOT_USER, BOT_ID, APP = "T0TEAM001", "U0BOTUSER", "B0BOT0001", "A0APP0001"
BOT_TOKEN, APP_TOKEN, SECRET = "xoxb-good-token", "xapp-good-token", "8f742231b10e8888abcd99yyyzzz85a5"
TEXT_LIMIT = 40_000
FORM_ONLY = ("conversations.history", "conversations.replies", "conversations.list", "files.getUploadURLExternal")
RESPONSE_USES, RESPONSE_SECONDS, TRIGGER_SECONDS = 5, 1800.0, 3.0


class Failure(Exception):
    """An answer that is not ok; `code` is Slack's name for why."""

    def __init__(self, code: str, *details: str) -> None:
        super().__init__(code)
        self.code, self.details = code, details


@dataclass
class Channel:
    """A channel or the direct messages of one user."""

    id: str
    name: str = ""
    members: set[str] = field(default_factory=set)
    archived: bool = False
    user: str | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Call:
    """One call of the Web API."""

    method: str
    arguments: dict[str, Any]


class FakeSlack:
    """The platform. `manners(method, arguments)` may answer None (as usual), or limit, limit-bare, fail, away, hang,
    drop, `drop-after` (do it, then drop the connection) or an error's name."""

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.calls: list[Call] = []
        self.ephemerals: list[dict[str, Any]] = []
        self.responses: list[dict[str, Any]] = []
        self.homes: dict[str, dict[str, Any]] = {}
        self.views: list[dict[str, Any]] = []
        self.files: dict[str, dict[str, Any]] = {}
        self.shelf = Shelf()
        self.problems: list[str] = []
        self.manners: Callable[[str, dict[str, Any]], str | None] = lambda method, arguments: None
        self.has_tables = True
        self.retry_after = 3
        self.bot_token, self.app_token = BOT_TOKEN, APP_TOKEN
        self.now = time.time
        self.triggers: dict[str, float] = {}
        self.response_urls: dict[str, list[float]] = {}
        self.sockets: list[web.WebSocketResponse] = []
        self.tickets: set[str] = set()
        self.acknowledged: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.says_hello = True
        self.answers_pings = True
        self.strangers = 0
        """Connections of the app that other programs have."""
        self.address = ""
        self._runner: web.AppRunner | None = None
        self._is_away = False
        self.keeps_alive = True
        self._ids, self._ts = itertools.count(1), itertools.count(1)

    async def _prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        if not self.keeps_alive and not isinstance(response, web.WebSocketResponse):
            response.headers["Connection"] = "close"
            response.force_close()

    def vanish(self) -> None:
        """Be unreachable from now on: nobody listens, and every connection is gone."""
        assert self._runner is not None
        for site in list(self._runner.sites):
            assert site._server is not None
            site._server.close()
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()
        self._is_away = True

    async def return_(self) -> None:
        """Be there again, if it was away."""
        if self._is_away:
            self._is_away = False
            assert self._runner is not None
            for site in list(self._runner.sites):
                await site.stop()
            await web.TCPSite(self._runner, "127.0.0.1", int(self.address.rpartition(":")[2])).start()

    def id(self, prefix: str) -> str:
        """A new id."""
        return f"{prefix}{next(self._ids):08d}"

    def ts(self) -> str:
        """A new message's ts."""
        return f"{int(self.now())}.{next(self._ts):06d}"

    def trigger(self) -> str:
        """A new trigger id, good for three seconds."""
        made = f"{next(self._ids)}.{time.time_ns()}.abcdef"
        self.triggers[made] = self.now()
        return made

    def response_url(self) -> str:
        """A new response_url."""
        name = self.id("R")
        self.response_urls[name] = [self.now(), 0]
        return f"{self.address}/response/{name}"

    def channel(self, id: str, name: str = "", *members: str, bot: bool = True) -> Channel:
        """Make a channel."""
        made = Channel(id, name or id.lower(), {*members, *([BOT_USER] if bot else [])})
        self.channels[id] = made
        return made

    def direct(self, user: str) -> Channel:
        """The direct messages of a user."""
        found = next((each for each in self.channels.values() if each.user == user), None)
        if found is None:
            found = Channel(self.id("D"), user=user, members={user, BOT_USER})
            self.channels[found.id] = found
        return found

    def shown(self, channel: str) -> list[dict[str, Any]]:
        """The bot's messages in a channel as they stand now."""
        return [message for message in self.channels[channel].messages if message.get("bot_id") == BOT_ID]

    def of(self, method: str) -> list[dict[str, Any]]:
        """The arguments of every call of a method."""
        return [call.arguments for call in self.calls if call.method == method]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FakeSlack]:
        """Listen on the loopback for the length of the block."""
        app = web.Application(client_max_size=8 * 2**20)
        app.on_response_prepare.append(self._prepare)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post("/upload/{file}", self._upload)
        app.router.add_post("/response/{name}", self._response)
        app.router.add_get("/ws/{ticket}", self._socket)
        app.router.add_get(PATH, self.shelf.give)
        runner = self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            for socket in self.sockets:
                await socket.close()
            await runner.cleanup()
        assert self.problems == []

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method, arguments = request.match_info["method"], await _arguments(request)
        self.calls.append(Call(method, arguments))
        manner = self.manners(method, arguments)
        if manner in ("limit", "limit-bare"):
            headers = {"Retry-After": str(self.retry_after)} if manner == "limit" else {}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
        if manner in ("fail", "away"):
            return web.Response(
                status=500 if manner == "fail" else 503, text="<html>upstream</html>", content_type="text/html"
            )
        if manner == "hang":
            await asyncio.Event().wait()
        if manner == "drop":
            return _dropped(request)
        try:
            if manner not in (None, "drop-after"):
                raise Failure(str(manner))
            self._check_token(request, method)
            if method in FORM_ONLY and request.content_type == "application/json":
                raise Failure("invalid_json_for_this_method")
            answer = getattr(self, f"_{method.replace('.', '_')}", self._unknown)(arguments)
        except Failure as failure:
            body: dict[str, Any] = {"ok": False, "error": failure.code}
            if failure.details:
                body["response_metadata"] = {"messages": list(failure.details)}
            return web.json_response(body)
        return _dropped(request) if manner == "drop-after" else web.json_response({"ok": True, **answer})

    def _check_token(self, request: web.Request, method: str) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token:
            raise Failure("not_authed")
        if method == "apps.connections.open":
            if token != self.app_token:
                raise Failure("invalid_auth" if token.startswith("xapp-") else "not_allowed_token_type")
        elif token != self.bot_token:
            raise Failure("invalid_auth")

    def _unknown(self, arguments: dict[str, Any]) -> dict[str, Any]:
        raise Failure("unknown_method")

    def _auth_test(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": "https://centre.slack.com/",
            "team": "Centre",
            "user": "vtoc",
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT_ID,
        }

    def _apps_connections_open(self, arguments: dict[str, Any]) -> dict[str, Any]:
        ticket = self.id("ticket")
        self.tickets.add(ticket)
        return {"url": f"{self.address.replace('http', 'ws', 1)}/ws/{ticket}"}

    def _place(self, arguments: dict[str, Any]) -> Channel:
        wanted = str(arguments.get("channel") or arguments.get("channel_id") or "")
        found = self.direct(wanted) if wanted.startswith("U") else self.channels.get(wanted)
        if found is None:
            raise Failure("channel_not_found")
        if BOT_USER not in found.members:
            raise Failure("not_in_channel")
        if found.archived:
            raise Failure("is_archived")
        return found

    def _content(self, arguments: dict[str, Any]) -> dict[str, Any]:
        text, blocks = arguments.get("text", ""), arguments.get("blocks")
        if not text and not blocks:
            raise Failure("no_text")
        if len(text) > TEXT_LIMIT:
            raise Failure("msg_too_long")
        wrong = problems_of_blocks(blocks or [])
        if not self.has_tables and any(block["type"] == "table" for block in blocks or ()):
            raise Failure("invalid_blocks", "unsupported type: table")
        if wrong:
            self.problems += wrong
            raise Failure("invalid_blocks", *wrong)
        return {"text": text, "blocks": blocks or []}

    def _chat_postMessage(self, arguments: dict[str, Any]) -> dict[str, Any]:
        place, content = self._place(arguments), self._content(arguments)
        ts = self.ts()
        message = {"type": "message", "ts": ts, "user": BOT_USER, "bot_id": BOT_ID, **content}
        if arguments.get("thread_ts"):
            message["thread_ts"] = arguments["thread_ts"]
        if "metadata" in arguments:
            _check_metadata(arguments["metadata"])
            message["metadata"] = arguments["metadata"]
        place.messages.append(message)
        return {"channel": place.id, "ts": ts, "message": message}

    def _chat_update(self, arguments: dict[str, Any]) -> dict[str, Any]:
        place, content = self._place(arguments), self._content(arguments)
        message = self._own(place, arguments)
        message.update(content, edited={"ts": self.ts()}, metadata=arguments.get("metadata"))
        return {"channel": place.id, "ts": message["ts"], "text": message["text"]}

    def _chat_delete(self, arguments: dict[str, Any]) -> dict[str, Any]:
        place = self._place(arguments)
        place.messages.remove(self._own(place, arguments))
        return {"channel": place.id, "ts": arguments["ts"]}

    def _own(self, place: Channel, arguments: dict[str, Any]) -> dict[str, Any]:
        found = next((message for message in place.messages if message["ts"] == arguments.get("ts")), None)
        if found is None:
            raise Failure("message_not_found")
        if found.get("bot_id") != BOT_ID:
            raise Failure("cant_update_message")
        return found

    def _chat_postEphemeral(self, arguments: dict[str, Any]) -> dict[str, Any]:
        place, content = self._place(arguments), self._content(arguments)
        if arguments.get("user") not in place.members:
            raise Failure("user_not_in_channel")
        ts = self.ts()
        self.ephemerals.append({"channel": place.id, "user": arguments["user"], "ts": ts, **content, **arguments})
        return {"message_ts": ts}

    def _conversations_open(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if not str(arguments.get("users", "")).startswith("U"):
            raise Failure("user_not_found")
        return {"channel": {"id": self.direct(arguments["users"]).id}}

    def _conversations_list(self, arguments: dict[str, Any]) -> dict[str, Any]:
        named = [channel for channel in self.channels.values() if channel.user is None]
        return _page([{"id": channel.id, "name": channel.name} for channel in named], "channels", arguments)

    def _conversations_history(self, arguments: dict[str, Any]) -> dict[str, Any]:
        roots = [m for m in self._place(arguments).messages if m.get("thread_ts") in (None, m["ts"])]
        return _page(_since(roots, arguments)[::-1], "messages", arguments)

    def _conversations_replies(self, arguments: dict[str, Any]) -> dict[str, Any]:
        thread = arguments.get("ts")
        found = [m for m in self._place(arguments).messages if thread in (m["ts"], m.get("thread_ts"))]
        if not found:
            raise Failure("thread_not_found")
        return _page(_since(found, arguments), "messages", arguments)

    def _views_open(self, arguments: dict[str, Any]) -> dict[str, Any]:
        made_at = self.triggers.pop(arguments.get("trigger_id", ""), None)
        if made_at is None:
            raise Failure("invalid_trigger_id")
        if self.now() - made_at > TRIGGER_SECONDS:
            raise Failure("expired_trigger_id")
        view = self._view(arguments, "modal")
        self.views.append(view)
        return {"view": view}

    def _views_publish(self, arguments: dict[str, Any]) -> dict[str, Any]:
        view = self._view(arguments, "home")
        self.homes[arguments["user_id"]] = view
        return {"view": view}

    def _view(self, arguments: dict[str, Any], kind: str) -> dict[str, Any]:
        view = arguments.get("view") or {}
        wrong = problems_of_view(view) + ([] if view.get("type") == kind else [f"not a {kind}"])
        if wrong:
            self.problems += wrong
            raise Failure("invalid_arguments", *wrong)
        return {**view, "id": self.id("V")}

    def _files_getUploadURLExternal(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if not arguments.get("filename") or not int(arguments.get("length", 0)):
            raise Failure("invalid_arguments")
        file = self.id("F")
        self.files[file] = {"id": file, "name": arguments["filename"], "length": int(arguments["length"])}
        self.files[file]["alt_txt"] = arguments.get("alt_txt")
        return {"upload_url": f"{self.address}/upload/{file}", "file_id": file}

    def _files_completeUploadExternal(self, arguments: dict[str, Any]) -> dict[str, Any]:
        files = arguments.get("files")
        files = json.loads(files) if isinstance(files, str) else files
        found = [self.files.get(file["id"]) for file in files or ()]
        if not found or any(file is None or "data" not in file for file in found):
            raise Failure("file_not_found")
        place = self._place(arguments)
        for file, given in zip(found, files, strict=True):
            file["title"] = given.get("title")
        message = {"type": "message", "ts": self.ts(), "user": BOT_USER, "bot_id": BOT_ID, "text": ""}
        message["files"] = [{"id": file["id"], "name": file["name"], "title": file["title"]} for file in found]
        if arguments.get("thread_ts"):
            message["thread_ts"] = arguments["thread_ts"]
        place.messages.append(message)
        return {"files": message["files"]}

    async def _upload(self, request: web.Request) -> web.Response:
        file, data = self.files[request.match_info["file"]], await request.read()
        if len(data) != file["length"]:
            return web.Response(status=400, text="length")
        file["data"] = data
        return web.Response(text=f"OK - {len(data)}")

    async def _response(self, request: web.Request) -> web.Response:
        body = await request.json()
        url = self.response_urls.get(request.match_info["name"])
        if url is None:
            return web.json_response({"ok": False, "error": "invalid_url"}, status=404)
        if self.now() - url[0] > RESPONSE_SECONDS:
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        url[1] += 1
        if url[1] > RESPONSE_USES:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        wrong = problems_of_blocks(body.get("blocks", []))
        if wrong:
            self.problems += wrong
            return web.Response(status=400, text="invalid_blocks")
        self.responses.append(body)
        return web.Response(text="ok")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        ticket = request.match_info["ticket"]
        if ticket not in self.tickets:
            raise web.HTTPForbidden
        self.tickets.remove(ticket)
        socket = web.WebSocketResponse(autoping=self.answers_pings)
        await socket.prepare(request)
        if self.says_hello:
            await socket.send_json({"type": "hello", "num_connections": len(self.sockets) + 1 + self.strangers})
        self.sockets.append(socket)
        async for received in socket:
            if received.type is WSMsgType.TEXT:
                self._take_acknowledgement(received.json())
        self.sockets.remove(socket)
        return socket

    def _take_acknowledgement(self, body: dict[str, Any]) -> None:
        waiting = self.acknowledged.get(body.get("envelope_id", ""))
        if waiting is None or waiting.done():
            self.problems.append(f"an acknowledgement of nothing: {body}")
        else:
            waiting.set_result(body)


def _check_metadata(metadata: Any) -> None:
    payload = metadata.get("event_payload")
    if set(metadata) != {"event_type", "event_payload"} or not isinstance(payload, dict):
        raise Failure("invalid_metadata_format")
    if any(not isinstance(value, str | int | bool) for value in payload.values()):
        raise Failure("invalid_metadata_schema")


def _since(messages: list[dict[str, Any]], arguments: dict[str, Any]) -> list[dict[str, Any]]:
    oldest = float(arguments.get("oldest", 0))
    kept = [message for message in messages if float(message["ts"]) > oldest]
    if arguments.get("include_all_metadata") not in ("true", "1", True):
        kept = [{name: value for name, value in message.items() if name != "metadata"} for message in kept]
    return kept


def _page(items: list[dict[str, Any]], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    start, limit = int(arguments.get("cursor") or 0), min(int(arguments.get("limit", 100)), 999)
    following = str(start + limit) if len(items) > start + limit else ""
    return {name: items[start : start + limit], "response_metadata": {"next_cursor": following}}


async def _arguments(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        given: dict[str, Any] = await request.json()
        return given
    return dict(_pairs(request.query.items(), (await request.post()).items()))


def _pairs(*sources: Any) -> Iterator[tuple[str, Any]]:
    for source in sources:
        yield from source


def _dropped(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
