"""Any card as a Discord message: within every limit, balanced, and with every word in it or in its file."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.discord_rules import problems_of_message
from tests.discord_schema import problems_of_request
from tests.markup_kit import cards
from vtoc_bots import Button, Buttons, Card, Divider, Fields, File, Image, Pair, Severity, Table, Text, markup, new_id
from vtoc_bots.plugins.discord.components import rows_of_card
from vtoc_bots.plugins.discord.dialect import MARKDOWN, size
from vtoc_bots.plugins.discord.render import TOTAL, Rendered, Stored, is_marked, mark_of, rendered_card

MARK = datetime(2026, 3, 1, 12, tzinfo=UTC)
STORED = {"ab": Stored(b"data"), "cd": Stored(link="https://files.example/x?sig=1"), "ef": Stored(problem="it is gone")}
TOKEN = re.compile(
    r"```[A-Za-z0-9+\-]*\n(?P<block>.*?)\n```|(?P<ticks>``?)(?P<code>[^\n]+?)(?P=ticks)(?!`)|\\(?P<escaped>[^0-9A-Za-z\s])"
    r"|(?P<style>\*\*|\*|~~)|(?P<link>\[)|\]\((?P<url>[^)\s]*)\)|(?P<other>.)",
    re.DOTALL,
)


def seen(text: str) -> str:
    """The text without white space, what Discord's markdown adds, and characters that nobody sees."""
    return re.sub(r"[\s>»─•\-–…]|[0-9]+\.|\u200b|\[.*?picture.*?\]", "", text)


def read(rendered: str) -> str:
    """What Discord shows of its markdown; fails where a mark is never closed or stands bare."""
    shown: list[str] = []
    opened: list[str] = []
    for found in TOKEN.finditer(rendered):
        groups = {name: value for name, value in found.groupdict().items() if value is not None}
        if style := groups.get("style"):
            if style in opened:
                assert opened.pop() == style, rendered
            else:
                opened.append(style)
        elif "link" in groups:
            opened.append("[")
        elif "url" in groups:
            assert opened.pop() == "[", rendered
        elif "other" in groups:
            assert groups["other"] not in "`[]", rendered
            shown.append(groups["other"])
        else:
            shown += [groups.get(name, "") for name in ("block", "code", "escaped")]
    assert opened == [], rendered
    return "".join(shown)


def check(made: Rendered) -> list[dict[str, Any]]:
    body = dict(made.body)
    assert problems_of_message(body, [file.name for file in made.files]) == []
    assert problems_of_request("POST", "/channels/1/messages", body) == []
    assert problems_of_request("PATCH", "/webhooks/1/t/messages/@original", body) == []
    return list(body["embeds"])


def words(made: Rendered) -> str:
    """All that the message says, its text file included."""
    parts: list[str] = []
    for embed in made.body["embeds"]:
        parts += [(embed.get("author") or {}).get("name", ""), read(embed.get("title", ""))]
        parts.append(read(embed.get("description", "")))
        parts += [read(text) for each in embed.get("fields", ()) for text in (each["name"], each["value"])]
        parts.append((embed.get("footer") or {}).get("text", ""))
    parts += [file.data.decode("utf-8-sig") for file in made.files if file.name.endswith((".txt", ".csv"))]
    return "\n".join(parts)


@given(cards(), st.booleans())
def test_any_card_is_within_every_limit_and_balanced(card: Card, repeat: bool) -> None:
    made = rendered_card(card, MARK, STORED, may_be_repeat=repeat)
    check(made)
    words(made)


@given(cards(), st.integers(1, 60))
def test_no_text_is_lost_however_long_a_card_is(card: Card, times: int) -> None:
    texts = tuple(block for block in card.blocks if isinstance(block, Text))
    long = card.model_copy(update={"blocks": texts * times})
    made = rendered_card(long, MARK, STORED)
    check(made)
    said = seen(words(made))
    for block in texts:
        wanted = markup.render(markup.parse(block.text), markup.PLAIN)
        for word in re.findall(r"[A-Za-z]{3,}", wanted.replace("https://", "")):
            assert word in said


@given(st.lists(st.tuples(st.text(max_size=400), st.text(max_size=1500)), max_size=40))
def test_fields_are_embed_fields_where_they_fit_and_text_where_not(pairs: list[tuple[str, str]]) -> None:
    fields = Fields(fields=tuple(Pair(name=name, value=value) for name, value in pairs))
    made = rendered_card(Card.of("Fields", "Before.", fields, "After."), MARK)
    embeds = check(made)
    if pairs and len(pairs) <= 25 and sum(len(n) + len(v) for n, v in pairs) < 1000:
        assert sum(len(each.get("fields", ())) for each in embeds) == len(pairs)


