"""Interactions and messages into the inbox, and only then the acknowledgement, within Discord's three seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog

from vtoc_bots import (
    Accepted,
    Acknowledgement,
    Attachment,
    Attachments,
    Choices,
    Inbox,
    Message,
    NotFound,
    NotSent,
    OpenForm,
    RateLimited,
    TransientError,
    TransportContext,
    Unknown,
)
from vtoc_bots.plugins.discord import answers
from vtoc_bots.plugins.discord.acks import Acks, Kind
from vtoc_bots.plugins.discord.api import DiscordApi
from vtoc_bots.plugins.discord.failures import ALREADY_ANSWERED, DiscordRefused
from vtoc_bots.plugins.discord.wire import InteractionType, focused_type, message_of_interaction

logger = structlog.get_logger(__name__)

PATIENCE_SECONDS: Final = 2.0
"""How long an interaction may wait to be stored; what is left of three seconds is for the answer's way."""
MOST_AT_ONCE: Final = 1_000
FETCH_SECONDS: Final = 20.0
"""For a message's files; what else is said in its channel waits meanwhile."""
_RETRY_SECONDS: Final = 0.2
_LONGEST_RETRY_SECONDS: Final = 10.0

_SLOW: Final = "This takes longer than usual. If it was taken, the answer comes here; if none comes, give it again."
_FULL: Final = "Too much at once; nothing was taken. Try again in a minute."
_FAILED: Final = "That went wrong here; it was not taken. Tell an admin."
_UNKNOWN: Final = "This bot knows nothing of that."
_ELSEWHERE: Final = "This bot serves another server; nothing was taken."

Answer = tuple[Mapping[str, Any], Kind]


