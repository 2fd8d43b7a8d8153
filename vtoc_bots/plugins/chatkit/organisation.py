"""Shows cards in a remote organisation's threads: posted under their keys, edited, looked up where need be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from vtoc_bots import (
    ActionError,
    Busy,
    ChatKitOrganisation,
    Declined,
    NotSent,
    Outbound,
    RateLimited,
    Receipt,
    Refused,
    SendError,
    TransientError,
    TransportContext,
    Uncertain,
    Unknown,
    VtocError,
)
from vtoc_bots.plugins.chatkit.markdown import markdown_of_card
from vtoc_bots.plugins.chatkit.purpose import Purpose, Threads, purpose_of, thread_of_receipt
from vtoc_bots.plugins.chatkit.supplies import attachments_of
from vtoc_bots.plugins.chatkit.wire import CLIENT_PREFIX

UNSAID_WAIT_SECONDS: Final = 5.0
MOST_PAGES: Final = 50
T = TypeVar("T")
ThreadMade = Callable[[Outbound, Purpose, str], Awaitable[None]]
"""Told of a thread that stands for a mission."""


class Organisation:
    """One organisation. `made` is told of every thread that was made for a purpose."""

    def __init__(self, api: ChatKitOrganisation, context: TransportContext, threads: Threads, made: ThreadMade) -> None:
        self._api, self._context, self._threads, self._made = api, context, threads, made

    async def send(self, outbound: Outbound) -> Receipt:
        """Post a card, or make the one that was posted into it. Raises NotSent, Unknown, RateLimited or Refused."""
        message = await self._message(outbound)
        edits = outbound.edits
        now = self._context.clock.now
        if edits is not None:
            await _sent(self._api.edit(edits.ref, message))
            return Receipt(edits.ref, now(), edits.detail)
        thread = await self._thread(outbound)
        posted = {**message, "client_id": f"{CLIENT_PREFIX}{outbound.key}"}
        ref = await _sent(self._api.post(thread, posted, key=outbound.key))
        return Receipt(ref, now(), {"thread": thread})

    async def look_up(self, outbound: Outbound) -> Receipt | None:
        """Its receipt, by the client id that it was posted under; None where the thread has no such message."""
        thread = thread_of_receipt(outbound.edits) or await self._thread(outbound)
        wanted, after = f"{CLIENT_PREFIX}{outbound.key}", None
        for _ in range(MOST_PAGES):
            try:
                messages = await self._api.messages(thread, after)
            except VtocError as error:
                raise _unsent(error) from error
            for message in messages:
                if message.get("client_id") == wanted and message.get("id"):
                    return Receipt(str(message["id"]), self._context.clock.now(), {"thread": thread})
            last = str(messages[-1].get("id") or "") if messages else ""
            if not last or last == after:
                return None
            after = last
        return None  # it is posted again under its key, and the organisation knows that

    async def _message(self, outbound: Outbound) -> dict[str, Any]:
        card = outbound.card
        message: dict[str, Any] = {
            "text": markdown_of_card(card, may_be_repeat=outbound.may_be_repeat),
            "card": card.model_dump(mode="json", exclude_none=True),
            "attachments": await attachments_of(card, self._context),
        }
        return message

    async def _thread(self, outbound: Outbound) -> str:
        """The thread for a card, made where it is the first of its purpose. Raises a SendError."""
        purpose = purpose_of(outbound)
        if purpose is None:
            return str(outbound.conversation.thread)
        channel = outbound.conversation.channel
        try:
            known = await self._threads.of(channel, purpose)
            if known is None and purpose.mission is not None:
                theirs = await self._context.mission_thread(channel, purpose.mission)
                known = theirs and await self._threads.made(channel, purpose, theirs)
            if known is not None:
                return known
            metadata = {"purpose": purpose.name, **({"mission": purpose.mission} if purpose.mission else {})}
            key = f"thread:{channel}/{purpose.name}"
            made = await self._api.make_thread(channel, purpose.title, purpose.kind, metadata, key=key)
            known = await self._threads.made(channel, purpose, made)
        except VtocError as error:
            raise _unsent(error) from error
        await self._made(outbound, purpose, known)
        return known


def refused_key(status: int) -> str:
    """What to tell about a key that the organisation does not take."""
    return (
        f"chatkit: CHATKIT_API_KEY was refused ({status}). Make a key in the ChatKit organisation's settings and set it"
        " in .env.station."
    )


async def _sent(asking: Awaitable[T]) -> T:
    """What was asked; a failure as what it means for the message."""
    try:
        return await asking
    except VtocError as error:
        raise send_error(error) from error


def send_error(error: VtocError) -> SendError:
    """What a failed request means for what was to be shown."""
    text = f"chatkit: {error}"
    if isinstance(error, Busy):
        return RateLimited(text, UNSAID_WAIT_SECONDS if error.after_seconds is None else error.after_seconds)
    if isinstance(error, TransientError):
        return RateLimited(text, error.after_seconds) if error.after_seconds else NotSent(text)
    if isinstance(error, Declined):
        return NotSent(refused_key(error.status)) if error.status in (401, 403) else Refused(text)
    if isinstance(error, Uncertain | ActionError):  # no answer, or one that says nothing: it may have been posted
        return Unknown(text)
    return NotSent(text)


def _unsent(error: VtocError) -> SendError:
    """The same of a request before the message itself, which certainly was not sent then."""
    found = send_error(error)
    return NotSent(str(found)) if isinstance(found, Unknown) else found
