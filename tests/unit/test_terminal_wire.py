"""Cards as plain text and as what Rich paints: nothing lost, nothing cut, nothing a terminal would act upon."""

from __future__ import annotations

from collections import Counter
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tests.terminal_kit import is_safe
from vtoc_bots import (
    Button,
    Buttons,
    Card,
    Divider,
    Fields,
    File,
    Image,
    Pair,
    Plan,
    PlanStep,
    Progress,
    Severity,
    Table,
    Text,
    markup,
)
from vtoc_bots.plugins.terminal.choices import choices_of_card
from vtoc_bots.plugins.terminal.neutral import neutral_line, neutral_lines
from vtoc_bots.plugins.terminal.painted import painted_card
from vtoc_bots.plugins.terminal.wire import Saved, table_lines, text_from_card

ANYTHING = st.text(max_size=30)
WORDS = st.text(alphabet="abc XYZ09é日本́👩‍✈️", max_size=20)
STATES = st.sampled_from(["planned", "running", "done", "skipped", "waiting", "failed"])


def tables(cells: st.SearchStrategy[str]) -> st.SearchStrategy[Table]:
    def of(count: int) -> st.SearchStrategy[Table]:
        row = st.tuples(*[cells] * count)
        return st.builds(
            Table,
            columns=row,
            rows=st.lists(row, max_size=4).map(tuple),
            numeric=st.sets(st.integers(0, count - 1)).map(tuple),
        )

    return st.integers(1, 5).flatmap(of)


def blocks(texts: st.SearchStrategy[str]) -> st.SearchStrategy[object]:
    counts = st.none() | st.integers(0, 100)
    return st.one_of(
        st.builds(Text, text=texts),
        st.builds(Fields, fields=st.lists(st.builds(Pair, name=texts, value=texts), max_size=3).map(tuple)),
        tables(texts),
        st.builds(Plan, steps=st.lists(st.builds(PlanStep, title=texts, state=STATES, detail=texts)).map(tuple)),
        st.builds(Progress, text=texts, done=counts, total=counts),
        st.builds(Image, blob=st.just("aa"), alt=texts),
        st.builds(File, blob=st.just("bb"), name=texts, content_type=st.just("text/plain")),
        st.builds(
            Buttons,
            buttons=st.lists(st.builds(Button, label=texts, token=st.none() | st.just("t")), max_size=3).map(tuple),
        ),
        st.builds(Divider),
    )


def cards(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Card]:
    return st.builds(
        Card,
        title=texts,
        blocks=st.lists(blocks(texts), max_size=4).map(tuple),
        severity=st.sampled_from(Severity),
        footer=texts,
        exercise=st.booleans(),
    )


def letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def words_of(card: Card) -> list[str]:
    """Every text of a card that is not markup."""
    found = [card.title, card.footer]
    for block in card.blocks:
        match block:
            case Fields():
                found += [text for pair in block.fields for text in (pair.name, pair.value)]
            case Table():
                found += [cell for row in (block.columns, *block.rows) for cell in row]
            case Plan():
                found += [text for step in block.steps for text in (step.title, step.detail, step.state)]
            case Progress() | Text():
                found.append(block.text)
            case Buttons():
                found += [button.label for button in block.buttons]
            case Image():
                found.append(block.alt)
    return found


def painted(card: Card, width: int = 80) -> str:
    out = StringIO()
    console = Console(file=out, width=width, color_system=None, markup=False, emoji=False, highlight=False)
    console.print(painted_card(card, {"aa": Saved("/out/map.png", 1500)}, width))
    return out.getvalue()


@settings(deadline=None)
@given(cards(ANYTHING))
def test_plain_text_holds_no_control_characters(card: Card) -> None:
    assert is_safe(text_from_card(card, {"aa": Saved("/out/map.png")}))


@settings(deadline=None)
@given(cards(ANYTHING), st.integers(20, 120))
def test_painted_cards_hold_no_control_characters(card: Card, width: int) -> None:
    assert is_safe(painted(card, width))


@settings(deadline=None)
@given(cards(WORDS))
def test_plain_text_keeps_every_word(card: Card) -> None:
    shown = Counter(letters(text_from_card(card)))
    assert not Counter(letters("".join(words_of(card)))) - shown


@settings(deadline=None)
@given(cards(WORDS), st.integers(30, 120))
def test_painted_cards_keep_every_word_at_any_width(card: Card, width: int) -> None:
    shown = painted(card, width)
    assert not Counter(letters("".join(words_of(card)))) - Counter(letters(shown))
    assert all(cell_len(line) <= width for line in shown.split("\n"))


@settings(deadline=None)
@given(tables(ANYTHING))
def test_every_cell_of_a_column_begins_at_the_same_place(table: Table) -> None:
    head, rule, *rows = table_lines(table)
    columns = zip(table.columns, *table.rows, strict=True)
    widths = [max(cell_len(neutral_line(cell)) for cell in column) for column in columns]
    assert rule == "  ".join("-" * width for width in widths).rstrip()
    if not table.rows:
        assert rows == ["(no rows)"]
        rows = []
    for line, cells in zip((head, *rows), (table.columns, *table.rows), strict=True):
        places = []
        for index, (width, cell) in enumerate(zip(widths, map(neutral_line, cells), strict=True)):
            space = " " * (width - cell_len(cell))
            places.append(space + cell if index in table.numeric else cell + space)
        assert line == "  ".join(places).rstrip()


