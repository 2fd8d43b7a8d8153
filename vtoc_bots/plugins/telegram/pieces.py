"""What a card becomes on Telegram: messages to be shown in order, and what is remembered of those that are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from vtoc_bots import Receipt

Kind = Literal["text", "photo", "album", "document"]


@dataclass(frozen=True, slots=True)
class Wording:
    """Text in Telegram's HTML, and the same without markup."""

    html: str = ""
    plain: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A file to be uploaded, with its caption."""

    name: str
    content_type: str
    data: bytes
    caption: Wording = Wording()

    @property
    def digest(self) -> str:
        """A short name for its bytes."""
        return hashlib.sha256(self.data).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Key:
    """A button that can be pressed. `style`: plain, good or bad."""

    label: str
    token: str
    style: str = "plain"


@dataclass(frozen=True)
class Piece:
    """One message; an album is one piece and as many messages as it has files."""

    kind: Kind
    words: Wording = Wording()
    files: tuple[Media, ...] = ()
    keys: tuple[tuple[Key, ...], ...] = ()
    asks: bool = False

    @cached_property
    def digest(self) -> str:
        """A short name for all that is seen of it."""
        seen = [self.kind, self.words.html, repr(self.keys), repr(self.asks)]
        seen += [f"{file.digest} {file.name} {file.caption.html}" for file in self.files]
        return hashlib.sha256("\0".join(seen).encode(errors="replace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece that is shown: the ids of its messages, and the digests of what it shows."""

    kind: Kind
    ids: tuple[int, ...]
    digest: str
    files: tuple[str, ...] = ()

    def can_become(self, piece: Piece) -> bool:
        """Whether Telegram can edit it into this piece."""
        return self.kind == piece.kind != "album"


def shown_of(piece: Piece, ids: Sequence[int]) -> Shown:
    """A piece under these message ids."""
    return Shown(piece.kind, tuple(ids), piece.digest, tuple(file.digest for file in piece.files))


def receipt_of(chat_id: int, shown: Sequence[Shown], at: datetime, *, note: bool = False) -> Receipt:
    """The receipt of what is shown in a chat. `note`: only a note that the card could not be shown to its reader."""
    first = next((number for each in shown for number in each.ids), 0)
    rows = [[each.kind, list(each.ids), each.digest, list(each.files)] for each in shown]
    detail: dict[str, Any] = {"chat": chat_id, "shown": rows}
    if note:
        detail["note"] = True
    return Receipt(f"{chat_id}:{first}", at, detail)


def shown_in(detail: Mapping[str, Any]) -> list[Shown]:
    """What a receipt's detail says is shown."""
    rows = detail.get("shown", ())
    return [Shown(kind, tuple(ids), digest, tuple(files)) for kind, ids, digest, files in rows]
