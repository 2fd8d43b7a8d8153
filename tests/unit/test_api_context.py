"""The platform's rules of precedence, as tables: whose station, which channel, who asked."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from multidict import CIMultiDict

from vtoc_bots.core.access import Level, Operator, Station
from vtoc_bots.core.web.auth import Principal
from vtoc_bots.core.web.context import chat_context, station_named, station_of
from vtoc_bots.core.web.problems import Refusal

OWN = Station(UUID(int=1), "toc-s1", "TOC-S1", "One", "ops")
OTHER = Station(UUID(int=2), "toc-s2", "TOC-S2", "Two", "ops")
CALLER = Principal(Operator(UUID(int=9), "token x", {"toc-s1": Level.LEAD}), OWN, "token:x")


@pytest.mark.parametrize(
    ("path", "headers", "named"),
    [
        (None, {}, None),
        ("TOC_S1", {"X-Station-Id": "b"}, "toc-s1"),
        (None, {"X-Station-Id": "A_1", "X-Station-Slug": "b", "X-ChatKit-Station": "c", "X-TOC-Station": "d"}, "a-1"),
        (None, {"X-Station-Slug": "B", "X-ChatKit-Station": "c", "X-TOC-Station": "d"}, "b"),
        (None, {"X-ChatKit-Station": "C", "X-TOC-Station": "d"}, "c"),
        (None, {"x-toc-station": " D "}, "d"),
        (None, {"X-Station-Id": " ", "X-TOC-Station": "d"}, "d"),
    ],
)
def test_the_station_is_the_paths_then_the_first_headers(path: str | None, headers: Any, named: str | None) -> None:
    assert station_named(path, CIMultiDict(headers)) == named


@pytest.mark.parametrize(
    ("named", "status"),
    [(None, 0), ("toc-s1", 0), (str(OWN.id), 0), ("toc-s2", 403), (str(OTHER.id), 403), ("toc-s3", 404), ("*", 404)],
)
def test_a_credential_is_for_its_own_station_alone(named: str | None, status: int) -> None:
    if not status:
        assert station_of(CALLER, named, [OWN, OTHER]) is OWN
        return
    with pytest.raises(Refusal) as caught:
        station_of(CALLER, named, [OWN, OTHER])
    assert caught.value.status == status


CHANNELS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"metadata": {"channel_slug": "1"}}, {}),
    ({"metadata": {"channel": "2"}}, {}),
    ({"metadata": {"channel": {"slug": "3"}}}, {}),
    ({"metadata": {"channel": {"id": "4"}}}, {}),
    ({"metadata": {"chatkit": {"channel_slug": "5"}}}, {}),
    ({"metadata": {"chatkit": {"channel": "6"}}}, {}),
    ({"metadata": {"chatkit": {"channel": {"slug": "7"}}}}, {}),
    ({"channel_slug": "8"}, {}),
    ({}, {"X-ChatKit-Channel": "9"}),
    ({}, {"X-ChatKit-Thread": "10"}),
]
INITIATORS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"metadata": {"chatkit": {"initiator_id": "1"}}}, {}),
    ({"metadata": {"chatkit": {"user_id": "2"}}}, {}),
    ({"metadata": {"initiator_id": "3"}}, {}),
    ({"metadata": {"initiator": "4"}}, {}),
    ({"metadata": {"initiator": {"id": "5"}}}, {}),
    ({"metadata": {"initiator": {"user_id": "6"}}}, {}),
    ({"metadata": {"user": "7"}}, {}),
    ({"metadata": {"user": {"id": "8"}}}, {}),
    ({"metadata": {"user": {"user_id": "9"}}}, {}),
    ({"initiator_id": "10"}, {}),
    ({}, {"X-ChatKit-User": "11"}),
    ({}, {"X-ChatKit-Initiator": "12"}),
]


def merged(into: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """Both, where `into` has the better right to what both have."""
    result = {**one, **into}
    for name in set(into) & set(one):
        if isinstance(into[name], dict) and isinstance(one[name], dict):
            result[name] = merged(into[name], one[name])
    return result


@pytest.mark.parametrize(("table", "which"), [(CHANNELS, 0), (INITIATORS, 1)], ids=["channel", "initiator"])
def test_the_chat_context_is_that_of_the_first_that_says_it(table: Any, which: int) -> None:
    for place, (body, headers) in enumerate(table):
        assert chat_context(body, CIMultiDict(headers))[which] == str(place + 1)
        for later, more in table[place + 1 :]:
            both = merged(body, later)
            found = chat_context(both, CIMultiDict({**more, **headers}))[which]
            assert found == str(place + 1), both


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"metadata": None, "channel_slug": None}, (None, None)),
        ({"metadata": {"channel": {"slug": None, "id": 7}, "user": {}}}, ("7", None)),
        ({"metadata": {"channel": ["x"], "channel_slug": "  "}, "channel_slug": "y"}, ("y", None)),
        ({"metadata": {"user": True}, "initiator_id": "z"}, (None, "z")),
    ],
)
def test_what_says_nothing_is_passed_over(body: dict[str, Any], expected: tuple[str | None, str | None]) -> None:
    assert chat_context(body, CIMultiDict()) == expected
