"""Limits on a value (``Ge``, ``Lt``, ``Len`` … of annotated_types), checked and explained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen, MultipleOf

from vtoc_bots.core.values import ValueType, WrongValue
from vtoc_bots.core.values.value_type import shown

_Check = Callable[[Any], None]


def constrained(kind: ValueType[Any], metadata: Iterable[Any]) -> ValueType[Any]:
    """The type with the limits of `metadata`. Raises ValueError for one it doesn't know."""
    limits = list(_flat(metadata))
    if not limits:
        return kind
    checks = [_check(kind, limit) for limit in limits]

    def checked(value: Any) -> Any:
        for check in checks:
            check(value)
        return value

    limited = replace(
        kind,
        parse=lambda text: checked(kind.parse(text)),
        read=lambda value: checked(kind.read(value)),
        accepts=f"{kind.accepts}, {' and '.join(_words(kind, limit) for limit in limits)}",
        schema={**kind.schema, **_schema(kind, limits)},
    )
    return replace(limited, example=_example(limited))


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    for each in metadata:
        if isinstance(each, GroupedMetadata):  # Interval, Len
            yield from each
        else:
            yield each


def _check(kind: ValueType[Any], limit: Any) -> _Check:
    holds = _test(limit)

    def check(value: Any) -> None:
        if not holds(value):
            edge = _bound(limit)
            fix = kind.show(edge) if isinstance(limit, Ge | Le) else None
            raise WrongValue(f"{shown(kind.show(value))} is not {_words(kind, limit)}", fix)

    return check


def _test(limit: Any) -> Callable[[Any], bool]:
    edge = _bound(limit)
    match limit:
        case Ge():
            return lambda value: bool(value >= edge)
        case Gt():
            return lambda value: bool(value > edge)
        case Le():
            return lambda value: bool(value <= edge)
        case Lt():
            return lambda value: bool(value < edge)
        case MinLen():
            return lambda value: len(value) >= edge
        case MaxLen():
            return lambda value: len(value) <= edge
        case _:
            return lambda value: value % edge == 0


def _bound(limit: Any) -> Any:
    match limit:
        case Ge(edge) | Gt(edge) | Le(edge) | Lt(edge) | MinLen(edge) | MaxLen(edge) | MultipleOf(edge):
            return edge
        case _:
            raise ValueError(f"{limit!r} is no limit that commands know; use Ge, Gt, Le, Lt, Interval, Len, MultipleOf")


def _words(kind: ValueType[Any], limit: Any) -> str:
    edge = _bound(limit)
    match limit:
        case Ge():
            return f"at least {kind.show(edge)}"
        case Gt():
            return f"above {kind.show(edge)}"
        case Le():
            return f"at most {kind.show(edge)}"
        case Lt():
            return f"below {kind.show(edge)}"
        case MinLen():
            return f"at least {edge} characters long"
        case MaxLen():
            return f"at most {edge} characters long"
        case _:
            return f"a multiple of {kind.show(edge)}"


def _schema(kind: ValueType[Any], limits: Iterable[Any]) -> dict[str, Any]:
    words = {
        Ge: "minimum",
        Gt: "exclusiveMinimum",
        Le: "maximum",
        Lt: "exclusiveMaximum",
        MinLen: "minLength",
        MaxLen: "maxLength",
        MultipleOf: "multipleOf",
    }
    sized = {each: _bound(each) for each in limits if isinstance(each, MinLen | MaxLen)}
    measured = {each: kind.canonical(_bound(each)) for each in limits if each not in sized}
    return {words[type(each)]: value for each, value in (sized | measured).items()}


def _example(kind: ValueType[Any]) -> str:
    """A text that the limits allow: the type's own example, else what they say is nearest."""
    example = kind.example
    for _ in range(3):
        try:
            kind.parse(example)
        except WrongValue as error:
            if error.fix is None:
                return example
            example = error.fix
        else:
            return example
    return example
