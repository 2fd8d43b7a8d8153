"""Slack's own markup, mrkdwn, as a dialect. It has no escapes: a mark that must not count gets invisible neighbours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from vtoc_bots import markup

GUARD: Final = "\u200b"
"""A space without width: Slack sees no word there, and a person sees nothing."""
_MARKS: Final = re.compile(r"(?<![A-Za-z0-9])[*_~`]|[*_~`](?![A-Za-z0-9])")
_EDGES: Final = re.compile(r"(\s*)(.*?)(\s*)", re.DOTALL)
_FENCE: Final = "```"


def escaped(text: str) -> str:
    """Text in which Slack sees no entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Mrkdwn(markup.Dialect):
    """What Slack shows in texts of type mrkdwn."""

    indents_code = False

    def text(self, value: str, *, starts_line: bool) -> str:
        """Words; at the start of a line a ``>`` would quote."""
        written = _MARKS.sub(lambda found: f"{GUARD}{found[0]}{GUARD}", escaped(value))
        return f"{GUARD}{written}" if starts_line and written.lstrip().startswith("&gt;") else written

    def strong(self, inner: str) -> str:
        """Bold, line by line."""
        return _around(inner, "*")

    def emphasis(self, inner: str) -> str:
        """Italic, line by line."""
        return _around(inner, "_")

    def strike(self, inner: str) -> str:
        """Struck out, line by line."""
        return _around(inner, "~")

    def code(self, value: str) -> str:
        """A code span, unless the value has its mark in it or nothing to show."""
        return f"`{escaped(value)}`" if value.strip() and "`" not in value else self.text(value, starts_line=False)

    def link(self, inner: str, url: str) -> str:
        """A link with its text."""
        target = escaped(url.replace("|", "%7C").replace("<", "%3C").replace(">", "%3E").replace(" ", "%20"))
        label = inner.replace("\n", " ").strip()
        return f"<{target}|{label}>" if label else f"<{target}>"

    def between(self, before: str, after: str) -> str:
        """A guard where a word touches a mark."""
        ends, begins = before[-1:], after[:1]
        touches = (begins in "*_~`" and not ends.isspace()) or (ends in "*_~`" and not begins.isspace())
        return GUARD if ends and begins and touches else ""

    def code_block(self, value: str, language: str) -> str:
        """Lines in a fixed pitch; Slack knows no languages."""
        inner = escaped(value).replace(_FENCE, f"`{GUARD}`{GUARD}`")
        return f"{_FENCE}\n{inner}\n{_FENCE}"

    def quote(self, inner: str, depth: int) -> str:
        """A quotation. Slack has one level, and none around a code block."""
        if depth or _FENCE in inner:
            return inner
        return "\n".join(f"> {line}" for line in inner.split("\n"))

    def mark(self, number: int | None, depth: int) -> str:
        """A bullet, another one within a list, or the number."""
        return f"{'•◦▪'[min(depth, 2)]} " if number is None else f"{number}. "


MRKDWN: Final = Mrkdwn()


def is_plain(nodes: Sequence[markup.Node]) -> bool:
    """Whether there is nothing but words: such a text needs no markup, and then Slack shows it as it stands."""
    return all(
        isinstance(node, markup.Paragraph)
        and all(isinstance(inline, markup.Words | markup.Break) for inline in node.children)
        for node in nodes
    )


def _around(inner: str, mark: str) -> str:
    """The mark around each line's words; where the line has this mark already, it stays as it is."""

    def marked(line: str) -> str:
        before, words, after = _EDGES.fullmatch(line).groups()  # type: ignore[union-attr]  # it matches any text
        if not words or words[0] == mark or words[-1] == mark:
            return line
        return f"{before}{mark}{words}{mark}{after}"

    return "\n".join(map(marked, inner.split("\n")))
