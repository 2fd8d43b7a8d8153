"""CommonMark: the dialect in which ChatKit messages and Markdown widgets are written."""

from __future__ import annotations

import re
from typing import Final

from vtoc_bots import Card, markup

TABLE_COLUMNS: Final = 72
_MARKS: Final = re.compile(r"([\\`*\[\]<>~|&])|(?<![^\W_])(_)|(_)(?![^\W_])")
_LEADING: Final = re.compile(r"^(\s*)([#+=-]|\d{1,9}(?=[.)]))")


class CommonMarkDialect(markup.Dialect):
    """CommonMark 0.31, escaped wherever a character could be taken for markup."""

    def text(self, value: str, *, starts_line: bool) -> str:
        """Words with a backslash before what would be markup."""
        escaped = _MARKS.sub(lambda found: f"\\{found[0]}", value)
        return _LEADING.sub(_shielded, escaped) if starts_line else escaped

    def strong(self, inner: str) -> str:
        """Bold."""
        return f"**{inner}**" if inner.strip() else inner

    def emphasis(self, inner: str) -> str:
        """Italic."""
        return f"*{inner}*" if inner.strip() else inner

    def code(self, value: str) -> str:
        """A code span whose fence is longer than any backticks in it."""
        fence = "`" * (_longest_ticks(value) + 1)
        pad = " " if value.startswith("`") or value.endswith("`") or not value.strip() else ""
        return f"{fence}{pad}{value}{pad}{fence}"

    def link(self, inner: str, url: str) -> str:
        """A link."""
        address = url.replace("<", "%3C").replace(">", "%3E").replace("\n", "")
        return f"[{inner}](<{address}>)"

    def code_block(self, value: str, language: str) -> str:
        """A fenced block."""
        fence = "`" * max(3, _longest_ticks(value) + 1)
        return f"{fence}{language.replace('`', '')}\n{value}\n{fence}"

    def rule(self) -> str:
        """A thematic break."""
        return "---"


COMMONMARK: Final = CommonMarkDialect()


def markdown_of(nodes: list[markup.Node]) -> str:
    """Nodes as CommonMark."""
    return markup.render(nodes, COMMONMARK)


def markdown_of_card(card: Card, *, may_be_repeat: bool = False) -> str:
    """All that a card says, without its buttons."""
    parts = markup.parts_of_card(card, columns=TABLE_COLUMNS, may_be_repeat=may_be_repeat)
    nodes = [node for part in parts if part.kind is not markup.PartKind.BUTTONS for node in part.nodes]
    return markdown_of(nodes)


def _longest_ticks(value: str) -> int:
    return max((len(run) for run in re.findall("`+", value)), default=0)


def _shielded(found: re.Match[str]) -> str:
    if found[2].isdigit():
        return found[0] + "\\"
    return f"{found[1]}\\{found[2]}"
