"""A strict ChatKit organisation over a real socket: it takes what the contract says, and refuses everything else."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from tests.file_shelf import PATH, Shelf

KEY = "org-key-0123456789"
ORG = "org-7"
PAGE = 3
Manner = tuple[int, dict[str, str]] | Literal["hang", "drop"] | None
"""How a request is treated: a status with headers, or taken and then not answered."""


@dataclass(slots=True)
class Posted:
    """A message of a thread."""

    id: str
    thread: str
    body: dict[str, Any]
    edits: int = 0
    """How often it was edited."""


@dataclass(slots=True)
class OrgThread:
    """A thread of a channel."""

    id: str
    channel: str
    title: str
    kind: str
    metadata: dict[str, Any]
    messages: list[Posted] = field(default_factory=list)


class ChatKitOrg:
    """The organisation's API. `manner` says how a request to post or edit is treated."""

    def __init__(self) -> None:
        self.key = KEY
        self.shelf = Shelf()
        self.channels: dict[str, str] = {}
        self.threads: dict[str, OrgThread] = {}
        self.posts: list[Posted] = []
        self.sends = 0
        self.wrong: list[str] = []
        """What a request had that the contract does not: tests look that it stays empty."""
        self.manner: Callable[[], Manner] = lambda: None
        self.asked: list[tuple[str, str]] = []
        self.traces: list[str] = []
        """The traceparents of what was posted."""
        self._keys: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._gone = asyncio.Event()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen, at the same port as before."""
        app = web.Application(client_max_size=2**24)
        at = f"/orgs/{ORG}"
        app.router.add_get(f"{at}/channels", self._guarded(self._list_channels))
        app.router.add_post(f"{at}/channels", self._guarded(self._make_channel))
        app.router.add_post(f"{at}/channels/{{slug}}/threads", self._guarded(self._make_thread))
        app.router.add_post(f"{at}/threads/{{id}}/messages", self._guarded(self._post))
        app.router.add_get(f"{at}/threads/{{id}}/messages", self._guarded(self._messages))
        app.router.add_patch(f"{at}/messages/{{id}}", self._guarded(self._edit))
        app.router.add_get(PATH, self.shelf.give)
        self._gone = asyncio.Event()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Listen no more, and end what hangs."""
        self._gone.set()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def thread(self, channel: str, thread_id: str, title: str = "A thread") -> OrgThread:
        """A thread that people made."""
        return self.threads.setdefault(thread_id, OrgThread(thread_id, channel, title, "mission", {}))

    def _guarded(self, handler: Any) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.asked.append((request.method, request.path))
            if request.headers.get("Authorization") != f"Bearer {self.key}":
                return _said(401, {"message": "the key is wrong"})
            if request.method != "GET" and request.content_type != "application/json":
                self.wrong.append(f"{request.method} {request.path}: {request.content_type}")
                return _said(415, {"message": "JSON only"})
            response: web.StreamResponse = await handler(request)
            return response

        return handle

    async def _list_channels(self, request: web.Request) -> web.Response:
        return _said(200, [{"slug": slug, "name": name} for slug, name in self.channels.items()])

    async def _make_channel(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not self._has(body, {"slug": str, "name": str}):
            return _said(400, {"message": "a channel has slug and name"})
        if body["slug"] in self.channels:
            return _said(409, {"message": "there is one"})
        self.channels[body["slug"]] = body["name"]
        return _said(201, body)

    async def _make_thread(self, request: web.Request) -> web.StreamResponse:
        slug, raw = request.match_info["slug"], await request.read()
        body = json.loads(raw)
        if slug not in self.channels:
            return _said(404, {"message": f"no channel {slug}"})
        if not self._has(body, {"title": str, "kind": str, "metadata": dict}) or not body["title"]:
            return _said(400, {"message": "a thread has title, kind, metadata"})
        if body["kind"] not in ("mission", "alert"):
            self.wrong.append(f"kind {body['kind']}")
            return _said(400, {"message": "kind is mission or alert"})

        def make() -> dict[str, Any]:
            made = OrgThread(f"th-{len(self.threads) + 1}", slug, body["title"], body["kind"], body["metadata"])
            self.threads[made.id] = made
            return {"id": made.id}

        return self._once(request, b"thread" + raw, make)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        thread = self.threads.get(request.match_info["id"])

        def make() -> dict[str, Any]:
            assert thread is not None
            posted = Posted(f"ms-{len(self.posts) + 1}", thread.id, json.loads(raw))
            thread.messages.append(posted)
            self.posts.append(posted)
            return {"id": posted.id}

        return await self._sent(request, raw, thread is not None, lambda: self._once(request, b"post" + raw, make))

    async def _edit(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        posted = next((each for each in self.posts if each.id == request.match_info["id"]), None)

        def edit() -> web.Response:
            assert posted is not None
            posted.body.update(json.loads(raw))
            posted.edits += 1
            return _said(200, {"id": posted.id})

        return await self._sent(request, raw, posted is not None, edit)

    async def _sent(
        self, request: web.Request, raw: bytes, is_there: bool, do: Callable[[], web.Response]
    ) -> web.StreamResponse:
        """A request to post or edit, as the manner of the moment has it."""
        self.sends += 1
        self.traces.append(request.headers.get("traceparent", ""))
        manner = self.manner()
        if isinstance(manner, tuple):
            return web.json_response({"message": "no"}, status=manner[0], headers=manner[1])
        wrong = self._wrong_message(json.loads(raw), is_post=request.method == "POST")
        if wrong:
            self.wrong.append(wrong)
            return _said(400, {"message": wrong})
        if not is_there:
            return _said(404, {"message": "no such thread or message"})
        response = do()
        if manner == "hang":
            await self._gone.wait()
        if manner == "drop" and request.transport is not None:
            request.transport.abort()
        return response

    async def _messages(self, request: web.Request) -> web.Response:
        thread = self.threads.get(request.match_info["id"])
        if thread is None:
            return _said(404, {"message": "no such thread"})
        after = request.query.get("after")
        ids = [posted.id for posted in thread.messages]
        begin = ids.index(after) + 1 if after in ids else 0
        page = thread.messages[begin : begin + PAGE]
        return _said(200, {"messages": [{"id": each.id, **each.body} for each in page]})

    def _once(self, request: web.Request, content: bytes, make: Callable[[], dict[str, Any]]) -> web.Response:
        key = request.headers.get("Idempotency-Key")
        if not key:
            self.wrong.append(f"{request.path} without Idempotency-Key")
            return _said(400, {"message": "Idempotency-Key is missing"})
        if key not in self._keys:
            self._keys[key] = (content, make())
        before, answer = self._keys[key]
        return _said(201, answer) if before == content else _said(422, {"message": "the key is another request's"})

    def _has(self, body: Any, members: dict[str, type]) -> bool:
        fine = isinstance(body, dict) and set(body) == set(members)
        fine = fine and all(isinstance(body[name], kind) for name, kind in members.items())
        if not fine:
            self.wrong.append(f"{body}")
        return fine

    def _wrong_message(self, body: Any, *, is_post: bool) -> str:
        allowed = {"text", "card", "attachments"} | ({"client_id"} if is_post else set())
        if not isinstance(body, dict) or set(body) - allowed or not isinstance(body.get("text"), str):
            return f"members of a message: {sorted(body)}"
        if is_post and not body.get("client_id"):
            return "no client_id"
        if not isinstance(body.get("card", {}), dict):
            return "card is no object"
        for each in body.get("attachments", []):
            if not isinstance(each.get("name"), str) or not isinstance(each.get("content_type"), str):
                return f"attachment {each}"
            if "data" in each and len(base64.b64decode(each["data"], validate=True)) != each["size"]:
                return "an attachment's size is wrong"
            if "data" in each and each["size"] > 1_000_000:
                return "an attachment over a megabyte was sent"
        return ""


def _said(status: int, body: Any) -> web.Response:
    return web.json_response(body, status=status)
