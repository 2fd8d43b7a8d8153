"""Three dialects much as platforms have them, and readers that say what each platform shows, or that it is broken."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import Any

from hypothesis import strategies as st

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

OWN = "•"
"""Begins what a dialect adds: the texts of these tests hold none."""
INVISIBLE = re.compile("[\u200b\u2060]")


def squeezed(text: str) -> str:
    """The text without white space and without what dialects add."""
    return re.sub(r"\s", "", INVISIBLE.sub("", re.sub(rf"{OWN}(\d+\.)?", "", text)))


def said(nodes: Iterable[Any]) -> str:
    """All the text of a tree, squeezed."""
    return squeezed("".join(_texts(nodes)))


def _texts(nodes: Iterable[Any]) -> Iterator[str]:
    for node in nodes:
        if hasattr(node, "text"):
            yield node.text
        yield from _texts(getattr(node, "items", getattr(node, "children", ())))


class Html(markup.Dialect):
    """As Telegram's HTML: measured in UTF-16 units of what is shown."""

    indents_code = False

    def measure(self, rendered: str) -> int:
        return len(html.unescape(re.sub(r"<[^>]*>", "", rendered)).encode("utf-16-le")) // 2

    def text(self, value: str, *, starts_line: bool) -> str:
        return html.escape(value)

    def strong(self, inner: str) -> str:
        return f"<b>{inner}</b>"

    def emphasis(self, inner: str) -> str:
        return f"<i>{inner}</i>"

    def strike(self, inner: str) -> str:
        return f"<s>{inner}</s>"

    def code(self, value: str) -> str:
        return f"<code>{html.escape(value)}</code>"

    def link(self, inner: str, url: str) -> str:
        return f'<a href="{html.escape(url)}">{inner}</a>'

    def code_block(self, value: str, language: str) -> str:
        return f"<pre>{html.escape(value)}</pre>"

    def quote(self, inner: str, depth: int) -> str:
        return inner if depth else f"<blockquote>{inner}</blockquote>"

    def mark(self, number: int | None, depth: int) -> str:
        return f"{OWN} " if number is None else f"{OWN}{number}. "

    def rule(self) -> str:
        return OWN

    def read(self, rendered: str) -> str:
        reader = _HtmlReader()
        reader.feed(rendered)
        reader.close()
        assert reader.open == [], rendered
        return "".join(reader.shown)


class _HtmlReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.shown: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {"code", "pre"} & {*self.open}, "nothing may stand in code"
        assert tag not in self.open, "a tag within itself"
        assert [name for name, _ in attrs] == (["href"] if tag == "a" else [])
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


class Mrkdwn(markup.Dialect):
    """As Slack's mrkdwn: entities, marks that end with their line, a word joiner behind a mark that is text."""

    indents_code = False
    _marks = re.compile("([*_~`])")

    def text(self, value: str, *, starts_line: bool) -> str:
        return self._marks.sub("\\1\u2060", html.escape(value, quote=False))

    def strong(self, inner: str) -> str:
        return self._around(inner, "*")

    def emphasis(self, inner: str) -> str:
        return self._around(inner, "_")

    def strike(self, inner: str) -> str:
        return self._around(inner, "~")

    def _around(self, inner: str, mark: str) -> str:
        return "\n".join(f"{mark}{line}{mark}" if line.strip() else line for line in inner.split("\n"))

    def between(self, before: str, after: str) -> str:
        return "\u200b" if before[-1].isalnum() and after[0] in "*_~`" else ""

    def code(self, value: str) -> str:
        if "`" in value or not value.strip():
            return self.text(value, starts_line=False)
        return f"`{html.escape(value, quote=False)}`"

    def link(self, inner: str, url: str) -> str:
        return f"<{html.escape(url, quote=False)}|{inner}>".replace("\n", " ")

    def code_block(self, value: str, language: str) -> str:
        return "```\n" + html.escape(value, quote=False).replace("```", "``\u200b`") + "\n```"

    def quote(self, inner: str, depth: int) -> str:
        return "\n".join(f">{line}" for line in inner.split("\n"))

    def mark(self, number: int | None, depth: int) -> str:
        return f"{OWN} " if number is None else f"{OWN}{number}. "

    def rule(self) -> str:
        return OWN

    _token = re.compile(r"[*_~`]\u2060|```|[*_~`]|<[^|>]*\||>|&(?:lt|gt|amp);|\n[ >]*|.", re.DOTALL)

    def read(self, rendered: str) -> str:
        shown: list[str] = []
        opened: list[str] = []
        for found in self._token.finditer(f"\n{rendered}"):
            token = found[0]
            in_code = opened[-1:] == ["`"] or opened[-1:] == ["```"]
            if in_code and token != opened[-1] and token[0] in "*_~`":
                shown.append(token)
            elif token in ("*", "_", "~", "`", "```"):
                if opened[-1:] == [token]:
                    opened.pop()
                else:
                    assert token not in opened, rendered
                    opened.append(token)
            elif token[0] == "<":
                opened.append("<")
            elif token == ">":
                assert opened.pop() == "<", rendered
            elif token[0] == "\n":
                assert {*opened} <= {"```"}, rendered
                shown.append("\n")
            else:
                shown.append(html.unescape(token))
        assert opened == [], rendered
        return "".join(shown)


