"""CommonMark in a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.terminal_kit import is_safe
from vtoc_bots.core.markup.parse import MAX_NESTING
from vtoc_bots.plugins.terminal.markdown import Style, lines_of_markdown


def shown(source: str) -> list[str]:
    return [str(line) for line in lines_of_markdown(source)]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("**bold** and *soft*, `co*de*`", ["bold and soft, co*de*"]),
        ("one\ntwo  \nthree", ["one two", "three"]),
        ("# Head\ntext", ["Head", "", "text"]),
        ("[the map](http://a.b/c)", ["the map (http://a.b/c)"]),
        ('[the map](http://a.b/c "title")', ['the map (http://a.b/c) ("title")']),
        ("<http://a.b/c> and [http://a.b](http://a.b)", ["http://a.b/c and http://a.b"]),
        ("![alt](http://a.b/c.png)", ["alt (http://a.b/c.png)"]),
        ("[](http://a.b)", ["http://a.b"]),
        ("~~gone~~", ["~~gone~~"]),
        ("- a\n- b\n  1. c\n  2. d", ["- a", "- b", "  1. c", "  2. d"]),
        ("9. a\n9. b", ["9. a", "10. b"]),
        ("> a\n> > b", ["> a", ">", "> > b"]),
        ("a\n\n---\n\nb", ["a", "", "-" * 40, "", "b"]),
        ("```\nx = 1\n\n  y\n```", ["x = 1", "", "  y"]),
        ("```python\nx\n```", ["python:", "x"]),
        ("    indented  code", ["indented  code"]),
        ("- a\n\n      code", ["- a", "", "  code"]),
        ("<b>html</b>", ["<b>html</b>"]),
        ("<script>\nalert(1)\n</script>", ["<script> alert(1) </script>"]),
        ("[ref]: http://a.b", ["[ref]: http://a.b"]),
        (r"\*not soft\*", ["*not soft*"]),
        ("&lt;tag&gt;", ["<tag>"]),
        ("&#27;[31m \x1b[31m `\x1b`", ["\ufffd[31m ␛[31m ␛"]),
        ("", []),
        ("- ", ["-"]),
    ],
)
def test_markup_becomes_plain_lines(source: str, lines: list[str]) -> None:
    assert shown(source) == lines


def test_styles_are_kept_for_those_who_can_show_them() -> None:
    (line,) = lines_of_markdown("a **b** *c* `d` [e](http://f)")
    assert [(span.text, span.style) for span in line.spans if span.text.strip()] == [
        ("a ", Style.PLAIN),
        ("b", Style.STRONG),
        ("c", Style.EMPHASIS),
        ("d", Style.CODE),
        ("e", Style.PLAIN),
        (" (http://f)", Style.LINK),
    ]


def test_text_nested_too_deep_for_the_parser_is_shown_as_written() -> None:
    source = ">" * (MAX_NESTING + 5) + " deep"
    assert shown(source) == [source]
    assert shown("> " * 20 + "deep")[-1].endswith("> deep")


@settings(deadline=None)
@given(st.text(alphabet="ab\\*_`[]()<>!#-+.>~:\"' \n\t1", max_size=60))
def test_no_letter_is_lost_whatever_the_markup(source: str) -> None:
    found = iter("".join(shown(source)))
    assert all(letter in found for letter in source if letter in "ab")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_rendered_on_lines_without_control_characters(source: str) -> None:
    for line in shown(source):
        assert "\n" not in line
        assert is_safe(line)
