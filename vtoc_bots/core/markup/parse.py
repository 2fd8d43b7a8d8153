"""CommonMark to the tree, through markdown-it's tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from vtoc_bots.core.markup.clean import clean_line, clean_lines
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
    tokens = parser.enable("strikethrough").disable("reference").parse(source)
    if any(token.level >= MAX_NESTING - 1 for token in tokens):
        return (Paragraph(words(source)),)
    return _blocks(SyntaxTreeNode(tokens).children)


def _blocks(nodes: Iterable[SyntaxTreeNode]) -> tuple[Node, ...]:
    return tuple(_block(node) for node in nodes)


def _block(node: SyntaxTreeNode) -> Node:
    match node.type:
        case "heading":
            return Heading(_linked(_inlines(node.children)), int(node.tag[1:]))
        case "bullet_list" | "ordered_list":
            start = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
            tight = any(child.type == "paragraph" and child.hidden for item in node.children for child in item.children)
            items = tuple(Item(_blocks(item.children)) for item in node.children)
            return Listing(items, start, tight or not any(item.children for item in items))
        case "blockquote":
            return Quote(_blocks(node.children))
        case "fence" | "code_block":
            language = clean_line(node.info.strip()) if node.type == "fence" else ""
            return CodeBlock(clean_lines(node.content.removesuffix("\n")), language)
        case "hr":
            return Rule()
        case _:
            return Paragraph(_linked(_inlines(node.children) if node.children else words(node.content)))


def _inlines(nodes: Iterable[SyntaxTreeNode]) -> tuple[Inline, ...]:
    """The inline nodes, neighbouring words joined."""
    found: list[Inline] = []
    for node in nodes:
        for inline in _inline(node):
            last = found[-1] if found else None
            if isinstance(inline, Words) and isinstance(last, Words):
                found[-1] = Words(last.text + inline.text)
            else:
                found.append(inline)
    return tuple(found)


def _inline(node: SyntaxTreeNode) -> Iterator[Inline]:
    match node.type:
        case "softbreak":
            yield Words(" ")
        case "hardbreak":
            yield Break()
        case "code_inline":
            yield Code(clean_line(node.content))
        case "strong":
            yield Strong(_inlines(node.children))
        case "em":
            yield Emphasis(_inlines(node.children))
        case "s":
            yield Strike(_inlines(node.children))
        case "link" | "image":
            yield from _link(node)
        case _ if node.children:
            yield from _inlines(node.children)
        case _:
            yield from words(node.content)


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


def _link(node: SyntaxTreeNode) -> Iterator[Inline]:
    url = str(node.attrs.get("href") or node.attrs.get("src") or "")
    label = _inlines(node.children)
    if _ABSOLUTE.match(url):
        yield Link(label or (Words(url),), url)
    else:  # no chat platform can follow an address that is relative to a page
        yield from label
        yield from words(f" ({url})" if label else f"({url})")
    if title := str(node.attrs.get("title") or ""):
        yield Words(f' ("{clean_line(title)}")')
