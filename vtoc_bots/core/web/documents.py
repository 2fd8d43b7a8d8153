"""What the API's requests and answers are made of: models, texts, times and cursors, each checked as documented."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

import orjson
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from vtoc_bots.core.web.problems import Refusal

T = TypeVar("T")
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NO_NUL: Final = r"^[^\u0000]*$"


def _moment(value: Any) -> Any:
    """A text as RFC 3339 writes times, in UTC. Anything else is left to be refused: a number is no time."""
    if not isinstance(value, str):
        return value
    if not _RFC_3339.fullmatch(value):
        raise ValueError("a time is written 2026-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("a time in UTC is in the years 1 to 9999") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
"""A time with its zone, as ISO 8601 writes it."""
Word = Annotated[str, StringConstraints(pattern=_NO_NUL, min_length=1, max_length=200)]
"""A short text: a name, a slug."""
Text = Annotated[str, StringConstraints(pattern=_NO_NUL, max_length=10_000)]
Json = dict[str, Any]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Answered(BaseModel):
    """What we answer: exactly these members."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True, validate_by_name=True)


class Given(BaseModel):
    """What a caller gives; members that we don't know are the platform's own business."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Query(BaseModel):
    """What stands after the question mark; an unknown name is a mistake that would otherwise go unseen."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PageQuery(Query):
    """Which page of a list, newest first."""

    limit: int = Field(50, ge=1, le=1000, description="How many at most")
    cursor: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_-]{1,200}$", description="Where the page before ended: its X-Next-Cursor"
    )


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list, and the cursor of the next one (None: this was the last)."""

    items: Sequence[T]
    next: str | None


def cursor_of(at: datetime, key: str | UUID) -> str:
    """The opaque place of a row in a list that is ordered by time and id."""
    return base64.urlsafe_b64encode(orjson.dumps([at.isoformat(), str(key)])).decode().rstrip("=")


def place_of(cursor: str | None, key: Callable[[str], Any] = UUID) -> tuple[datetime, Any] | None:
    """The time and id behind a cursor, None for none. Raises Refusal (400) for one that we did not make."""
    if cursor is None:
        return None
    try:
        at, text = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or "\x00" in text:
            raise ValueError("no zone")
        return moment, key(text)
    except (ValueError, TypeError, binascii.Error) as error:
        raise Refusal(400, "this cursor was not made here; begin again without one") from error


def page_of(rows: Sequence[Any], limit: int, place: Callable[[Any], str], item: Callable[[Any], T]) -> Page[T]:
    """A page of rows, of which one more than `limit` was asked for to see whether there are more."""
    shown = rows[:limit]
    return Page([item(row) for row in shown], place(shown[-1]) if len(rows) > limit else None)
