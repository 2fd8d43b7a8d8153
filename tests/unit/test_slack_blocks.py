"""Cards as Block Kit: never over a limit, never unbalanced, no text lost, whatever the card."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.slack_blocks import problems_of_blocks, problems_of_view, texts_of
from vtoc_bots import (
    Button,
    Buttons,
    Card,
    Divider,
    Fields,
    File,
    Form,
    FormField,
    Image,
    Message,
    MessageKind,
    Pair,
    Plan,
    PlanStep,
    Progress,
    Sender,
    Severity,
    Table,
    Text,
    markup,
)
from vtoc_bots.core.messages import ConversationId
from vtoc_bots.plugins.slack.blocks import Rendered, home_from_card, messages_from_card
from vtoc_bots.plugins.slack.forms import view_from_form
from vtoc_bots.plugins.slack.mrkdwn import GUARD, MRKDWN

BLOB = "0" * 64
words = st.text(max_size=200) | st.text("*_~`<>&| \n[]()#-+.0123456789abcé😀", max_size=400)
long = st.builds(
    lambda text, times: text * times, st.text("ab *_`<&>\n|", min_size=1, max_size=30), st.integers(1, 900)
)
texts = words | long
buttons = st.builds(
    lambda label, n, style: Button(label=label, token=f"{n:021d}", style=style),
    words,
    st.integers(0, 10**9),
    st.sampled_from(["plain", "good", "bad"]),
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(st.integers(1, 24))
    cell = st.text(max_size=60) | st.text("a<&>` *|\n", max_size=300)
    row = st.tuples(*[cell] * columns)
    rows = draw(st.lists(row, max_size=6)) * draw(st.integers(1, 40))
    return Table(columns=draw(row), rows=tuple(rows), numeric=(0,))


blocks = st.one_of(
    st.builds(Text, text=texts),
    st.builds(Fields, fields=st.lists(st.builds(Pair, name=words, value=texts), max_size=25).map(tuple)),
    tables(),
    st.builds(Image, blob=st.just(BLOB), alt=texts, name=words),
    st.builds(File, blob=st.just(BLOB), name=words, content_type=st.just("text/plain")),
    st.builds(Plan, steps=st.lists(st.builds(PlanStep, title=words, detail=words), max_size=40).map(tuple)),
    st.builds(Progress, text=words, done=st.none() | st.integers(0, 10), total=st.none() | st.integers(0, 10)),
    st.builds(Buttons, buttons=st.lists(buttons, max_size=130).map(tuple)),
    st.just(Divider()),
)
cards = st.builds(
    Card,
    title=texts,
    blocks=st.lists(blocks, max_size=12).map(tuple),
    severity=st.sampled_from(Severity),
    footer=words,
    exercise=st.booleans(),
)


def readable(rendered: Rendered) -> str:
    return "".join(text for message in rendered.messages for block in message for text in texts_of(block))


def letters(text: str) -> str:
    """What is to be read: no markup, no entities, no spaces."""
    for entity, letter in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, letter)
    return "".join(re.findall(r"[^\W_]", text))


@settings(max_examples=150, deadline=None)
@given(cards, st.booleans(), st.booleans())
def test_no_message_of_any_card_is_refused(card: Card, repeat: bool, has_tables: bool) -> None:
    rendered = messages_from_card(card, may_be_repeat=repeat, tables=has_tables, thread="1790000000.000001")
    assert 1 <= len(rendered.messages) <= 3
    for message in rendered.messages:
        assert problems_of_blocks(list(message)) == []
    assert 0 < len(rendered.text) <= 40_000
    if not has_tables:
        assert not rendered.has_table


@settings(max_examples=75, deadline=None)
@given(cards)
def test_no_app_home_of_any_card_is_refused(card: Card) -> None:
    assert problems_of_view(home_from_card(card)) == []


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=3000) | texts, st.lists(st.builds(Pair, name=words, value=texts), max_size=12))
def test_no_text_of_a_card_is_lost(text: str, pairs: list[Pair]) -> None:
    rendered = messages_from_card(Card.of("", Text(text=text), Fields(fields=tuple(pairs))))
    shown = letters(readable(rendered)) if not rendered.files else ""
    if not rendered.files:
        for node_text in (markup.render(markup.parse(text), MRKDWN), *(pair.value for pair in pairs)):
            for part in re.findall(r"[^\W_]+", markup.clean(node_text).replace(GUARD, "")):
                assert letters(part) in shown or "amp" in part or "lt" in part or "gt" in part


@settings(max_examples=100, deadline=None)
@given(texts)
def test_every_piece_of_a_text_is_balanced(text: str) -> None:
    rendered = messages_from_card(Card.of("", Text(text=text)))
    for message in rendered.messages:
        for block in message:
            for shown in texts_of(block):
                if block["type"] != "section" or block["text"]["type"] != "mrkdwn":
                    continue
                assert shown.count("```") % 2 == 0
                assert re.search(r"&(?!(amp|lt|gt);)", shown) is None, "half an entity"
                assert not shown.encode("utf-16", "surrogatepass").decode("utf-16", "replace").count("\ufffd\ufffd")


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("**bold** and *slanted* and ~~gone~~", "*bold* and _slanted_ and ~gone~"),
        ("`a<b`", "`a&lt;b`"),
        ("[the page](https://example.org/?a=1&b=2)", "<https://example.org/?a=1&amp;b=2|the page>"),
        ("# Heading\n\ntext", "*Heading*\n\ntext"),
        ("- one\n- two\n  - inner", "• one\n• two\n  ◦ inner"),
        ("3. three\n4. four", "3. three\n4. four"),
        ("> quoted\\\n> twice", "> quoted\n> twice"),
        ("```python\nx = 1 < 2\n```", "```\nx = 1 &lt; 2\n```"),
        ("half**bold**word", f"half{GUARD}*bold*{GUARD}word"),
    ],
)
def test_commonmark_is_written_in_slacks_own_markup(source: str, written: str) -> None:
    assert markup.render(markup.parse(source), MRKDWN) == written


def test_nothing_in_a_text_mentions_anybody_or_becomes_a_link() -> None:
    [message] = messages_from_card(Card.of("", "<!channel> **<@U123>** <https://evil.example|bank>")).messages
    shown = "".join(text for block in message for text in texts_of(block))
    assert "<!" not in shown
    assert "<@" not in shown
    assert "<https://evil.example|" not in shown


def test_a_text_without_markup_is_shown_as_it_stands() -> None:
    [[block]] = messages_from_card(Card.of("", "2 \\* 3 \\* 4 and snake\\_case")).messages
    assert block["text"] == {"type": "plain_text", "text": "2 * 3 * 4 and snake_case", "emoji": False}


def test_a_table_is_a_table_block_and_a_second_one_is_in_fixed_pitch() -> None:
    table = Table(columns=("name", "n"), rows=(("a", "1"), ("", "2")), numeric=(1,))
    [[first, second]] = messages_from_card(Card.of("", table, table)).messages
    assert first["type"] == "table"
    assert [setting["align"] for setting in first["column_settings"]] == ["left", "right"]
    assert second["text"]["text"].startswith("```\nname  n")


def test_five_buttons_are_buttons_and_six_are_a_menu_of_tokens() -> None:
    made = [Button(label=f"No. {n}", token=f"{n:021d}", style="good" if n else "bad") for n in range(6)]
    [[row]] = messages_from_card(Card.of("", Buttons(buttons=tuple(made[:5])))).messages
    assert [element["style"] for element in row["elements"]] == ["danger", *["primary"] * 4]
    [[menu]] = messages_from_card(Card.of("", Buttons(buttons=tuple(made)))).messages
    assert [option["value"] for option in menu["elements"][0]["options"]] == [button.token for button in made]


def test_a_button_without_a_token_is_not_shown() -> None:
    [[block]] = messages_from_card(Card.of("", Buttons(buttons=(Button(label="x"),)))).messages
    assert block["type"] == "section"


fields = st.builds(
    FormField,
    name=st.text("abc_", min_size=1, max_size=10),
    label=words,
    help=words,
    required=st.booleans(),
    default=st.none() | texts,
    choices=st.lists(st.tuples(texts, words), max_size=3).map(tuple)
    | st.integers(90, 320).map(lambda count: tuple((f"v{n}", f"Value {n}") for n in range(count))),
    long=st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(words, st.lists(fields, min_size=1, max_size=5, unique_by=lambda field: field.name))
def test_no_modal_of_any_form_is_refused(title: str, asked: list[FormField]) -> None:
    view = view_from_form(Form("t" * 32, title, tuple(asked)), message())
    assert problems_of_view(view) == []
    assert [block["block_id"] for block in view["blocks"] if block["type"] == "input"] == [f.name for f in asked]


def message(**more: Any) -> Message:
    conversation = ConversationId("slack", "T1", "C1", "1.1")
    context = {"response_url": "https://hooks.slack.com/actions/T1/1/abc", "until": 1.0}
    known = {"kind": MessageKind.COMMAND, "reply_context": context}
    return Message("slack", "T1", "e1", conversation, Sender("U1", "ada", "T1"), **{**known, **more})
