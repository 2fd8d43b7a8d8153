"""The tree written in a dialect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from vtoc_bots.core.markup.dialect import Dialect
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
)

# Most platforms write headings in strong type, and strong within strong would end it.
_HEADING: Final = frozenset({Strong})


class _Verbatim(str):
    """Several lines that must not be indented."""

    __slots__ = ()


def render(nodes: Iterable[Node], dialect: Dialect) -> str:
    """The blocks in that dialect, an empty line between them, whatever the length."""
    return "\n".join(_Writer(dialect).blocks(nodes))


class _Writer:
    def __init__(self, dialect: Dialect, lists: int = 0, quotes: int = 0) -> None:
        self._dialect, self._lists, self._quotes = dialect, lists, quotes

    def blocks(self, nodes: Iterable[Node], *, tight: bool = False) -> list[str]:
        lines: list[str] = []
        for node in nodes:
            block = self._block(node)
            if lines and block and not tight:
                lines.append("")
            lines += block
        return lines

    def _block(self, node: Node) -> list[str]:
        dialect = self._dialect
        match node:
            case Paragraph():
                return self._inlines(node.children, frozenset()).split("\n")
            case Heading():
                return dialect.heading(self._inlines(node.children, _HEADING), node.level).split("\n")
            case CodeBlock():
                value = f"{node.again}\n{node.text}" if node.continued and node.again else node.text
                return self._kept(dialect.code_block(value, node.language), verbatim=not dialect.indents_code)
            case Quote():
                inner = _Writer(dialect, self._lists, self._quotes + 1).blocks(node.children)
                quote = dialect.quote("\n".join(inner), self._quotes)
                return self._kept(quote, verbatim=any(isinstance(line, _Verbatim) for line in inner))
            case Listing():
                return self._listing(node)
            case Rule():
                return [dialect.rule()]
            case _:
                assert_never(node)

    @staticmethod
    def _kept(block: str, *, verbatim: bool) -> list[str]:
        return [_Verbatim(block)] if verbatim else block.split("\n")

    def _listing(self, listing: Listing) -> list[str]:
        lines: list[str] = []
        for index, item in enumerate(listing.items):
            if lines and not listing.tight:
                lines.append("")
            number = None if listing.start is None else listing.start + index
            lines += self._item(item, self._dialect.mark(number, self._lists), tight=listing.tight)
        return lines

    def _item(self, item: Item, mark: str, *, tight: bool) -> list[str]:
        lines = _Writer(self._dialect, self._lists + 1, self._quotes).blocks(item.children, tight=tight)
        indent = " " * len(mark)
        first = indent if item.continued else mark
        # Only a line of text can stand behind the mark; a block of another kind begins on the next line.
        if not item.continued and not (item.children and isinstance(item.children[0], Paragraph | Heading)):
            lines.insert(0, "")
        indented = [line if isinstance(line, _Verbatim) or not line else indent + line for line in lines[1:]]
        head = [] if not lines else [lines[0] if isinstance(lines[0], _Verbatim) else (first + lines[0]).rstrip()]
        return head + indented

    def _inlines(self, nodes: Sequence[Inline], within: frozenset[type], *, starts_line: bool = True) -> str:
        """The inline nodes; `within` are the styles that are open, which are not opened again."""
        written = ""
        for node in nodes:
            part = self._inline(node, within, starts_line)
            written += (self._dialect.between(written, part) if written and part else "") + part
            starts_line = part.endswith("\n") or (starts_line and not part.strip(" "))
        return written

    def _inline(self, node: Inline, within: frozenset[type], starts_line: bool) -> str:
        dialect = self._dialect
        match node:
            case Words():
                return dialect.text(node.text, starts_line=starts_line)
            case Code():
                return dialect.code(node.text)
            case Break():
                return "\n"
            case Link():
                inner = self._inlines(node.children, within, starts_line=starts_line)
                return dialect.link(inner or dialect.text(node.url, starts_line=starts_line), node.url)
            case Strong() | Emphasis() | Strike():
                inner = self._inlines(node.children, within | {type(node)}, starts_line=starts_line)
                return inner if type(node) in within or not inner.strip() else self._styled(node, inner)
            case _:
                assert_never(node)

    def _styled(self, node: Strong | Emphasis | Strike, inner: str) -> str:
        match node:
            case Strong():
                return self._dialect.strong(inner)
            case Emphasis():
                return self._dialect.emphasis(inner)
            case Strike():
                return self._dialect.strike(inner)
