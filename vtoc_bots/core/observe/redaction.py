"""Takes secrets out of whatever is about to be logged: known values, telling keys and the shapes of known tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

MASK: Final = "***"
MAX_DEPTH: Final = 8
MAX_ITEMS: Final = 200
MAX_CHARACTERS: Final = 20_000
_LONGEST_TOKEN: Final = 2_000

_SECRET_WORDS: Final = frozenset(
    {
        "apikey",
        "authorization",
        "cookie",
        "credential",
        "dsn",
        "passphrase",
        "passwd",
        "password",
        "secret",
        "signature",
        "token",
    }
)
_KEY_QUALIFIERS: Final = frozenset({"access", "anon", "api", "app", "encryption", "private", "role", "signing"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

# Shapes of credentials, each found where its issuer documents it. `(?P<keep>…)` is what stays before the mask.
# Every alternative starts at a fixed text or at the start of a word, so that no long line makes the search quadratic.
_SHAPES: Final = (
    r"(?<!\d)\d{3,16}:[A-Za-z0-9_-]{30,}",  # Telegram bot token, also inside /bot<token>/
    r"x(?:ox[a-z]|app)-[A-Za-z0-9.-]{8,}",  # Slack tokens
    r"(?P<keep1>hooks\.slack\.com/services/)[A-Za-z0-9/]+",
    r"(?P<keep2>/(?:webhooks|interactions)/\d{1,20}/)[A-Za-z0-9_-]{20,}",  # Discord webhook and interaction tokens
    r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{20,32}\.[A-Za-z0-9_-]{5,8}\.[A-Za-z0-9_-]{25,}",  # Discord bot token
    r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?",  # JSON web token
    r"(?<![A-Za-z0-9])vtoc_[A-Za-z0-9_-]{43}",  # our own API tokens
    r"(?<![A-Za-z0-9])(?:sk|rk|pk)[-_][A-Za-z0-9_-]{16,}",  # OpenAI and Stripe keys
    r"(?<![A-Za-z0-9])(?:sbp|sb_secret|sb_publishable|gh[pousr]|github_pat)_[A-Za-z0-9_]{16,}",  # Supabase, GitHub
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
    r"(?P<keep3>(?i:\bbearer)\s{1,5})[A-Za-z0-9._~+/=-]{6,}",
    r"(?P<keep4>(?i:\bauthorization)[\"']?\s{0,5}[:=,]\s{0,5}[\"']?(?:[A-Za-z]{1,20}\s{1,5})?)[^\s\"',;}]+",
    r"(?P<keep5>://[^\s/:@]*:)[^\s/]+(?=@)",  # a password in a URL
    r"(?P<keep6>(?i:password|passwd|secret|token|api[_-]?key)[\w-]{0,40}[\"']?\s{0,5}[=:]\s{0,5}[\"']?)"
    r"[^\s\"'&,;})\]]+",  # password=…, "token": "…"
)
_SHAPE = re.compile("|".join(_SHAPES))


class Redactor:
    """Makes values safe to write. `add` may be called at any time, from the loop's thread."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None
        self._names: dict[str, tuple[str, bool]] = {}
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Register values that must never be written, in whatever form they come."""
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._secrets |= forms
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._names.clear()

    def text(self, text: str) -> str:
        """The text without known secrets and without anything of the shape of one."""
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate can't be written
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if text.isalnum() and len(text) <= MAX_CHARACTERS:
            return text  # every shape has punctuation
        length = len(text)
        text = _SHAPE.sub(_masked, text[: MAX_CHARACTERS + _LONGEST_TOKEN])
        return text if length <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}… ({length} characters)"

    def value(self, value: Any, depth: int = 0) -> Any:
        """The value as plain JSON types, redacted: at most `MAX_DEPTH` deep, `MAX_ITEMS` items a container."""
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return _number(value)
        if isinstance(value, str):
            return self.text(str(value))
        if isinstance(value, UUID | date):
            return str(value)
        if depth >= MAX_DEPTH:
            return "…"
        if is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in fields(value)}
        if isinstance(value, Mapping):
            return self.mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            items = [self.value(item, depth + 1) for item, _ in zip(value, range(MAX_ITEMS), strict=False)]
            return items if len(value) <= MAX_ITEMS else [*items, f"… {len(value)} in all"]
        return self.text(_written(value))

    def mapping(self, values: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
        """A mapping as a redacted dict with text keys; what stands under a telling key is masked whole."""
        redacted: dict[str, Any] = {}
        for key, item in values.items():
            if len(redacted) >= MAX_ITEMS:
                redacted["…"] = f"{len(values)} in all"
                break
            name, telling = self._name(key)
            hidden = telling and item is not None and not isinstance(item, bool)
            redacted[name] = MASK if hidden else self.value(item, depth + 1)
        return redacted

    def _name(self, key: Any) -> tuple[str, bool]:
        """A key as safe text, and whether it is telling. The names of fields are few and come in every line."""
        name = key if isinstance(key, str) else _written(key)
        known = self._names.get(name)
        if known is None:
            known = self.text(name), is_telling(name)
            if len(self._names) < MAX_ITEMS:
                self._names[name] = known
        return known


def _forms(secret: str) -> set[str]:
    """A secret as it may stand in a text: plain, percent-encoded, and escaped as Python and JSON write it."""
    return {secret, quote(secret, safe=""), quote(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]}


def _number(value: float) -> int | float | str:
    """A number that JSON can hold: subclasses become plain, integers beyond 64 bits text."""
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(value)
    return float(value)


def is_telling(name: str) -> bool:
    """Whether what stands under this key is a secret: ``password``, ``apiKey``, ``X-Signature``, ``SLACK_BOT_TOKEN``…

    A bare ``key`` is not: outbounds, runs and jobs have keys that are no secrets.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    return any(
        word.rstrip("s") in _SECRET_WORDS or (word == "key" and index > 0 and words[index - 1] in _KEY_QUALIFIERS)
        for index, word in enumerate(words)
    )


def _masked(match: re.Match[str]) -> str:
    kept = match.lastgroup
    return (match.group(kept) if kept else "") + MASK


def _written(value: Any) -> str:
    """Any object as text; never raises, for a log line must not fail over what it says."""
    try:
        if isinstance(value, BaseException):
            return f"{type(value).__name__}: {value}"
        if isinstance(value, bytes | bytearray):
            return value.decode("utf-8", "backslashreplace")
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__} that can't be shown: {type(error).__name__}>"
