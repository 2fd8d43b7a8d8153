"""The error tree: every error says who, what happened and what to do, and its class says what becomes of it."""

from __future__ import annotations

from enum import Enum
from typing import Any


class Fate(Enum):
    """What the runtime does with an error."""

    STOP = "stop at start-up"
    RETRY = "try again later"
    PERSON = "tell a person"
    CALLER = "the caller's mistake"


class VtocError(Exception):
    """Any error this project raises on purpose. Its text is for people and never holds a secret."""

    fate = Fate.PERSON


class StartupError(VtocError):
    """Configuration or environment is wrong; the process must not start."""

    fate = Fate.STOP


class ConfigError(StartupError):
    """A configuration file is wrong. `where` is ``file:line`` when it is known."""

    def __init__(self, message: str, where: str | None = None) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class PluginError(VtocError):
    """A plugin could not be loaded, validated or started; the rest runs on."""


class TransientError(VtocError):
    """A passing fault. `after_seconds` is a hint when to try again."""

    fate = Fate.RETRY

    def __init__(self, message: str, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class UsageError(VtocError):
    """The caller's words are wrong.

    `word` is the offending word (`start`, `end` its place in the text), `corrected` the command that would do.
    """

    fate = Fate.CALLER

    def __init__(
        self,
        message: str,
        *,
        word: str | None = None,
        start: int | None = None,
        end: int | None = None,
        corrected: str | None = None,
    ) -> None:
        super().__init__(message)
        self.word, self.start, self.end, self.corrected = word, start, end, corrected


class Forbidden(VtocError):
    """The caller may not do this. The text is the decision's reason."""

    fate = Fate.CALLER


class NotFound(VtocError):
    """The thing a caller names does not exist, or not for this caller."""

    fate = Fate.CALLER


class Conflict(VtocError):
    """What the caller wants contradicts what is there already."""

    fate = Fate.CALLER


class ActionError(VtocError):
    """An action failed for good; the text goes to the person who asked."""


class LostLease(VtocError):
    """Another worker holds this row or singleton now; everything this holder would write is refused."""

    fate = Fate.RETRY


class SendError(VtocError):
    """A transport could not send. The subclass says what is known of the message."""

    receipt: Any = None
    """Of a card that is several messages: the `Receipt` of those that were sent before this. It is stored, and the next
    try has it as the outbound's `edits`, so that nothing is shown twice."""


class NotSent(SendError):
    """The platform certainly did not take the message; it may be sent again."""

    fate = Fate.RETRY


class Unknown(SendError):
    """The connection ended mid-send: the platform may or may not have the message."""

    fate = Fate.RETRY


class RateLimited(SendError):
    """The platform asks to wait `after_seconds`."""

    fate = Fate.RETRY

    def __init__(self, message: str, after_seconds: float) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Refused(SendError):
    """The platform will never take this message (too long, blocked, gone)."""

    fate = Fate.PERSON
