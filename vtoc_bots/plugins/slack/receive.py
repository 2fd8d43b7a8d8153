"""The one Bolt middleware: what Slack sends, over HTTP or Socket Mode, is accepted before it is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from vtoc_bots import (
    Attachment,
    Attachments,
    Inbox,
    Invalid,
    Message,
    NotFound,
    OpenForm,
    TransientError,
    TransportContext,
    VtocError,
)
from vtoc_bots.plugins.slack.api import SlackApi
from vtoc_bots.plugins.slack.forms import view_from_form
from vtoc_bots.plugins.slack.monitoring import Monitor
from vtoc_bots.plugins.slack.wire import (
    Me,
    message_from_action,
    message_from_command,
    message_from_event,
    message_from_shortcut,
    message_from_submission,
    wants_files,
)

logger = structlog.get_logger(__name__)

OPEN_SECONDS: Final = 2.0
"""A trigger id lives for 3 s, which accepting has used some of."""
DIRECT_SECONDS: Final = 1.0
FETCH_SECONDS: Final = 2.0
"""For a message's files: Slack wants its answer within 3 s, and sends again what it had none for."""


class Receiver:
    """Accepts payloads. It takes none before `open` and after `close`: they are answered 503 and come again."""

    def __init__(self, context: TransportContext, monitor: Monitor) -> None:
        self._clock, self._monitor = context.clock, monitor
        self._files = Attachments(context.blobs, FETCH_SECONDS, context.knows)
        self._inbox: Inbox | None = None
        self._api: SlackApi | None = None
        self._me: Me | None = None
        self._direct: dict[str, str] = {}
        self.last_at: datetime | None = None
        """When something came last."""
        self.repeated = 0
        """How many payloads Slack said it was sending again."""

    def open(self, inbox: Inbox, api: SlackApi, me: Me) -> None:
        """Take payloads from now on."""
        self._inbox, self._api, self._me = inbox, api, me

    def close(self) -> None:
        """Take no more."""
        self._inbox = None

    async def answer(self, body: Mapping[str, Any], repeat: str | None = None) -> BoltResponse:
        """What to answer a payload, once what it says is stored. `repeat` is the number of Slack's retry, if any."""
        if body.get("type") == "url_verification":
            return BoltResponse(status=200, body=str(body.get("challenge", "")))
        inbox, me = self._inbox, self._me
        if inbox is None or me is None:
            return BoltResponse(status=503, body="not yet")
        self.last_at = now = self._clock.now()
        if repeat:
            self.repeated += 1
            logger.info("slack_retry", number=repeat, type=body.get("type"))
        try:
            messages = await self._messages(body, me, now)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            logger.warning("slack_payload_not_understood", type=body.get("type"), error=repr(error))
            return BoltResponse(status=400, body="not understood")
        try:
            return await self._accepted(inbox, messages, body)
        except TransientError as error:
            logger.warning("slack_payload_not_stored", error=str(error))
            return BoltResponse(status=503, body="not stored; send it again")

    async def _messages(self, body: Mapping[str, Any], me: Me, now: datetime) -> list[Message]:
        """What is to be accepted: what a person said to us, and what the monitor makes of it."""
        match body.get("type"):
            case "event_callback":
                said, seen = message_from_event(body, me, now), self._monitor.message_from_event(body, me)
                if said is not None and (not said.mentions_us or self._monitor.watches(said.conversation.channel)):
                    said = self._monitor.redacted(said)
                return [message for message in (said, seen) if message is not None]
            case "block_actions":
                message = message_from_action(body, now)
            case "view_submission":
                message = message_from_submission(body, now)
            case "shortcut":
                message = message_from_shortcut(body, await self._direct_of(body["user"]["id"]), now)
            case "message_action":
                message = message_from_shortcut(body, None, now)
            case None if "command" in body:
                message = message_from_command(body, now)
            case _:
                message = None
        return [] if message is None else [message]

    async def _accepted(self, inbox: Inbox, messages: list[Message], body: Mapping[str, Any]) -> BoltResponse:
        if not messages:
            return BoltResponse(status=200)
        if messages[0].attachments and wants_files(messages[0]):
            messages[0] = await self._files.taken(messages[0], self._fetched)
        if len(messages) == 1:
            answers = [await inbox.accept(messages[0])]
        else:
            answers = await asyncio.gather(*(inbox.accept(message) for message in messages))
        match answers[0]:
            case OpenForm() as asked:
                await self._open_form(inbox, messages[0], asked, body)
            case Invalid(errors):
                return _wrong(errors, body)
        return BoltResponse(status=200)

    async def _fetched(self, attachment: Attachment) -> bytes:
        if attachment.url is None or self._api is None:
            raise NotFound("Slack gives no address for it")
        return await self._api.file(attachment.url, attachment.content_type)

    async def _open_form(self, inbox: Inbox, message: Message, asked: OpenForm, body: Mapping[str, Any]) -> None:
        """Open the modal now, before the answer: its trigger expires, and what is answered is not sent again."""
        assert self._api is not None
        view = view_from_form(asked.form, message)
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._api.post("views.open", trigger_id=body["trigger_id"], view=view)
        except (VtocError, TimeoutError) as error:
            logger.warning("slack_form_not_opened", error=str(error) or "no answer in time")
            await inbox.unopened(message)

    async def _direct_of(self, user: str) -> str | None:
        """The channel of a user's direct messages, None where it can't be found out in time."""
        if user not in self._direct and self._api is not None:
            try:
                async with asyncio.timeout(DIRECT_SECONDS):
                    opened = await self._api.post("conversations.open", users=user)
            except (VtocError, TimeoutError):
                return None
            if len(self._direct) >= 10_000:
                self._direct.clear()
            self._direct[user] = str(opened["channel"]["id"])
        return self._direct.get(user)


