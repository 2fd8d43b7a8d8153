"""What services answer, and which of our errors their faults are: whether to try again, and what a person can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from vtoc_bots.core.errors import ActionError, TransientError, VtocError

QUOTED: Final = 200
"""Characters of a service's own words that an error quotes."""
LONGEST_WAIT_SECONDS: Final = 86_400.0
"""Whatever a service asks for: what waits longer waits for somebody who never comes."""
_NOT_TAKEN: Final = (429, 503)
"""What a service answers that certainly did not do what was asked."""


class Uncertain(ActionError):
    """The service may or may not have done what was asked, and asking again could do it twice."""


class Busy(TransientError):
    """The service asks us to slow down (429), and has done nothing."""


class Declined(ActionError):
    """The service answered, with a status that says it will not do it; asking again the same way won't help."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Service:
    """A service as people know it. `credential` names the setting that holds its key, `address` that of its URL."""

    name: str
    credential: str
    address: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer with a status of 200 to 299."""

    service: Service
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's JSON. Raises ActionError that shows how it begins when it is something else."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise ActionError(garbage(self.service, self.headers.get("Content-Type", ""), self.body)) from error

    def document(self) -> dict[str, Any]:
        """The body's JSON object. Raises ActionError for anything else."""
        found = self.json()
        if not isinstance(found, dict):
            raise ActionError(f"{self.service.name} answered with a {type(found).__name__} instead of an object")
        return found


def garbage(service: Service, content_type: str, body: bytes) -> str:
    """What to say of a body that is no JSON."""
    begins = body[:60].decode("utf-8", "replace").strip()
    kind = content_type.partition(";")[0] or "no type"
    return f"{service.name} answered with something that is no JSON ({kind}: {begins!r}). Is {service.address} right?"


def error_of_status(
    service: Service, status: int, headers: Mapping[str, str], body: bytes, now: datetime, *, idempotent: bool
) -> VtocError:
    """The error that a status outside 200 to 299 is."""
    words = own_words(body)
    said = f": {words}" if words else ""
    if status in _NOT_TAKEN:
        busy = "asks us to slow down" if status == 429 else "is not available now"
        kind = Busy if status == 429 else TransientError
        return kind(f"{service.name} {busy} ({status}){said}", retry_after(headers, now))
    if status >= 500 or status == 408:
        text = f"{service.name} had a fault ({status}){said}"
        if idempotent:
            return TransientError(text, retry_after(headers, now))
        return Uncertain(f"{text}. Look there whether it was done before you ask again")
    if status in (401, 403):
        return Declined(f"{service.name} refused us ({status}){said}. Check {service.credential}", status)
    if 300 <= status < 400:
        place = headers.get("Location", "elsewhere")[:QUOTED]
        return Declined(f"{service.name} has moved to {place}. Correct {service.address}", status)
    if status == 404:
        return Declined(f"{service.name} knows nothing there (404){said}. Is {service.address} right?", status)
    return Declined(f"{service.name} did not accept this ({status}){said}", status)


def retry_after(headers: Mapping[str, str], now: datetime, name: str = "Retry-After") -> float | None:
    """Seconds that a ``Retry-After`` asks to wait, as seconds or as a date (RFC 9110 §10.2.3), a day at most; None
    without one. `name` is a header of a service's own that says the same."""
    text = headers.get(name, "").strip()
    if not text:
        return None
    try:
        seconds = float(text) if text.isascii() and text.isdecimal() else _until(text, now)
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), LONGEST_WAIT_SECONDS)


def _until(text: str, now: datetime) -> float:
    moment = parsedate_to_datetime(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()


def own_words(body: bytes) -> str:
    """What a service says of its fault: the usual members of its JSON, else nothing. One line, not long."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    for name in ("detail", "message", "error_description", "error", "title"):
        if not isinstance(found, dict):
            break
        value = found.get(name)
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())[:QUOTED]
    return ""
