"""Discord's markdown, measured as its strictest client counts."""

from __future__ import annotations

import re
from typing import Final

from vtoc_bots import markup

_MARKS: Final = re.compile(r"([\\*_~`|<\[\]])")
_AT_START: Final = re.compile(r"^(\s*)(?:([>#+\-])|(\d+)([.)]))")
_LANGUAGE: Final = re.compile(r"[^A-Za-z0-9+\-]")
_URL_ENDS: Final = re.compile(r"[()\s<>]")


def size(text: str) -> int:
    """Its length in UTF-16 units, as some of Discord's clients count; its server's characters are never more."""
    return len(text) + sum(character > "\uffff" for character in text)


class DiscordMarkdown(markup.Dialect):
    """Markdown as embeds show it: masked links, no nested quotations, a backslash before any mark that is text."""

    indents_code = False

    def measure(self, rendered: str) -> int:
        """UTF-16 units."""
        return size(rendered)

    def text(self, value: str, *, starts_line: bool) -> str:
        """A backslash before every mark."""
        escaped = _MARKS.sub(r"\\\1", value)
        return _AT_START.sub(_escaped_start, escaped, count=1) if starts_line else escaped

    def strong(self, inner: str) -> str:
        """``**inner**``"""
        return _around(inner, "**")

    def emphasis(self, inner: str) -> str:
        """``*inner*``"""
        return _around(inner, "*")

    def strike(self, inner: str) -> str:
        """``~~inner~~``"""
        return _around(inner, "~~")

    def code(self, value: str) -> str:
        """Between more backticks than are in it."""
        if not value.strip():
            return self.text(value, starts_line=False)
        longest = max((len(run) for run in re.findall("`+", value)), default=0)
        fence = "`" * (longest + 1)
        # Three would begin a block; what has backticks at its ends needs a space there.
        if len(fence) > 2:
            return self.text(value, starts_line=False)
        space = " " if value.startswith("`") or value.endswith("`") else ""
        return f"{fence}{space}{value}{space}{fence}"

    def link(self, inner: str, url: str) -> str:
        """``[inner](url)``, or both where it is no web address."""
        if not url.startswith(("https://", "http://")):
            return super().link(inner, url)
        safe = _URL_ENDS.sub(lambda found: f"%{ord(found[0]):02X}", url)
        return f"[{inner}]({safe})" if inner.strip() else safe

    def code_block(self, value: str, language: str) -> str:
        """Between fences; a fence within is broken by a character that nobody sees."""
        inner = value.replace("```", "`\u200b`\u200b`")
        if inner.endswith("`"):
            inner += "\u200b"
        return f"```{_LANGUAGE.sub('', language)}\n{inner}\n```"

    def quote(self, inner: str, depth: int) -> str:
        """A bar before each line; Discord knows none within another."""
        if depth:
            return "\n".join(f"» {line}" for line in inner.split("\n"))
        return "\n".join(f"> {line}" for line in inner.split("\n"))


def _around(inner: str, mark: str) -> str:
    """Each line by itself: Discord ends emphasis at blanks and at list marks."""
    return "\n".join(_marked(line, mark) for line in inner.split("\n"))


def _marked(line: str, mark: str) -> str:
    bare = line.strip()
    if not bare:
        return line
    before, after = line[: len(line) - len(line.lstrip())], line[len(line.rstrip()) :]
    # The same mark at an end would join with ours and mean something else.
    if mark[0] == "*" and (bare.startswith("*") or bare.endswith("*")):
        return f"{before}{mark}\u200b{bare}\u200b{mark}{after}"
    return f"{before}{mark}{bare}{mark}{after}"


def _escaped_start(found: re.Match[str]) -> str:
    space, sign, number, dot = found.groups()
    return f"{space}\\{sign}" if sign else f"{space}{number}\\{dot}"


MARKDOWN: Final = DiscordMarkdown()
