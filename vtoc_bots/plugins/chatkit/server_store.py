"""The SDK's store on our rows: a viewer's threads and items letter by letter; what is said is handed over first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import orjson
from chatkit.errors import CustomStreamError
from chatkit.store import AttachmentStore, Store, StoreItemType
from chatkit.types import (
    Attachment,
    AttachmentCreateParams,
    FileAttachment,
    ImageAttachment,
    Page,
    StructuredInputItem,
    ThreadItem,
    ThreadMetadata,
    UserMessageItem,
)
from pydantic import TypeAdapter

from vtoc_bots import Attachment as MessageFile
from vtoc_bots import Message, Refusal, ThreadRows, VtocError, markup, media_type, new_id
from vtoc_bots import ThreadItem as ItemRow
from vtoc_bots.plugins.chatkit.speaking import LONGEST_TITLE, Request, answered, pressed, said

ITEM: Final[TypeAdapter[ThreadItem]] = TypeAdapter(ThreadItem)
ATTACHMENT: Final[TypeAdapter[Attachment]] = TypeAdapter(Attachment)
MOST_IN_PAGE: Final = 100
_PREFIXES: Final = {"thread": "thr", "message": "msg", "tool_call": "tc", "workflow": "wf", "task": "tsk"}
_IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
Accept = Callable[[Message], Awaitable[Any]]


class PostgresStore(Store[Request], AttachmentStore[Request]):
    """Threads of the caller's station: those of their own, and those that everybody there sees."""

    def __init__(
        self,
        rows: ThreadRows,
        accept: Accept,
        account: str,
        file_address: Callable[[str], str],
        most_file_bytes: int,
    ) -> None:
        self.rows, self._accept, self.account = rows, accept, account
        self._file_address, self._most_file_bytes = file_address, most_file_bytes

    def generate_thread_id(self, context: Request) -> str:
        """One that nobody guesses and nobody else has."""
        return f"thr_{new_id().hex}"

    def generate_item_id(self, item_type: StoreItemType, thread: ThreadMetadata, context: Request) -> str:
        """The same of an item."""
        return f"{_PREFIXES.get(item_type, 'it')}_{new_id().hex}"

    def generate_attachment_id(self, mime_type: str, context: Request) -> str:
        """The same of a file: whoever has it has the file."""
        return f"atc_{new_id().hex}{new_id().hex[-16:]}"

    async def load_thread(self, thread_id: str, context: Request) -> ThreadMetadata:
        """A thread. Raises NotFound."""
        row = await self.rows.thread(context.viewer, thread_id)
        return ThreadMetadata.model_validate_json(row["body"])

    async def save_thread(self, thread: ThreadMetadata, context: Request) -> None:
        """Make it the caller's, or change it. Raises NotFound for another's."""
        body = ThreadMetadata(**thread.model_dump(include=set(ThreadMetadata.model_fields))).model_dump_json()
        await self.rows.put(context.viewer, thread.id, context.caller.station.slug, body)

    async def load_threads(self, limit: int, after: str | None, order: str, context: Request) -> Page[ThreadMetadata]:
        """A page of threads."""
        limit = _within(limit)
        rows = await self.rows.threads(context.viewer, after, limit + 1, newest_first=order == "desc")
        data = [ThreadMetadata.model_validate_json(row["body"]) for row in rows[:limit]]
        return Page(data=data, has_more=len(rows) > limit, after=data[-1].id if len(rows) > limit else None)

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: Request
    ) -> Page[ThreadItem]:
        """A page of items that the caller may see. Raises NotFound."""
        await self.rows.thread(context.viewer, thread_id)
        limit = _within(limit)
        name = context.viewer.name
        rows = await self.rows.items(thread_id, name, after, limit + 1, newest_first=order == "desc")
        data = [ITEM.validate_json(row["body"]) for row in rows[:limit]]
        return Page(data=data, has_more=len(rows) > limit, after=data[-1].id if len(rows) > limit else None)

    async def load_item(self, thread_id: str, item_id: str, context: Request) -> ThreadItem:
        """An item that the caller may see. Raises NotFound."""
        await self.rows.thread(context.viewer, thread_id)
        return ITEM.validate_json((await self.rows.item(thread_id, context.viewer.name, item_id))["body"])

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: Request) -> None:
        """Store what was said and hand it over: when the client is told of it, it can't be lost. Everything else that
        streams tell of is stored already."""
        if item.id in context.known or not isinstance(item, UserMessageItem):
            return
        row = await self.rows.thread(context.viewer, thread_id)
        body = item.model_dump_json(exclude={"attachments": {"__all__": {"metadata"}}})
        context.since = await self.rows.write(thread_id, [ItemRow(item.id, body)])
        thread = ThreadMetadata.model_validate_json(row["body"])
        if thread.title is None:  # now, because a client may leave before the SDK saves the title that it is told
            await self.save_thread(thread.model_copy(update={"title": title_of(item)}), context)
        await self.hand_over(row, item, context)

    async def hand_over(self, row: Any, item: UserMessageItem, context: Request) -> None:
        """Accept what was said; said again under the same id it is known. Raises TransientError."""
        context.known.add(item.id)
        context.accepted.add(item.id)
        text = "".join(part.text for part in item.content)
        files = await self._files([attachment.id for attachment in item.attachments], context)
        await self._accept(said(context, row, self.account, item.id, text, files))

    async def save_item(self, thread_id: str, item: ThreadItem, context: Request) -> None:
        """Take the answer to a question. What streams replace is stored already."""
        if item.id in context.known or not isinstance(item, StructuredInputItem) or item.status != "answered":
            return
        thread = await self.rows.thread(context.viewer, thread_id)
        row = await self.rows.item(thread_id, context.viewer.name, item.id)
        behind = row["behind"]
        given = item.inputs[0].answer.values if item.inputs and item.inputs[0].answer else []
        value = given[0].strip() if given else ""
        token = (behind.get("choices") or {}).get(value)
        context.since = thread["changes"]
        context.known.add(item.id)
        if token:
            message = pressed(context, thread, self.account, token)
        elif behind.get("asks") == "answer" and value:
            message = answered(context, thread, self.account, value)
        else:
            choices = ", ".join(behind.get("choices") or ["(nothing is asked here any more)"])
            raise CustomStreamError(f"choose one of: {choices}")
        try:
            await self._accept(message)
        except VtocError as error:
            raise CustomStreamError(f"that could not be taken: {error}", allow_retry=True) from error
        if behind.get("asks") == "decision":
            context.undecided = item.id  # it is decided by core, and shown so once it is
        else:
            done = ItemRow(item.id, item.model_dump_json(), row["only_for"], {**behind, "asks": "answered"})
            context.since = await self.rows.write(thread_id, [done])

    async def delete_thread(self, thread_id: str, context: Request) -> None:
        """Delete a thread of the caller's own. Raises NotFound."""
        await self.rows.delete(context.viewer, thread_id)

    async def delete_thread_item(self, thread_id: str, item_id: str, context: Request) -> None:
        """Nothing: what was said and answered stays, whatever a client retries."""

    async def create_attachment(self, input: AttachmentCreateParams, context: Request) -> Attachment:
        """Make a file known that the client will upload. Raises Refusal for one that is too large, or of no type."""
        if not 0 < input.size <= self._most_file_bytes:
            raise Refusal(413, f"a file has at most {self._most_file_bytes:,} bytes")
        if media_type(input.mime_type) != input.mime_type:
            raise Refusal(400, "mime_type is no media type, as image/png is one")
        file_id = self.generate_attachment_id(input.mime_type, context)
        address = self._file_address(file_id)
        facts = {
            "id": file_id,
            "name": markup.clean_line(input.name)[:200].strip() or "file",
            "mime_type": input.mime_type,
            "upload_descriptor": {"url": address, "method": "PUT", "headers": {}},
            "metadata": {"size": input.size},
        }
        if input.mime_type in _IMAGES:
            return ImageAttachment.model_validate({**facts, "preview_url": address})
        return FileAttachment.model_validate(facts)

    async def save_attachment(self, attachment: Attachment, context: Request) -> None:
        """Keep what is known of a file. Raises NotFound for another's."""
        body = attachment.model_dump_json()
        size = int((attachment.metadata or {}).get("size", 0))
        await self.rows.put_file(context.viewer, attachment.id, attachment.thread_id, body, size)

    async def load_attachment(self, attachment_id: str, context: Request) -> Attachment:
        """A file of the caller's; one whose bytes have come needs no upload any more. Raises NotFound."""
        row = await self.rows.file(context.viewer, attachment_id)
        found = ATTACHMENT.validate_json(row["body"])
        return found if row["blob"] is None else found.model_copy(update={"upload_descriptor": None})

    async def delete_attachment(self, attachment_id: str, context: Request) -> None:
        """Forget a file of the caller's."""
        await self.rows.delete_file(context.viewer, attachment_id)

    async def _files(self, ids: Sequence[str], context: Request) -> tuple[MessageFile, ...]:
        found = []
        for file_id in ids:
            row = await self.rows.file(context.viewer, file_id)
            facts = orjson.loads(row["body"])
            blob = row["blob"]
            problem = None if blob is not None else "its bytes were not uploaded"
            found.append(MessageFile(facts["name"], facts["mime_type"], row["size"], blob=blob, problem=problem))
        return tuple(found)


def title_of(item: UserMessageItem) -> str:
    """What a thread is called by what was said first in it."""
    text = " ".join("".join(part.text for part in item.content).split())
    return text[:LONGEST_TITLE] or "Conversation"


def _within(limit: int) -> int:
    return max(1, min(limit, MOST_IN_PAGE))
