"""Text to words, as people type on keyboards and phones: quotes of every kind, apostrophes left alone."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final, NamedTuple

from vtoc_bots.core.errors import UsageError


class Word(NamedTuple):
    """A word of a text, its quotes removed; `start` and `end` are its place with them."""

    text: str
    start: int
    end: int
    quoted: bool = False
    """Whether it begins with a quote: then it is a value, whatever it looks like."""


_DOUBLE: Final = '"“”„'
_SINGLE: Final = "'‘’‚"
# Phones make one dash of two; before a letter it means an option.
_DASHES: Final = "—–"
_SPECIAL = re.compile(f"[{_DOUBLE}{_SINGLE}«{_DASHES}]")
_PLAIN = re.compile(r"\S+")
_KEY = re.compile(rf"(?:--|[{_DASHES}])?[^\W\d][\w-]*=")
_OPTION_DASH = re.compile(rf"[{_DASHES}](?=[^\W\d])")
# A quote ends where its partner stands before a space or the end, so apostrophes and seconds of arc may stand inside.
_CLOSED = {
    **dict.fromkeys(_DOUBLE, re.compile(r'((?:\\["“”„\\]|\\(?!["“”„\\])|[^\\])*?)["“”](?=\s|\Z)')),
    **dict.fromkeys(_SINGLE, re.compile(r"(.*?)['‘’](?=\s|\Z)", re.DOTALL)),
    "«": re.compile(r"(.*?)»(?=\s|\Z)", re.DOTALL),
}
_ESCAPED = re.compile(r'\\(["“”„\\])')
_UNSAFE = re.compile(rf"\s|^(?:[{_DOUBLE}{_SINGLE}«{_DASHES}]|--|[^\W\d][\w-]*=|\Z)")


def words(text: str, start: int = 0) -> Generator[Word, None, None]:
    """The words of a text from character `start` on.

    A quote opens at the start of a word, or after ``key=``. In double quotes a backslash keeps a quote or a backslash
    as it is; elsewhere it is a character like others. Raises UsageError where a double quote is never closed.
    """
    if _SPECIAL.search(text, start) is None:
        for found in _PLAIN.finditer(text, start):
            yield Word(found[0], found.start(), found.end(), False)
        return
    yield from _quoted_words(text, start)


def quote(value: str) -> str:
    """The value as one word that `words` gives back and that no command takes for an option."""
    if not _UNSAFE.search(value):
        return value
    return '"' + re.sub(r'(["“”„\\])', r"\\\1", value) + '"'


def _quoted_words(text: str, start: int) -> Generator[Word, None, None]:
    unclosed: set[str] = set()
    at = start
    while found := _PLAIN.search(text, at):
        raw, begin, at = found[0], found.start(), found.end()
        opening = begin
        if raw[0] not in _CLOSED and "=" in raw and (key := _KEY.match(raw)):
            opening += key.end()
        mark = text[opening] if opening < at else ""
        closed = _CLOSED[mark].match(text, opening + 1) if mark in _CLOSED and mark not in unclosed else None
        if closed is not None:
            value = _ESCAPED.sub(r"\1", closed[1]) if "\\" in closed[1] and mark in _DOUBLE else closed[1]
            at = closed.end()
            yield Word(_dashed(text[begin:opening]) + value, begin, at, opening == begin)
        elif mark and mark in _DOUBLE:
            raise _not_closed(text, opening)
        else:
            if mark in _CLOSED:
                unclosed.add(mark)  # a lone apostrophe: none after it will find a partner either
            yield Word(_dashed(raw), begin, at, False)


def _dashed(text: str) -> str:
    return _OPTION_DASH.sub("--", text, count=1) if text[:1] in _DASHES else text


def _not_closed(text: str, opening: int) -> UsageError:
    word = text[opening:].split("\n", 1)[0]
    return UsageError(
        f"The quote {text[opening]} is opened and never closed; close it before a space or at the end",
        word=word,
        start=opening,
        end=opening + len(word),
        corrected=f'{text}"',
    )
