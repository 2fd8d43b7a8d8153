"""CommonMark as a tree, written in dialects, cut into pieces where a reader would cut it."""

from __future__ import annotations

import ast
import inspect

import pytest

from tests.markup_kit import Discord, Html, Mrkdwn
from vtoc_bots import markup
from vtoc_bots.core.markup.cells import boundary, padded, wrapped

HTML = Html()
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def written(source: str, dialect: markup.Dialect = HTML) -> str:
    return markup.render(markup.parse(source), dialect)


def pieces(source: str, limit: int, dialect: markup.Dialect = HTML) -> list[str]:
    return markup.pieces(markup.parse(source), dialect, limit)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("**bold _both_** ~~gone~~ `a<b`", "<b>bold <i>both</i></b> <s>gone</s> <code>a&lt;b</code>"),
        ("__a__**b** and **c **d** e**", "<b>ab</b> and <b>c d e</b>"),
        ("__a **b** c__", "<b>a b c</b>"),
        ("# A **b**", "<b>A b</b>"),
        ("one\ntwo  \nthree", "one two\nthree"),
        ("[map](https://a.example/?q=1&r)", '<a href="https://a.example/?q=1&amp;r">map</a>'),
        ('[map](https://a.example "title")', '<a href="https://a.example">map</a> (&quot;title&quot;)'),
        ("[here](../page.md)", "here (../page.md)"),
        ("![alt](https://a.example/p.png)", '<a href="https://a.example/p.png">alt</a>'),
        ("![](https://a.example/p)", '<a href="https://a.example/p">https://a.example/p</a>'),
        ("(see https://a.example/x_y.)", '(see <a href="https://a.example/x_y">https://a.example/x_y</a>.)'),
        ("**https://a.example**", '<b><a href="https://a.example">https://a.example</a></b>'),
        ("- a\n-", "• a\n•"),
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
        ("[ref]: https://a.example", '[ref]: <a href="https://a.example">https://a.example</a>'),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("> a\n> > b", "<blockquote>a\n\nb</blockquote>"),
        ("3. a\n4. b\n   - c", "•3. a\n•4. b\n    • c"),
        ("- a\n\n- b", "• a\n\n• b"),
        ("- a\n  ```\n  x\n    y\n  ```", "• a\n<pre>x\n  y</pre>"),
        ("-\n- > q", "•\n•\n  <blockquote>q</blockquote>"),
        ("a\x00b \x1b[31m &#x202e;c \ud83d", "a\ufffdb ␛[31m &lt;U+202E&gt;c &lt;U+D83D&gt;"),
        ("", ""),
    ],
)
def test_commonmark_is_written_in_the_dialect(source: str, expected: str) -> None:
    assert written(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# Head\n\n- a\n  1. b\n\n> q", "Head\n\n- a\n  1. b\n\n> q"),
        ("[map](https://a.example) <https://b.example>", "map (https://a.example) https://b.example"),
        ("<mailto:a@b.example> <c@d.example>", "mailto:a@b.example c@d.example"),
        ("- a\n  ```py\n  x\n  ```", "- a\n  py:\n  x"),
    ],
)  # fmt: skip
def test_the_plain_dialect_shows_addresses_and_indents_code(source: str, expected: str) -> None:
    assert written(source, markup.PLAIN) == expected


def test_a_style_around_nothing_is_not_written() -> None:
    blank = markup.Paragraph((markup.Words("a"), markup.Strong((markup.Words(" "),)), markup.Emphasis(())))
    assert markup.render((blank,), HTML) == "a "


def test_a_dialect_is_told_where_a_line_starts_and_what_stands_beside_a_mark() -> None:
    assert written("1\\. a **\\- b**  \n\\- c - d", Discord()) == "1\\. a **- b**\n\\- c - d"
    assert written("a**b**", Mrkdwn()) == "a\u200b*b*"
    assert written("**a  \nb**", Mrkdwn()) == "*a*\n*b*"


def test_text_nested_too_deep_for_the_parser_stays_as_it_was_written() -> None:
    source = ">" * 70 + " deep"
    assert written(source, markup.PLAIN) == source


def test_a_text_that_fits_is_one_piece_and_an_empty_one_none() -> None:
    assert pieces("a *b*\n\nc", 32) == ["a <i>b</i>\n\nc"]
    assert pieces("  \n \n", 32) == []


def test_pieces_end_between_blocks_and_headings_stay_with_their_text() -> None:
    source = f"{'a' * 30}\n\n{'b' * 20}\n\n# Head\n\n{'c' * 40}"
    assert pieces(source, 64) == [f"{'a' * 30}\n\n{'b' * 20}", f"<b>Head</b>\n\n{'c' * 40}"]


def test_a_long_paragraph_ends_at_a_line_else_at_a_word() -> None:
    assert pieces(f"{'a ' * 12}\\\n{'b ' * 12}", 40) == [("a " * 12).strip(), ("b " * 12).strip()]
    assert pieces("word " * 10, 32) == ["word " * 5 + "word", "word word word word"]
    assert pieces("x" * 70, 32) == ["x" * 32, "x" * 32, "x" * 6]


