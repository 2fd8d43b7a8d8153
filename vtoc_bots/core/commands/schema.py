"""A command's parameters as JSON Schema, for tools and tests."""

from __future__ import annotations

from typing import Any

from vtoc_bots.core.commands.spec import CommandSpec, Param


def json_schema(spec: CommandSpec) -> dict[str, Any]:
    """The object that `bind_values` takes."""
    return {
        "type": "object",
        "properties": {param.name: _property(param) for param in spec.params},
        "required": sorted(spec.required),
        "additionalProperties": {"type": "string"} if spec.inputs else False,
    }


def _property(param: Param) -> dict[str, Any]:
    made = {"description": param.help or param.type.accepts, **param.type.schema}
    if param.help:
        made["description"] = param.help
    if not param.required and param.default is not None:
        made["default"] = param.type.canonical(param.default)
    return made
