"""Telegram's HTML as a strict server reads it: the text that is left, or why the markup is refused."""

from __future__ import annotations

import html
import re

TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "a", "code", "pre", "blockquote"}
ENTITIES = {"lt", "gt", "amp", "quot"}
ATTRIBUTES = {
    "a": re.compile(r'\s+href="[^"<>]*"'),
    "code": re.compile(r'(\s+class="language-[^"<>]+")?'),
    "blockquote": re.compile(r"(\s+expandable)?"),
}
TOKEN = re.compile(r"<(/?)([a-z-]+)([^<>]*)>|&(#?\w+);|([<>&])|([^<>&]+)")


class BadMarkup(Exception):
    """Why the markup is refused."""


def parsed(text: str) -> str:
    """The text after entity parsing, without white space at its ends. Raises BadMarkup."""
    read: list[str] = []
    opened: list[str] = []
    position = 0
    while position < len(text):
        token = TOKEN.match(text, position)
        if token is None:
            raise BadMarkup(f"can't parse entities: byte offset {position}")
        position = token.end()
        if token[4]:
            if token[4] not in ENTITIES and not token[4].startswith("#"):
                raise BadMarkup(f"can't parse entities: unknown entity &{token[4]};")
            read.append(html.unescape(token[0]))
        elif token[5]:
            raise BadMarkup(f"can't parse entities: unescaped {token[5]}")
        elif token[6]:
            read.append(token[6])
        else:
            _tag(token, opened)
    if opened:
        raise BadMarkup(f"can't parse entities: can't find end tag corresponding to start tag {opened[-1]}")
    return "".join(read).strip()


def _tag(token: re.Match[str], opened: list[str]) -> None:
    end, name, rest = token[1], token[2], token[3]
    if name not in TAGS:
        raise BadMarkup(f'can\'t parse entities: unsupported start tag "{name}"')
    if end:
        if not opened or opened.pop() != name or rest.strip():
            raise BadMarkup(f"can't parse entities: unexpected end tag {name}")
        return
    if not ATTRIBUTES.get(name, re.compile("")).fullmatch(rest):
        raise BadMarkup(f"can't parse entities: attributes of {name}: {rest}")
    inside_code = "code" in opened or ("pre" in opened and name != "code")
    if inside_code or (name in opened and name in ("a", "blockquote", "pre")):
        raise BadMarkup(f"can't parse entities: {name} inside {opened[-1]}")
    opened.append(name)


def units(text: str) -> int:
    """UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2
