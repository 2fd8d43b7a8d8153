"""What a type of value is: how text and JSON become a value, and a value text and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")

MAX_CHARACTERS: Final = 10_000
"""Longer texts are no value of any type; a limit for the parsers' patience."""


class WrongValue(ValueError):
    """A text or JSON value is wrong. `fix` is a text that would do, where one is near."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True, slots=True, eq=False)
class ValueType(Generic[T]):
    """One type of value that people write.

    `parse` takes what a person wrote; `read` takes that, the canonical JSON form or the value itself; both raise
    ValueError with a sentence saying what is accepted. `canonical` gives the one JSON form of a value, for storage and
    digests. `show` gives a text that `parse` turns into the same value again.

    As metadata of ``Annotated`` it makes a pydantic field accept all that `read` accepts.
    """

    name: str
    accepts: str
    """What a person may write, to follow ``write``: ``a distance such as 40nm, 5km or 300m``."""
    example: str
    parse: Callable[[str], T]
    read: Callable[[Any], T]
    canonical: Callable[[T], Any]
    show: Callable[[T], str]
    schema: Mapping[str, Any]
    """JSON Schema of what `read` accepts from JSON."""
    choices: tuple[tuple[str, str], ...] = ()
    """(value, label) where there are only so many values."""
    offers: str | None = None
    """Kind of the choices that only a running system can list: ``track``, ``playbook``, ``run`` …"""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        serialization = core_schema.plain_serializer_function_ser_schema(self.canonical, when_used="json")
        return core_schema.no_info_plain_validator_function(self.read, serialization=serialization)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


def text_only(parse: Callable[[str], T], name: str, accepts: str) -> Callable[[Any], T]:
    """A `read` for types whose JSON form is text."""

    def read(value: Any) -> T:
        if isinstance(value, str):
            return parse(value)
        raise ValueError(f"{shown(value)} is no {name}; write {accepts}")

    return read


def shown(value: Any) -> str:
    """A value as quoted in an error, shortened."""
    text = str(value)
    return f"“{text[:60]}…”" if len(text) > 60 else f"“{text}”"


def number_json(value: float) -> int | float:
    """The one JSON form of a number: whole numbers without a decimal point."""
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def number_text(value: float) -> str:
    """A number in the fewest decimal digits that give it back exactly, never with an exponent for sizes people use."""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