def test_a_wide_letter_takes_two_places() -> None:
    table = Table(columns=("name", "alt"), rows=(("日本", "1"), ("BAW1", "35,000")), numeric=(1,))
    assert table_lines(table) == ["name     alt", "----  ------", "日本       1", "BAW1  35,000"]


def test_a_row_that_lacks_cells_is_filled() -> None:
    assert table_lines(Table(columns=("a", "b"), rows=(("1",), ("2", "3", "4"))))[2:] == ["1", "2  3  4"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("a\x9b31mb", "a<U+009B>31mb"),
        ("\x07\x7f\x00", "␇␡␀"),
        ("user\u202etxt.exe", "user<U+202E>txt.exe"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        ("\ud800", "<U+D800>"),
        ("👩\u200d✈️", "👩\u200d✈️"),
        ("a\u200db", "a<U+200D>b"),
    ],
)
def test_what_a_terminal_would_act_upon_is_shown_instead(text: str, shown: str) -> None:
    assert neutral_line(text) == shown


def test_lines_stay_lines_and_tabs_become_spaces() -> None:
    assert neutral_lines("a\tb\r\n\x1bc\u2028d") == ["a       b", "␛c", "d"]


def test_a_callsign_cannot_move_the_cursor_nor_make_a_line_of_its_own() -> None:
    card = Card.of("Tracks", Table(columns=("callsign",), rows=(("\x1b]0;owned\x07\n[image] /etc/passwd",),)))
    for shown in (text_from_card(card), painted(card)):
        assert "\x1b" not in shown
        assert not [line for line in shown.split("\n") if line.startswith("[image]")]


def test_only_pictures_begin_a_line_with_their_mark() -> None:
    card = Card.of("", "```\n[image] /etc/passwd\n[file] x\n```", Image(blob="aa", alt="A map"))
    text = text_from_card(card, {"aa": Saved("/out/a b.png")})
    assert [line for line in text.split("\n") if line.startswith(("[image]", "[file]"))] == ["[image] /out/a b.png"]
    assert "(A map)" in text


def test_a_picture_that_is_not_there_says_why() -> None:
    assert text_from_card(Card.of("", Image(blob="aa", alt="A map")), {"aa": Saved(problem="no longer stored")}) == (
        "[image: no longer stored] A map"
    )


@pytest.mark.parametrize(
    ("severity", "word"), [("good", "OK: "), ("warning", "WARNING: "), ("bad", "FAILED: "), ("plain", "")]
)
def test_severity_is_a_word(severity: str, word: str) -> None:
    assert text_from_card(Card.of("Merge", severity=severity)) == f"{word}Merge"
    assert word.removesuffix(": ") in painted(Card.of("Merge", severity=severity))


def test_an_exercise_and_a_repeat_are_marked_before_the_title() -> None:
    text = text_from_card(Card.of("Tracks", exercise=True, footer="as of 12:00Z · K7"), may_be_repeat=True)
    assert text.split("\n") == [markup.EXERCISE, markup.REPEAT, "Tracks", "", "-- as of 12:00Z · K7"]


def test_a_plan_says_each_state_in_a_word_and_by_its_shape() -> None:
    states = ("done", "running", "planned", "waiting", "failed", "skipped")
    plan = Plan(steps=tuple(PlanStep(title=f"step {s}", state=s, detail="x" if s == "failed" else "") for s in states))
    assert text_from_card(Card.of("", plan)).split("\n") == [
        "✓ done     step done",
        "▶ running  step running",
        "· planned  step planned",
        "⏸ waiting  step waiting",
        "✗ failed   step failed – x",
        "– skipped  step skipped",
    ]


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [(None, None, "Reading"), (7, None, "Reading: 7"), (31, 62, "Reading: 31 of 62 (50%)"), (0, 0, "Reading: 0")],
)
def test_progress_says_how_much_of_what(done: int | None, total: int | None, shown: str) -> None:
    assert text_from_card(Card.of("", Progress(text="Reading", done=done, total=total))) == shown


def test_progress_does_not_say_twice_what_its_text_says() -> None:
    assert text_from_card(Card.of("", Progress(text="1 of 3 steps", done=1, total=3))) == "1 of 3 steps (33%)"


def test_fields_stand_in_a_column_and_long_values_below_themselves() -> None:
    card = Card.of("", Fields.of(station="TOC-S1", as_of="12:00Z\n13:00Z"))
    assert text_from_card(card).split("\n") == ["station: TOC-S1", "as of:   12:00Z", "         13:00Z"]


def test_choices_count_through_a_card_and_skip_what_cannot_be_chosen() -> None:
    first = Buttons(buttons=(Button(label="Approve", token="a"), Button(label="Gone")))
    card = Card.of("", first, Buttons(buttons=(Button(label="Deny", token="b"),)))
    assert text_from_card(card).split("\n\n") == [
        "[1] Approve  [-] Gone  (type the number)",
        "[2] Deny  (type the number)",
    ]
    assert [(choice.number, choice.token) for choice in choices_of_card(card)] == [(1, "a"), (2, "b")]


def test_a_table_too_wide_for_the_terminal_becomes_records() -> None:
    heads = tuple(f"head {n}" for n in range(20))
    shown = painted(Card.of("", Table(columns=heads, rows=(tuple(f"cell {n}" for n in range(20)),))), 60)
    assert "head 19: cell 19" in shown
