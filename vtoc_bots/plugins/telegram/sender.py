"""Shows pieces in a chat: sends, edits, extends and withdraws messages, and tells exactly how far it came."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import structlog
from telegram import (
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    InputMediaDocument,
    InputMediaPhoto,
    LinkPreviewOptions,
    ReplyParameters,
)
from telegram.error import TelegramError

from vtoc_bots import Clock, NotSent, RateLimited, Refused, SendError, Unknown
from vtoc_bots.plugins.telegram.api import ApiError, TelegramBot, send_error
from vtoc_bots.plugins.telegram.layout import marked
from vtoc_bots.plugins.telegram.pace import Call, Pace
from vtoc_bots.plugins.telegram.pieces import Key, Media, Piece, Shown, Wording, receipt_of, shown_of

T = TypeVar("T")

logger = structlog.get_logger(__name__)

MOST_MOVED: Final = 1024
_GONE: Final = ("message to edit not found", "message_id_invalid", "message can't be edited", "message not found")
_MARKUP: Final = ("parse entities", "entity", "unsupported start tag", "can't find end tag")
_PICTURE: Final = ("photo_", "image_process_failed", "wrong type of the web page content", "wrong file")
_AWAY: Final = ("chat not found", "peer_id_invalid", "user not found")
_STYLES: Final = (("good", "success"), ("bad", "danger"))


class Unreachable(Refused):
    """The reader has not started the bot, or has blocked it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a card is shown: a chat, its topic, and the message that it answers."""

    chat_id: int
    thread_id: int | None = None
    reply_to: int | None = None
    goes_on: bool = False
    """Whether a message of the same card went before."""

    @property
    def is_group(self) -> bool:
        """Whether several people see it."""
        return self.chat_id < 0


class Sender:
    """Calls the Bot API for cards, within its pace."""

    def __init__(self, bot: TelegramBot, pace: Pace, clock: Clock) -> None:
        self._bot, self._pace, self._clock = bot, pace, clock
        self._moved: OrderedDict[int, int] = OrderedDict()

    def moved(self, old: int, new: int) -> None:
        """A group has another id since."""
        self._moved[old] = new
        if len(self._moved) > MOST_MOVED:
            self._moved.popitem(last=False)

    async def show(
        self,
        place: Place,
        pieces: Sequence[Piece],
        begun: Sequence[Shown] = (),
        *,
        may_be_repeat: bool = False,
        renew: bool = True,
    ) -> list[Shown]:
        """Make what is shown (`begun`) into these pieces: edited where that can be, else withdrawn and sent anew.

        The first message that is sent says so where it may be a repeat. A message that a person deleted is shown anew,
        or with `renew` False nothing more is. Raises a SendError whose `receipt` tells what is shown by then.
        """
        shown = list(begun)
        further = replace(place, reply_to=None, goes_on=True)
        try:
            for index, piece in enumerate(pieces):
                where = place if index == 0 else further
                old = shown[index] if index < len(shown) else None
                if old is not None and old.digest == piece.digest:
                    continue
                if old is not None and old.can_become(piece):
                    if await self._edit(where, old, piece):
                        shown[index] = shown_of(piece, old.ids)
                        continue
                    if not renew:
                        return shown
                await self._withdraw(place, shown, index)  # what follows must come after it
                sent = marked(piece) if may_be_repeat and index == len(begun) else piece
                shown.append(shown_of(piece, await self._send(where, sent)))
            await self._withdraw(place, shown, len(pieces))
        except SendError as error:
            if shown or begun:
                error.receipt = receipt_of(self._chat(place), shown, self._clock.now())
            raise
        return shown

    def chat_of(self, place: Place) -> int:
        """The chat's id as it is now."""
        return self._chat(place)

    async def _send(self, place: Place, piece: Piece) -> list[int]:
        match piece.kind:
            case "text":
                return await self._worded(place, piece.words, lambda words, mode: self._text(place, piece, words, mode))
            case "photo" | "document":
                return await self._worded(place, piece.words, lambda words, mode: self._file(place, piece, words, mode))
            case "album":
                try:
                    return await self._call(place, "send", lambda: self._album(place, piece, "photo"))
                except Refused as refusal:
                    if not _is(refusal, _PICTURE):
                        raise
                    return await self._call(place, "send", lambda: self._album(place, piece, "document"))

    async def _worded(
        self, place: Place, words: Wording, call: Callable[[str, str | None], Awaitable[list[int]]], kind: Call = "send"
    ) -> list[int]:
        """With markup, or once without where Telegram refuses the markup."""
        try:
            return await self._call(place, kind, lambda: call(words.html, "HTML"))
        except Refused as refusal:
            if not _is(refusal, _MARKUP):
                raise
            logger.warning("markup_refused", error=str(refusal))
            return await self._call(place, None, lambda: call(words.plain, None))

    async def _text(self, place: Place, piece: Piece, words: str, mode: str | None) -> list[int]:
        message = await self._bot.send_message(
            text=words,
            parse_mode=mode,
            reply_markup=_markup(piece, place),
            link_preview_options=LinkPreviewOptions(is_disabled=True),
            **self._where(place),
        )
        return [message.message_id]

    async def _file(self, place: Place, piece: Piece, words: str, mode: str | None) -> list[int]:
        options: dict[str, Any] = {"caption": words or None, "parse_mode": mode, "reply_markup": _markup(piece, place)}
        [file] = piece.files
        if piece.kind == "photo":
            try:
                message = await self._bot.send_photo(photo=_upload(file), **options, **self._where(place))
                return [message.message_id]
            except ApiError as error:
                if not error.says(*_PICTURE):
                    raise
        message = await self._bot.send_document(document=_upload(file), **options, **self._where(place))
        return [message.message_id]

    async def _album(self, place: Place, piece: Piece, kind: str) -> list[int]:
        made = InputMediaPhoto if kind == "photo" else InputMediaDocument
        media = [made(_upload(file, attach=True), caption=file.caption.plain or None) for file in piece.files]
        messages = await self._bot.send_media_group(media=media, **self._where(place))
        return [message.message_id for message in messages]

    def _where(self, place: Place) -> dict[str, Any]:
        reply = None
        if place.reply_to is not None:
            reply = ReplyParameters(place.reply_to, allow_sending_without_reply=True)
        chat = self._chat(place)
        thread = place.thread_id if chat == place.chat_id else None  # a new chat has other topics
        return {"chat_id": chat, "message_thread_id": thread, "reply_parameters": reply}

    async def _edit(self, place: Place, old: Shown, piece: Piece) -> bool:
        """Edit a message; False where it is gone."""
        number = old.ids[0]
        same_files = old.files == tuple(file.digest for file in piece.files)

        async def call(words: str, mode: str | None) -> list[int]:
            options: dict[str, Any] = {
                "chat_id": self._chat(place),
                "message_id": number,
                "reply_markup": _markup(replace(piece, asks=False), place),
            }
            if piece.kind == "text":
                preview = LinkPreviewOptions(is_disabled=True)
                await self._bot.edit_message_text(text=words, parse_mode=mode, link_preview_options=preview, **options)
            elif same_files:
                await self._bot.edit_message_caption(caption=words or None, parse_mode=mode, **options)
            else:
                made = InputMediaPhoto if piece.kind == "photo" else InputMediaDocument
                media = made(_upload(piece.files[0], attach=True), caption=words or None, parse_mode=mode)
                await self._bot.edit_message_media(media=media, **options)
            return [number]

        try:
            await self._worded(place, piece.words, call, "edit")
        except Unknown as error:
            raise NotSent(str(error)) from error  # the same edit twice is one edit
        except Refused as refusal:
            if _is(refusal, ("message is not modified",)):
                return True
            if _is(refusal, _GONE):
                return False
            raise
        return True

    async def _withdraw(self, place: Place, shown: list[Shown], first: int) -> None:
        """Delete the messages from the piece `first` on; what can't be deleted stays."""
        while len(shown) > first:
            for number in shown[-1].ids:
                try:
                    await self._call(place, None, lambda n=number: self._delete(place, n))  # type: ignore[misc]  # defaults of a lambda have no type
                except Unknown as error:
                    raise NotSent(str(error)) from error
                except Refused as refusal:
                    logger.info("message_not_withdrawn", error=str(refusal))
            shown.pop()

    async def _delete(self, place: Place, number: int) -> None:
        await self._bot.delete_message(self._chat(place), number)

    async def _call(self, place: Place, kind: Call | None, call: Callable[[], Awaitable[T]]) -> T:
        """A call within the pace; to the new chat where the old one has moved. Raises SendError."""
        for _ in range(2):
            chat = self._chat(place)
            wait = self._pace.take(chat, kind, goes_on=place.goes_on) if kind is not None else 0.0
            if wait > 0.0:
                raise RateLimited("telegram: as fast as Telegram allows", wait)
            try:
                return await call()
            except ApiError as error:
                if error.migrated_to is not None and self._moved.get(place.chat_id) != error.migrated_to:
                    self.moved(place.chat_id, error.migrated_to)
                    continue
                raise self._said(error, chat) from error
            except TelegramError as error:
                raise send_error(error) from error
        raise Refused("telegram: the chat moves on and on")

    def _said(self, error: ApiError, chat: int) -> SendError:
        if error.status == 403 or (error.status == 400 and error.says(*_AWAY)):
            return Unreachable(f"telegram: {error.words}")
        meant = send_error(error)
        if isinstance(meant, RateLimited):
            self._pace.obey(chat, meant.after_seconds)
        return meant

    def _chat(self, place: Place) -> int:
        return self._moved.get(place.chat_id, place.chat_id)


def _is(refusal: Refused, parts: Sequence[str]) -> bool:
    cause = refusal.__cause__
    return isinstance(cause, ApiError) and cause.says(*parts)


def _upload(file: Media, *, attach: bool = False) -> InputFile:
    return InputFile(file.data, filename=file.name, attach=attach)


def _markup(piece: Piece, place: Place) -> InlineKeyboardMarkup | ForceReply | None:
    if piece.asks and place.is_group and sum(map(len, piece.keys)) <= 1:
        # In a group the bot may hear nothing but answers to its own messages; a message has a keyboard or asks for an
        # answer. The one button is that which cancels, as any command does.
        return ForceReply(selective=True)
    if piece.keys:
        return InlineKeyboardMarkup([[_button(key) for key in row] for row in piece.keys])
    return None


def _button(key: Key) -> InlineKeyboardButton:
    return InlineKeyboardButton(key.label, callback_data=key.token, style=dict(_STYLES).get(key.style))
