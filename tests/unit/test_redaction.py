"""Redaction: known secrets, telling keys and the shapes of tokens never come through."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from vtoc_bots.core.observe.redaction import MASK, MAX_CHARACTERS, Redactor, is_telling

# Made up here; each has only the shape of the real thing, and none is written out whole.
SHAPED = {
    "our own": "vtoc_" + "aZ3-_9kQ" * 5 + "x1Y",
    "telegram": "123456789:" + "AAH" + "k3Jd_9-xQ" * 4,
    "slack bot": "xoxb-" + "123456789012-abcdefGHIJKL",
    "slack app": "xapp-" + "1-A012-345-abcdef",
    "discord bot": "M" + "TIzNDU2Nzg5MDEyMzQ1Njc4" + ".GabCde." + "x1Y2z3" * 6,
    "json web token": "eyJhbGciOi" + ".eyJzdWIiOi." + "c2lnbmF0dXJl",
    "openai": "sk-" + "proj-abcdefghijklmnop",
    "supabase": "sb_secret_" + "abcdefghijklmnopqrst",
}


@pytest.mark.parametrize("shaped", SHAPED.values(), ids=SHAPED.keys())
@pytest.mark.parametrize(
    "around", ["{}", "failed for {} again", "https://api.example/x/{}/sendMessage", '"{}"', "a={}."]
)
def test_what_has_the_shape_of_a_token_is_masked(shaped: str, around: str) -> None:
    text = Redactor().text(around.format(shaped))
    assert shaped not in text
    assert shaped[-8:] not in text
    assert MASK in text


@pytest.mark.parametrize(
    ("text", "hidden", "kept"),
    [
        (f"https://api.example/bot{SHAPED['telegram']}/getMe", SHAPED["telegram"], "/bot***/getMe"),
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi", "Authorization: "),
        ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz", "'Authorization': "),
        ("sent with bearer AbCdEf123456", "AbCdEf123456", "sent with bearer "),
        ("postgresql://app:hunter2@db:5432/x?a=b", "hunter2", "postgresql://app:***@db:5432/x?a=b"),
        ("amqp://:p@ss@host/v", "p@ss", "amqp://:***@host/v"),
        ("https://hooks.slack.com/services/T0/B0/abcdefgh", "abcdefgh", "https://hooks.slack.com/services/***"),
        ("POST /api/webhooks/123/" + "a1" * 20 + "/messages", "a1a1", "/webhooks/123/***/messages"),
        ("https://x.example/?api_key=abc123&page=2", "abc123", "api_key=***&page=2"),
        ('{"password": "hunter2", "user": "x"}', "hunter2", '"user": "x"'),
        ("host=db password=hunter2 user=x", "hunter2", "host=db password=*** user=x"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nafter", "MIIE", "after"),
    ],
)
def test_a_secret_is_masked_and_what_is_around_it_kept(text: str, hidden: str, kept: str) -> None:
    redacted = Redactor().text(text)
    assert hidden not in redacted
    assert kept in redacted


@pytest.mark.parametrize(
    "text",
    [
        "telegram:123456:-1001234",
        "run 9f3c1d2e-0000-7000-8000-000000000001 finished",
        "http://127.0.0.1:8080/readyz",
        "op_airtrack_merge merged 63 tracks in 0.41 s",
        "a bearer of news",
        "https://example.org:443/a?x=me@there",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "SLACK_BOT_TOKEN",
        "apiKey",
        "APIKey",
        "X-ChatKit-Signature",
        "chatkit_api_key",
        "privateKey",
        "cookies",
    ],
)
def test_a_telling_key_is_known(name: str) -> None:
    assert is_telling(name)


@pytest.mark.parametrize(
    "name", ["key", "outbound_key", "idempotency_key", "monkey", "event", "tokeniser", "DISCORD_PUBLIC_KEY"]
)
def test_an_ordinary_key_is_not_telling(name: str) -> None:
    assert not is_telling(name)


def test_what_stands_under_a_telling_key_is_masked_whole() -> None:
    event = {"settings": [{"password": 12345, "nested": {"api_key": ["a", "b"]}}], "token": None, "secret": True}
    assert Redactor().value(event) == {
        "settings": [{"password": MASK, "nested": {"api_key": MASK}}],
        "token": None,
        "secret": True,
    }


@dataclass
class Login:
    user: str
    password: str


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_every_kind_of_value_becomes_plain_and_safe() -> None:
    redactor = Redactor(["hunter22"])
    values = redactor.value(
        {
            "error": ValueError("refused hunter22"),
            "bytes": b"x hunter22 \xff",
            "login": Login("me", "other"),
            "id": UUID(int=7),
            "at": datetime(2026, 1, 2, tzinfo=UTC),
            "secret_value": SecretStr("something"),
            ("hunter22", 1): {1, 2},
            "big": 2**70,
            "surrogate": "\ud800",
            "unprintable": Unprintable(),
        }
    )
    assert values["error"] == "ValueError: refused ***"
    assert values["bytes"] == "x *** \\xff"
    assert values["login"] == {"user": "me", "password": MASK}
    assert values["id"] == "00000000-0000-0000-0000-000000000007"
    assert values["at"] == "2026-01-02 00:00:00+00:00"
    assert values["big"] == str(2**70)
    assert values["unprintable"] == "<Unprintable that can't be shown: RuntimeError>"
    assert b"hunter22" not in orjson.dumps(values)


def test_endless_values_are_cut() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert len(orjson.dumps(Redactor().value(loop))) < 200
    assert len(Redactor().value(list(range(10_000)))) < 300
    assert len(Redactor().text("a" * 100_000)) < MAX_CHARACTERS + 100


@pytest.mark.parametrize("unit", ["a", "eyJ-", "token ", "-----BEGIN ", "x:", "://", "1:", "bearer ", "a.", "password"])
def test_no_long_line_makes_the_search_endless(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    assert Redactor(["hunter22"]).text(text)


secrets = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=6, max_size=40)
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)


def containing(secret: str) -> st.SearchStrategy[Any]:
    """Values of any depth, somewhere in which the secret stands, in one of the forms in which it may."""
    leaf = st.sampled_from(
        [
            secret,
            f"x{secret}y",
            f"{secret}{secret}",
            ValueError(secret),
            KeyError(secret),
            secret.encode(),
            [secret, {1: secret}],
        ]
    )
    return st.recursive(
        leaf | plain,
        lambda children: (
            st.lists(children, max_size=4)
            | st.dictionaries(st.text(max_size=8) | st.just(f"k{secret}"), children, max_size=4)
            | st.tuples(children, children)
        ),
        max_leaves=12,
    )


@given(st.data(), secrets)
def test_a_registered_secret_never_comes_through(data: st.DataObject, secret: str) -> None:
    redacted = Redactor([secret]).value(data.draw(containing(secret)))
    assert secret not in json.dumps(redacted, ensure_ascii=False)
    for text in texts_of(redacted):
        assert secret not in text


def test_of_secrets_that_begin_alike_the_longer_is_masked_whole() -> None:
    assert Redactor(["secret-one", "secret-one-and-more"]).text("x secret-one-and-more y") == "x *** y"


@pytest.mark.parametrize(
    "form", [str(KeyError("pa\"ss'wörd\n")), json.dumps("pa\"ss'wörd\n"), "pa%22ss%27w%C3%B6rd%0A"]
)
def test_a_secret_is_known_in_the_forms_in_which_texts_hold_it(form: str) -> None:
    assert "pa" not in Redactor(["pa\"ss'wörd\n"]).text(f"failed with {form}").removeprefix("failed with ")


def test_a_key_seen_before_its_secret_was_registered_is_masked_too() -> None:
    redactor = Redactor()
    assert redactor.value({"hunter22": 1}) == {"hunter22": 1}
    redactor.add("hunter22")
    assert redactor.value({"hunter22": 1}) == {MASK: 1}


@given(st.lists(secrets, min_size=2, max_size=5), st.text(max_size=10))
def test_secrets_that_hold_or_touch_each_other_never_come_through(found: list[str], between: str) -> None:
    redacted = Redactor(found).text(between.join([*found, *reversed(found)]))
    assert not [secret for secret in found if secret in redacted]


@given(st.recursive(plain, lambda children: st.lists(children) | st.dictionaries(plain, children), max_leaves=20))
def test_any_value_can_be_written(value: Any) -> None:
    orjson.dumps(Redactor().value(value))


def texts_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts_of(part)]
    if isinstance(value, list):
        return [text for item in value for text in texts_of(item)]
    return [value] if isinstance(value, str) else []
