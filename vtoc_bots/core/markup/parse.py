"""CommonMark to the tree, through markdown-it's tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from vtoc_bots.core.markup.clean import clean_line, clean_lines, one_line_end
from vtoc_bots.core.markup.nodes import (
    Break,
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Inline,
    Item,
    Link,
    Listing,
    Node,
    Paragraph,
    Quote,
    Rule,
    Strike,
    Strong,
    Words,
    words,
)

MAX_NESTING: Final = 60
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# Its last character is none that ends a sentence or closes a bracket around it.
_BARE: Final = re.compile(r"\bhttps?://[A-Za-z0-9\-._~:/?#@!$&'()*+,;=%]*[A-Za-z0-9\-_~/#@$&*+=%]")


def parse(source: str) -> tuple[Node, ...]:
    """The blocks of CommonMark text (0.31) with ``~~struck out~~``; a bare https address is a link.

    HTML and reference definitions are text, pictures are links named by their alternative text: nothing is lost. Text
    nested more than 60 levels deep, which the parser cuts off, stays as it was written.
    """
    # A parser per call: it holds state, and making one is cheap beside what is sent.
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING})
    tokens = parser.enable("strikethrough").disable("reference").parse(one_line_end(source))
    if any(token.level >= MAX_NESTING - 1 for token in tokens):
        return (Paragraph(words(source)),)
    return _blocks(_nested(tokens))


@dataclass(slots=True)
class _Element:
    """A token with what is within it; its opening token stands for both."""

    token: Token
    children: list[_Element] = field(default_factory=list)


def _nested(tokens: Iterable[Token]) -> list[_Element]:
    """The tokens as a tree. markdown-it has one too, which takes as long to make as the text to parse."""
    levels: list[list[_Element]] = [[]]
    for token in tokens:
        if token.nesting < 0:
            levels.pop()
            continue
        element = _Element(token, _nested(token.children) if token.children else [])
        levels[-1].append(element)
        if token.nesting > 0:
            levels.append(element.children)
    return levels[0]


def _blocks(elements: Iterable[_Element]) -> tuple[Node, ...]:
    return tuple(_block(element) for element in elements)


def _block(element: _Element) -> Node:
    token, children = element.token, element.children
    match token.type:
        case "heading_open":
            return Heading(_linked(_inlines(children)), int(token.tag[1:]))
        case "bullet_list_open" | "ordered_list_open":
            start = int(token.attrs.get("start", 1)) if token.type == "ordered_list_open" else None
            loose = any(
                part.token.type == "paragraph_open" and not part.token.hidden for i in children for part in i.children
            )
            return Listing(tuple(Item(_blocks(item.children)) for item in children), start, not loose)
        case "blockquote_open":
            return Quote(_blocks(children))
        case "fence" | "code_block":
            language = clean_line(token.info.strip()) if token.type == "fence" else ""
            return CodeBlock(clean_lines(token.content.removesuffix("\n")), language)
        case "hr":
            return Rule()
        case _:
            return Paragraph(_linked(_inlines(children) if children else words(token.content)))


def _inlines(elements: Iterable[_Element]) -> tuple[Inline, ...]:
    """The inline nodes, neighbours of the same style joined."""
    found: list[Inline] = []
    for element in elements:
        for inline in _inline(element):
            last = found[-1] if found else None
            match inline:
                case Words() if isinstance(last, Words):
                    found[-1] = Words(last.text + inline.text)
                case Strong() | Emphasis() | Strike() if isinstance(last, type(inline)):
                    found[-1] = replace(inline, children=last.children + inline.children)
                case _:
                    found.append(inline)
    return tuple(found)


def _inline(element: _Element) -> Iterator[Inline]:
    token = element.token
    match token.type:
        case "softbreak":
            yield Words(" ")
        case "hardbreak":
            yield Break()
        case "code_inline":
            yield Code(clean_line(token.content))
        case "strong_open":
            yield Strong(_inlines(element.children))
        case "em_open":
            yield Emphasis(_inlines(element.children))
        case "s_open":
            yield Strike(_inlines(element.children))
        case "link_open" | "image":
            yield from _link(element)
        case _ if element.children:
            yield from _inlines(element.children)
        case _:
            yield from words(token.content)


def _linked(inlines: tuple[Inline, ...]) -> tuple[Inline, ...]:
    """The inline nodes with a link in place of every bare address."""
    found: list[Inline] = []
    for inline in inlines:
        match inline:
            case Words() if "://" in inline.text:
                found += _with_links(inline.text)
            case Strong() | Emphasis() | Strike():
                found.append(replace(inline, children=_linked(inline.children)))
            case _:
                found.append(inline)
    return tuple(found)


def _with_links(text: str) -> Iterator[Inline]:
    end = 0
    for address in _BARE.finditer(text):
        if address.start() > end:
            yield Words(text[end : address.start()])
        yield Link((Words(address[0]),), address[0])
        end = address.end()
    if end < len(text):
        yield Words(text[end:])


def _link(element: _Element) -> Iterator[Inline]:
    url = str(element.token.attrs.get("href") or element.token.attrs.get("src") or "")
    label = _inlines(element.children)
    if _ABSOLUTE.match(url):
        yield Link(label or (Words(url),), url)
    else:  # no chat platform can follow an address that is relative to a page
        yield from label
        yield from words(f" ({url})" if label else f"({url})")
    if title := str(element.token.attrs.get("title") or ""):
        yield Words(f' ("{clean_line(title)}")')
