"""Actions: typed functions that playbook steps use, and how they are called."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from vtoc_bots.core.access import Level
from vtoc_bots.core.errors import ActionError, PluginError, UsageError
from vtoc_bots.core.ports import ActionSpec
from vtoc_bots.core.values import Duration, Time

MAX_OUTPUT_BYTES: Final = 256 * 1024
"""A step's output is a row in the database, read at every step after it; what is larger is stored as a blob."""

_WRITTEN_AS: Final[Mapping[Any, Any]] = {timedelta: Duration, datetime: Time}
"""Types that a signature may name plainly, and the form that reads what people and playbooks write."""

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


def action(
    name: str,
    *,
    summary: str | None = None,
    sends: str | None = None,
    level: str = "operator",
    in_chat: bool = False,
) -> Callable[[Callable[..., Awaitable[Any]]], ActionSpec]:
    """Make an ActionSpec of ``async def f(ctx, one: T, two: U = default) -> Result``.

    Every parameter after the first and the result need type annotations that pydantic knows; `Area`, `Position`,
    `timedelta` and `datetime` read the texts that people write for them. `summary` is by default the docstring's first
    line, `sends` says in words what goes to whom outside, for the dry run. `in_chat`: it works for nobody but an
    operator who asked in a chat. Raises PluginError where the signature won't do.
    """

    def make(call: Callable[..., Awaitable[Any]]) -> ActionSpec:
        try:
            Level.parse(level)
        except ValueError as error:
            raise PluginError(f"action {name}: {error}") from error
        hints = _hints(name, call)
        doc = (inspect.getdoc(call) or "").partition("\n")[0]
        return ActionSpec(
            name=name,
            call=call,
            inputs=_inputs_model(name, call, hints),
            output=_output_adapter(name, hints),
            summary=doc if summary is None else summary,
            level=level,
            sends=sends,
            in_chat=in_chat,
        )

    return make


def output_adapter(spec: ActionSpec) -> TypeAdapter[Any]:
    """The adapter of an action's output, also where its spec was not made by `action` and holds a plain type."""
    return spec.output if isinstance(spec.output, TypeAdapter) else TypeAdapter(spec.output)


def checked_inputs(spec: ActionSpec, values: Mapping[str, Any]) -> BaseModel:
    """The values as the action's input model. Raises UsageError naming every one that is wrong."""
    try:
        return spec.inputs.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(f"{spec.name}: {explain(error)}") from error


async def act(spec: ActionSpec, ctx: Any, values: Mapping[str, Any]) -> Any:
    """Call an action and return its result, checked against its annotation.

    Raises UsageError when the values don't fit its parameters, ActionError when the result isn't what it promises, and
    whatever the action raises.
    """
    inputs = checked_inputs(spec, values)
    result = await spec.call(ctx, **{name: getattr(inputs, name) for name in type(inputs).model_fields})
    try:
        return output_adapter(spec).validate_python(result)
    except ValidationError as error:
        raise ActionError(f"{spec.name} returned something else than it promises: {explain(error)}") from error


async def call_action(spec: ActionSpec, ctx: Any, values: Mapping[str, Any]) -> Any:
    """`act`, with the result as plain JSON values of at most MAX_OUTPUT_BYTES: a step's output.

    Raises what `act` raises, and ActionError when the result is too large.
    """
    result = await act(spec, ctx, values)
    encoded = output_adapter(spec).dump_json(result)
    if len(encoded) > MAX_OUTPUT_BYTES:
        raise ActionError(
            f"{spec.name} returned {len(encoded):,} bytes, {MAX_OUTPUT_BYTES:,} at most; "
            "it must store what is large with ctx.blobs and return a reference"
        )
    return orjson.loads(encoded)


def explain(error: ValidationError) -> str:
    """A validation error in one line: each wrong value's place and what is wrong with it."""
    parts = []
    for item in error.errors(include_url=False, include_context=False):
        place = ".".join(str(key) for key in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        parts.append(f"{place}: {message}" if place else message)
    return "; ".join(parts)


def _hints(name: str, call: Callable[..., Awaitable[Any]]) -> dict[str, Any]:
    if not inspect.iscoroutinefunction(call):
        raise PluginError(f"action {name}: {_place(call)} must be an async function")
    try:
        return get_type_hints(call, include_extras=True)
    except NameError as error:
        raise PluginError(
            f"action {name}: {_place(call)} has an annotation that can't be resolved ({error}); "
            "import the type at the top of its module, not under TYPE_CHECKING"
        ) from error


def _inputs_model(name: str, call: Callable[..., Awaitable[Any]], hints: Mapping[str, Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for parameter in _parameters(name, call):
        if parameter.name not in hints:
            raise PluginError(f"action {name}: parameter {parameter.name} of {_place(call)} needs a type annotation")
        if parameter.name.startswith("_") or hasattr(BaseModel, parameter.name):
            raise PluginError(f"action {name}: parameter {parameter.name} of {_place(call)} needs another name")
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (_written(hints[parameter.name]), default)
    config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), arbitrary_types_allowed=False)
    try:
        model: type[BaseModel] = create_model(f"{name} inputs", __config__=config, **fields)
        # Types that have no JSON form can't come from a playbook: found here, not at the first run.
        model.model_json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise PluginError(f"action {name}: {_place(call)}: {str(error).splitlines()[0]}") from error
    return model


def _parameters(name: str, call: Callable[..., Awaitable[Any]]) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(call).parameters.values())
    if not parameters:
        raise PluginError(f"action {name}: {_place(call)} must take the context as its first parameter")
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    for parameter in parameters[1:]:
        if parameter.kind not in named:
            raise PluginError(f"action {name}: {_place(call)} may not take {parameter}; name each parameter")
    return parameters[1:]


def _output_adapter(name: str, hints: Mapping[str, Any]) -> TypeAdapter[Any]:
    if "return" not in hints:
        raise PluginError(f"action {name}: it needs a return annotation, None where it returns nothing")
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(_written(hints["return"]))
        adapter.json_schema(mode="serialization")
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise PluginError(f"action {name}: its result: {str(error).splitlines()[0]}") from error
    return adapter


def _written(hint: Any) -> Any:
    """The annotation with plain value types replaced by those that read text, also inside ``X | None``."""
    if get_origin(hint) in (Union, UnionType):
        return reduce(or_, (_written(part) for part in get_args(hint)))
    if get_origin(hint) is Annotated:
        return hint
    return _WRITTEN_AS.get(hint, hint) if inspect.isclass(hint) else hint


def _place(call: Callable[..., Awaitable[Any]]) -> str:
    return f"{getattr(call, '__module__', '?')}.{getattr(call, '__qualname__', call)}"
