"""Checks JSON against Discord's own OpenAPI description, and refuses what it doesn't name."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("VTOC_TEST_DATA", ROOT.parent / "shared"))
SPEC = DATA / "specs" / "discord-openapi.json"


@cache
def specification() -> Mapping[str, Any] | None:
    """Discord's description, None where it is not at hand."""
    return json.loads(SPEC.read_text()) if SPEC.is_file() else None


def problems_of_request(method: str, path: str, body: Any) -> list[str]:
    """What is wrong with a request's JSON; nothing where the description is not at hand."""
    spec = specification()
    if spec is None:
        return []
    operation = _operation(spec, method, path)
    if operation is None:
        return [f"there is no {method} {path}"]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return [] if body is None else [f"{method} {path} takes no body"]
    return list(_problems(spec, content["schema"], body, "body"))


def problems_of_schema(name: str, value: Any) -> list[str]:
    """What is wrong with a value of a named schema."""
    spec = specification()
    return [] if spec is None else list(_problems(spec, {"$ref": f"#/components/schemas/{name}"}, value, name))


def _operation(spec: Mapping[str, Any], method: str, path: str) -> Mapping[str, Any] | None:
    fitting = [
        (template.count("{"), item)
        for template, item in spec["paths"].items()
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and method.lower() in item
    ]
    return min(fitting, key=lambda each: each[0])[1][method.lower()] if fitting else None


def _resolved(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = spec["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _problems(spec: Mapping[str, Any], schema: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
    schema = _resolved(spec, schema)
    for key in ("oneOf", "anyOf"):
        if key in schema and not _is_enumeration(schema[key]):
            tries = [list(_problems(spec, each, value, at)) for each in schema[key]]
            if all(tries):
                yield min(tries, key=len)[0] if len(tries) < 3 else f"{at}: fits none of {key}: {_nearest(tries)}"
            return
    if "allOf" in schema and "enum" not in schema:
        for each in schema["allOf"]:
            yield from _problems(spec, each, value, at)
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is not one of {schema['enum']}"
    types = schema.get("type")
    if types is not None and not any(_is(value, each) for each in ([types] if isinstance(types, str) else types)):
        yield f"{at}: {value!r:.60} is no {types}"
        return
    yield from _of_kind(spec, schema, value, at)


def _nearest(tries: list[list[str]]) -> str:
    """What is wrong with the alternative whose constants fit: most likely what was meant."""
    meant = [each for each in tries if not any("is not one of" in line for line in each)]
    return "; ".join(min(meant or tries, key=len)[:2])


def _is_enumeration(alternatives: list[Any]) -> bool:
    return all("const" in each for each in alternatives)


def _of_kind(spec: Mapping[str, Any], schema: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
    match value:
        case str():
            yield from _bounds(len(value), schema, "minLength", "maxLength", f"{at}: its length")
            if "pattern" in schema and not re.search(schema["pattern"], value):
                yield f"{at}: {value!r} does not match {schema['pattern']}"
        case bool():
            return
        case int() | float():
            yield from _bounds(value, schema, "minimum", "maximum", at)
        case list():
            yield from _bounds(len(value), schema, "minItems", "maxItems", f"{at}: its count")
            for index, each in enumerate(value):
                yield from _problems(spec, schema.get("items", {}), each, f"{at}[{index}]")
        case dict():
            yield from _of_object(spec, schema, value, at)


def _of_object(spec: Mapping[str, Any], schema: Mapping[str, Any], value: dict[str, Any], at: str) -> Iterator[str]:
    known = schema.get("properties", {})
    more = schema.get("additionalProperties")
    yield from (f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value)
    for name, each in value.items():
        if name in known:
            yield from _problems(spec, known[name], each, f"{at}.{name}")
        elif isinstance(more, dict):
            yield from _problems(spec, more, each, f"{at}.{name}")
        elif known:
            yield f"{at}: Discord knows no {name}"


def _bounds(value: float, schema: Mapping[str, Any], least: str, most: str, what: str) -> Iterator[str]:
    if least in schema and value < schema[least]:
        yield f"{what} is {value}, less than {schema[least]}"
    if most in schema and value > schema[most]:
        yield f"{what} is {value}, more than {schema[most]}"


def _is(value: Any, kind: str) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case _:
            return isinstance(value, dict)
