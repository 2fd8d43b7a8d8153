"""Cards as parts: the same words on every platform, and tables in the form that fits."""

from __future__ import annotations

import csv
import io

import pytest

from tests.markup_kit import Html
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
    markup,
)

TRACKS = Table(columns=("callsign", "alt"), rows=(("RA1", "900"), ("日本", "12000")), numeric=(1,))


def written(card: Card, *, columns: int = 40, repeat: bool = False) -> list[tuple[str, str]]:
    parts = markup.parts_of_card(card, columns=columns, may_be_repeat=repeat)
    return [(part.kind.value, markup.render(part.nodes, Html())) for part in parts]


def test_a_card_says_all_it_has_in_reading_order() -> None:
    card = Card.of(
        "Tracks *now*",
        "two **tracks**",
        Fields(fields=(Pair(name="area", value="a\n<b>"), Pair(name="", value="c"))),
        TRACKS,
        Plan(steps=(PlanStep(title="read", state="done"), PlanStep(title="draw", detail="as PNG"))),
        Progress(text="tracks", done=3, total=4),
        Image(blob="ab", alt="a map"),
        File(blob="ab", name="t.csv", content_type="text/csv"),
        Buttons(buttons=(Button(label="More"), Button(label="Less"))),
        Divider(),
        severity=Severity.BAD,
        footer="id *7K2*",
        exercise=True,
    )
    assert written(card, repeat=True) == [
        ("exercise", f"<b>{markup.EXERCISE}</b>"),
        ("repeat", f"<i>{markup.REPEAT}</i>"),
        ("title", "<b>❌ FAILED: Tracks *now*</b>"),
        ("text", "two <b>tracks</b>"),
        ("fields", "<b>area:</b> a\n&lt;b&gt;\nc"),
        ("table", "<pre>callsign    alt\n--------  -----\nRA1         900\n日本      12000</pre>"),
        ("plan", "✓ done: read\n· planned: draw – as PNG"),
        ("progress", "████████░░ tracks: 3 of 4 (75%)"),
        ("image", "[picture] a map"),
        ("file", "[file] t.csv"),
        ("buttons", "[More]  [Less]"),
        ("divider", "•"),
        ("footer", "id *7K2*"),
    ]


@pytest.mark.parametrize(
    ("severity", "title", "shown"),
    [
        (Severity.PLAIN, "T", "T"),
        (Severity.GOOD, "T", "✅ OK: T"),
        (Severity.WARNING, "", "⚠️ WARNING"),
        (Severity.PLAIN, "", ""),
    ],
)
def test_severity_is_a_shape_and_a_word(severity: Severity, title: str, shown: str) -> None:
    assert markup.title_of_card(Card(title=title, severity=severity)) == shown


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (Progress(text="reading"), "reading"),
        (Progress(text="read", done=5), "read: 5"),
        (Progress(text="3 of 4 read", done=3, total=4), "████████░░ 3 of 4 read (75%)"),
        (Progress(text="read", done=9, total=4), "██████████ read: 9 of 4 (100%)"),
        (Progress(text="read", done=-1, total=4), "░░░░░░░░░░ read: -1 of 4 (0%)"),
    ],
)
def test_progress_is_a_bar_and_figures_where_the_total_is_known(progress: Progress, shown: str) -> None:
    assert written(Card(blocks=(progress,))) == [("progress", shown)]


def test_long_texts_of_a_table_are_wrapped_and_numbers_are_not() -> None:
    table = Table(columns=("n", "note"), rows=(("1", "one two three"), ("100000", "four")), numeric=(0,))
    assert markup.table_text(table, 16) == (
        "     n  note\n------  --------\n     1  one two\n        three\n100000  four"
    )
    assert markup.table_text(table, 15) is None
    assert markup.table_text(table.model_copy(update={"columns": ("n" * 30, "note")}), 30) is None
    assert markup.table_text(table) == "     n  note\n------  -------------\n     1  one two three\n100000  four"


