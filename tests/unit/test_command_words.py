"""Text to words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.commands import quote, words
from vtoc_bots.core.errors import UsageError


def texts(text: str) -> list[str]:
    return [word.text for word in words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b\tc\n d ", ["a", "b", "c", "d"]),
        ('say "two words" now', ["say", "two words", "now"]),
        ("say “two words” now", ["say", "two words", "now"]),
        ("say „two words“ now", ["say", "two words", "now"]),
        ("say «two words» now", ["say", "two words", "now"]),
        ("say 'two words' ‘and two’", ["say", "two words", "and two"]),
        ("don't can’t rock'n'roll", ["don't", "can’t", "rock'n'roll"]),
        ("'don't do it' ok", ["don't do it", "ok"]),
        ("'tis the season", ["'tis", "the", "season"]),
        ("'tis 'twas 'ok go'", ["tis 'twas 'ok go"]),
        ("49°30'00\"N 2°30'E", ["49°30'00\"N", "2°30'E"]),
        ('"49°30\'00"N"', ["49°30'00\"N"]),
        ('reason="two words" b', ["reason=two words", "b"]),
        ("--reason=“two words” b", ["--reason=two words", "b"]),
        ('a\\b "c\\d" "say \\"hi\\"" "\\\\"', ["a\\b", "c\\d", 'say "hi"', "\\"]),
        ('"" x', ["", "x"]),
        ("—radius 5nm –quiet", ["--radius", "5nm", "--quiet"]),
        ("– —5 a—b", ["–", "—5", "a—b"]),
        ("", []),
    ],
)
def test_text_becomes_words(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_only_a_word_that_begins_with_a_quote_is_quoted() -> None:
    assert [word.quoted for word in words('a "b" c="d" \'e\'')] == [False, True, False, True]


def test_a_word_knows_its_place_with_its_quotes() -> None:
    text = ' a "b c" k="d e"'
    assert [text[word.start : word.end] for word in words(text)] == ["a", '"b c"', 'k="d e"']


@pytest.mark.parametrize(
    ("text", "at"), [('/log "oops', 5), ("/log a “oops b\nc", 7), ('/log k="oops', 7), ('/log "a"b', 5)]
)
def test_a_double_quote_that_is_never_closed_is_an_error_at_its_place(text: str, at: int) -> None:
    with pytest.raises(UsageError, match="is opened and never closed") as caught:
        list(words(text))
    assert caught.value.start == at
    assert caught.value.corrected == f'{text}"'


def test_words_begin_where_asked() -> None:
    assert [word.text for word in words("/track a b", 6)] == ["a", "b"]


@given(st.lists(st.text(max_size=20), max_size=6))
def test_quoted_values_come_back_one_by_one(values: list[str]) -> None:
    found = list(words(" ".join(quote(value) for value in values)))
    assert [word.text for word in found] == values
    assert all(word.quoted or not word.text.startswith("--") for word in found)


@given(st.text(alphabet=st.sampled_from("ab =-—'\"“”‘’«»\\\n\t"), max_size=60))
def test_words_lie_in_order_within_the_text_and_hold_all_but_spaces(text: str) -> None:
    try:
        found = list(words(text))
    except UsageError:
        return
    end = 0
    for word in found:
        assert not text[end : word.start].strip()
        assert word.end > word.start
        end = word.end
    assert not text[end:].strip()


@given(st.text(alphabet=st.characters(exclude_characters="\"'“”„‘’‚«—–"), max_size=100))
def test_without_quotes_words_are_what_spaces_separate(text: str) -> None:
    assert texts(text) == text.split()


def test_a_thousand_lone_apostrophes_are_read_in_no_time() -> None:
    """A quote without a partner must not make every later one look for its own to the end."""
    text = "'a " * 100_000
    assert sum(1 for _ in words(text)) == 100_000
