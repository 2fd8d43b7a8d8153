"""The tree of a text: what CommonMark says, as plain data that every dialect can write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from vtoc_bots.core.markup.clean import clean


@dataclass(frozen=True, slots=True)
class Words:
    """Text on one line, as it is read: nothing in it is markup."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """Strongly emphasised text."""

    children: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Emphasis:
    """Emphasised text."""

    children: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Strike:
    """Text that was struck out."""

    children: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A code span, on one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """Text that leads to an absolute address. What is not a character of an address is percent-encoded in `url`."""

    children: tuple[Inline, ...]
    url: str


@dataclass(frozen=True, slots=True)
class Break:
    """The end of a line within a paragraph."""


Inline: TypeAlias = Words | Strong | Emphasis | Strike | Code | Link | Break


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines that belong together."""

    children: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 (the highest) to 6."""

    children: tuple[Inline, ...]
    level: int = 1


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Text in a fixed pitch whose lines stay as they are; it ends without a line end.

    `again` is what each piece after the first begins with, such as the heads of a table; one that is `continued` is
    such a piece.
    """

    text: str
    language: str = ""
    again: str = ""
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """What somebody else said."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a listing. One that is `continued` began in an earlier piece and has no mark of its own."""

    children: tuple[Node, ...]
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """Items that are numbered from `start`, or have bullets where it is None; tight ones have no lines between."""

    items: tuple[Item, ...]
    start: int | None = None
    tight: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """A line between blocks."""


Node: TypeAlias = Paragraph | Heading | CodeBlock | Quote | Listing | Rule


def words(text: str) -> tuple[Inline, ...]:
    """Text that is not markup, made harmless, with a Break at each of its line ends."""
    lines = clean(text).replace("\t", " ").split("\n")
    return tuple(inline for index, line in enumerate(lines) for inline in _line(index, line))


def _line(index: int, line: str) -> Iterator[Inline]:
    if index:
        yield Break()
    if line:
        yield Words(line)
