"""Texts, forms and native options to values; mistakes, their places and corrections."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Le
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.cards import Card
from vtoc_bots.core.commands import (
    Call,
    CommandSpec,
    InvalidValues,
    MissingArguments,
    bind_text,
    bind_values,
    command,
    pointer,
    quote,
)
from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.telemetry import nm
from vtoc_bots.core.values import Area, Distance, PlaybookId, Rest, RunId, TrackId


@command("watch")
async def watch(
    ctx: Any,
    target: TrackId,
    radius: Distance = nm(5),  # noqa: B008  a number
    *,
    minutes: Annotated[int, Ge(1), Le(240)] = 30,
    kind: Literal["air", "sea"] = "air",
    quiet: bool = False,
    track_only: bool = True,
) -> Card:
    """Watch."""
    return Card.of("x")


@command("playbook")
async def playbook(ctx: Any, playbook: PlaybookId, /, *, dry_run: bool = False, **inputs: str) -> Card:
    """Run a playbook."""
    return Card.of(f"{playbook} {dry_run} {inputs}")


@command("log")
async def log(ctx: Any, text: Rest, *, private: bool = False) -> Card:
    """Log."""
    return Card.of("x")


@command("deny")
async def deny(ctx: Any, run: RunId, reason: str = "") -> Card:
    """Deny."""
    return Card.of("x")


@command("note")
async def note(ctx: Any, text: str, *, loud: bool = False) -> Card:
    """Note."""
    return Card.of("x")


@command("map")
async def map_(ctx: Any, area: Area = Area()) -> Card:  # noqa: B008  an Area is frozen
    """Map."""
    return Card.of("x")


def mistake_in(spec: CommandSpec, text: str) -> UsageError | None:
    try:
        bind_text(spec, text)
    except UsageError as error:
        return error
    return None


def values(spec: CommandSpec, text: str) -> dict[str, Any]:
    call = bind_text(spec, text)
    assert isinstance(call, Call)
    return {**call.values, **call.inputs}


DEFAULTS = {"target": "A1", "radius": 9260.0, "minutes": 30, "kind": "air", "quiet": False, "track_only": True}


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("A1", {}),
        ("A1 10nm", {"radius": 18_520.0}),
        ("A1 --radius 10nm", {"radius": 18_520.0}),
        ("A1 --radius=10nm", {"radius": 18_520.0}),
        ("A1 radius=10nm", {"radius": 18_520.0}),
        ('A1 radius="10 nm"', {"radius": 18_520.0}),
        ("A1 --Radius 10nm", {"radius": 18_520.0}),
        ("--radius 10nm A1", {"radius": 18_520.0}),
        ("radius=10nm A1", {"radius": 18_520.0}),
        ("radius=10nm target=A1", {"radius": 18_520.0}),
        ("A1 --quiet", {"quiet": True}),
        ("A1 —quiet", {"quiet": True}),
        ("A1 --no-quiet", {}),
        ("A1 quiet=yes", {"quiet": True}),
        ("A1 --quiet=off", {}),
        ("A1 --no-track-only", {"track_only": False}),
        ("A1 --track_only=no", {"track_only": False}),
        ("A1 --kind SEA --minutes 240", {"kind": "sea", "minutes": 240}),
        ('"--quiet"', {"target": "--quiet"}),
        ("-- --quiet", {"target": "--quiet"}),
        ("a=b=c target=A1", None),
        ("49°=x", {"target": "49°=x"}),
    ],
)
def test_words_become_values(text: str, changes: dict[str, Any] | None) -> None:
    if changes is None:
        with pytest.raises(UsageError, match="/watch has no a"):
            bind_text(watch, text)
        return
    assert values(watch, text) == DEFAULTS | changes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("op_x", {}),
        ("op_x area=40nm window=10m", {"area": "40nm", "window": "10m"}),
        ("op_x --area 40nm --dry-run", {"area": "40nm", "dry_run": True}),
        ("op_x --area=40nm --dry-run=no", {"area": "40nm"}),
        ('op_x title="two words" --note "--dry-run"', {"title": "two words", "note": "--dry-run"}),
        ("op_x --fast --dry-run", {"fast": "yes", "dry_run": True}),
        ("op_x --max-age 5m", {"max_age": "5m"}),
    ],
)
def test_free_inputs_are_taken_beside_the_parameters(text: str, expected: dict[str, Any]) -> None:
    assert values(playbook, text) == {"playbook": "op_x", "dry_run": False} | expected


async def test_an_input_may_have_the_name_of_a_parameter_that_has_only_a_place() -> None:
    call = bind_text(playbook, "op_x playbook=other")
    assert isinstance(call, Call)
    assert call.values["playbook"] == "op_x"
    assert (await call(None)).title == "op_x False {'playbook': 'other'}"


def test_a_text_that_begins_with_an_equation_is_a_text_unless_an_option_is_meant() -> None:
    called = bind_text(log, "/log wind=20kt from NW", 4)
    assert isinstance(called, Call)
    assert called.values == {"text": "wind=20kt from NW", "private": False}
    with pytest.raises(UsageError, match="did you mean private"):
        bind_text(log, "/log privat=yes all quiet", 4)


def test_the_remaining_text_is_taken_as_it_stands() -> None:
    text = 'He said "go —\nnow", area=5 --private isn\'t  it'
    assert values(log, f"--private {text}  ") == {"text": text, "private": True}


@pytest.mark.parametrize(
    ("spec", "text", "message", "wrong", "corrected"),
    [
        (watch, "A1 10xyz", "radius: “10xyz” is no distance; write a distance such as", "10xyz", "A1 40nm"),
        (watch, "A1 --radius 10", "“10” has no unit", "10", "A1 --radius 40nm"),
        (watch, "A1 radius=10", "“10” has no unit", "radius=10", "A1 radius=40nm"),
        (watch, 'A1 --radius="1 0"', "is no distance", "--radius=1 0", "A1 --radius=40nm"),
        (watch, "A1 --raduis=9nm", "/watch has no --raduis; did you mean --radius?", "--raduis=9nm", "A1 --radius=9nm"),
        (watch, "A1 raduis=9nm", "/watch has no raduis; did you mean radius?", "raduis=9nm", "A1 radius=9nm"),
        (watch, "A1 --no-quite", "did you mean --no-quiet?", "--no-quite", "A1 --no-quiet"),
        (watch, "A1 --no-quiet=yes", "--no-quiet takes no value", "--no-quiet=yes", "A1 --no-quiet"),
        (watch, "A1 --no-radius", "did you mean --radius?", "--no-radius", "A1 --radius 40nm"),
        (watch, "A1 --minutes 500", "minutes: “500” is not at most 240", "500", "A1 --minutes 240"),
        (watch, "A1 --minutes 0", "minutes: “0” is not at least 1", "0", "A1 --minutes 1"),
        (watch, "A1 --kind aer", "is not one of air, sea; did you mean air?", "aer", "A1 --kind air"),
        (watch, "A1 --quiet=perhaps", "neither yes nor no", "--quiet=perhaps", "A1 --quiet=yes"),
        (watch, "A1 --minutes", "--minutes needs a value; write a whole number", "--minutes", "A1 --minutes 30"),
        (watch, "A1 --minutes --quiet", "--minutes needs a value", "--minutes", "A1 --minutes 30 --quiet"),
        (watch, "A1 --quiet --quiet", "quiet is given twice", "--quiet", "A1 --quiet"),
        (watch, "A1 target=B2", "target is given twice", "target=B2", "A1"),
        (
            watch,
            "A1 9nm 8nm --quiet",
            "“8nm” is one word too many; /watch takes 2 words besides",
            "8nm",
            "A1 9nm --quiet",
        ),
        (watch, "A1 9nm x y z", "one word too many", "x", "A1 9nm"),
        (watch, "A1 --?? 9nm", "/watch has no --??", "--??", "A1 9nm"),
        (watch, "A1 --radius 1 --minutes 0 --kind x", "has no unit", "1", "A1 --radius 40nm --minutes 1 --kind air"),
        (deny, "7K3M9 not now", "reason is one word, so “now” is one too many", "now", '7K3M9 "not now"'),
        (deny, '7K3M9 "not" now or never', "put a longer text in quotes", "now", '7K3M9 "not now or never"'),
        (deny, "7K3M9 cost=high", "If it is a value, put it in quotes", "cost=high", '7K3M9 "cost=high"'),
        (note, "a b c --loud", "text is one word", "b", '"a b c" --loud'),
        (note, 'a b "--c d" e', "text is one word", "b", '"a b --c d e"'),
        (note, "a --loud  --loud  ", "loud is given twice", "--loud", "a --loud"),
        (map_, "1 2", "area: “1” is no area", "1", "40nm"),
        (playbook, "op_x a=1 a=2", "a is given twice", "a=2", "op_x a=1"),
        (playbook, "op-x! a=1", "playbook: “op-x!” is no playbook", "op-x!", "op_airtrack_merge a=1"),
    ],
)
def test_a_mistake_names_the_wrong_word_and_shows_the_corrected_text(
    spec: CommandSpec, text: str, message: str, wrong: str, corrected: str
) -> None:
    with pytest.raises(UsageError) as caught:
        bind_text(spec, text)
    error = caught.value
    assert message in str(error)
    assert error.word == wrong
    assert error.start is not None
    assert error.end is not None
    assert text[error.start : error.end].replace('"', "") == wrong
    assert error.corrected == corrected


def test_a_pointer_stands_under_the_wrong_word_also_in_long_and_many_lined_texts() -> None:
    text = "/watch\n" + "A" * 50 + " " * 50 + "10xyz --quiet " + "x" * 100
    start = text.index("10xyz")
    line, carets = pointer(text, UsageError("x", start=start, end=start + 5)).split("\n")
    assert len(line) <= 60
    assert line[carets.index("^") : carets.rindex("^") + 1] == "10xyz"


def test_what_is_missing_is_asked_for_and_what_was_given_is_kept() -> None:
    missing = bind_text(watch, "--radius 10nm")
    assert isinstance(missing, MissingArguments)
    assert missing.message == "/watch needs target"
    assert [(field.name, field.required) for field in missing.fields] == [("target", True)]
    assert missing.given == {"radius": 18_520}
    call = bind_values(missing.spec, {**missing.given, "target": "A1"})
    assert call == bind_text(watch, "A1 10nm")


def test_free_inputs_are_kept_while_something_is_missing() -> None:
    missing = bind_text(playbook, "area=40nm")
    assert isinstance(missing, MissingArguments)
    assert bind_values(playbook, {**missing.given, "playbook": "op_x"}) == bind_text(playbook, "op_x area=40nm")


def test_a_form_lists_what_may_be_chosen_and_the_default() -> None:
    fields = {param.name: param.form_field() for param in watch.params}
    assert fields["kind"].choices == (("air", "air"), ("sea", "sea"))
    assert fields["kind"].default == "air"
    assert fields["radius"].default == "5nm"
    assert fields["track_only"].label == "Track only"
    assert fields["target"].default is None


def test_native_values_may_be_text_json_or_of_the_type_and_empty_ones_are_not_given() -> None:
    call = bind_values(
        watch, {"track-only": None, "kind": "", "target": "A1", "radius": 100, "minutes": "5", "quiet": True}
    )
    assert isinstance(call, Call)
    assert call.values == DEFAULTS | {"radius": 100.0, "minutes": 5, "quiet": True}


def test_an_empty_text_is_a_value_where_text_is_asked_for() -> None:
    call = bind_values(deny, {"run": "7K3M9", "reason": ""})
    assert isinstance(call, Call)
    assert call.values["reason"] == ""


def test_all_wrong_native_values_are_told_by_name() -> None:
    with pytest.raises(InvalidValues) as caught:
        bind_values(watch, {"target": "A1", "radius": "x", "minutes": 500, "colour": "red"})
    assert set(caught.value.errors) == {"radius", "minutes", "colour"}
    assert "is no distance" in caught.value.errors["radius"]


words_like = st.one_of(
    st.sampled_from(
        ["A1", "10nm", "5", "--radius", "--quiet", "--no-quiet", "--minutes", "minutes=900", "radius=", "--"]
    ),
    st.sampled_from(["--kind=sea", "kind=see", '"two words"', "x=y", "--x", "--no-x", "'", "-5", "=", "--=", "a=b=c"]),
    st.text(alphabet=st.characters(exclude_characters='"“”„'), min_size=1, max_size=8),
)


@given(st.sampled_from([watch, playbook, log, deny, map_]), st.lists(words_like, max_size=8))
def test_a_text_is_understood_or_corrected_to_one_that_is(spec: CommandSpec, parts: list[str]) -> None:
    text = " ".join(parts)
    error = mistake_in(spec, text)
    if error is None:
        return
    assert error.start is not None
    assert error.end is not None
    assert 0 <= error.start < error.end <= len(text)
    assert error.corrected is None or mistake_in(spec, error.corrected) is None


@given(st.text(max_size=100))
def test_no_text_breaks_the_parser(text: str) -> None:
    for spec in (watch, playbook, log):
        mistake_in(spec, text)


@given(
    st.from_regex(r"[!-~]{1,12}", fullmatch=True).filter(lambda word: not set(word) & set("\"'")),
    st.floats(0, 1e6),
    st.integers(1, 240),
    st.sampled_from(["air", "sea"]),
    st.booleans(),
)
def test_what_is_written_out_is_understood_as_it_was(
    target: str, radius: float, minutes: int, kind: str, quiet: bool
) -> None:
    given_values = bind_values(
        watch, {"target": target, "radius": radius, "minutes": minutes, "kind": kind, "quiet": quiet}
    )
    assert isinstance(given_values, Call)
    shown = {p.name: quote(p.type.show(given_values.values[p.name])) for p in watch.params}
    assert bind_text(
        watch, f"{shown['target']} {shown['radius']} kind={kind} --minutes {minutes} quiet={shown['quiet']}"
    ) == (given_values)