def test_what_is_cut_is_opened_again() -> None:
    assert pieces("**" + "word " * 9 + "*end of it*" + "**", 32) == [
        "<b>word word word word word word</b>",
        "<b>word word word <i>end of it</i></b>",
    ]
    assert pieces("7. " + "word " * 9 + "\n8. b", 36) == ["•7. " + "word " * 5 + "word", "    word word word\n•8. b"]
    code = "\n".join(f"line {number}" for number in range(6))
    assert pieces(f"```\n{code}\n```", 32) == [
        "<pre>line 0\nline 1\nline 2\nline 3</pre>",
        "<pre>line 4\nline 5</pre>",
    ]


def test_items_keep_their_numbers_and_their_marks() -> None:
    assert pieces(f"7. {'a' * 25}\n8. {'b' * 25}\n9.", 32) == [f"•7. {'a' * 25}", f"•8. {'b' * 25}", "•9."]


def test_indentation_of_code_survives_a_cut() -> None:
    assert pieces("```\n" + "if x:\n    y = 1234567890\n" * 3 + "```", 32)[0].startswith("<pre>if x:\n    y")
    assert pieces("```\n" + "a" * 30 + "\n    b\n```", 32) == [f"<pre>{'a' * 30}</pre>", "<pre>    b</pre>"]


def test_a_code_span_is_cut_only_where_it_is_longer_than_a_piece() -> None:
    assert pieces("some words before `and a code span`", 32) == ["some words before", "<code>and a code span</code>"]
    assert pieces("before(`" + "and_a_code_span_of_30_letters_" + "`)", 32)[0] == "before("
    assert pieces("`" + "ab " * 15 + "c`", 32)[0] == "<code>" + ("ab " * 10) + "ab</code>"


def test_the_measure_is_that_of_the_dialect() -> None:
    assert pieces("\U0001f600" * 20, 32) == ["\U0001f600" * 16, "\U0001f600" * 4]  # two UTF-16 units each
    assert pieces("<" * 20, 32, Mrkdwn()) == ["&lt;" * 8, "&lt;" * 8, "&lt;" * 4]


@pytest.mark.parametrize(
    "cluster", [FAMILY, "\U0001f1eb\U0001f1f7", "e\u0301", "\U0001f44d\U0001f3fd", "\u1112\u1161\u11ab"]
)
def test_no_piece_ends_within_a_character_as_people_see_it(cluster: str) -> None:
    found = pieces(cluster * 40, 37)
    assert "".join(found) == cluster * 40
    assert all(len(piece) % len(cluster) == 0 for piece in found)


def test_a_cluster_longer_than_a_piece_is_cut_all_the_same() -> None:
    zalgo = "a" + "\u0301" * 200
    assert "".join(pieces(zalgo, 32)) == zalgo


def test_markup_that_is_longer_than_a_piece_becomes_words() -> None:
    found = pieces(f"see [the map](https://a.example/{'x' * 60}) now", 64, Discord())
    assert "".join(found).replace("\\", "").count("x") == 61
    assert all(len(piece) <= 64 for piece in found)
    assert pieces(f"**a**\n\n[b](https://a.example/{'x' * 60})", 64, Discord())[0] == "**a**"


def test_blocks_that_fit_only_one_by_one_are_parted() -> None:
    class Spacious(markup.Dialect):
        def measure(self, rendered: str) -> int:
            return len(rendered) + 20 * rendered.count("\n\n")

    assert pieces("a\n\nb\n\nc", 32, Spacious()) == ["a\n\nb", "c"]


def test_a_limit_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a limit of 31 is too small"):
        pieces("a", 31)

    class Wordy(markup.Dialect):
        def text(self, value: str, *, starts_line: bool) -> str:
            return value * 100

    with pytest.raises(ValueError, match="a character longer than 32"):
        pieces("a", 32, Wordy())


def test_widths_are_those_of_cells() -> None:
    assert padded("日本", 6) == "日本  "
    assert padded("7", 3, right=True) == "  7"
    assert wrapped("日本語 text of words", 6) == ["日本語", "text", "of", "words"]
    assert wrapped("abcdefgh", 3) == ["abc", "def", "gh"]
    assert wrapped("", 3) == [""]
    assert boundary(FAMILY, 3) == 3
    assert boundary("ab" + FAMILY, 4) == 2


def test_everything_the_module_exports_is_documented() -> None:
    bare = [
        f"{name}.{member}"
        for name in markup.__all__
        if inspect.isclass(value := getattr(markup, name)) or inspect.isfunction(value)
        for member, each in [("", value), *(vars(value).items() if inspect.isclass(value) else ())]
        if not member.startswith("_") and (inspect.isfunction(each) or not member) and not each.__doc__
    ]
    assert bare == []
    imported = ast.parse(inspect.getsource(markup))
    names = [alias.name for node in imported.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(names) == sorted(markup.__all__)
