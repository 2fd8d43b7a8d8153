"""The strict Bot API server of the tests is strict."""

from __future__ import annotations

import json

import pytest

from tests.telegram_markup import BadMarkup, parsed, units
from tests.telegram_spec import PATH, problem_of, spec

needs_spec = pytest.mark.skipif(spec() is None, reason=f"the Bot API's specification is not at hand ({PATH.name})")


@needs_spec
@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("sendMesage", {}, "not found"),
        ("sendMessage", {"chat_id": "1"}, "needs text"),
        ("sendMessage", {"chat_id": "1", "text": "x", "colour": "red"}, "no parameter colour"),
        ("sendMessage", {"chat_id": "1", "text": "x", "message_thread_id": "9.5"}, "no Integer"),
        ("sendMessage", {"chat_id": "1", "text": "x", "reply_parameters": json.dumps({"id": 5})}, "has no id"),
        ("sendMessage", {"chat_id": "1", "text": "x", "reply_markup": json.dumps({"inline_keyboard": [{}]})}, "array"),
        ("setMyCommands", {"commands": json.dumps([{"command": "x"}])}, "needs description"),
        ("getUpdates", {"allowed_updates": json.dumps("message")}, "not an array"),
    ],
)
def test_what_breaks_the_specification_is_named(method: str, params: dict[str, str], words: str) -> None:
    assert words in (problem_of(method, params, {}) or "")


@needs_spec
def test_what_keeps_to_it_is_taken() -> None:
    keyboard = {"inline_keyboard": [[{"text": "Yes", "callback_data": "t", "style": "success"}]]}
    params = {"chat_id": "-1", "text": "5", "parse_mode": "HTML", "reply_markup": json.dumps(keyboard)}
    assert problem_of("sendMessage", params, {}) is None
    media = json.dumps([{"type": "photo", "media": "attach://a"}, {"type": "photo", "media": "attach://b"}])
    assert problem_of("sendMediaGroup", {"chat_id": "1", "media": media}, {"a": b"1", "b": b"2"}) is None
    assert "no parameter c" in (problem_of("sendMediaGroup", {"chat_id": "1", "media": media}, {"c": b"1"}) or "")


@pytest.mark.parametrize(
    "text",
    ["<b>x", "x</b>", "<b><i>x</b></i>", "<h1>x</h1>", "a < b", "a & b", "&nbsp;", '<a onclick="x">y</a>',
     "<pre><b>x</b></pre>", "<blockquote><blockquote>x</blockquote></blockquote>"],
)  # fmt: skip
def test_bad_markup_is_refused(text: str) -> None:
    with pytest.raises(BadMarkup):
        parsed(text)


def test_good_markup_is_measured_after_parsing() -> None:
    text = (
        '<b>a &amp; b</b> <a href="https://x.example/?a=1&amp;b=2">c</a> <pre><code class="language-py">d</code></pre>'
    )
    assert parsed(text) == "a & b c d"
    assert units("\U0001f6f0x") == 3
