"""CommonMark as lines of styled spans, through markdown-it's token tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from vtoc_bots.plugins.terminal.neutral import neutral_line, neutral_lines

MAX_NESTING: Final = 60
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
    """The lines that CommonMark text (0.31) shows. HTML is text, and so are reference definitions: nothing is lost.

    Text nested more than 60 levels deep, which the parser cuts off, is shown as it was written.
    """
    # A parser per call: it holds state, and making one is cheap beside what is printed.
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING}).disable("reference")
    tokens = parser.parse(source)
    if any(token.level >= MAX_NESTING - 1 for token in tokens):
        return [Line((Span(text),)) for text in neutral_lines(source)]
    return _Walk(parser).blocks(SyntaxTreeNode(tokens).children)


@dataclass(frozen=True, slots=True)
class _Walk:
    parser: MarkdownIt

    def blocks(self, nodes: Iterable[SyntaxTreeNode], *, tight: bool = False) -> list[Line]:
        lines: list[Line] = []
        for node in nodes:
            block = self._block(node)
            if lines and block and not tight:
                lines.append(_BLANK)
            lines += block
        return lines

    def _block(self, node: SyntaxTreeNode) -> list[Line]:
        match node.type:
            case "paragraph":
                return _lines(self._inline(node.children, Style.PLAIN))
            case "heading":
                return _lines(self._inline(node.children, Style.HEADING))
            case "bullet_list" | "ordered_list":
                return self._list(node)
            case "blockquote":
                return _behind(self.blocks(node.children), "> ", "> ")
            case "fence" | "code_block":
                return _code(node)
            case "hr":
                return [Line((Span(RULE),))]
            case _:
                return _lines([Span(node.content)] if node.content else self._inline(node.children, Style.PLAIN))

    def _list(self, node: SyntaxTreeNode) -> list[Line]:
        first = int(node.attrs.get("start", 1))
        lines: list[Line] = []
        for index, item in enumerate(node.children):
            mark = f"{first + index}. " if node.type == "ordered_list" else "- "
            tight = any(child.type == "paragraph" and child.hidden for child in item.children)
            lines += _behind(self.blocks(item.children, tight=tight) or [_BLANK], mark, " " * len(mark))
        return lines

    def _inline(self, nodes: Iterable[SyntaxTreeNode], style: Style) -> list[Span]:
        return [span for node in nodes for span in self._spans(node, style)]

    def _spans(self, node: SyntaxTreeNode, style: Style) -> Iterator[Span]:
        match node.type:
            case "softbreak":
                yield Span(" ", style)
            case "hardbreak":
                yield Span("\n", style)
            case "code_inline":
                yield Span(node.content, Style.CODE)
            case "strong" | "em":
                marked = Style.STRONG if node.type == "strong" else Style.EMPHASIS
                yield from self._inline(node.children, style if style is Style.HEADING else marked)
            case "link" | "image":
                label = self._inline(node.children, style)
                yield from label
                yield from self._address(node, "".join(span.text for span in label))
            case _ if node.children:
                yield from self._inline(node.children, style)
            case _:
                yield Span(node.content, style)

    def _address(self, node: SyntaxTreeNode, label: str) -> Iterator[Span]:
        """`` (url "title")``, unless the label is the address already."""
        url = str(node.attrs.get("href") or node.attrs.get("src") or "")
        shown = self.parser.normalizeLinkText(url)
        title = str(node.attrs.get("title") or "")
        if title or label not in (url, shown, shown.removeprefix("mailto:")):
            address = f'{shown} "{title}"' if title else shown
            yield Span(f" ({address})" if label else f"({address})", Style.LINK)


def _code(node: SyntaxTreeNode) -> list[Line]:
    head = [Line((Span(f"{neutral_line(node.info.strip())}:"),))] if node.type == "fence" and node.info.strip() else []
    text = node.content.removesuffix("\n")
    return head + [Line((Span(line, Style.CODE),)) for line in neutral_lines(text)]


def _behind(lines: Sequence[Line], first: str, rest: str) -> list[Line]:
    return [replace(line, prefix=(rest if index else first) + line.prefix) for index, line in enumerate(lines)]


def _lines(spans: Sequence[Span]) -> list[Line]:
    """Lines of spans, which are made harmless here; a hard break (a newline in a span) begins a new one."""
    lines: list[list[Span]] = [[]]
    for span in spans:
        for index, text in enumerate(span.text.split("\n")):
            if index:
                lines.append([])
            if text:
                lines[-1].append(Span(neutral_line(text), span.style))
    return [Line(tuple(line)) for line in lines]
