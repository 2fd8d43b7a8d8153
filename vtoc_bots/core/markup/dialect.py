"""What a platform's markup looks like. The dialect of this module writes plain text; platforms override it."""

from __future__ import annotations

from typing import Final

from markdown_it.common.normalize_url import normalizeLinkText

_RULE: Final = "─" * 20


class Dialect:
    """Plain text. A platform's dialect overrides what the platform writes otherwise; it holds no state.

    `inner` is text that has been written in this dialect already, `value` is text as it is read. What a method returns
    is complete: whatever it opens, it closes.
    """

    indents_code: bool = True
    """Whether a code block within a list item is indented as the item is; where a platform would show the spaces as
    part of the code, it isn't."""

    def measure(self, rendered: str) -> int:
        """How much of the limit it takes, in the platform's unit; never less than the characters that are read."""
        return len(rendered)

    def text(self, value: str, *, starts_line: bool) -> str:
        """Words, escaped, so that the platform shows them as they are; `starts_line` where list marks would count."""
        return value

    def strong(self, inner: str) -> str:
        """Strong emphasis; `inner` may have several lines."""
        return inner

    def emphasis(self, inner: str) -> str:
        """Emphasis; `inner` may have several lines."""
        return inner

    def strike(self, inner: str) -> str:
        """Struck-out text; `inner` may have several lines. Even plain text must not look as if it still held."""
        return f"~~{inner}~~"

    def code(self, value: str) -> str:
        """A code span, or escaped text where the platform has no code span for this value."""
        return value

    def link(self, inner: str, url: str) -> str:
        """A link: here its text and its address, unless they are the same."""
        shown = normalizeLinkText(url)
        return inner if inner in (url, shown, shown.removeprefix("mailto:")) else f"{inner} ({shown})"

    def between(self, before: str, after: str) -> str:
        """What must stand between two parts of a line so that the platform sees their markup: here nothing."""
        return ""

    def heading(self, inner: str, level: int) -> str:
        """A heading."""
        return self.strong(inner)

    def code_block(self, value: str, language: str) -> str:
        """Lines in a fixed pitch; `language` is what stood behind the fence, often nothing."""
        return f"{language}:\n{value}" if language else value

    def quote(self, inner: str, depth: int) -> str:
        """A quotation; `depth` counts the quotations around it."""
        return "\n".join(f"> {line}".rstrip() for line in inner.split("\n"))

    def mark(self, number: int | None, depth: int) -> str:
        """What stands before a list item: its number, or a bullet; `depth` counts the lists around the list."""
        return "- " if number is None else f"{number}. "

    def rule(self) -> str:
        """A line between blocks."""
        return _RULE


PLAIN: Final = Dialect()
"""Plain text: for notifications, fallbacks, alternative texts."""
