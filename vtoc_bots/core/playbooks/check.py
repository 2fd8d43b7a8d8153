"""Whether what a step gives its action can be what the action takes, told before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from vtoc_bots.core.documents import Keys, nearest
from vtoc_bots.core.playbooks.actions import output_adapter
from vtoc_bots.core.playbooks.expressions import Expression, Literal, Template
from vtoc_bots.core.playbooks.model import InputSpec
from vtoc_bots.core.playbooks.shapes import (
    ANY,
    BOOLEAN,
    NUMBER,
    TEXT,
    Shape,
    list_of,
    misfit,
    nullable,
    record,
    shape_of_schema,
    shape_of_template,
)
from vtoc_bots.core.ports import ActionSpec
from vtoc_bots.core.values import Area, Position, ValueType

_INPUT_KINDS: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(("int", "number", "duration", "distance", "speed", "altitude"), NUMBER),
    "bool": BOOLEAN,
}
_CLASSES: Final[Mapping[Any, str]] = {Area: "area", Position: "position"}

STATION: Final = record(
    {
        **dict.fromkeys(("slug", "callsign", "name", "role", "timezone"), TEXT),
        **dict.fromkeys(("latitude", "longitude", "radius_m"), nullable(NUMBER)),
    }
)
RUN: Final = record(
    {
        **dict.fromkeys(("id", "short_id", "playbook", "title", "created_at"), TEXT),
        **dict.fromkeys(("operator", "conversation", "correlation_id"), nullable(TEXT)),
    }
)
APPROVED: Final = record({"approved_by": list_of(TEXT), "decided_at": nullable(TEXT), "comment": nullable(TEXT)})
"""What a step that only asks for approval gives."""
WAITED: Final = record({"until": TEXT})
"""What a step that waited for a time gives."""
ANSWERED: Final = nullable(record({"text": TEXT, "operator": TEXT, "at": TEXT}))
"""What a step that waited for a message gives; null when none came."""


def input_shape(spec: InputSpec) -> Shape:
    """The shape of an input's canonical value."""
    shape = replace(_INPUT_KINDS.get(spec.type, TEXT), name=spec.type)
    if spec.type in ("string", "int", "number", "bool", "choice"):
        shape = replace(shape, name="")
    return shape if spec.required or spec.default is not None else nullable(shape)


def output_shape(spec: ActionSpec) -> Shape:
    """The shape of an action's output as later steps see it; a model has no other fields than it declares."""
    return _sealed(shape_of_schema(output_adapter(spec).json_schema(mode="serialization")))


def returns_card(spec: ActionSpec) -> bool:
    """Whether an action's output is a card and nothing else."""
    shape = output_shape(spec)
    return shape.name == "Card" and shape.kinds == {"object"}


def parameter_shapes(spec: ActionSpec) -> dict[str, Shape]:
    """The shapes of what an action takes, by parameter."""
    schema = spec.inputs.model_json_schema()
    definitions = schema.get("$defs", {})
    shapes = {}
    for name, field in spec.inputs.model_fields.items():
        shape = shape_of_schema({**schema["properties"].get(name, {}), "$defs": definitions})
        kind = _value_type(field.annotation, field.metadata)
        shapes[name] = shape if kind is None else replace(shape, name=kind)
    return shapes


def call_problems(
    spec: ActionSpec, given: Mapping[str, Template], shape_of: Callable[[Expression], Shape]
) -> Iterator[tuple[Keys, str]]:
    """What is wrong with the values given to an action, each with the keys under ``with`` where it is."""
    known = spec.inputs.model_fields
    literals = {name: template.value for name, template in given.items() if isinstance(template, Literal)}
    try:
        spec.inputs.model_validate(literals)
    except ValidationError as error:
        for part in error.errors(include_url=False, include_context=False):
            name = str(part["loc"][0]) if part["loc"] else ""
            if part["type"] == "missing" and len(part["loc"]) == 1:
                if name not in given:
                    yield (), f"{spec.name} needs {name} ({_kind_of(spec, name)}); add it to with"
            elif part["type"] == "extra_forbidden" and len(part["loc"]) == 1:
                yield (name,), _unknown(spec, name)
            elif name in literals:
                message = part["msg"].removeprefix("Value error, ")
                yield part["loc"], f"{'.'.join(str(key) for key in part['loc'])}: {message}"
    shapes = parameter_shapes(spec)
    for name, template in given.items():
        if isinstance(template, Literal):
            continue
        if name in known:
            why = misfit(shape_of_template(template, shape_of), shapes[name])
            if why is not None:
                yield (name,), f"{spec.name} can't take this as {name}: it {why}"
        elif spec.inputs.model_config.get("extra") == "forbid":
            yield (name,), _unknown(spec, name)


def _unknown(spec: ActionSpec, name: str) -> str:
    known = list(spec.inputs.model_fields)
    takes = f" It takes {', '.join(known)}." if known else " It takes nothing."
    return f"{spec.name} takes no {name}.{nearest(name, known) or takes}"


def _kind_of(spec: ActionSpec, name: str) -> str:
    return str(parameter_shapes(spec).get(name, ANY))


def _sealed(shape: Shape) -> Shape:
    fields = None if shape.fields is None else {name: _sealed(field) for name, field in shape.fields.items()}
    items = None if shape.items is None else _sealed(shape.items)
    return replace(shape, fields=fields, items=items, closed=shape.closed or (fields is not None and not shape.open))


def _value_type(annotation: Any, metadata: Any = ()) -> str | None:
    """The name of the value type that an annotation reads, also inside ``X | None``."""
    for item in metadata:
        if isinstance(item, ValueType):
            return item.name
    if get_origin(annotation) is Annotated:
        inner, *rest = get_args(annotation)
        return _value_type(inner, rest)
    if get_origin(annotation) in (Union, UnionType):
        kinds = {_value_type(part) for part in get_args(annotation) if part is not type(None)}
        return kinds.pop() if len(kinds) == 1 else None
    if isinstance(annotation, type) and not issubclass(annotation, BaseModel):
        return _CLASSES.get(annotation)
    return None
