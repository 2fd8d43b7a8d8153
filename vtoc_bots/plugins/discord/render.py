"""A card as one Discord message: embeds within all their limits, rows of choices, files. What has no room is a file."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from vtoc_bots import Buttons, Card, Fields, File, Image, Pair, Severity, markup
from vtoc_bots.plugins.discord.answers import NOBODY, cut
from vtoc_bots.plugins.discord.api import Upload
from vtoc_bots.plugins.discord.components import rows_of_card
from vtoc_bots.plugins.discord.dialect import MARKDOWN, size

DESCRIPTION: Final = 4096
TITLE: Final = 256
FIELD_NAME: Final = 256
FIELD_VALUE: Final = 1024
MOST_FIELDS: Final = 25
FOOTER: Final = 2048
TOTAL: Final = 6000
MOST_EMBEDS: Final = 10
MOST_FILES: Final = 10
ALTERNATIVE: Final = 1024
COLUMNS: Final = 56
"""Cells that a code block shows on a desktop without breaking lines; phones scroll it."""
_SHORT: Final = 40
_PIECE: Final = 1000
_REST: Final = "… The rest is in the attached file reply.txt."
_REPLY: Final = "Answer by replying to this message."
_COLOURS: Final = {
    Severity.PLAIN: 0x5865F2,
    Severity.GOOD: 0x2E8B57,
    Severity.WARNING: 0xE0A100,
    Severity.BAD: 0xC0392B,
}
_SHOWN_TYPES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a picture or file of a card: its bytes, else a link to it, else why there is none."""

    data: bytes | None = None
    link: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message's JSON, and the files that go with it."""

    body: Mapping[str, Any]
    files: tuple[Upload, ...] = ()


