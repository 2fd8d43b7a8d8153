"""Signatures to commands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Interval, Le, Len, Lt, MultipleOf, Predicate

from vtoc_bots.core.access import Ask, Level
from vtoc_bots.core.cards import Card
from vtoc_bots.core.commands import Call, CommandSpec, ParamKind, bind_text, bind_values, command, json_schema
from vtoc_bots.core.errors import PluginError, UsageError
from vtoc_bots.core.telemetry import nm
from vtoc_bots.core.values import Area, Distance, Duration, Position, Rest, TrackId

if TYPE_CHECKING:
    from decimal import Decimal as Context


class Kind(Enum):
    AIR = "air"
    SEA = "sea"


@command(
    "track watch", level="lead", roles={"ops", "intel"}, aliases=("watch",), examples=("/track watch A1 --dry-run",)
)
async def watch(
    ctx: Context,  # known to type checkers alone: a handler's context is never looked at
    target: Annotated[TrackId, "what to watch"],
    radius: Distance = nm(5),  # noqa: B008  a number
    *,
    minutes: Annotated[int, Ge(1), Le(240)] = 30,
    kind: Kind | None = None,
    dry_run: bool = False,
) -> Card:
    """Alert this conversation when a track comes within a radius.

    It stops by itself.
    """
    return Card.of(f"{target} {radius} {minutes} {kind} {dry_run}")


def test_a_signature_becomes_a_specification() -> None:
    assert watch.name == "track watch"
    assert watch.level is Level.LEAD
    assert watch.roles == {"ops", "intel"}
    assert watch.names == ("track watch", "watch")
    assert watch.native_name == "track_watch"
    assert watch.summary == "Alert this conversation when a track comes within a radius."
    assert watch.help == "It stops by itself."
    assert watch.ask == Ask("command:track watch", Level.LEAD, frozenset({"ops", "intel"}))
    assert [(p.name, p.type.name, p.kind, p.required, p.default) for p in watch.params] == [
        ("target", "track", ParamKind.POSITIONAL, True, None),
        ("radius", "distance", ParamKind.POSITIONAL, False, 9260.0),
        ("minutes", "int", ParamKind.OPTION, False, 30),
        ("kind", "choice", ParamKind.OPTION, False, None),
        ("dry_run", "bool", ParamKind.OPTION, False, False),
    ]
    assert watch.params[0].help == "what to watch"
    assert watch.params[4].label == "dry-run"
    assert watch.params[4].is_switch


async def test_a_call_gives_the_handler_its_values_by_place_and_by_name() -> None:
    call = bind_text(watch, "A1 --kind sea --dry-run")
    assert isinstance(call, Call)
    assert (await call(None)).title == "A1 9260.0 30 Kind.SEA True"


def test_a_calls_arguments_are_canonical_json_and_make_the_same_call_again() -> None:
    call = bind_text(watch, "A1 10nm kind=SEA")
    assert isinstance(call, Call)
    arguments = {"target": "A1", "radius": 18520, "minutes": 30, "kind": "sea", "dry_run": False}
    assert call.arguments() == arguments
    assert bind_values(watch, arguments) == call
    assert call.ask("telegram", True) == Ask(
        "command:track watch", Level.LEAD, frozenset({"ops", "intel"}), arguments, "telegram", True
    )


async def every(
    ctx: Any,
    a: str,
    b: int,
    c: float,
    d: bool,
    e: Literal["x", "y", 3],
    f: timedelta,
    g: datetime,
    h: Area,
    i: Position,
    j: Duration | None = None,
    k: Annotated[Distance | None, "how far"] = None,
    *,
    n: Annotated[int | None, Ge(1)] = None,
) -> Card:
    """Everything."""
    return Card.of("x")


def test_every_type_is_known() -> None:
    spec = command("every")(every)
    assert [param.type.name for param in spec.params] == [
        *("string", "int", "number", "bool", "choice", "duration", "time", "area", "position"),
        *("duration", "distance", "int"),
    ]
    assert spec.params[10].help == "how far"
    call = bind_text(spec, "a 1 2.5 yes 3 10m 2026-01-01T00:00Z 40nm 49,2")
    assert isinstance(call, Call)
    assert call.values["e"] == 3
    assert call.values["g"] == datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(UsageError, match="n: “0” is not at least 1"):
        bind_text(spec, "a 1 2.5 yes 3 10m 2026-01-01T00:00Z 40nm 49,2 --n 0")


def test_a_parameter_that_has_only_a_place_is_known_as_such() -> None:
    async def placed(ctx: Any, a: str, /, b: str = "") -> Card:
        """Placed."""
        return Card.of("x")

    spec = command("placed")(placed)
    assert [param.kind for param in spec.params] == [ParamKind.PLACE_ONLY, ParamKind.POSITIONAL]
    assert set(spec.by_name) == {"b"}


class Priority(Enum):
    NOT_NOW = 1
    NOW = 2


def test_an_enum_of_numbers_goes_by_its_names() -> None:
    async def rank(ctx: Any, priority: Priority) -> Card:
        """Rank."""
        return Card.of("x")

    spec = command("rank")(rank)
    assert [value for value, _ in spec.params[0].type.choices] == ["not_now", "now"]
    call = bind_text(spec, "NOT-NOW")
    assert isinstance(call, Call)
    assert call.values["priority"] is Priority.NOT_NOW


@pytest.mark.parametrize(
    ("limit", "good", "bad", "said"),
    [
        (Ge(2), "2", "1", "at least 2"),
        (Gt(2), "3", "2", "above 2"),
        (Le(2), "2", "3", "at most 2"),
        (Lt(2), "1", "2", "below 2"),
        (MultipleOf(5), "10", "11", "a multiple of 5"),
        (Interval(ge=1, le=3), "3", "4", "at least 1 and at most 3"),
    ],
)
def test_a_limit_is_checked_and_said(limit: Any, good: str, bad: str, said: str) -> None:
    async def limited(ctx: Any, n: int) -> Card:
        """Limited."""
        return Card.of("x")

    limited.__annotations__["n"] = Annotated[int, limit]
    spec = command("limited")(limited)
    assert isinstance(bind_text(spec, good), Call)
    with pytest.raises(UsageError) as caught:
        bind_text(spec, bad)
    assert str(caught.value).split(" is not ")[1] in said
    assert said in spec.params[0].type.accepts


def test_a_length_is_checked() -> None:
    async def limited(ctx: Any, text: Annotated[str, Len(2, 4)]) -> Card:
        """Limited."""
        return Card.of("x")

    spec = command("limited")(limited)
    assert isinstance(bind_text(spec, "abcd"), Call)
    assert isinstance(bind_text(spec, "ab"), Call)
    for bad in ("a", "abcde"):
        with pytest.raises(UsageError, match="characters long"):
            bind_text(spec, bad)
    assert json_schema(spec)["properties"]["text"]["minLength"] == 2


def test_the_json_schema_says_what_may_be_given() -> None:
    schema = json_schema(watch)
    assert schema["required"] == ["target"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["target"]["description"] == "what to watch"
    assert schema["properties"]["minutes"] == {
        "description": "a whole number such as 30, at least 1 and at most 240",
        "type": ["integer", "string"],
        "minimum": 1,
        "maximum": 240,
        "default": 30,
    }
    assert schema["properties"]["radius"]["default"] == 9260


async def plain(ctx: Any) -> Card:
    """Plain."""
    return Card.of("x")


def not_async(ctx: Any) -> Card:
    """Plain."""
    return Card.of("x")


async def no_context() -> Card:
    """Plain."""
    return Card.of("x")


async def no_docstring(ctx: Any) -> Card:
    return Card.of("x")


async def no_annotation(ctx: Any, a) -> Card:  # type: ignore[no-untyped-def]  # what a plugin may get wrong
    """Plain."""
    return Card.of("x")


async def strange_type(ctx: Any, a: bytes) -> Card:
    """Plain."""
    return Card.of("x")


async def two_types(ctx: Any, a: int | str) -> Card:
    """Plain."""
    return Card.of("x")


async def many(ctx: Any, *a: str) -> Card:
    """Plain."""
    return Card.of("x")


async def unknown_name(ctx: Any, a: Context) -> Card:
    """Plain."""
    return Card.of("x")


async def wrong_default(ctx: Any, a: Annotated[int, Ge(5)] = 1) -> Card:
    """Plain."""
    return Card.of("x")


async def rest_first(ctx: Any, a: Rest, b: str) -> Card:
    """Plain."""
    return Card.of("x")


async def rest_option(ctx: Any, *, a: Rest) -> Card:
    """Plain."""
    return Card.of("x")


async def strange_limit(ctx: Any, a: Annotated[int, Predicate(bool)]) -> Card:
    """Plain."""
    return Card.of("x")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (not_async, "must be an async function"),
        (no_context, "must take the context first"),
        (no_docstring, "needs a docstring"),
        (no_annotation, "parameter a needs a type annotation"),
        (strange_type, "parameter a: <class 'bytes'> has no text form; use str, int"),
        (two_types, "has no text form"),
        (many, r"\*a can't be a parameter; take Rest"),
        (unknown_name, "can't be resolved .*; import the type at the top of its module"),
        (wrong_default, "the default of a is wrong: “1” is not at least 5"),
        (rest_first, "a takes the remaining text, so nothing can follow it"),
        (rest_option, "can't be an option; use str"),
        (strange_limit, "is no limit that commands know"),
    ],
)
def test_a_wrong_signature_is_explained_with_its_place(call: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message) as caught:
        command("wrong")(call)
    assert "command wrong: " in str(caught.value)
    assert call.__name__ in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Track"}, "'Track' is no command name"),
        ({"name": "a" * 33}, "at most 32 characters"),
        ({"aliases": ("bad_alias",)}, "'bad_alias' is no command name"),
        ({"level": "boss"}, "unknown level 'boss': observer, operator, lead or admin"),
        ({"roles": {"sales"}}, "no role sales; roles are ops, intel and logistics"),
        ({"examples": ("/other",)}, "'/other' does not begin with its name"),
        ({"examples": ("/plain x",)}, "'/plain x' is wrong: “x” is one word too many"),
    ],
)
def test_a_wrong_declaration_is_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        command(**{"name": "plain", **options})(plain)


def test_an_example_that_lacks_something_is_wrong() -> None:
    with pytest.raises(PluginError, match="/track watch needs target"):
        command("track watch", examples=("/track watch",))(watch.call)


def test_a_command_may_be_open_to_anyone() -> None:
    spec: CommandSpec = command("link", level=None)(plain)
    assert spec.level is None
    assert spec.ask.level is None