def test_a_table_without_rows_says_so_and_missing_cells_are_empty() -> None:
    assert markup.table_text(Table(columns=("a", "b"), rows=())) == "a  b\n-  -\n(no rows)"
    assert markup.table_text(Table(columns=("a", "b"), rows=(("x",), ("x", "y", "z")))) == "a  b\n-  -  -\nx\nx  y  z"
    assert markup.table_text(Table(columns=(), rows=()), 20) == "\n\n(no rows)"
    assert markup.render(markup.table_records(Table(columns=("a", "b"), rows=())), Html()) == "a · b: no rows"


def test_every_piece_of_a_table_begins_with_the_heads() -> None:
    table = TRACKS.model_copy(update={"rows": tuple((f"RA{number}", "1") for number in range(6))})
    (part,) = markup.parts_of_card(Card(blocks=(table,)), columns=20)
    first, second = markup.pieces(part.nodes, Html(), 70)
    heads = "callsign  alt\n--------  ---"
    assert first == f"<pre>{heads}\nRA0         1\nRA1         1\nRA2         1</pre>"
    assert second == f"<pre>{heads}\nRA3         1\nRA4         1\nRA5         1</pre>"


def test_a_table_that_is_too_wide_becomes_records() -> None:
    shown = written(Card(blocks=(TRACKS,)), columns=10)
    assert shown == [("table", "<b>callsign:</b> RA1\n<b>alt:</b> 900\n\n<b>callsign:</b> 日本\n<b>alt:</b> 12000")]


def test_a_long_table_that_is_too_wide_becomes_a_file_and_the_text_says_so() -> None:
    table = TRACKS.model_copy(update={"rows": tuple((f"RA{number}", "1") for number in range(9))})
    part, second = markup.parts_of_card(Card(blocks=(table, table)), columns=10)
    assert second.file is not None
    assert second.file.name == "table-2.csv"
    assert markup.render(part.nodes, markup.PLAIN) == "9 rows in the file table.csv: callsign · alt"
    assert part.file is not None
    assert (part.file.name, part.file.content_type) == ("table.csv", "text/csv")
    assert part.file.data.decode("utf-8-sig").splitlines()[:2] == ["callsign,alt", "RA0,1"]


def test_a_table_of_more_rows_than_anybody_reads_in_a_chat_becomes_a_file() -> None:
    table = TRACKS.model_copy(update={"rows": tuple((f"RA{number}", "1") for number in range(101))})
    (part,) = markup.parts_of_card(Card(blocks=(table,)), columns=40)
    assert part.file is not None
    assert len(part.file.data.splitlines()) == 102
    assert markup.text_of_card(Card(blocks=(table,))).count("RA") == 101


def test_a_spreadsheet_runs_no_cell_and_reads_numbers_as_numbers() -> None:
    cells = (
        "=1+1",
        "@SUM(A1)",
        "-2+3",
        "\t=1",
        " =1",
        "＝1",
        "-12.5",
        "+4 %",
        "1,2",
        'a "b"\nc',
        "+A1",
        "-",
        "\ud83d\x00",
    )
    rows = list(
        csv.reader(
            io.StringIO(
                markup.table_csv(Table(columns=("a",), rows=tuple((c,) for c in cells))).decode("utf-8-sig"), newline=""
            )
        )
    )
    assert [row[0] for row in rows[1:]] == [
        "'=1+1", "'@SUM(A1)", "'-2+3", "'\t=1", "' =1", "'＝1", "-12.5", "+4 %", "1,2", 'a "b"\nc', "'+A1", "'-",
        "<U+D83D>␀",
    ]  # fmt: skip


def test_a_card_as_plain_text_keeps_every_row() -> None:
    table = Table(
        columns=("a" * 60, "b" * 60), rows=tuple((f"row {number}", "x") for number in range(20)), numeric=(0, 1)
    )
    text = markup.text_of_card(Card.of("T", "*soft*", table, footer="id"), may_be_repeat=True)
    assert text.startswith("(may be a repeat)\n\nT\n\nsoft\n\n")
    assert all(f"row {number}" in text for number in range(20))
    assert text.endswith("\n\nid")