def mark_of(outbound_id: UUID, key: str) -> datetime:
    """The time that stands on a message: when it was made, to the second; the milliseconds tell messages apart.

    It is how a message is known again where Discord keeps no nonce: in the answer of an interaction.
    """
    made_at = datetime.fromtimestamp((outbound_id.int >> 80) // 1000, UTC)
    return made_at + timedelta(milliseconds=zlib.crc32(key.encode()) % 1000)


def is_marked(message: Mapping[str, Any], mark: datetime) -> bool:
    """Whether a message that Discord has is the one of that mark."""
    for embed in message.get("embeds") or ():
        try:
            if datetime.fromisoformat(embed["timestamp"]) == mark:
                return True
        except (KeyError, TypeError, ValueError):
            continue
    return False


def rendered_card(
    card: Card,
    mark: datetime,
    stored: Mapping[str, Stored] = MappingProxyType({}),
    *,
    may_be_repeat: bool = False,
    direct: bool = True,
) -> Rendered:
    """The card as a message. `stored` says by blob what became of its pictures and files; `direct` is whether what
    people write there is for the bot without naming it."""
    rows, lost = rows_of_card(card)
    sheet = _Sheet(card.severity, _footer(card))
    for part in markup.parts_of_card(card, columns=COLUMNS, may_be_repeat=may_be_repeat):
        _add(sheet, part, stored)
    if card.asks and not direct:
        sheet.text((markup.Paragraph((markup.Emphasis(markup.words(_REPLY)),)),))
    if lost:
        sheet.text((markup.Paragraph(markup.words(f"More: {', '.join(lost)}")),))
    embeds = sheet.finished()
    if sheet.overflow:
        data = markup.text_of_card(card, may_be_repeat=may_be_repeat).encode("utf-8", "replace")
        sheet.attach("reply.txt", "text/plain; charset=utf-8", data, "")
    embeds[-1]["timestamp"] = mark.isoformat(timespec="milliseconds")
    attachments = [
        {"id": str(index), "filename": file.name, **({"description": alt} if alt else {})}
        for index, (file, alt) in enumerate(sheet.files)
    ]
    body = {"embeds": embeds, "components": rows, "attachments": attachments, "allowed_mentions": NOBODY}
    return Rendered(body, tuple(file for file, _ in sheet.files))


def _footer(card: Card) -> str:
    return cut(markup.clean_line(card.footer), FOOTER) if card.footer.strip() else ""


def _add(sheet: _Sheet, part: markup.Part, stored: Mapping[str, Stored]) -> None:
    block = part.block
    match part.kind:
        case markup.PartKind.EXERCISE | markup.PartKind.REPEAT:
            sheet.head(part.nodes)
        case markup.PartKind.TITLE:
            sheet.title(part.nodes)
        case markup.PartKind.FIELDS if isinstance(block, Fields) and _fit(block.fields):
            sheet.fields(block.fields, part.nodes)
        case markup.PartKind.IMAGE | markup.PartKind.FILE if isinstance(block, Image | File):
            _add_file(sheet, block, stored.get(block.blob, Stored(problem="it was not fetched")))
        case markup.PartKind.BUTTONS if isinstance(block, Buttons):
            pass  # the rows have them
        case markup.PartKind.FOOTER:
            pass  # the last embed has it
        case _:
            sheet.text(part.nodes)
            if part.file is not None:
                sheet.attach(part.file.name, part.file.content_type, part.file.data, "")


def _add_file(sheet: _Sheet, block: Image | File, stored: Stored) -> None:
    alt = markup.clean_line(block.alt) if isinstance(block, Image) else ""
    about = alt or markup.clean_line(block.name)
    if stored.data is not None:
        name = sheet.attach(block.name, block.content_type, stored.data, alt)
        if name is not None:
            if isinstance(block, Image) and block.content_type in _SHOWN_TYPES:
                sheet.picture(name)
            return
        stored = Stored(problem="this message has no room for more files")
    if stored.link is not None:
        words = markup.words(f"{markup.clean_line(block.name)} – {alt}" if alt else markup.clean_line(block.name))
        sheet.text((markup.Paragraph((markup.Link(words or markup.words("file"), stored.link),)),))
    else:
        sheet.text((markup.Paragraph(markup.words(f"[{about}: {stored.problem}]")),))


def _fit(pairs: Sequence[Pair]) -> bool:
    """Whether all of these can be embed fields."""
    return 0 < len(pairs) <= MOST_FIELDS and all(
        size(_plain(pair.name)) <= FIELD_NAME and size(_plain(pair.value)) <= FIELD_VALUE for pair in pairs
    )


def _plain(text: str) -> str:
    """Text that is no markup, escaped; never empty."""
    written = markup.render((markup.Paragraph(markup.words(text)),), MARKDOWN).strip()
    return written or "–"


@dataclass(slots=True)
class _Sheet:
    """Fills embeds from top to bottom, within Discord's limits over all of them."""

    severity: Severity
    footer: str
    embeds: list[dict[str, Any]] = field(default_factory=list)
    files: list[tuple[Upload, str]] = field(default_factory=list)
    overflow: bool = False
    _left: int = 0
    _waiting: list[markup.Node] = field(default_factory=list)
    _head: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = TOTAL - size(self.footer) - size(_REST) - 2
        self._new()

    def head(self, nodes: Iterable[markup.Node]) -> None:
        """A line above everything."""
        self._head.append(markup.render(nodes, markup.PLAIN))
        line = " ".join(self._head)
        self._left -= size(line) - size(self.embeds[0].get("author", {}).get("name", ""))
        self.embeds[0]["author"] = {"name": line}

    def title(self, nodes: tuple[markup.Node, ...]) -> None:
        """The title; a long one is a heading in the text."""
        plain = (markup.Paragraph(node.children) if isinstance(node, markup.Heading) else node for node in nodes)
        title = markup.render(plain, MARKDOWN)
        if size(title) > TITLE:
            self.text(nodes)
        else:
            self.embeds[0]["title"] = title
            self._left -= size(title)

    def text(self, nodes: Iterable[markup.Node]) -> None:
        """More text; what follows each other is split together."""
        self._waiting += nodes

    def fields(self, pairs: Sequence[Pair], nodes: tuple[markup.Node, ...]) -> None:
        """Fields side by side, below what came before; as text where there is no room for another embed."""
        written = [(_plain(pair.name), _plain(pair.value)) for pair in pairs]
        made = [{"name": name, "value": value, "inline": size(value) <= _SHORT} for name, value in written]
        self._flush()
        needed = sum(size(name) + size(value) for name, value in written)
        there = self.embeds[-1].get("fields", [])
        fresh = "image" in self.embeds[-1] or len(there) + len(made) > MOST_FIELDS
        if needed > self._left or (fresh and not self._new()):
            self.text(nodes)
            return
        self.embeds[-1].setdefault("fields", []).extend(made)
        self._left -= needed

    def picture(self, name: str) -> None:
        """An attached picture, below what came before; without another embed it stands below all of them."""
        self._flush()
        if "image" not in self.embeds[-1] or self._new():
            self.embeds[-1]["image"] = {"url": f"attachment://{name}"}

    def attach(self, name: str, content_type: str, data: bytes, alternative: str) -> str | None:
        """A file; its name in the message, None where there is no room. One place is kept for the text's rest."""
        if len(self.files) >= MOST_FILES - (name != "reply.txt"):
            return None
        safe = _UNSAFE.sub("_", name).strip("._")[-80:] or "file"
        taken = {file.name for file, _ in self.files}
        stem, dot, suffix = safe.rpartition(".")
        number = 2
        unique = safe
        while unique in taken:
            unique = f"{stem}-{number}{dot}{suffix}" if dot else f"{safe}-{number}"
            number += 1
        self.files.append((Upload(unique, content_type, data), cut(alternative, ALTERNATIVE) if alternative else ""))
        return unique

    def finished(self) -> list[dict[str, Any]]:
        """The embeds."""
        self._flush()
        embeds = [each for each in self.embeds if each.keys() - {"color"}] or self.embeds[:1]
        last = embeds[-1]
        if self.overflow:
            text = last.get("description", "")
            last["description"] = f"{text}\n{_REST}" if text else _REST
        if self.footer:
            last["footer"] = {"text": self.footer}
        if not last.keys() & {"description", "title", "fields", "image", "footer", "author"}:
            last["description"] = "–"
        return embeds

    def _new(self) -> bool:
        """Begin another embed; False where there is no room for one."""
        if len(self.embeds) >= MOST_EMBEDS:
            return False
        self.embeds.append({"color": _COLOURS[self.severity]})
        return True

    def _flush(self) -> None:
        """Write the text that waits."""
        nodes, self._waiting = tuple(self._waiting), []
        if not nodes:
            return
        if self.overflow:
            return
        if self.embeds[-1].keys() & {"description", "fields", "image"} and not self._new():
            self.overflow = True
            return
        room = min(DESCRIPTION - size(_REST) - 1, self._left)
        whole = markup.render(nodes, MARKDOWN).strip()
        if size(whole) <= room:
            self._write(whole)
            return
        for piece in markup.pieces(nodes, MARKDOWN, _PIECE):
            there = self.embeds[-1].get("description", "")
            needed = size(piece) + 1
            if needed > self._left:
                self.overflow = True
                return
            if size(there) + needed + size(_REST) + 1 > DESCRIPTION and not self._new():
                self.overflow = True
                return
            self._write(piece)

    def _write(self, text: str) -> None:
        if not text:
            return
        there = self.embeds[-1].get("description", "")
        self.embeds[-1]["description"] = f"{there}\n{text}" if there else text
        self._left -= size(text) + bool(there)
