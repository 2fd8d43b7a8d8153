"""The ChatKit server: hands over what people do and lets streams follow what comes of it; it does no work itself."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from chatkit.actions import Action
from chatkit.errors import CustomStreamError
from chatkit.server import ChatKitServer, NonStreamingResult
from chatkit.types import (
    ErrorEvent,
    StreamOptions,
    ThreadItem,
    ThreadItemReplacedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
    WidgetItem,
)
from pydantic import ValidationError

from vtoc_bots import NotFound, Refusal, ThreadRows, VtocError, parse_short_id, short_id
from vtoc_bots.plugins.chatkit.server_store import ITEM, Accept, PostgresStore, title_of
from vtoc_bots.plugins.chatkit.speaking import Request, commanded, conversation_of, pressed
from vtoc_bots.plugins.chatkit.telling import Teller
from vtoc_bots.plugins.chatkit.watch import ThreadWatch
from vtoc_bots.plugins.chatkit.widgets import PRESS

logger = structlog.get_logger(__name__)

COMMAND: Final = "vtoc.command"
FOLLOW: Final = "vtoc.follow"
CANCEL: Final = "vtoc.cancel"


class VtocChatKitServer(ChatKitServer[Request]):
    """Threads, what is said in them, and streams that can be left and joined again."""

    def __init__(
        self,
        rows: ThreadRows,
        watch: ThreadWatch,
        accept: Accept,
        account: str,
        file_address: Callable[[str], str],
        most_file_bytes: int,
    ) -> None:
        self._own = PostgresStore(rows, accept, account, file_address, most_file_bytes)
        super().__init__(self._own, self._own)
        self._rows, self._watch, self._accept, self._account = rows, watch, accept, account
        # The SDK logs a traceback for every request that does not fit; only what is a fault is worth one.
        logging.getLogger("chatkit").addFilter(_is_fault)

    async def answer(self, body: bytes, request: Request) -> bytes | AsyncGenerator[bytes, None]:
        """The JSON of an answer, or its events. Raises Refusal for what is no request of the protocol."""
        try:
            result = await self.process(body, request)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            at = ".".join(str(part) for part in first["loc"])
            raise Refusal(400, f"this is not a request of the ChatKit protocol: {at}: {first['msg']}") from error
        except NotImplementedError as error:
            raise Refusal(501, "this server does not do that") from error
        except ValueError as error:
            raise Refusal(400, str(error)) from error
        return result.json if isinstance(result, NonStreamingResult) else self._events(result.json_events)

    @staticmethod
    def file_facts(body: str) -> tuple[str, str]:
        """Name and content type of a file."""
        facts = orjson.loads(body)
        return facts["name"], facts["mime_type"]

    async def _events(self, events: Any) -> AsyncGenerator[bytes, None]:
        began = False
        try:
            async for event in events:
                yield event
                began = True
        except ValueError as error:  # the SDK's word for a request that does not fit what is there
            if not began:
                raise Refusal(400, str(error)) from error
            yield _broken(str(error))
        except VtocError as error:
            if not began:
                raise
            yield _broken(str(error))
        finally:
            await events.aclose()

    def get_stream_options(self, thread: ThreadMetadata, context: Request) -> StreamOptions:
        """Leaving a stream cancels nothing, so nothing of the kind is offered: cancelling is an action."""
        return StreamOptions(allow_cancel=False)

    async def handle_stream_cancelled(
        self, thread: ThreadMetadata, pending_items: list[ThreadItem], context: Request
    ) -> None:
        """Nothing: what was asked for goes on."""

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: Request
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Follow the thread until what was asked for is answered."""
        if input_user_message is not None:
            if thread.title is None:
                thread.title = title_of(input_user_message)
            if input_user_message.id not in context.accepted:  # it is retried: handed over again under its own id
                row = await self._rows.thread(context.viewer, thread.id)
                item = await self._rows.item(thread.id, context.viewer.name, input_user_message.id)
                context.since = item["changed"]
                await self._handed_over(row, input_user_message, context)
        async for event in self._follow(thread.id, context):
            yield event
        if context.undecided is not None:  # refused, or others must decide too: it is asked on
            row = await self._rows.item(thread.id, context.viewer.name, context.undecided)
            if row["behind"].get("asks") == "decision":
                yield ThreadItemReplacedEvent(item=ITEM.validate_json(row["body"]))

    async def action(
        self, thread: ThreadMetadata, action: Action[str, Any], sender: WidgetItem | None, context: Request
    ) -> AsyncIterator[ThreadStreamEvent]:
        """Press a button, give a command, cancel a run, or follow what goes on."""
        row = await self._rows.thread(context.viewer, thread.id)
        payload = action.payload if isinstance(action.payload, dict) else {}
        context.since = row["changes"]
        run_id: UUID | None = None
        match action.type:
            case "vtoc.press" if isinstance(payload.get("token"), str):
                await self._asked(pressed(context, row, self._account, payload["token"]))
            case "vtoc.command" if isinstance(payload.get("command"), str):
                await self._asked(commanded(context, row, self._account, payload["command"]))
            case "vtoc.cancel":
                run = await self._run(row, payload.get("run_id"))
                await self._asked(commanded(context, row, self._account, f"/cancel {short_id(run)}"))
            case "vtoc.follow":
                if payload.get("run_id") is not None:
                    run_id = await self._going(row, payload["run_id"])
                context.since = await self._since(row, payload.get("after"), context)
            case _:
                raise CustomStreamError(f"there is no action {action.type[:80]} with such a payload")
        async for event in self._follow(thread.id, context, run_id):
            yield event

    async def _follow(
        self, thread_id: str, context: Request, run_id: UUID | None = None
    ) -> AsyncIterator[ThreadStreamEvent]:
        row = await self._rows.thread(context.viewer, thread_id)
        since = row["changes"] if context.since is None else context.since
        conversation = str(conversation_of(row, self._account))
        teller = Teller(since, context)
        async with self._watch.watch(thread_id, conversation, since, context.caller.actor, run_id) as watcher:
            while True:
                seen = await watcher.next()
                for item in seen.rows:
                    for event in teller.events(item):
                        yield event
                if not seen.is_busy:
                    break
        for event in teller.last_events():
            yield event

    async def _asked(self, message: Any) -> None:
        try:
            await self._accept(message)
        except VtocError as error:
            raise CustomStreamError(f"that could not be taken: {error}", allow_retry=True) from error

    async def _handed_over(self, row: Any, item: UserMessageItem, context: Request) -> None:
        try:
            await self._own.hand_over(row, item, context)
        except VtocError as error:
            raise CustomStreamError(f"that could not be taken: {error}", allow_retry=True) from error

    async def _run(self, row: Any, name: Any) -> UUID:
        """A run of the thread that goes on: the one named by its id, whole or short, else the newest."""
        run_id = await self._going(row, name)
        if run_id is None:
            raise CustomStreamError("no such run goes on in this thread")
        return run_id

    async def _going(self, row: Any, name: Any) -> UUID | None:
        for run in await self._rows.open_runs(str(conversation_of(row, self._account))):
            if name is None or str(run["id"]) == str(name) or _bits(run["id"]) == parse_short_id(str(name)):
                return UUID(str(run["id"]))
        return None

    async def _since(self, row: Any, after: Any, context: Request) -> int:
        """The count of changes up to which a client has seen everything: that of the last item it knows."""
        if after is None:
            return 0
        try:
            item = await self._rows.item(row["id"], context.viewer.name, str(after))
        except NotFound as error:
            raise CustomStreamError("the thread has no such item; load it anew") from error
        return int(item["place"])


def _is_fault(record: logging.LogRecord) -> bool:
    if record.levelno < logging.WARNING:
        return False
    error = record.exc_info[1] if record.exc_info else record.msg
    return not isinstance(error, VtocError | ValueError)


def _broken(why: str) -> bytes:
    """The event that tells of a stream which can't go on."""
    return b"data: " + ErrorEvent(message=why, allow_retry=True).model_dump_json(exclude_none=True).encode() + b"\n\n"


def _bits(run_id: Any) -> int | None:
    return parse_short_id(short_id(UUID(str(run_id))))


__all__ = ["CANCEL", "COMMAND", "FOLLOW", "PRESS", "VtocChatKitServer"]
