"""Telegram's HTML: the dialect in which texts are written, and how Telegram measures them."""

from __future__ import annotations

import html
import re
from typing import Final

from vtoc_bots import markup

_TAG: Final = re.compile(r"<[^>]*>")
_LINK: Final = re.compile(r'<a href="([^"]*)">(.*?)</a>', re.DOTALL)
_LANGUAGE: Final = re.compile(r"[A-Za-z0-9_+#.-]{1,32}")
_LEADS: Final = ("http://", "https://", "tg://")


class HtmlDialect(markup.Dialect):
    """HTML as Bot API messages take it (core.telegram.org/bots/api, HTML style)."""

    indents_code = False

    def measure(self, rendered: str) -> int:
        """UTF-16 units of what is left once Telegram has parsed it."""
        return utf16_units(text_of_html(rendered))

    def text(self, value: str, *, starts_line: bool) -> str:
        """Escaped words."""
        return html.escape(value, quote=False)

    def strong(self, inner: str) -> str:
        """Bold."""
        return f"<b>{inner}</b>" if inner else ""

    def emphasis(self, inner: str) -> str:
        """Italic."""
        return f"<i>{inner}</i>" if inner else ""

    def strike(self, inner: str) -> str:
        """Struck out."""
        return f"<s>{inner}</s>" if inner else ""

    def code(self, value: str) -> str:
        """Fixed pitch."""
        return f"<code>{html.escape(value, quote=False)}</code>" if value else ""

    def link(self, inner: str, url: str) -> str:
        """A link, or its text and address where Telegram would not lead there."""
        if url.startswith(_LEADS) and text_of_html(inner).strip():
            return f'<a href="{html.escape(url)}">{inner}</a>'
        address = html.escape(url, quote=False)
        return inner if inner == address else f"{inner} ({address})".lstrip()

    def code_block(self, value: str, language: str) -> str:
        """Lines in fixed pitch, with their language where it has a name."""
        text = html.escape(value, quote=False)
        if not language:
            return f"<pre>{text}</pre>"
        if _LANGUAGE.fullmatch(language) is None:
            return f"{html.escape(language, quote=False)}:\n<pre>{text}</pre>"
        return f'<pre><code class="language-{html.escape(language)}">{text}</code></pre>'

    def quote(self, inner: str, depth: int) -> str:
        """A quotation; one within another has arrows, as Telegram nests none."""
        if depth:
            return "\n".join(f"&gt; {line}".rstrip() for line in inner.split("\n"))
        return f"<blockquote>{inner}</blockquote>"

    def mark(self, number: int | None, depth: int) -> str:
        """A number or a bullet."""
        return "• " if number is None else f"{number}. "


HTML: Final = HtmlDialect()


def text_of_html(written: str) -> str:
    """What is read of text in this dialect."""
    return html.unescape(_TAG.sub("", written))


def plain_of_html(written: str, limit: int) -> str:
    """The same without markup, with the links' addresses where they fit."""
    told = text_of_html(_LINK.sub(lambda found: f"{found[2]} ({found[1]})", written))
    return told if utf16_units(told) <= limit else text_of_html(written)


def utf16_units(text: str) -> int:
    """How Telegram counts characters."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2
