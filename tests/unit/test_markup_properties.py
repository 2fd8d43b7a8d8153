"""Whatever the text or card: no piece is over its limit or unbalanced, and every sign is shown as it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.markup_kit import DIALECTS, MARKDOWN, Discord, Html, Mrkdwn, cards, said, squeezed
from vtoc_bots import Card, Table, markup

AnyDialect = Html | Mrkdwn | Discord
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: type(dialect).__name__)


def is_within(part: str, whole: str) -> bool:
    """Whether every letter of a part is in the whole, in that order."""
    letters = iter(whole)
    return all(letter in letters for letter in part)


@each_dialect
@settings(deadline=None, max_examples=60)
@given(source=MARKDOWN, limit=st.integers(90, 400))
def test_any_text_comes_back_from_its_pieces(dialect: AnyDialect, source: str, limit: int) -> None:
    nodes = markup.parse(source)
    found = markup.pieces(nodes, dialect, limit)
    assert all(dialect.measure(piece) <= limit for piece in found)
    assert squeezed("\n".join(map(dialect.read, found))) == said(nodes)
    "".join(found).encode()


@each_dialect
@settings(deadline=None, max_examples=60)
@given(source=MARKDOWN, limit=st.integers(32, 60))
def test_no_letter_is_lost_where_markup_does_not_fit(dialect: AnyDialect, source: str, limit: int) -> None:
    nodes = markup.parse(source)
    found = markup.pieces(nodes, dialect, limit)
    assert all(dialect.measure(piece) <= limit for piece in found)
    assert is_within(said(nodes), squeezed("\n".join(map(dialect.read, found))))


@each_dialect
@settings(deadline=None, max_examples=60)
@given(card=cards(), limit=st.integers(90, 400), columns=st.integers(5, 40))
def test_any_card_comes_back_from_its_pieces(dialect: AnyDialect, card: Card, limit: int, columns: int) -> None:
    parts = markup.parts_of_card(card, columns=columns)
    nodes = tuple(node for part in parts for node in part.nodes)
    found = markup.pieces(nodes, dialect, limit)
    assert all(dialect.measure(piece) <= limit for piece in found)
    shown = squeezed("\n".join(map(dialect.read, found)))
    tables = any(isinstance(block, Table) for block in card.blocks)
    assert is_within(said(nodes), shown) if tables else shown == said(nodes)  # tables repeat their heads


@each_dialect
@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=200))
def test_text_that_is_no_markup_is_shown_as_it_is(dialect: AnyDialect, text: str) -> None:
    nodes = (markup.Paragraph(markup.words(text)),)
    assert squeezed(dialect.read(markup.render(nodes, dialect))) == said(nodes)


@settings(deadline=None, max_examples=60)
@given(source=MARKDOWN)
def test_no_letter_of_the_source_is_lost_in_the_tree(source: str) -> None:
    letters = "".join(letter for letter in source if letter.isalpha() and letter.isascii())
    plain = markup.render(markup.parse(source), markup.PLAIN)
    assert is_within(letters.replace("lt", "").replace("amp", ""), plain)


class Moody(Html):
    """A platform on which a shorter text may take more of the limit than a longer one."""

    def measure(self, rendered: str) -> int:
        return super().measure(rendered) + sum(map(ord, rendered)) % 29


@settings(deadline=None, max_examples=200)
@given(source=MARKDOWN, limit=st.integers(70, 150))
def test_pieces_fit_even_where_less_text_measures_more(source: str, limit: int) -> None:
    nodes = markup.parse(source)
    found = markup.pieces(nodes, Moody(), limit)
    assert all(Moody().measure(piece) <= limit for piece in found)
    assert is_within(said(nodes), squeezed("\n".join(map(Moody().read, found))))