def test_blocks_stand_in_their_order() -> None:
    image = Image(blob="ab", alt="A map of the harbour", name="map.png")
    card = Card.of("Order", "one", Fields.of(two="2"), "three", image, "four", footer="end")
    first, second, third = check(rendered_card(card, MARK, STORED))
    assert (first["description"], first["fields"][0]["name"]) == ("one", "two")
    assert (second["description"], second["image"]["url"]) == ("three", "attachment://map.png")
    assert (third["description"], third["footer"]["text"]) == ("four", "end")


def test_a_picture_has_its_words_and_severity_is_never_colour_alone() -> None:
    image = Image(blob="ab", alt="A map of the harbour", name="map.png")
    made = rendered_card(Card.of("Fire", image, severity=Severity.BAD, exercise=True), MARK, STORED)
    [embed] = check(made)
    assert made.body["attachments"] == [{"id": "0", "filename": "map.png", "description": "A map of the harbour"}]
    assert embed["title"] == "❌ FAILED: Fire"
    assert embed["author"]["name"].startswith("EXERCISE")


def test_what_has_no_room_is_in_the_file_and_the_message_says_so() -> None:
    text = "\n\n".join(f"Paragraph {n} of a very long report." for n in range(400))
    made = rendered_card(Card.of("Long", text, Divider(), "The end."), MARK)
    embeds = check(made)
    assert "reply.txt" in embeds[-1]["description"]
    assert sum(size(each.get("description", "")) for each in embeds) > TOTAL / 2
    assert "Paragraph 399" in made.files[-1].data.decode()
    assert "The end." in made.files[-1].data.decode()


def test_a_wide_table_is_a_file_and_a_narrow_one_is_in_columns() -> None:
    narrow = Table(columns=("track", "speed"), rows=(("A1B2C3", "12"),), numeric=(1,))
    [embed] = check(rendered_card(Card.of("", narrow), MARK))
    assert embed["description"].startswith("```\ntrack ")
    wide = Table(columns=("column",) * 9, rows=tuple((f"{n} and more",) * 9 for n in range(20)))
    made = rendered_card(Card.of("", wide), MARK)
    check(made)
    assert [file.name for file in made.files] == ["table.csv"]


def test_more_files_than_a_message_holds_are_named() -> None:
    files = tuple(File(blob="ab", name="same.txt", content_type="text/plain") for _ in range(12))
    made = rendered_card(Card(title="Files", blocks=files), MARK, STORED)
    check(made)
    names = [file.name for file in made.files]
    assert len(set(names)) == 9
    assert "no room for more files" in words(made)


@given(st.lists(st.lists(st.integers(0, 400), max_size=30), max_size=8))
def test_any_choices_fit_and_each_token_is_there_once(groups: list[list[int]]) -> None:
    blocks = tuple(
        Buttons(buttons=tuple(Button(label=f"Do {n}", token=f"token-{n:015}") for n in group)) for group in groups
    )
    card = Card(title="Choose", blocks=blocks)
    rows, lost = rows_of_card(card)
    check(rendered_card(card, MARK))
    offered = [
        each.get("value") or each["custom_id"]
        for row in rows
        for component in row["components"]
        for each in component.get("options", (component,))
    ]
    distinct = {n for group in groups for n in group}
    assert len(offered) + len(lost) == len(distinct)
    assert len(set(offered)) == len(offered)
    if len(distinct) <= 125:
        assert lost == []


def test_a_button_carries_its_token_and_nothing_else() -> None:
    block = Buttons(buttons=(Button(label="Approve", token="x" * 21, style="good"),))
    [row] = rows_of_card(Card.of("", block))[0]
    assert row["components"] == [{"type": 2, "style": 3, "label": "Approve", "custom_id": "x" * 21}]


def test_a_message_is_known_again_by_its_time() -> None:
    outbound_id = new_id()
    mark = mark_of(outbound_id, "run:1:result")
    made = rendered_card(Card.of("Result"), mark)
    assert is_marked(made.body, mark)
    assert not is_marked(made.body, mark_of(outbound_id, "run:1:progress"))
    assert not is_marked({"embeds": [{"timestamp": "garbage"}]}, mark)
    assert not is_marked({}, mark)


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("**bold** and *slanted*", "**bold** and *slanted*"),
        ("a_b * c", r"a\_b \* c"),
        ("`x`", "`x`"),
        ("`` a`b ``", "``a`b``"),
        ("[here](https://a.example/x_(y))", "[here](https://a.example/x_%28y%29)"),
        ("1) no list", "1. no list"),
        ("@everyone <@123> ||spoiler||", r"@everyone \<@123> \|\|spoiler\|\|"),
        ("```py\na```b\n```", "```py\na`\u200b`\u200b`b\n```"),
        ("> quoted\n> more", "> quoted more"),
    ],
)
def test_text_is_written_as_discord_reads_it(source: str, written: str) -> None:
    assert markup.render(markup.parse(source), MARKDOWN) == written
