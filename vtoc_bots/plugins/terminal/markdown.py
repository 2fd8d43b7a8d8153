"""CommonMark as lines of styled spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from vtoc_bots import markup
from vtoc_bots.plugins.terminal.neutral import neutral_line, neutral_lines

RULE: Final = "-" * 40


class Style(StrEnum):
    """What a span is, for those who can show it."""

    PLAIN = "plain"
    STRONG = "strong"
    EMPHASIS = "emphasis"
    CODE = "code"
    HEADING = "heading"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text of one style. It holds no control character."""

    text: str
    style: Style = Style.PLAIN


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what stands before it (list marks, quotes, indentation) and its spans."""

    spans: tuple[Span, ...] = ()
    prefix: str = ""

    def __str__(self) -> str:
        return (self.prefix + "".join(span.text for span in self.spans)).rstrip()


_BLANK: Final = Line()


def lines_of_markdown(source: str) -> list[Line]:
    """The lines that CommonMark text shows, as `markup.parse` reads it: nothing is lost."""
    return _blocks(markup.parse(source))


def _blocks(nodes: Iterable[markup.Node], *, tight: bool = False) -> list[Line]:
    lines: list[Line] = []
    for node in nodes:
        block = _block(node)
        if lines and block and not tight:
            lines.append(_BLANK)
        lines += block
    return lines


def _block(node: markup.Node) -> list[Line]:
    match node:
        case markup.Paragraph():
            return _lines(_spans(node.children, Style.PLAIN))
        case markup.Heading():
            return _lines(_spans(node.children, Style.HEADING))
        case markup.Listing():
            return _list(node)
        case markup.Quote():
            return _behind(_blocks(node.children), "> ", "> ")
        case markup.CodeBlock():
            head = [Line((Span(f"{neutral_line(node.language)}:"),))] if node.language else []
            return head + [Line((Span(line, Style.CODE),)) for line in neutral_lines(node.text)]
        case markup.Rule():
            return [Line((Span(RULE),))]


def _list(listing: markup.Listing) -> list[Line]:
    lines: list[Line] = []
    for index, item in enumerate(listing.items):
        mark = markup.PLAIN.mark(None if listing.start is None else listing.start + index, 0)
        lines += _behind(_blocks(item.children, tight=listing.tight) or [_BLANK], mark, " " * len(mark))
    return lines


def _spans(nodes: Iterable[markup.Inline], style: Style) -> Iterator[Span]:
    for node in nodes:
        match node:
            case markup.Words():
                yield Span(node.text, style)
            case markup.Code():
                yield Span(node.text, Style.CODE)
            case markup.Break():
                yield Span("\n", style)
            case markup.Strong() | markup.Emphasis():
                marked = Style.STRONG if isinstance(node, markup.Strong) else Style.EMPHASIS
                yield from _spans(node.children, style if style is Style.HEADING else marked)
            case markup.Strike():
                yield from (Span("~~", style), *_spans(node.children, style), Span("~~", style))
            case markup.Link():
                label = list(_spans(node.children, style))
                shown = "".join(span.text for span in label)
                yield from label
                yield Span(markup.PLAIN.link(shown, node.url).removeprefix(shown), Style.LINK)


def _behind(lines: Sequence[Line], first: str, rest: str) -> list[Line]:
    return [replace(line, prefix=(rest if index else first) + line.prefix) for index, line in enumerate(lines)]


def _lines(spans: Iterable[Span]) -> list[Line]:
    """Lines of spans, which are made harmless here; a hard break (a newline in a span) begins a new one."""
    lines: list[list[Span]] = [[]]
    for span in spans:
        for index, text in enumerate(span.text.split("\n")):
            if index:
                lines.append([])
            if text:
                lines[-1].append(Span(neutral_line(text), span.style))
    return [Line(tuple(line)) for line in lines]
