"""A handler's signature to a command's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType, NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from vtoc_bots.core.commands.constraints import constrained
from vtoc_bots.core.commands.spec import Handler, Param, ParamKind
from vtoc_bots.core.errors import PluginError
from vtoc_bots.core.values import (
    AREA,
    BOOL,
    DURATION,
    INT,
    NUMBER,
    POSITION,
    REST,
    STRING,
    TIME,
    Area,
    Position,
    ValueType,
    choice_type,
)

_PLAIN_TYPES: Final[Mapping[Any, ValueType[Any]]] = MappingProxyType(
    {
        str: STRING,
        int: INT,
        float: NUMBER,
        bool: BOOL,
        timedelta: DURATION,
        datetime: TIME,
        Area: AREA,
        Position: POSITION,
    }
)
_Signature = inspect.Parameter


def params_of(name: str, call: Handler) -> tuple[tuple[Param, ...], bool]:
    """The parameters of a handler after its context, and whether it takes free ``**inputs: str``.

    A bare text in ``Annotated`` is the parameter's help. Raises PluginError naming the command, the function and the
    parameter for what a command can't have.
    """
    where = f"command {name}: {call.__module__}.{call.__qualname__}"
    if not inspect.iscoroutinefunction(call):
        raise PluginError(f"{where} must be an async function")
    _, *rest = _with_context(where, call)
    hints = _hints(where, call, rest)
    inputs = any(each.kind is _Signature.VAR_KEYWORD for each in rest)
    params = tuple(_param(where, each, hints) for each in rest if each.kind is not _Signature.VAR_KEYWORD)
    _check(where, params)
    return params, inputs


def value_type_of(annotation: Any) -> ValueType[Any]:
    """The value type of an annotation without None. Raises ValueError for types that have no text form."""
    metadata: tuple[Any, ...] = ()
    if get_origin(annotation) is Annotated:
        annotation, *extra = get_args(annotation)
        metadata = tuple(extra)
    given = next((each for each in metadata if isinstance(each, ValueType)), None)
    base = given or _bare_type(annotation)
    return constrained(base, [each for each in metadata if each is not given and not isinstance(each, str)])


def _bare_type(annotation: Any) -> ValueType[Any]:
    if annotation in _PLAIN_TYPES:
        return _PLAIN_TYPES[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return choice_type({_word(member): member for member in annotation})
    if get_origin(annotation) is Literal:
        return choice_type({str(value): value for value in get_args(annotation)})
    raise ValueError(
        f"{annotation!r} has no text form; use str, int, float, bool, an Enum or Literal, timedelta, datetime, Area, "
        "or one of the types that vtoc_bots exports (Duration, Distance, TrackId, Rest …)"
    )


def _word(member: Enum) -> str:
    return member.value if isinstance(member.value, str) else member.name.lower()


def _with_context(where: str, call: Handler) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(call).parameters.values())
    if not parameters or parameters[0].kind not in (_Signature.POSITIONAL_ONLY, _Signature.POSITIONAL_OR_KEYWORD):
        raise PluginError(f"{where} must take the context first: async def {call.__name__}(ctx, …)")
    return parameters


def _hints(where: str, call: Handler, parameters: Iterable[inspect.Parameter]) -> dict[str, Any]:
    """Annotations of the parameters alone: that of the context may stand under TYPE_CHECKING."""
    wanted = {each.name: call.__annotations__[each.name] for each in parameters if each.name in call.__annotations__}
    holder = SimpleNamespace(__annotations__=wanted)
    try:
        return get_type_hints(holder, getattr(call, "__globals__", {}), include_extras=True)
    except NameError as error:
        raise PluginError(
            f"{where} has an annotation that can't be resolved ({error}); import the type at the top of its module, "
            "not under TYPE_CHECKING"
        ) from error


def _param(where: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Param:
    name = parameter.name
    if name not in hints:
        raise PluginError(f"{where}: parameter {name} needs a type annotation")
    if parameter.kind is _Signature.VAR_POSITIONAL:
        raise PluginError(f"{where}: *{name} can't be a parameter; take Rest for the remaining text")
    annotation, nullable, texts = _taken_apart(hints[name])
    try:
        kind_of_value = value_type_of(annotation)
    except ValueError as error:
        raise PluginError(f"{where}: parameter {name}: {error}") from error
    required = parameter.default is _Signature.empty
    default = None if required else parameter.default
    if not required and not (default is None and nullable):
        try:
            default = kind_of_value.read(default)
        except ValueError as error:
            raise PluginError(f"{where}: the default of {name} is wrong: {error}") from error
    return Param(name, kind_of_value, _kind(parameter, kind_of_value), required, default, " ".join(texts))


def _taken_apart(annotation: Any) -> tuple[Any, bool, list[str]]:
    """The annotation without None, whether None was in it, and its help texts."""
    texts = [each for each in getattr(annotation, "__metadata__", ()) if isinstance(each, str)]
    outer = annotation
    if get_origin(annotation) is Annotated:
        outer = get_args(annotation)[0]
    if get_origin(outer) not in (Union, UnionType):
        return annotation, False, texts
    members = [each for each in get_args(outer) if each is not NoneType]
    nullable = len(members) < len(get_args(outer))
    if len(members) != 1:
        return outer, nullable, texts
    inner, _, more = _taken_apart(members[0])
    extra = getattr(annotation, "__metadata__", ())
    return (Annotated[inner, *extra] if extra else inner), nullable, texts + more


def _kind(parameter: inspect.Parameter, kind: ValueType[Any]) -> ParamKind:
    if parameter.kind is _Signature.KEYWORD_ONLY:
        return ParamKind.OPTION
    if kind is REST:
        return ParamKind.REST
    return ParamKind.PLACE_ONLY if parameter.kind is _Signature.POSITIONAL_ONLY else ParamKind.POSITIONAL


def _check(where: str, params: tuple[Param, ...]) -> None:
    places = [each for each in params if each.is_positional]
    for each in params:
        if each.kind is ParamKind.REST and each is not places[-1]:
            raise PluginError(f"{where}: {each.name} takes the remaining text, so nothing can follow it")
        if each.type is REST and each.kind is ParamKind.OPTION:
            raise PluginError(f"{where}: {each.name} takes the remaining text, so it can't be an option; use str")
