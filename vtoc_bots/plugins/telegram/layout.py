"""Lays a card out as Telegram's messages: pictures with captions, albums, files, and texts that fit. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from vtoc_bots import Button, Buttons, Card, File, Image, markup
from vtoc_bots.plugins.telegram.html import HTML, plain_of_html, text_of_html
from vtoc_bots.plugins.telegram.pieces import Key, Media, Piece, Wording
from vtoc_bots.plugins.telegram.supplies import Absent, Linked, Supplies

MARK: Final = Wording(f"<i>{markup.REPEAT}</i>", markup.REPEAT)
_ROOM: Final = 32
"""What is left free, so that a mark fits into a message that is laid out already."""
LONGEST_TEXT: Final = 4096 - _ROOM
LONGEST_CAPTION: Final = 1024 - _ROOM
LONGEST_TOKEN_BYTES: Final = 64
TABLE_COLUMNS: Final = 40
MOST_IN_ALBUM: Final = 10
MOST_KEYS: Final = 100
KEYS_IN_ROW: Final = 3
ROW_CHARACTERS: Final = 30
PHOTO_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/webp"})
_NO_SUPPLIES: Final[Supplies] = MappingProxyType({})


@dataclass(slots=True)
class _Layout:
    nodes: list[markup.Node] = field(default_factory=list)
    photos: list[Media] = field(default_factory=list)
    documents: list[Media] = field(default_factory=list)
    rows: list[tuple[Key, ...]] = field(default_factory=list)
    captions: dict[int, markup.Node] = field(default_factory=dict)
    """The alternative texts of photos, by their place in `nodes`."""


def pieces_from_card(card: Card, supplies: Supplies = _NO_SUPPLIES) -> list[Piece]:
    """The card's messages in order: pictures, files, then the texts, the last one with the buttons.

    One picture and a text that fits beneath it are one message. `supplies` has what was fetched of its pictures and
    files. No text is over 4096 UTF-16 units after parsing, no caption over 1024.
    """
    layout = _Layout()
    for part in markup.parts_of_card(card, columns=TABLE_COLUMNS):
        _add(layout, part, supplies)
    keys = tuple(layout.rows)
    if len(layout.photos) == 1 and not layout.documents:
        beneath = _worded(layout.nodes, LONGEST_CAPTION)
        if len(beneath) == 1:
            return [Piece("photo", beneath[0], (layout.photos[0],), keys, card.asks)]
    shown = {place for place, node in layout.captions.items() if _caption(node) is not None}
    texts = _worded([node for place, node in enumerate(layout.nodes) if place not in shown], LONGEST_TEXT)
    if not texts and (keys or not (layout.photos or layout.documents)):
        texts = [Wording("⋯", "⋯")]  # Telegram takes no empty text, and buttons stand below one
    pieces = [*_pictures(layout), *(Piece("document", files=(file,)) for file in layout.documents)]
    pieces += [Piece("text", text) for text in texts]
    if texts:
        pieces[-1] = replace(pieces[-1], keys=keys, asks=card.asks)
    return pieces


def marked(piece: Piece) -> Piece:
    """The piece saying that it may be a repeat."""
    if piece.kind == "album":
        first, *others = piece.files
        return replace(piece, files=(replace(first, caption=_behind_mark(first.caption)), *others))
    return replace(piece, words=_behind_mark(piece.words))


def _behind_mark(words: Wording) -> Wording:
    return Wording(f"{MARK.html}\n\n{words.html}".strip(), f"{MARK.plain}\n\n{words.plain}".strip())


def _add(layout: _Layout, part: markup.Part, supplies: Supplies) -> None:
    block = part.block
    if isinstance(block, Image | File):
        _add_file(layout, block, part, supplies)
    elif isinstance(block, Buttons):
        _add_buttons(layout, block)
    else:
        layout.nodes += part.nodes
        if part.file is not None:
            layout.documents.append(Media(part.file.name, part.file.content_type, part.file.data))


def _add_file(layout: _Layout, block: Image | File, part: markup.Part, supplies: Supplies) -> None:
    supply = supplies.get(block, Absent("it was not fetched"))
    told = (block.alt or block.name) if isinstance(block, Image) else block.name
    about = markup.words(told)
    if isinstance(supply, Media):
        if isinstance(block, Image) and supply.content_type in PHOTO_TYPES:
            node = markup.Paragraph((markup.Emphasis(about),))
            layout.captions[len(layout.nodes)] = node
            layout.nodes.append(node)
            layout.photos.append(supply)
        else:
            layout.documents.append(supply)
            if isinstance(block, Image):
                layout.nodes += part.nodes
    elif isinstance(supply, Linked):
        size = markup.Words(f" ({supply.size / 1e6:.1f} MB, the link holds for a day)")
        layout.nodes.append(markup.Paragraph((markup.Link(about, supply.url), size)))
    else:
        layout.nodes += part.nodes
        layout.nodes.append(markup.Paragraph((markup.Emphasis(markup.words(supply.reason)),)))


def _add_buttons(layout: _Layout, block: Buttons) -> None:
    row: list[Key] = []
    for button in block.buttons:
        key = _key(button)
        if key is None or sum(map(len, layout.rows)) + len(row) >= MOST_KEYS:
            layout.nodes.append(markup.Paragraph(markup.words(f"[{button.label}]")))
            continue
        if row and (len(row) == KEYS_IN_ROW or sum(len(each.label) for each in (*row, key)) > ROW_CHARACTERS):
            layout.rows.append(tuple(row))
            row = []
        row.append(key)
    if row:
        layout.rows.append(tuple(row))


def _key(button: Button) -> Key | None:
    """The button as Telegram takes it; None where it can't be pressed."""
    if not button.token or len(button.token.encode(errors="replace")) > LONGEST_TOKEN_BYTES:
        return None
    return Key(markup.clean_line(button.label).strip() or "·", button.token, button.style)


def _worded(nodes: Sequence[markup.Node], limit: int) -> list[Wording]:
    """The nodes in texts that fit; those of which nothing would be read are left out."""
    return [
        Wording(written, plain_of_html(written, limit))
        for written in markup.pieces(nodes, HTML, limit)
        if text_of_html(written).strip()
    ]


def _pictures(layout: _Layout) -> Iterator[Piece]:
    wordings = [_caption(node) or Wording() for node in layout.captions.values()]
    files = [replace(photo, caption=words) for photo, words in zip(layout.photos, wordings, strict=True)]
    for first in range(0, len(files), MOST_IN_ALBUM):
        some = tuple(files[first : first + MOST_IN_ALBUM])
        if len(some) == 1:
            yield Piece("photo", some[0].caption, some)
        else:
            yield Piece("album", files=some)


def _caption(node: markup.Node) -> Wording | None:
    """An alternative text as a caption, None where it is too long or says nothing."""
    wordings = _worded([node], LONGEST_CAPTION)
    return wordings[0] if len(wordings) == 1 else None