def _wrong(errors: Mapping[str, str], body: Mapping[str, Any]) -> BoltResponse:
    """Show what is wrong with a modal's values, in the modal; what is wrong with none of its fields, at its first."""
    blocks = [block["block_id"] for block in body["view"].get("blocks", ()) if block.get("type") == "input"]
    shown = {name: text for name, text in errors.items() if name in blocks}
    others = "; ".join(f"{name}: {text}" for name, text in errors.items() if name not in blocks)
    if others and blocks:
        shown[blocks[0]] = "; ".join(text for text in (shown.get(blocks[0]), others) if text)
    return BoltResponse(status=200, body={"response_action": "errors", "errors": shown})


class _Accepting(AsyncMiddleware):
    """Answers by itself and calls nothing after it: Bolt's own `ack()` would come before the commit, or poll for it."""

    def __init__(self, answer: Callable[[Mapping[str, Any], str | None], Awaitable[BoltResponse]]) -> None:
        self._answer = answer

    async def async_process(
        self, *, req: AsyncBoltRequest, resp: BoltResponse, next: Callable[[], Awaitable[BoltResponse]]
    ) -> BoltResponse:
        """Accept, then answer."""
        return await self._answer(req.body, req.headers.get("x-slack-retry-num", (None,))[0])


class _App(AsyncApp):
    """Bolt's app without a client of its own for each request, which is most of what Bolt costs us: the one middleware
    looks at the body alone."""

    def _init_context(self, req: AsyncBoltRequest) -> None:
        """Nothing but what is in the request."""


def accepting_app(receiver: Receiver, token: str) -> AsyncApp:
    """A Bolt app whose first middleware is the last one. Signatures are verified before it, see `routes.py`."""
    log = logging.getLogger("vtoc_bots.slack.bolt")
    log.setLevel(logging.WARNING)  # what Bolt logs below that has payloads in it
    return _App(
        name="vtoc-bots",
        logger=log,
        token=token,
        before_authorize=_Accepting(receiver.answer),
        request_verification_enabled=False,
        ssl_check_enabled=False,
        url_verification_enabled=False,
        ignoring_self_events_enabled=False,
    )
