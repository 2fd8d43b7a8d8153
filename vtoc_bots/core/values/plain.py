"""Plain values: text, whole numbers, numbers, yes or no, and one of several choices."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from vtoc_bots.core.values.value_type import ValueType, WrongValue, number_json, number_text, shown

T = TypeVar("T")

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,300}(?:\.[0-9]{0,300})?|\.[0-9]{1,300})(?:[eE][+-]?[0-9]{1,3})?")
_TRUE: Final = frozenset({"true", "yes", "on", "1", "y"})
_FALSE: Final = frozenset({"false", "no", "off", "0", "n"})


def _same(text: str) -> str:
    return text


def _read_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"{shown(value)} is no text; put it in quotes")


def _parse_int(text: str) -> int:
    if _WHOLE.fullmatch(text.strip()):
        return int(text)
    raise ValueError(f"{shown(text)} is no whole number; write digits such as 30")


def _read_int(value: Any) -> int:
    if isinstance(value, str):
        return _parse_int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value == int(value):
        return int(value)
    raise ValueError(f"{shown(value)} is no whole number; write digits such as 30")


def _parse_number(text: str) -> float:
    if _NUMBER.fullmatch(text.strip()) and math.isfinite(number := float(text)):
        return number
    raise ValueError(f"{shown(text)} is no number; write one such as 2.5")


def _read_number(value: Any) -> float:
    if isinstance(value, str):
        return _parse_number(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ValueError(f"{shown(value)} is no number; write one such as 2.5")


def _parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"{shown(text)} is neither yes nor no; write yes or no")


def _read_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _parse_bool(value)
    raise ValueError(f"{shown(value)} is neither yes nor no; write yes or no")


def _show_bool(value: bool) -> str:
    return "yes" if value else "no"


STRING: Final = ValueType(
    "string", "text, in quotes where it has spaces", "text", _same, _read_text, _same, _same, {"type": "string"}
)
REST: Final = ValueType(
    "rest", "all that follows, as it stands", "text", _same, _read_text, _same, _same, {"type": "string"}
)
INT: Final = ValueType(
    "int", "a whole number such as 30", "30", _parse_int, _read_int, int, str, {"type": ["integer", "string"]}
)
NUMBER: Final = ValueType(
    "number",
    "a number such as 2.5",
    "2.5",
    _parse_number,
    _read_number,
    number_json,
    number_text,
    {"type": ["number", "string"]},
)
BOOL: Final = ValueType(
    "bool",
    "yes or no",
    "yes",
    _parse_bool,
    _read_bool,
    bool,
    _show_bool,
    {"type": ["boolean", "string"]},
    choices=(("yes", "yes"), ("no", "no")),
)


def choice_type(values: Mapping[str, T] | Iterable[str], name: str = "choice") -> ValueType[Any]:
    """One of `values`: words, or words with what each stands for. Case, ``-`` and ``_`` don't matter.

    The canonical form is the word. Raises ValueError without words.
    """
    table: dict[str, Any] = dict(values) if isinstance(values, Mapping) else {word: word for word in values}
    if not table:
        raise ValueError("a choice needs at least one value")
    by_key, listed = {_key(word): word for word in table}, ", ".join(table)

    def word(text: str) -> str:
        found = by_key.get(_key(text))
        if found is not None:
            return found
        close = get_close_matches(_key(text), by_key, n=1)
        fix = by_key[close[0]] if close else None
        raise WrongValue(f"{shown(text)} is not one of {listed}" + (f"; did you mean {fix}?" if fix else ""), fix)

    def show(value: Any) -> str:
        return next(word for word, other in table.items() if other == value)

    def read(value: Any) -> Any:
        if isinstance(value, str):
            return table[word(value)]
        if any(value is other or (type(value) is type(other) and value == other) for other in table.values()):
            return value
        raise ValueError(f"{shown(value)} is not one of {listed}")

    return ValueType(
        name,
        f"one of {listed}",
        next(iter(table)),
        lambda text: table[word(text)],
        read,
        show,
        show,
        {"type": "string", "enum": list(table)},
        choices=tuple((word, word) for word in table),
    )


def _key(text: str) -> str:
    return text.strip().casefold().replace("_", "-")
