"""What is known of a value's type before a run: its shape, from JSON Schemas, input types and literals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vtoc_bots.core.playbooks.expressions import Expression, Joined, ListOf, Literal, MappingOf, Template

ALL: Final = frozenset({"null", "boolean", "number", "string", "array", "object"})
QUANTITIES: Final = frozenset({"duration", "distance", "speed", "altitude", "area", "position", "time"})
"""Value types whose JSON forms look alike and must not be mixed up."""

_WORDS: Final = {
    "null": "nothing",
    "boolean": "true or false",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The kinds (of JSON) that a value may be of, and what is known inside.

    `fields` None: unknown; `closed`: it has no others. `name` is a model's or value type's name.
    """

    kinds: frozenset[str] = ALL
    fields: Mapping[str, Shape] | None = None
    closed: bool = False
    open: bool = False
    """It says itself that it may have others."""
    required: frozenset[str] = frozenset()
    items: Shape | None = None
    name: str = ""

    def __str__(self) -> str:
        """The shape in words, for error texts."""
        if self.name:
            return f"{'an' if self.name[0].lower() in 'aeio' else 'a'} {self.name}"
        if self.kinds >= ALL:
            return "any value"
        return (
            " or ".join(_WORDS[kind] for kind in sorted(self.kinds, key=list(_WORDS).index) if kind != "null")
            or (_WORDS["null"])
        )


ANY: Final = Shape()
TEXT: Final = Shape(frozenset({"string"}))
NUMBER: Final = Shape(frozenset({"number"}))
BOOLEAN: Final = Shape(frozenset({"boolean"}))
NULL: Final = Shape(frozenset({"null"}))


def list_of(items: Shape) -> Shape:
    """A list of such values."""
    return Shape(frozenset({"array"}), items=items)


def record(fields: Mapping[str, Shape]) -> Shape:
    """A mapping with exactly these fields."""
    return Shape(frozenset({"object"}), fields=fields, closed=True, required=frozenset(fields))


def nullable(shape: Shape) -> Shape:
    """The shape, or null."""
    return replace(shape, kinds=shape.kinds | {"null"})


def union(shapes: Iterable[Shape]) -> Shape:
    """What is known of a value that is of one of these shapes."""
    options = list(shapes)
    kinds = frozenset[str]().union(*(option.kinds for option in options))
    real = [option for option in options if option.kinds != NULL.kinds]
    if len(real) == 1:
        return replace(real[0], kinds=kinds)
    with_items = [shape for shape in real if "array" in shape.kinds]
    with_fields = [shape for shape in real if "object" in shape.kinds]
    inside = with_fields[0] if len(with_fields) == 1 else ANY
    return Shape(
        kinds,
        fields=inside.fields,
        closed=inside.closed,
        required=inside.required,
        items=with_items[0].items if len(with_items) == 1 else None,
    )


def shape_of_schema(schema: Mapping[str, Any]) -> Shape:
    """The shape that a JSON Schema (as pydantic writes them, 2020-12) allows; ANY where it can't be told."""
    return _shape(schema, schema.get("$defs", {}), depth=0)


def _shape(schema: Any, definitions: Mapping[str, Any], depth: int) -> Shape:
    if not isinstance(schema, Mapping) or depth > 10:
        return ANY
    if "$ref" in schema:
        return _shape(definitions.get(str(schema["$ref"]).rpartition("/")[2]), definitions, depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return union([_shape(option, definitions, depth + 1) for option in schema[key]])
    if "const" in schema:
        return shape_of_value(schema["const"])
    if "enum" in schema:
        return union([shape_of_value(value) for value in schema["enum"]])
    kinds = schema.get("type")
    if kinds is None or "allOf" in schema:
        return ANY
    listed = [kinds] if isinstance(kinds, str) else list(kinds)
    known = frozenset("number" if kind == "integer" else str(kind) for kind in listed)
    fields = schema.get("properties")
    return Shape(
        known,
        fields=None if fields is None else {k: _shape(v, definitions, depth + 1) for k, v in fields.items()},
        closed=schema.get("additionalProperties") is False,
        open=schema.get("additionalProperties") not in (None, False),
        required=frozenset(schema.get("required", ())),
        items=_shape(schema["items"], definitions, depth + 1) if "items" in schema else None,
        name=str(schema.get("title", "")) if "object" in known and fields is not None else "",
    )


def shape_of_value(value: Any) -> Shape:
    """The shape of a plain JSON value."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOLEAN
        case int() | float():
            return NUMBER
        case str():
            return TEXT
        case list():
            return list_of(union([shape_of_value(item) for item in value]) if value else ANY)
        case dict():
            return record({str(key): shape_of_value(item) for key, item in value.items()})
        case _:
            return ANY


def shape_of_template(template: Template, shape_of: Callable[[Expression], Shape]) -> Shape:
    """The shape of what a template gives; `shape_of` tells those of its expressions."""
    match template:
        case Literal():
            return shape_of_value(template.value)
        case Expression():
            return shape_of(template)
        case Joined():
            return TEXT
        case ListOf():
            return list_of(union([shape_of_template(item, shape_of) for item in template.items]))
        case MappingOf():
            return record({key: shape_of_template(item, shape_of) for key, item in template.items})


def misfit(source: Shape, target: Shape) -> str | None:
    """Why a value of `source` can never be taken where `target` is wanted, in words; None where it can, or may.

    Null is let through beside other kinds: a value may be absent at run time only.
    """
    if {source.name, target.name} <= QUANTITIES and source.name != target.name:
        return f"is {source}, not {target}"
    kinds = source.kinds & target.kinds
    real = kinds - {"null"} if source.kinds != NULL.kinds else kinds
    if not real:
        return f"is {source}, not {target}"
    if real == {"array"} and source.items is not None and target.items is not None:
        inner = misfit(source.items, target.items)
        return None if inner is None else f"holds something that {inner}"
    if real == {"object"} and source.fields is not None and target.fields is not None:
        return _misfit_of_fields(source, target, source.fields, target.fields)
    return None


def _misfit_of_fields(source: Shape, target: Shape, have: Mapping[str, Shape], want: Mapping[str, Shape]) -> str | None:
    lacking = sorted(target.required - have.keys()) if source.closed else []
    foreign = sorted(have.keys() - want.keys()) if target.closed else []
    if source.name and target.name and source.name != target.name and (lacking or foreign):
        return f"is {source}, not {target}"
    if lacking:
        return f"lacks {', '.join(lacking)}"
    if foreign:
        return f"has {', '.join(foreign)}, which {target} has not"
    for name in have.keys() & want.keys():
        inner = misfit(have[name], want[name])
        if inner is not None:
            return f"has a {name} that {inner}"
    return None
