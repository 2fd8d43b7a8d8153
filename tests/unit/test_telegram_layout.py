"""Cards become Telegram messages that Telegram takes, whatever the card."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telegram_markup import parsed, units
from vtoc_bots import (
    Block,
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
)
from vtoc_bots.plugins.telegram.layout import marked, pieces_from_card
from vtoc_bots.plugins.telegram.pieces import Media, Piece
from vtoc_bots.plugins.telegram.supplies import Absent, Linked

MAP = Image(blob="a" * 64, alt="A map of 3 tracks")
PICTURE = Media("map.png", "image/png", b"png")


def texts(pieces: list[Piece]) -> list[str]:
    return [parsed(piece.words.html) for piece in pieces]


def test_a_card_is_one_text_with_its_buttons_below() -> None:
    card = Card.of(
        "Approve?",
        "Restock **salt** & <pepper>",
        Fields.of(quorum="1 lead"),
        Buttons(buttons=(Button(label="Approve", token="t1", style="good"), Button(label="Deny", token="t2"))),
        severity=Severity.WARNING,
        footer="by ada · 7Z3K9QPM",
    )
    [piece] = pieces_from_card(card)
    assert piece.words.html.startswith("<b>⚠️ WARNING: Approve?</b>")
    assert "<b>salt</b> &amp; &lt;pepper&gt;" in piece.words.html
    assert "by ada · 7Z3K9QPM" in parsed(piece.words.html)
    assert [[key.label for key in row] for row in piece.keys] == [["Approve", "Deny"]]
    assert [key.token for row in piece.keys for key in row] == ["t1", "t2"]


def test_one_picture_and_a_short_text_are_one_message() -> None:
    card = Card.of("Tracks", "Three.", MAP, footer="x", exercise=True)
    [piece] = pieces_from_card(card, {MAP: PICTURE})
    assert piece.kind == "photo"
    assert "A map of 3 tracks" in parsed(piece.words.html), "a picture has alternative text"
    assert "EXERCISE" in parsed(piece.words.html)


def test_a_picture_with_a_long_text_comes_before_it() -> None:
    card = Card.of("Tracks", "word " * 300, MAP)
    photo, text = pieces_from_card(card, {MAP: PICTURE})
    assert (photo.kind, text.kind) == ("photo", "text")
    assert parsed(photo.words.html) == "A map of 3 tracks"
    assert "A map of 3 tracks" not in parsed(text.words.html)


def test_pictures_are_albums_of_ten_with_the_buttons_below_the_text() -> None:
    images = [Image(blob=f"{n:064}", alt=f"map {n}") for n in range(11)]
    card = Card.of("Maps", *images, Buttons(buttons=(Button(label="More", token="t"),)))
    album, photo, text = pieces_from_card(card, dict.fromkeys(images, PICTURE))
    assert (album.kind, len(album.files), photo.kind, text.kind) == ("album", 10, "photo", "text")
    assert [file.caption.plain for file in album.files] == [f"map {n}" for n in range(10)]
    assert text.keys
    assert not album.keys


def test_what_is_no_photo_is_a_file() -> None:
    chart, notes = (
        Image(blob="b", alt="chart", content_type="image/svg+xml"),
        File(blob="c", name="a.kml", content_type="x"),
    )
    card = Card.of("Files", chart, notes)
    supplies = {chart: Media("c.svg", "image/svg+xml", b"svg"), notes: Media("a.kml", "x", b"kml")}
    assert [piece.kind for piece in pieces_from_card(card, supplies)] == ["document", "document", "text"]


def test_what_is_too_large_is_a_link_and_what_is_gone_says_so() -> None:
    big = File(blob="b", name="all.csv", content_type="text/csv", size=3_000_000)
    card = Card.of("Export", big, MAP)
    [piece] = pieces_from_card(card, {big: Linked("https://x.example/f?a=1&b=2", 3_000_000), MAP: Absent("gone")})
    assert '<a href="https://x.example/f?a=1&amp;b=2">all.csv</a>' in piece.words.html
    assert "gone" in piece.words.html


def test_a_narrow_table_is_in_fixed_pitch_and_a_long_wide_one_a_file() -> None:
    narrow = Table(columns=("run", "state"), rows=(("a", "done"),))
    [piece] = pieces_from_card(Card.of("Runs", narrow))
    assert "<pre>run  state" in piece.words.html
    wide = Table(columns=tuple(f"column {n}" for n in range(9)), rows=(tuple("x" * 9),) * 20)
    document, text = pieces_from_card(Card.of("Wide", wide))
    assert document.files[0].name == "table.csv"
    assert "20 rows" in parsed(text.words.html)


def test_a_long_text_is_several_messages_with_the_buttons_below_the_last() -> None:
    card = Card.of("Log", "\n\n".join(f"line {n} " + "x" * 90 for n in range(120)), Buttons(buttons=(_button("t"),)))
    pieces = pieces_from_card(card)
    assert len(pieces) > 2
    assert [bool(piece.keys) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert re.findall(r"line (\d+)", " ".join(texts(pieces))) == [str(n) for n in range(120)]


def test_length_is_measured_as_telegram_measures_it() -> None:
    for text, most in (("x" * 9000, 3), ("\U0001f6f0" * 9000, 5), ("&<" * 5000, 3)):
        pieces = pieces_from_card(Card.of("", text))
        assert all(units(read) <= 4096 for read in texts(pieces))
        assert "".join(texts(pieces)) == text
        assert len(pieces) <= most, "what is left free is little"


def test_buttons_that_can_not_be_pressed_are_text_and_a_bare_card_is_shown() -> None:
    card = Card(blocks=(Buttons(buttons=(_button(None), _button("x" * 65), _button("ok"))),))
    [piece] = pieces_from_card(card)
    assert parsed(piece.words.html).count("[Label]") == 2
    assert len(piece.keys) == 1
    assert parsed(pieces_from_card(Card())[0].words.html)
    only = pieces_from_card(Card(blocks=(Buttons(buttons=(_button("ok"),)),)))
    assert only[0].keys
    assert parsed(only[0].words.html)


def test_a_repeat_says_so() -> None:
    [piece] = pieces_from_card(Card.of("Done", "x"))
    assert parsed(marked(piece).words.html).startswith("(may be a repeat)")


def _button(token: str | None) -> Button:
    return Button(label="Label", token=token)


NASTY = st.text(st.sampled_from("ab <>&\"'*_`~[]()#\\\n-1.|!\U0001f6f0\ufe0f\u0301\u200d\x00\u202e/:=ß中"), max_size=80)
WORDS = st.one_of(NASTY, NASTY.map(lambda text: text * 60), NASTY.map(lambda text: text * 300), st.text(max_size=60))
BUTTON = st.builds(Button, label=NASTY, token=st.one_of(st.none(), st.text("abc-_", min_size=1, max_size=70)))
IMAGE = st.builds(Image, blob=st.sampled_from("abc"), alt=WORDS, name=NASTY)
FILE = st.builds(File, blob=st.sampled_from("abc"), name=NASTY, content_type=st.just("text/plain"))
STEP = st.builds(PlanStep, title=NASTY, state=st.sampled_from(["done", "failed", "waiting"]), detail=NASTY)


def _table(cells: list[list[str]]) -> Table:
    width = len(cells[0])
    rows = tuple(tuple((row * width)[:width]) for row in cells[1:])
    return Table(columns=tuple(cells[0]), rows=rows)


TABLE = st.lists(st.lists(NASTY, min_size=1, max_size=4), min_size=1, max_size=12).map(_table)
BLOCK: st.SearchStrategy[Block] = st.one_of(
    st.builds(Text, text=WORDS),
    st.builds(
        lambda pairs: Fields(fields=tuple(pairs)), st.lists(st.builds(Pair, name=NASTY, value=WORDS), max_size=4)
    ),
    TABLE,
    IMAGE,
    FILE,
    st.builds(lambda steps: Plan(steps=tuple(steps)), st.lists(STEP, max_size=5)),
    st.builds(Progress, text=NASTY, done=st.integers(0, 9), total=st.integers(0, 9)),
    st.builds(lambda buttons: Buttons(buttons=tuple(buttons)), st.lists(BUTTON, max_size=6)),
    st.just(Divider()),
)
CARD = st.builds(
    Card,
    title=WORDS,
    blocks=st.lists(BLOCK, max_size=6).map(tuple),
    severity=st.sampled_from(Severity),
    footer=NASTY,
    exercise=st.booleans(),
)
SUPPLY = st.sampled_from([PICTURE, Linked("https://x.example/<&>", 9_000_000), Absent("no <longer>")])


@settings(max_examples=150, deadline=None)
@given(CARD, st.data())
def test_no_message_is_ever_too_long_empty_or_unbalanced(card: Card, data: st.DataObject) -> None:
    supplies = {block: data.draw(SUPPLY) for block in card.blocks if isinstance(block, Image | File)}
    pieces = pieces_from_card(card, supplies)
    assert pieces
    for piece in [*pieces, *map(marked, pieces)]:
        limit = 4096 if piece.kind == "text" else 1024
        read = parsed(piece.words.html)
        assert units(read) <= limit
        assert units(piece.words.plain) <= limit
        assert read or piece.kind != "text"
        for file in piece.files:
            assert units(parsed(file.caption.html)) <= 1024
        for row in piece.keys:
            assert 1 <= len(row) <= 8
            for key in row:
                assert key.label.strip()
                assert 1 <= len(key.token.encode()) <= 64
        assert (piece.kind == "album") == (len(piece.files) > 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.text("abcdef", min_size=1, max_size=30), min_size=1, max_size=40), min_size=1, max_size=30))
def test_no_word_is_lost_whatever_the_length(paragraphs: list[list[str]]) -> None:
    source = "\n\n".join(" ".join(words) for words in paragraphs)
    pieces = pieces_from_card(Card.of("t", source))
    read = " ".join(texts(pieces)).split()[1:]
    assert read == source.split()
