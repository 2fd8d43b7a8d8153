"""What Discord's refusals mean, in plain words, and what becomes of what was to be sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from vtoc_bots import NotSent, RateLimited, Refused, Unknown

UNKNOWN_CHANNEL: Final = 10003
UNKNOWN_MESSAGE: Final = 10008
UNKNOWN_WEBHOOK: Final = 10015
UNKNOWN_INTERACTION: Final = 10062
ALREADY_ANSWERED: Final = 40060
INVALID_TOKEN: Final = 50027
NO_ACCESS: Final = 50001
NO_PERMISSION: Final = 50013
_TOO_MANY_EDITS: Final = 30046

GONE_TOKEN: Final = frozenset({UNKNOWN_WEBHOOK, UNKNOWN_INTERACTION, INVALID_TOKEN})
"""What Discord says of an interaction that can't be answered any more."""
CLOSED_CHANNEL: Final = frozenset({NO_ACCESS, NO_PERMISSION})

WRONG_CREDENTIAL: Final = (
    "discord: DISCORD_BOT_TOKEN was refused (401). Make a new one in the Developer Portal (your application, Bot,"
    " Reset Token) and set it in .env.station."
)
_WORDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        UNKNOWN_CHANNEL: "the channel is gone",
        UNKNOWN_MESSAGE: "the message is gone",
        10004: "the server is gone, or the bot is not in it",
        10013: "the person is gone",
        NO_ACCESS: "the bot can't see this channel; give it View Channel there",
        NO_PERMISSION: "the bot lacks a permission in this channel: Send Messages, Embed Links, Attach Files or Read"
        " Message History",
        50005: "the message is not the bot's own",
        50007: "this person takes no direct messages from the bot",
        50083: "the thread is archived",
        160005: "the thread is locked",
        40005: "it is too large",
        ALREADY_ANSWERED: "it was answered already, before a restart or by another program with this bot's token",
        20009: "Discord takes it for explicit content",
        240000: "Discord or the server blocks words in it",
        200000: "the server's AutoMod blocks words in it",
    }
)
_MOST_CAUSES: Final = 3


class DiscordRefused(Refused):
    """Discord will never take this. `code` is its JSON error code, 0 where it gave none."""

    def __init__(self, message: str, code: int, status: int) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class TokenRefused(NotSent):
    """The bot's token is wrong; what was to be sent waits for a person to set the right one."""

    def __init__(self) -> None:
        super().__init__(WRONG_CREDENTIAL)


class EverythingLimited(RateLimited):
    """The limit is for all that the bot sends."""


def failure_of(status: int, headers: Mapping[str, str], body: bytes, *, writes: bool = False) -> Exception:
    """The error that an answer which is no success stands for: RateLimited, NotSent, DiscordRefused, or Unknown.

    `writes` says that the request was to change something.
    """
    document = _document(body)
    code = document.get("code")
    code = code if isinstance(code, int) else 0
    if status == 429 or code == _TOO_MANY_EDITS:
        return _limited(document, headers, code)
    if status == 401 and code not in GONE_TOKEN:
        return TokenRefused()
    if status >= 500:
        # The part of Discord that answers may have lost the one that did it: a 502 says nothing of a message.
        return (Unknown if writes else NotSent)(f"discord: its server failed ({status})")
    words = _WORDS.get(code) or "; ".join(_causes(document, status))
    return DiscordRefused(f"discord: {words} ({code or status})", code, status)


def _limited(document: Mapping[str, Any], headers: Mapping[str, str], code: int) -> RateLimited:
    given = document.get("retry_after") or headers.get("Retry-After")
    try:
        seconds = float(given) if given is not None else 60.0 if code else 5.0
    except (TypeError, ValueError):
        seconds = 5.0
    everything = document.get("global") is True or headers.get("X-RateLimit-Scope") == "global"
    if everything:
        return EverythingLimited(f"discord: asks to wait {seconds:g} s with everything", max(0.05, seconds))
    return RateLimited(f"discord: asks to wait {seconds:g} s", max(0.05, seconds))


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:  # a proxy's page
        return {}
    return document if isinstance(document, dict) else {}


def _causes(document: Mapping[str, Any], status: int) -> list[str]:
    """What Discord says is wrong, with the places, as far as people can use it."""
    found = [f"{place}: {text}" if place else text for place, text in _leaves(document.get("errors"), "")]
    return found[:_MOST_CAUSES] or [str(document.get("message") or f"it answered {status}").rstrip(".")]


def _leaves(tree: Any, place: str) -> Iterator[tuple[str, str]]:
    if not isinstance(tree, dict):
        return
    for name, inner in tree.items():
        if name == "_errors" and isinstance(inner, list):
            yield from ((place, str(each.get("message", "")).rstrip(".")) for each in inner if isinstance(each, dict))
        else:
            yield from _leaves(inner, f"{place}.{name}" if place else str(name))
