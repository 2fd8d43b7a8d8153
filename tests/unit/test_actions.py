"""Actions: what a signature becomes, and that what goes in and comes out is checked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from vtoc_bots.core.cards import Card
from vtoc_bots.core.errors import ActionError, PluginError, UsageError
from vtoc_bots.core.playbooks.actions import (
    MAX_OUTPUT_BYTES,
    act,
    action,
    call_action,
    checked_inputs,
    output_adapter,
)
from vtoc_bots.core.ports import ActionSpec
from vtoc_bots.core.values import Area, Distance, Position


class Count(BaseModel):
    """A model for the tests."""

    total: int
    names: tuple[str, ...] = ()


@action("count.words", sends="a note to the printer", level="lead")
async def count_words(ctx: Any, text: str, times: int = 1, *, loud: bool = False) -> Count:
    """Count the words of a text.

    More that nobody needs.
    """
    return Count(total=len(text.split()) * times, names=("LOUD",) if loud else ())


@action("echo")
async def echo(
    ctx: Any,
    area: Area | None = None,
    radius: Distance = 5.0,
    window: timedelta | None = None,
    at: datetime | None = None,
    place: Position | None = None,
    kind: Literal["a", "b"] = "a",
    counts: list[Count] | None = None,
) -> dict[str, str]:
    """Say what was given."""
    return {"all": repr((area, radius, window, at, place, kind, counts))}


async def test_an_action_is_described_by_its_signature_and_docstring() -> None:
    assert count_words.name == "count.words"
    assert count_words.summary == "Count the words of a text."
    assert (count_words.sends, count_words.level) == ("a note to the printer", "lead")
    schema = count_words.inputs.model_json_schema()
    assert schema["required"] == ["text"]
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {"text", "times", "loud"}
    assert output_adapter(count_words).json_schema()["title"] == "Count"


async def test_a_call_gives_the_result_as_a_model_and_as_json() -> None:
    assert await act(count_words, None, {"text": "a b", "times": 2}) == Count(total=4)
    assert await call_action(count_words, None, {"text": "a b", "loud": True}) == {"total": 2, "names": ["LOUD"]}


async def test_values_are_read_as_people_and_playbooks_write_them() -> None:
    said = await call_action(
        echo,
        None,
        {
            "area": "40nm",
            "radius": "1km",
            "window": 600,
            "at": "2026-01-02T03:04Z",
            "place": "49.0,2.5",
            "kind": "b",
            "counts": [{"total": 1}],
        },
    )
    moment = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    expected = (
        Area(radius_m=74080.0),
        1000.0,
        timedelta(minutes=10),
        moment,
        Position(49.0, 2.5),
        "b",
        [Count(total=1)],
    )
    assert said == {"all": repr(expected)}


async def test_values_that_are_objects_already_are_taken_as_they_are() -> None:
    said = await call_action(echo, None, {"area": Area(everywhere=True), "window": timedelta(1)})
    assert "everywhere=True" in said["all"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "text: Field required"),
        ({"text": "a", "volume": 3}, "volume: Extra inputs"),
        ({"text": "a", "times": "often"}, "times: "),
        ({"text": 3, "times": "often"}, "text: .*; times: "),
    ],
)
async def test_wrong_values_are_the_callers_mistake_and_all_named(values: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=f"count.words: {says}"):
        await call_action(count_words, None, values)


async def test_a_wrong_quantity_says_what_is_accepted() -> None:
    with pytest.raises(UsageError, match="write a distance such as 40nm"):
        checked_inputs(echo, {"radius": "far"})


async def test_a_result_that_is_not_what_was_promised_is_the_actions_error() -> None:
    @action("liar")
    async def liar(ctx: Any) -> Count:
        return {"total": "many"}  # type: ignore[return-value]  # the lie under test

    with pytest.raises(ActionError, match=r"liar returned something else than it promises: total"):
        await call_action(liar, None, {})


async def test_a_result_that_is_too_large_is_refused_with_the_way_out() -> None:
    @action("whale")
    async def whale(ctx: Any) -> str:
        return "x" * MAX_OUTPUT_BYTES

    with pytest.raises(ActionError, match=r"ctx\.blobs"):
        await call_action(whale, None, {})


async def test_a_result_that_json_has_no_form_for_becomes_null() -> None:
    @action("nothing.finite")
    async def infinite(ctx: Any) -> list[float]:
        return [float("nan"), float("inf"), 1.0]

    assert await call_action(infinite, None, {}) == [None, None, 1.0]


async def test_an_action_may_return_nothing_or_a_card() -> None:
    @action("quiet")
    async def quiet(ctx: Any) -> None:
        pass

    @action("card")
    async def card(ctx: Any) -> Card:
        return Card.of("Hello", "you")

    assert await call_action(quiet, None, {}) is None
    assert Card.model_validate(await call_action(card, None, {})) == Card.of("Hello", "you")


async def test_a_spec_that_was_not_made_by_the_decorator_works_too() -> None:
    class Inputs(BaseModel):
        x: int

    async def double(ctx: Any, x: int) -> int:
        return 2 * x

    spec = ActionSpec("double", double, Inputs, int)
    assert await call_action(spec, None, {"x": 4}) == 8


def _make(function: Any, level: str = "operator") -> ActionSpec:
    return action("bad", level=level)(function)


class TestSignaturesThatWillNotDo:
    def test_a_plain_function(self) -> None:
        def plain(ctx: Any) -> None:
            pass

        with pytest.raises(PluginError, match="must be an async function"):
            _make(plain)

    def test_no_context(self) -> None:
        async def lonely() -> None:
            pass

        with pytest.raises(PluginError, match="context as its first parameter"):
            _make(lonely)

    def test_a_parameter_without_a_type(self) -> None:
        async def untyped(ctx, x) -> None:  # type: ignore[no-untyped-def]  # what is under test
            pass

        with pytest.raises(PluginError, match=r"parameter x .* needs a type"):
            _make(untyped)

    def test_a_result_without_a_type(self) -> None:
        async def untyped(ctx: Any):  # type: ignore[no-untyped-def]  # what is under test
            pass

        with pytest.raises(PluginError, match="return annotation"):
            _make(untyped)

    def test_free_parameters(self) -> None:
        async def free(ctx: Any, *words: str) -> None:
            pass

        with pytest.raises(PluginError, match=r"may not take \*words"):
            _make(free)

    def test_a_name_that_models_use_themselves(self) -> None:
        async def shadow(ctx: Any, copy: str) -> None:
            pass

        with pytest.raises(PluginError, match=r"copy .* needs another name"):
            _make(shadow)

    def test_a_type_without_a_json_form(self) -> None:
        async def odd(ctx: Any, thing: Exception) -> None:
            pass

        with pytest.raises(PluginError, match="bad: "):
            _make(odd)

    def test_a_result_without_a_json_form(self) -> None:
        async def odd(ctx: Any) -> Exception:
            return ValueError()

        with pytest.raises(PluginError, match="its result"):
            _make(odd)

    def test_an_annotation_that_can_not_be_found(self) -> None:
        async def hidden(ctx: Any, x: NotImported) -> None:  # type: ignore[name-defined]  # noqa: F821 under test
            pass

        with pytest.raises(PluginError, match="import the type at the top"):
            _make(hidden)

    def test_an_unknown_level(self) -> None:
        async def fine(ctx: Any) -> None:
            pass

        with pytest.raises(PluginError, match="unknown level"):
            _make(fine, level="boss")