class Receiver:
    """Takes what Discord sends, by gateway or by HTTP; of servers `guild` alone, where it is given."""

    def __init__(self, api: DiscordApi, context: TransportContext, acks: Acks, guild: str | None = None) -> None:
        self._api, self._account, self._clock, self._acks = api, context.account, context.clock, acks
        self._files = Attachments(context.blobs, FETCH_SECONDS, context.knows)
        self._guild = guild
        self._inbox: Inbox | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.last_event_at: float | None = None
        """When the last message or interaction came, on the clock."""
        self.unanswered = 0
        """Interactions that Discord would not let us acknowledge."""

    @property
    def is_open(self) -> bool:
        """Whether messages are taken."""
        return self._inbox is not None

    def open(self, inbox: Inbox) -> None:
        """Take messages from now on."""
        self._inbox = inbox

    async def close(self) -> None:
        """Take no more; what is under way is given up (it is stored or Discord was not told so)."""
        self._inbox = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def serves(self, payload: Mapping[str, Any]) -> bool:
        """Whether something was said where we are to listen: direct messages belong to no server."""
        return self._guild is None or payload.get("guild_id") in (None, self._guild)

    # Messages

    async def message(self, message: Message) -> None:
        """Store a message that people wrote, with its files; tried until it is stored."""
        self._heard()
        pause = _RETRY_SECONDS
        while self._inbox is not None:
            try:
                message = await self._files.taken(message, self._fetched)
                await self._inbox.accept(message)
            except TransientError as error:
                logger.warning("discord_message_waits", event_id=message.event_id, error=str(error))
                await self._clock.sleep(pause)
                pause = min(_LONGEST_RETRY_SECONDS, pause * 2)
            else:
                return

    async def _fetched(self, attachment: Attachment) -> bytes:
        if attachment.url is None:
            raise NotFound("Discord gives no address for it")
        return await self._api.file(attachment.url)

    # Interactions

    async def interaction(self, payload: Mapping[str, Any]) -> None:
        """Take an interaction from the gateway, and answer it by a request."""
        interaction = str(payload["id"])
        self._acks.begin(interaction)
        kind: Kind = "none"
        try:
            response, wanted = await self.answer(payload)
            refusal = await self._sent(payload, response)
            kind = wanted if refusal is None else "none"
            if refusal is not None and wanted == "form":
                # The form was refused, the interaction wasn't: it can still be acknowledged otherwise.
                kind = "private" if await self._sent(payload, answers.deferred(True)) is None else "none"
                await self._unopened(payload)
        finally:
            self._acks.end(interaction, kind)

    async def _sent(self, payload: Mapping[str, Any], response: Mapping[str, Any]) -> Exception | None:
        """Answer; what went wrong, None where nothing did as far as is known."""
        interaction = str(payload["id"])
        try:
            await self._answered(interaction, str(payload["token"]), response)
        except Unknown as failure:  # it may have arrived
            logger.warning("discord_interaction_unsure", interaction=interaction, error=str(failure))
        except (DiscordRefused, NotSent, RateLimited) as failure:
            self.unanswered += 1
            logger.warning("discord_interaction_unanswered", interaction=interaction, error=str(failure))
            return failure
        return None

    async def _answered(self, interaction: str, token: str, response: Mapping[str, Any]) -> None:
        """Answer; once more where it is not known whether that arrived: Discord takes one, and tells of it."""
        try:
            await self._api.answer(interaction, token, response)
        except Unknown:
            try:
                await self._api.answer(interaction, token, response)
            except DiscordRefused as refusal:
                if refusal.code != ALREADY_ANSWERED:
                    raise

    async def answer(self, payload: Mapping[str, Any]) -> Answer:
        """Store an interaction and say how to answer it; at the latest when Discord's patience ends."""
        self._heard()
        message = message_of_interaction(payload, self._account, self._clock.now())
        if message is None:
            return _words(payload, _UNKNOWN)
        if not self.serves(payload):
            return _words(payload, _ELSEWHERE)
        if len(self._tasks) >= MOST_AT_ONCE:
            logger.warning("discord_interactions_full", waiting=len(self._tasks))
            return _words(payload, _FULL)
        accepting = asyncio.create_task(self._accepted(message))
        self._tasks.add(accepting)
        accepting.add_done_callback(self._tasks.discard)
        done, _ = await asyncio.wait({accepting}, timeout=PATIENCE_SECONDS)
        if not done:
            accepting.add_done_callback(lambda task: self._late(task, message))
            return _words(payload, _SLOW)
        if accepting.exception() is not None:
            logger.error("discord_interaction_failed", event_id=message.event_id, exc_info=accepting.exception())
            return _words(payload, _FAILED)
        acknowledgement = accepting.result()
        if acknowledgement is None:
            return _words(payload, _SLOW)
        return _answer_of(acknowledgement, payload)

    async def _accepted(self, message: Message) -> Acknowledgement | None:
        """Store it, trying again while Discord waits; None where it could not be stored."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self._inbox is not None:
            try:
                return await self._inbox.accept(message)
            except TransientError as error:
                logger.warning("discord_interaction_waits", event_id=message.event_id, error=str(error))
                if time.monotonic() + _RETRY_SECONDS >= until:
                    return None
                await asyncio.sleep(_RETRY_SECONDS)
        return None

    def _late(self, task: asyncio.Task[Acknowledgement | None], message: Message) -> None:
        """What was stored too late is answered all the same; only a form can't be opened any more."""
        if not task.cancelled() and task.exception() is None and isinstance(task.result(), OpenForm):
            asking = asyncio.create_task(self._ask_by_card(message))
            self._tasks.add(asking)
            asking.add_done_callback(self._tasks.discard)

    async def _unopened(self, payload: Mapping[str, Any]) -> None:
        message = message_of_interaction(payload, self._account, self._clock.now())
        if message is not None:
            await self._ask_by_card(message)

    async def _ask_by_card(self, message: Message) -> None:
        """The form could not be opened: ask by a card."""
        inbox = self._inbox
        if inbox is None:
            return
        try:
            await inbox.unopened(message)
        except TransientError as error:
            logger.warning("discord_form_lost", event_id=message.event_id, error=str(error))

    def _heard(self) -> None:
        self.last_event_at = self._clock.monotonic()


def _words(payload: Mapping[str, Any], text: str) -> Answer:
    """Words for the sender; what is being typed has no place for them."""
    if payload.get("type") == InteractionType.AUTOCOMPLETE:
        return answers.choices_response(Choices(()), 0), "told"
    return answers.told(text), "told"


def _answer_of(acknowledgement: Acknowledgement, payload: Mapping[str, Any]) -> Answer:
    match acknowledgement:
        case OpenForm(form=form):
            return answers.form_response(form), "form"
        case Choices():
            return answers.choices_response(acknowledgement, focused_type(payload)), "told"
        case Accepted(message_id=None, duplicate=False):
            return _words(payload, _FULL)
        case Accepted(replaces=True):
            return answers.DEFERRED_UPDATE, "update"
        case Accepted(private=private):
            return answers.deferred(private), "private" if private else "deferred"
        case _:  # errors in an open form, which Discord can't show: core doesn't answer so here
            return _words(payload, _UNKNOWN)
