"""A small strict Bot API server over a real socket: refuses what Telegram refuses, and shows what people see."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.telegram_markup import BadMarkup, parsed, units
from tests.telegram_spec import problem_of

TOKEN = "77001:AAstrictServerTokenForTests0123456789"
BOT_ID, BOT_NAME = 77001, "vtoc_test_bot"


class Refusal(Exception):
    """An answer that is not ok."""

    def __init__(self, status: int, words: str, **parameters: Any) -> None:
        self.status, self.words, self.parameters = status, words, parameters


@dataclass
class Shown:
    """A message as people see it; `history` has every text it had."""

    id: int
    text: str
    keys: list[list[dict[str, Any]]] = field(default_factory=list)
    reply_to: int | None = None
    thread: int | None = None
    kind: str = "text"
    file: bytes = b""
    name: str = ""
    album: str = ""
    forces_reply: bool = False
    mode: str = ""
    history: list[str] = field(default_factory=list)


@dataclass
class Call:
    """A request as it was parsed."""

    method: str
    params: dict[str, str]
    files: dict[str, tuple[str, bytes]]
    at: float = 0.0

    def number(self, name: str) -> int | None:
        """An integer parameter."""
        return int(self.params[name]) if name in self.params else None

    def object(self, name: str) -> Any:
        """A JSON parameter."""
        return json.loads(self.params[name]) if name in self.params else None


Manner = str | Refusal | None
"""What is done instead of answering: hang, drop, do-and-drop, do-and-hang; a proxy's error page, an answer that is no
JSON (garbage); or a refusal."""


class BotApiServer:
    """The server. `manners` decides for each call whether it is answered as usual (None)."""

    def __init__(self) -> None:
        self.port = 0
        self.token = TOKEN
        self.calls: list[Call] = []
        self.problems: list[str] = []
        """Requests that break the specification; a test that sees any fails."""
        self.manners: Callable[[Call], Manner] = lambda call: None
        self.chats: dict[int, str] = {}
        self.unstarted: set[int] = set()
        self.blocked: set[int] = set()
        self.moved: dict[int, int] = {}
        self.messages: dict[int, dict[int, Shown]] = defaultdict(dict)
        self.deleted: list[tuple[int, int]] = []
        self.answered: list[str] = []
        self.menus: dict[str, list[dict[str, str]]] = {}
        self.files: dict[str, bytes] = {}
        self.webhook: dict[str, Any] = {"url": "", "has_custom_certificate": False, "pending_update_count": 0}
        self.updates: list[dict[str, Any]] = []
        self.confirmed = 0
        """The highest update id that was confirmed."""
        self._next_message, self._next_update = 100, 5000
        self._runner: web.AppRunner | None = None
        self._new = asyncio.Condition()
        self._poll: asyncio.Future[None] | None = None
        self._loop_time: Callable[[], float] = lambda: 0.0

    @property
    def address(self) -> str:
        """What TELEGRAM_API_BASE_URL is set to."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BotApiServer]:
        """Listen on the loopback for the length of the block."""
        self._loop_time = asyncio.get_running_loop().time
        app = web.Application(client_max_size=60 * 2**20)
        app.router.add_post("/bot{token}/{method}", self._serve)
        app.router.add_get("/file/bot{token}/{path:.*}", self._download)
        runner = self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    def vanish(self) -> None:
        """Be unreachable from now on: nobody listens, and every connection is gone."""
        assert self._runner is not None
        for site in list(self._runner.sites):
            assert site._server is not None
            site._server.close()
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()

    def chat(self, chat_id: int, kind: str = "private") -> int:
        """A chat there is."""
        self.chats[chat_id] = kind
        return chat_id

    def shown(self, chat_id: int) -> list[Shown]:
        """What stands in a chat, in order."""
        return [self.messages[chat_id][number] for number in sorted(self.messages[chat_id])]

    def texts(self, chat_id: int) -> list[str]:
        """The texts and captions that stand in a chat."""
        return [each.text for each in self.shown(chat_id)]

    def called(self, method: str) -> list[Call]:
        """The calls of a method."""
        return [call for call in self.calls if call.method == method]

    def next_message_id(self) -> int:
        """An id for a message, whoever writes it."""
        self._next_message += 1
        return self._next_message

    async def put(self, body: dict[str, Any]) -> dict[str, Any]:
        """Something happened; the update that tells of it waits for whoever polls."""
        self._next_update += 1
        update = {"update_id": self._next_update, **body}
        async with self._new:
            self.updates.append(update)
            self._new.notify_all()
        return update

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = await _call_of(request, self._loop_time())
        self.calls.append(call)
        try:
            if request.match_info["token"] != self.token:
                raise Refusal(401, "Unauthorized")
            wrong = problem_of(call.method, call.params, {name: data for name, (_, data) in call.files.items()})
            if wrong is not None:
                self.problems.append(f"{call.method}: {wrong}")
                raise Refusal(400, f"Bad Request: {wrong}")
            manner = self.manners(call)
            if isinstance(manner, Refusal):
                raise manner
            if manner in ("hang", "drop"):
                return await _spoil(request, manner)
            if manner in ("page", "garbage"):
                return web.Response(status=503 if manner == "page" else 200, text="<html>proxy</html>")
            result = await getattr(self, f"do_{call.method}")(call)
            if manner in ("do-and-drop", "do-and-hang"):
                return await _spoil(request, manner.removeprefix("do-and-"))
            return web.json_response({"ok": True, "result": result})
        except BadMarkup as error:
            return _refused(Refusal(400, f"Bad Request: {error}"))
        except Refusal as refusal:
            return _refused(refusal)

    async def _download(self, request: web.Request) -> web.Response:
        data = self.files.get(request.match_info["path"])
        return web.Response(status=404) if data is None else web.Response(body=data)

    async def do_getMe(self, call: Call) -> Any:
        """Who the bot is."""
        return {"id": BOT_ID, "is_bot": True, "first_name": "vtoc", "username": BOT_NAME}

    async def do_getUpdates(self, call: Call) -> Any:
        """Long polling: what was asked past is confirmed, the rest comes again."""
        if self.webhook["url"]:
            words = (
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete it first"
            )
            raise Refusal(409, words)
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)
        mine = self._poll = asyncio.get_running_loop().create_future()
        offset = call.number("offset") or 0
        self.confirmed = max(self.confirmed, offset - 1)
        self.updates = [update for update in self.updates if update["update_id"] >= offset]
        deadline = self._loop_time() + (call.number("timeout") or 0)
        async with self._new:
            while not self.updates and not mine.done() and (left := deadline - self._loop_time()) > 0:
                try:
                    await asyncio.wait_for(self._new.wait(), min(left, 0.05))
                except TimeoutError:
                    continue
        if mine.done():
            words = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
            raise Refusal(409, words)
        mine.set_result(None)
        return self.updates[: call.number("limit") or 100]

    async def do_setWebhook(self, call: Call) -> Any:
        """Only https, and a secret of the allowed letters."""
        secret = call.params.get("secret_token", "")
        if not call.params["url"].startswith("https://"):
            raise Refusal(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        if not secret.replace("-", "").replace("_", "").isalnum():
            raise Refusal(400, "Bad Request: secret token contains unallowed characters")
        self.webhook = {**self.webhook, "url": call.params["url"]}
        return True

    async def do_deleteWebhook(self, call: Call) -> Any:
        """None any more."""
        self.webhook = {**self.webhook, "url": ""}
        return True

    async def do_getWebhookInfo(self, call: Call) -> Any:
        """The webhook as it is."""
        return self.webhook

    async def do_sendMessage(self, call: Call) -> Any:
        """A text."""
        text = _checked(call.params["text"], call.params.get("parse_mode"), 4096, "message is too long")
        if not text:
            raise Refusal(400, "Bad Request: message text is empty")
        return self._post(call, Shown(0, text))

    async def do_sendPhoto(self, call: Call) -> Any:
        """A picture."""
        return self._post(call, self._with_file(call, "photo"))

    async def do_sendDocument(self, call: Call) -> Any:
        """A file."""
        return self._post(call, self._with_file(call, "document"))

    async def do_sendMediaGroup(self, call: Call) -> Any:
        """An album of 2 to 10."""
        media = call.object("media")
        if not 2 <= len(media) <= 10:
            raise Refusal(400, "Bad Request: group send failed")
        album, answers = f"album{self._next_message}", []
        for each in media:
            name, data = call.files[each["media"].removeprefix("attach://")]
            caption = _checked(each.get("caption", ""), each.get("parse_mode"), 1024, "message caption is too long")
            shown = Shown(0, caption, kind=each["type"], file=data, name=name, album=album)
            answers.append(self._post(call, shown))
        return answers

    async def do_editMessageText(self, call: Call) -> Any:
        """Another text for a message of ours."""
        shown = self._own(call)
        text = _checked(call.params["text"], call.params.get("parse_mode"), 4096, "message is too long")
        return self._change(call, shown, text, shown.file)

    async def do_editMessageCaption(self, call: Call) -> Any:
        """Another caption."""
        words = "message caption is too long"
        text = _checked(call.params.get("caption", ""), call.params.get("parse_mode"), 1024, words)
        shown = self._own(call)
        return self._change(call, shown, text, shown.file)

    async def do_editMessageMedia(self, call: Call) -> Any:
        """Another picture or file."""
        media = call.object("media")
        name, data = call.files[media["media"].removeprefix("attach://")]
        words = "message caption is too long"
        caption = _checked(media.get("caption", ""), media.get("parse_mode"), 1024, words)
        shown = self._own(call)
        shown.name = name
        return self._change(call, shown, caption, data)

    async def do_deleteMessage(self, call: Call) -> Any:
        """Gone."""
        shown = self._own(call)
        chat_id = int(call.params["chat_id"])
        del self.messages[chat_id][shown.id]
        self.deleted.append((chat_id, shown.id))
        return True

    async def do_answerCallbackQuery(self, call: Call) -> Any:
        """The waiting sign on a button ends."""
        self.answered.append(call.params["callback_query_id"])
        return True

    async def do_setMyCommands(self, call: Call) -> Any:
        """A menu."""
        commands = call.object("commands")
        for each in commands:
            name = each["command"]
            if not (1 <= len(name) <= 32 and name.replace("_", "a").isalnum() and name == name.lower()):
                raise Refusal(400, f"Bad Request: BOT_COMMAND_INVALID {name}")
            if not 1 <= len(each["description"]) <= 256:
                raise Refusal(400, "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")
        self.menus[call.object("scope")["type"]] = commands
        return True

    async def do_getMyCommands(self, call: Call) -> Any:
        """A menu as it is."""
        return self.menus.get(call.object("scope")["type"], [])

    async def do_getFile(self, call: Call) -> Any:
        """Where a file is."""
        file_id = call.params["file_id"]
        data = self.files.get(f"files/{file_id}")
        if data is None:
            raise Refusal(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        found = {"file_id": file_id, "file_unique_id": file_id, "file_size": len(data)}
        return {**found, "file_path": f"files/{file_id}"}

    def _with_file(self, call: Call, kind: str) -> Shown:
        name, data = call.files[kind]
        if not data:
            raise Refusal(400, "Bad Request: file must be non-empty")
        words = "message caption is too long"
        caption = _checked(call.params.get("caption", ""), call.params.get("parse_mode"), 1024, words)
        return Shown(0, caption, kind=kind, file=data, name=name)

    def _chat(self, call: Call) -> int:
        chat_id = int(call.params["chat_id"])
        if chat_id in self.moved:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refusal(400, words, migrate_to_chat_id=self.moved[chat_id])
        if chat_id in self.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        if chat_id in self.unstarted:
            raise Refusal(403, "Forbidden: bot can't initiate conversation with a user")
        if chat_id not in self.chats:
            raise Refusal(400, "Bad Request: chat not found")
        return chat_id

    def _post(self, call: Call, shown: Shown) -> dict[str, Any]:
        chat_id = self._chat(call)
        shown.id, shown.thread = self.next_message_id(), call.number("message_thread_id")
        shown.mode = call.params.get("parse_mode", "")
        reply = call.object("reply_parameters")
        if reply is not None:
            known = reply["message_id"] in self.messages[chat_id] or reply["message_id"] < self._next_message
            if not known and not reply.get("allow_sending_without_reply"):
                raise Refusal(400, "Bad Request: message to be replied not found")
            shown.reply_to = reply["message_id"]
        _keyboard(call, shown)
        self.messages[chat_id][shown.id] = shown
        return self._message(chat_id, shown)

    def _own(self, call: Call) -> Shown:
        chat_id = self._chat(call)
        shown = self.messages[chat_id].get(int(call.params["message_id"]))
        if shown is None:
            what = "delete" if call.method == "deleteMessage" else "edit"
            raise Refusal(400, f"Bad Request: message to {what} not found")
        return shown

    def _change(self, call: Call, shown: Shown, text: str, file: bytes) -> dict[str, Any]:
        before = (shown.text, shown.keys, shown.file)
        old_text = shown.text
        shown.keys = []
        _keyboard(call, shown)
        if (text, shown.keys, file) == before:
            raise Refusal(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the"
                " same as a current content and reply markup of the message",
            )
        shown.history.append(old_text)
        shown.text, shown.file = text, file
        return self._message(self._chat(call), shown)

    def _message(self, chat_id: int, shown: Shown) -> dict[str, Any]:
        chat = {"id": chat_id, "type": self.chats[chat_id]}
        me = {"id": BOT_ID, "is_bot": True, "first_name": "vtoc", "username": BOT_NAME}
        return {"message_id": shown.id, "date": 1_790_000_000, "chat": chat, "from": me, "text": shown.text}


def _checked(text: str, mode: str | None, most: int, words: str) -> str:
    """The text after parsing, if it is not too long."""
    read = parsed(text) if mode == "HTML" else text.strip()
    if units(read) > most:
        raise Refusal(400, f"Bad Request: {words}")
    return read


def _keyboard(call: Call, shown: Shown) -> None:
    markup = call.object("reply_markup") or {}
    shown.forces_reply = bool(markup.get("force_reply"))
    shown.keys = markup.get("inline_keyboard", [])
    for row in shown.keys:
        for key in row:
            if not 1 <= len(key["callback_data"].encode()) <= 64:
                raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
            if not key["text"].strip():
                raise Refusal(400, "Bad Request: text buttons are unallowed in the inline keyboard")
            if key.get("style") not in (None, "danger", "success", "primary"):
                raise Refusal(400, "Bad Request: BUTTON_STYLE_INVALID")


async def _call_of(request: web.Request, at: float) -> Call:
    params: dict[str, str] = {}
    files: dict[str, tuple[str, bytes]] = {}
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            files[name] = (value.filename, value.file.read())
        else:
            params[name] = str(value)
    return Call(request.match_info["method"], params, files, at)


async def _spoil(request: web.Request, manner: str) -> web.StreamResponse:
    if manner == "hang":
        await asyncio.Event().wait()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _refused(refusal: Refusal) -> web.Response:
    answer: dict[str, Any] = {"ok": False, "error_code": refusal.status, "description": refusal.words}
    if refusal.parameters:
        answer["parameters"] = refusal.parameters
    return web.json_response(answer, status=refusal.status)
