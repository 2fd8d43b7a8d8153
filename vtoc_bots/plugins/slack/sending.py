"""Sending cards: where each belongs, in which messages, and what is known of it when a call fails."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog

from vtoc_bots import NotSent, Outbound, OutboundKind, RateLimited, Receipt, TransportContext, Unknown
from vtoc_bots.plugins.slack.api import SlackApi, SlackFailure
from vtoc_bots.plugins.slack.blocks import Rendered, home_from_card, messages_from_card
from vtoc_bots.plugins.slack.files import Gathered, Upload, files_of, gathered_files, show_files, unique_name
from vtoc_bots.plugins.slack.wire import HOME, time_of

logger = structlog.get_logger(__name__)

METADATA: Final = "vtoc_outbound"
"""The event type of our messages' metadata, by which they are found again."""
EPHEMERAL_SECONDS: Final = 30 * 60.0
"""A private result that comes later goes by direct message: Slack shows an ephemeral one only to who is there."""
MOST_BEGUN: Final = 1000
NO_FILES: Final = "not shown, the app must be in this channel to do so"
_ABSENT: Final = frozenset({"user_not_in_channel", "not_in_channel", "channel_not_found", "user_not_found"})
_AWAY: Final = frozenset({"not_in_channel", "channel_not_found"})
_GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a card goes. `only` is the user who alone may see it there."""

    channel: str
    thread: str | None = None
    only: str | None = None


@dataclass(slots=True)
class Done:
    """What of an outbound is shown already: the ts of each message, and whether the files are."""

    channel: str = ""
    parts: list[str] = field(default_factory=list)
    files: bool = False


class SlackSender:
    """Sends. What an interrupted sending showed is remembered, so that the next try goes on behind it."""

    def __init__(self, context: TransportContext) -> None:
        self._context = context
        self._begun: OrderedDict[tuple[str, int], Done] = OrderedDict()
        self._tables = True
        self._direct: dict[str, str] = {}

    async def send(self, api: SlackApi, outbound: Outbound) -> Receipt:
        """Send or edit. Raises NotSent, Unknown, RateLimited or Refused."""
        user = outbound.conversation.channel.removeprefix(HOME)
        if user != outbound.conversation.channel:
            if outbound.kind in (OutboundKind.REPLY, OutboundKind.PAGE):
                return await self._publish(api, outbound, user)
            return await self._post(api, outbound, Place(await self.direct(api, user)))
        if outbound.edits is not None and outbound.edits.detail.get("fixed"):
            return await self._replaced(api, outbound, outbound.edits)
        if outbound.edits is not None and outbound.private_to is not None:
            shown_in = str(outbound.edits.detail.get("channel", ""))
            if shown_in.startswith("D"):
                thread = outbound.conversation.thread if outbound.conversation.channel == shown_in else None
                return await self._post(api, outbound, Place(shown_in, thread))
            outbound = replace(outbound, edits=None)  # what all see is never replaced by what one may see
        place = await self.place(api, outbound)
        if place.only is not None:
            return await self._show_privately(api, outbound, place)
        try:
            return await self._post(api, outbound, place)
        except SlackFailure as failure:
            if failure.code in _AWAY and self._response_url(outbound) is not None:
                return await self._respond(api, outbound, {"response_type": "in_channel"})
            raise

    async def place(self, api: SlackApi, outbound: Outbound) -> Place:
        """Where it goes: a private card with files, or a result that comes late, goes by direct message."""
        channel, thread, only = outbound.conversation.channel, outbound.conversation.thread, outbound.private_to
        if channel.startswith(("U", "W")):
            return Place(await self.direct(api, channel))
        if only is None or channel.startswith("D"):
            return Place(channel, thread)
        late = outbound.kind is OutboundKind.RESULT and self._age(outbound.message_id) > EPHEMERAL_SECONDS
        if late or files_of(outbound.card):
            return Place(await self.direct(api, only))
        return Place(channel, thread, only)

    async def direct(self, api: SlackApi, user: str) -> str:
        """The channel of a user's direct messages."""
        if user not in self._direct:
            opened = await api.post("conversations.open", users=user)
            if len(self._direct) >= 10_000:
                self._direct.clear()
            self._direct[user] = str(opened["channel"]["id"])
        return self._direct[user]

    def remember(self, outbound: Outbound, done: Done) -> None:
        """What of it was found shown."""
        self._begun[outbound.key, outbound.revision] = done
        if len(self._begun) > MOST_BEGUN:
            self._begun.popitem(last=False)

    def _rendered(self, outbound: Outbound, place: Place, found: Gathered) -> Rendered:
        rendered = messages_from_card(
            outbound.card,
            may_be_repeat=outbound.may_be_repeat,
            tables=self._tables,
            thread=place.thread or "",
            notes=found.notes,
        )
        uploads = [upload for upload in found.uploads if not upload.of_text]
        for title, data in rendered.files:
            uploads.append(Upload(unique_name(outbound, len(uploads), title), title, data, of_text=True))
        found.uploads = uploads
        return rendered

    async def _post(self, api: SlackApi, outbound: Outbound, place: Place) -> Receipt:
        """Messages, then files; edits replace message by message."""
        found = await gathered_files(outbound, self._context)
        rendered = self._rendered(outbound, place, found)
        with self._going_on(outbound, place) as done:
            try:
                await self._messages(api, outbound, place, rendered, done, len(found.uploads))
            except SlackFailure as failure:
                if failure.code != "invalid_blocks" or not rendered.has_table or done.parts:
                    raise
                self._tables = False  # an API that has no such block, as Slack's own once had not
                rendered = self._rendered(outbound, place, found)
                await self._messages(api, outbound, place, rendered, done, len(found.uploads))
            await self._files(api, outbound, place, found.uploads, done)
        return self._receipt(done, found.uploads)

    @contextmanager
    def _going_on(self, outbound: Outbound, place: Place) -> Iterator[Done]:
        """What of it is shown already, kept for the next try where this one fails behind a part."""
        done = self._begun.pop((outbound.key, outbound.revision), None) or Done(place.channel)
        try:
            yield done
        except (NotSent, RateLimited, Unknown) as failure:
            if not done.parts:
                raise
            self.remember(outbound, done)
            # Another process may send the rest: it has to look up what is there.
            raise Unknown(str(failure)) from failure

    async def _messages(
        self, api: SlackApi, outbound: Outbound, place: Place, rendered: Rendered, done: Done, files: int
    ) -> None:
        old = list((outbound.edits.detail if outbound.edits else {}).get("parts", ()))
        channel = str((outbound.edits.detail if outbound.edits else {}).get("channel") or place.channel)
        for index, blocks in enumerate(rendered.messages):
            if index < len(done.parts):
                continue
            body: dict[str, Any] = {
                "text": rendered.text,
                "blocks": list(blocks),
                "metadata": metadata_of(outbound, index, len(rendered.messages), files),
            }
            ts = None
            if index < len(old):
                ts = await self._updated(api, channel, old[index], body)
            if ts is None:
                done.channel, ts = await self._posted(api, place, body)
            else:
                done.channel = channel
            done.parts.append(ts)
        for ts in old[len(rendered.messages) :]:
            try:
                await api.post("chat.delete", channel=channel, ts=ts)
            except SlackFailure as failure:
                logger.info("slack_part_not_deleted", error=str(failure))

    async def _updated(self, api: SlackApi, channel: str, ts: str, body: Mapping[str, Any]) -> str | None:
        """Its ts, None where it is gone and must be posted anew."""
        try:
            answer = await api.post("chat.update", channel=channel, ts=ts, **body)
        except SlackFailure as failure:
            if failure.code in _GONE:
                return None
            raise
        return str(answer["ts"])

    async def _posted(self, api: SlackApi, place: Place, body: Mapping[str, Any]) -> tuple[str, str]:
        more = {"thread_ts": place.thread} if place.thread else {}
        answer = await api.post(
            "chat.postMessage", channel=place.channel, unfurl_links=False, unfurl_media=False, **body, **more
        )
        return str(answer["channel"]), str(answer["ts"])

    async def _files(self, api: SlackApi, outbound: Outbound, place: Place, uploads: list[Upload], done: Done) -> None:
        shown = set((outbound.edits.detail if outbound.edits else {}).get("titles", ()))
        wanted = [upload for upload in uploads if upload.title not in shown]
        if wanted and not done.files:
            await show_files(api, wanted, done.channel or place.channel, place.thread)
            done.files = True

    def _receipt(self, done: Done, uploads: list[Upload]) -> Receipt:
        detail = {"channel": done.channel, "parts": done.parts, "titles": [upload.title for upload in uploads]}
        return Receipt(done.parts[0], time_of(done.parts[0]) or self._context.clock.now(), detail)

    async def _show_privately(self, api: SlackApi, outbound: Outbound, place: Place) -> Receipt:
        """An ephemeral message, or a direct one where that can't be."""
        rendered = self._rendered(outbound, place, Gathered())
        if rendered.files:  # a file can't be ephemeral
            return await self._post(api, outbound, Place(await self.direct(api, str(place.only))))
        more = {"thread_ts": place.thread} if place.thread else {}
        shown: list[str] = []
        try:
            with self._going_on(outbound, place) as done:
                shown = done.parts
                for blocks in rendered.messages[len(shown) :]:
                    body = {"channel": place.channel, "user": place.only, "text": rendered.text, **more}
                    answer = await api.post("chat.postEphemeral", **body, blocks=list(blocks))
                    shown.append(str(answer["message_ts"]))
        except Unknown as failure:
            if isinstance(failure.__cause__, NotSent | RateLimited):
                raise
            self._begun.pop((outbound.key, outbound.revision), None)  # all of it comes again, marked
            raise
        except SlackFailure as failure:
            if failure.code == "invalid_blocks" and rendered.has_table and not shown:
                self._tables = False
                return await self._show_privately(api, outbound, place)
            if failure.code not in _ABSENT:
                raise
            if self._response_url(outbound) is not None:
                return await self._respond(api, outbound, {"response_type": "ephemeral"})
            return await self._post(api, outbound, Place(await self.direct(api, str(place.only))))
        return Receipt(shown[0], self._context.clock.now(), {"fixed": True})

    async def _replaced(self, api: SlackApi, outbound: Outbound, receipt: Receipt) -> Receipt:
        """An edit of what Slack lets nobody edit: it is replaced where the answer to its own button can do it, progress
        stays as it is, anything else is shown anew."""
        if outbound.kind is OutboundKind.PROGRESS:
            return receipt
        can = outbound.reply_context.get("pressed") and not files_of(outbound.card)
        if can and self._response_url(outbound) is not None:
            return await self._respond(api, outbound, {"replace_original": True})
        return await self.send(api, replace(outbound, edits=None))

    async def _respond(self, api: SlackApi, outbound: Outbound, how: Mapping[str, Any]) -> Receipt:
        """Answer at the response_url of what is answered, which works wherever the person is."""
        place = Place(outbound.conversation.channel, outbound.conversation.thread)
        notes = {block.blob: NO_FILES for block in files_of(outbound.card)}
        rendered = self._rendered(outbound, place, Gathered(notes=notes))
        url = self._response_url(outbound)
        if url is None:
            raise NotSent("slack: the response_url is too old")
        more = {"thread_ts": place.thread} if place.thread else {}
        for blocks in rendered.messages:
            await api.respond(url, {"text": rendered.text, "blocks": list(blocks), **how, **more})
            how = {**how, "replace_original": False}
        return Receipt("response_url", self._context.clock.now(), {"fixed": True})

    async def _publish(self, api: SlackApi, outbound: Outbound, user: str) -> Receipt:
        view = home_from_card(outbound.card)
        await api.post("views.publish", user_id=user, view=view)
        return Receipt(f"{HOME}{user}", self._context.clock.now(), {"home": user})

    def _response_url(self, outbound: Outbound) -> str | None:
        url, until = outbound.reply_context.get("response_url"), outbound.reply_context.get("until", 0)
        return str(url) if url and self._context.clock.now().timestamp() < float(until) else None

    def _age(self, message_id: UUID | None) -> float:
        """Seconds since a message came, by its id's own time; 0 where there is none."""
        if message_id is None:
            return 0.0
        return self._context.clock.now().timestamp() - created_at(message_id).timestamp()


def metadata_of(outbound: Outbound, part: int, parts: int, files: int) -> dict[str, Any]:
    """What a message carries so that it can be found again: whose part of how many it is, and how many files follow."""
    payload = {"key": outbound.key, "revision": outbound.revision, "part": part, "parts": parts, "files": files}
    return {"event_type": METADATA, "event_payload": payload}


def created_at(id: UUID) -> datetime:
    """The time in a UUIDv7."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)