class Discord(markup.Dialect):
    """As Discord's markdown: backslashes, fences, list marks at the beginning of a line."""

    indents_code = False
    _special = re.compile(r"([\\*_~`|<>\[\]()@#])")
    _starts = re.compile(r"^( *)([-+]|#+|\d+(?=[.)]))")

    def text(self, value: str, *, starts_line: bool) -> str:
        escaped = self._special.sub(r"\\\1", value)
        if starts_line:
            escaped = re.sub(r"^( *)([-+])", r"\1\\\2", re.sub(r"^( *\d+)([.)])", r"\1\\\2", escaped))
        return escaped

    def strong(self, inner: str) -> str:
        return f"**{inner}**"

    def emphasis(self, inner: str) -> str:
        return f"_{inner}_"

    def strike(self, inner: str) -> str:
        return f"~~{inner}~~"

    def code(self, value: str) -> str:
        fence = "`" * (1 + max(map(len, re.findall("`+", value)), default=0))
        return f"{fence} {value} {fence}"

    def link(self, inner: str, url: str) -> str:
        return f"[{inner}]({url.replace('(', '%28').replace(')', '%29')})"

    def code_block(self, value: str, language: str) -> str:
        return "```\n" + value.replace("```", "`\u200b`\u200b`\u200b") + "\n```"

    def mark(self, number: int | None, depth: int) -> str:
        return "- " if number is None else f"{number}. "

    def rule(self) -> str:
        return OWN

    _token = re.compile(
        r"(?P<block>```\n(?P<lines>.*?)\n```)|(?P<ticks>`+) (?P<code>.*?) (?P=ticks)|\\(?P<escaped>[^0-9A-Za-z\s])"
        r"|(?P<style>\*\*|_|~~)|(?P<link>\[)|\]\((?P<url>[^)\s]*)\)|(?P<line>\n(?:> ?| )*(?:- ?|\d+\. ?)?)"
        r"|(?P<other>.)",
        re.DOTALL,
    )

    def read(self, rendered: str) -> str:
        shown: list[str] = []
        opened: list[str] = []
        for found in self._token.finditer(f"\n{rendered}"):
            groups = {name: value for name, value in found.groupdict().items() if value is not None}
            if style := groups.get("style"):
                if opened[-1:] == [style]:
                    opened.pop()
                else:
                    assert style not in opened, rendered
                    opened.append(style)
            elif "link" in groups:
                opened.append("[")
            elif "url" in groups:
                assert opened.pop() == "[", rendered
            elif "other" in groups:
                assert groups["other"] not in "*~`[]\\<", rendered
                shown.append(groups["other"])
            else:
                shown += [groups.get(name, "") for name in ("lines", "code", "escaped")]
                shown += "\n" * ("line" in groups)
        assert opened == [], rendered
        return "".join(shown)


DIALECTS = (Html(), Mrkdwn(), Discord())

FRAGMENTS = (
    "**", "*", "_", "__", "~~", "`", "``", "\n```\n", "\n- ", "\n  - ", "\n1. ", "\n> ", "\n# ", "\n\n", "\n", "  \n",
    "\n---\n", "    ", " ", "[", "](https://a.example/b?c=1&d=(2))", "![", "](x.png)", "<b>", "</b>", "&lt;", "&amp;",
    "<", ">", "&", "\\", "|", "(", ")", "]", "#", "+", "-", "1.", "@everyone", "<@123>", "<!here>", "snake_case_word",
    "https://a.example/x_y*z", "word", "two words",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1eb\U0001f1f7",
    "e\u0301", "\u05e9\u05dc\u05d5\u05dd", "\u202egnp", "\x00", "\ud83d", "\x1b[31m", "\t", "\r\n", "x" * 70,
)  # fmt: skip
SOURCES = st.lists(
    st.sampled_from(FRAGMENTS) | st.text(max_size=8).map(lambda text: text.replace(OWN, "")), max_size=40
)
MARKDOWN = SOURCES.map("".join)
LABELS = st.text(max_size=30).map(lambda text: text.replace(OWN, "")) | st.sampled_from(FRAGMENTS)


@st.composite
def cards(draw: st.DrawFn) -> Card:
    """Any card."""
    columns = draw(st.integers(1, 4))
    row = st.tuples(*[LABELS] * columns)
    numbers = st.none() | st.integers(-3, 1000)
    block = st.one_of(
        st.builds(Text, text=MARKDOWN),
        st.builds(Fields, fields=st.lists(st.builds(Pair, name=LABELS, value=MARKDOWN), max_size=4).map(tuple)),
        st.builds(
            Table, columns=row, rows=st.lists(row, max_size=12).map(tuple), numeric=st.sampled_from([(), (0,), (0, 1)])
        ),
        st.builds(Progress, text=LABELS, done=numbers, total=numbers),
        st.builds(
            Plan,
            steps=st.lists(
                st.builds(PlanStep, title=LABELS, detail=LABELS, state=st.sampled_from(["done", "failed", "planned"])),
                max_size=4,
            ).map(tuple),
        ),
        st.builds(Image, blob=st.just("ab"), alt=LABELS),
        st.builds(File, blob=st.just("ab"), name=LABELS, content_type=st.just("text/plain")),
        st.builds(Buttons, buttons=st.lists(st.builds(Button, label=LABELS), max_size=3).map(tuple)),
        st.just(Divider()),
    )
    return Card(
        title=draw(LABELS),
        blocks=tuple(draw(st.lists(block, max_size=5))),
        severity=draw(st.sampled_from(Severity)),
        footer=draw(LABELS),
        exercise=draw(st.booleans()),
    )
