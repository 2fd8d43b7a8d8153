"""Times, cursors, signatures and the events of a run: the parts of the API that need neither network nor database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from vtoc_bots.core.store.run_pages import RunSeen, StepSeen
from vtoc_bots.core.web.documents import Moment, cursor_of, page_of, place_of
from vtoc_bots.core.web.parsing import loaded, refuse_deep
from vtoc_bots.core.web.problems import Refusal
from vtoc_bots.core.web.run_events import Seen, events_since, id_of, seen_of
from vtoc_bots.core.web.signatures import SIGNATURE_HEADER, TIMESTAMP_HEADER, check_signature, signature_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_leads_back_to_its_place(at: datetime, key: UUID) -> None:
    assert place_of(cursor_of(at, key)) == (at, key)


@given(st.text(alphabet="ABCabc012_-", min_size=1, max_size=40))
def test_a_cursor_that_we_did_not_make_is_a_mistake_and_no_fault(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        place_of(text)
    assert caught.value.status == 400


def test_a_page_says_where_the_next_begins_only_if_there_is_one() -> None:
    assert page_of([1, 2, 3], 2, str, lambda row: row * 10).next == "2"
    assert page_of([1, 2], 2, str, lambda row: row * 10) == page_of([1, 2], 5, str, lambda row: row * 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01T12:00:00Z", NOW),
        ("2026-05-01t14:00:00.000+02:00", NOW),
        ("2026-05-01 12:00:00.000000000Z", NOW),
        ("2026-05-01T12:00:00", None),
        ("2026-05-01", None),
        ("1777636800", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("2026-13-01T12:00:00Z", None),
        ("２026-05-01T12:00:00Z", None),
    ],
)
def test_a_time_is_written_as_rfc_3339_says(text: str, expected: datetime | None) -> None:
    if expected is not None:
        assert MOMENT.validate_strings(text) == expected
        return
    with pytest.raises(ValidationError):
        MOMENT.validate_strings(text)


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b'"\xff"', b'"\\ud800"', b"[" * 100 + b"]" * 100, b"[1]x"])
def test_what_is_no_sensible_json_is_refused(text: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        refuse_deep(loaded(text))
    assert caught.value.status == 400


def refused(secret: str | None, body: bytes, **headers: str) -> str | None:
    try:
        check_signature(secret, {name.replace("_", "-"): value for name, value in headers.items()}, body, NOW)
    except Refusal as refusal:
        return f"{refusal.status}"
    return None


def test_a_signature_holds_for_this_body_and_secret_alone() -> None:
    good = signature_of("secret", b"body")
    assert refused("secret", b"body", **{SIGNATURE_HEADER: good}) is None
    for secret, body, given_signature in (
        ("other", b"body", good),
        ("secret", b"body ", good),
        ("secret", b"body", good.upper()),
        ("secret", b"body", ""),
        ("secret", b"body", "é" * 64),
        ("", b"body", signature_of("", b"body")),
        (None, b"body", good),
    ):
        assert refused(secret, body, **{SIGNATURE_HEADER: given_signature}) == "401"


@pytest.mark.parametrize(("seconds", "holds"), [(0, True), (-299, True), (299, True), (-301, False), (301, False)])
def test_a_signed_time_is_good_for_five_minutes(seconds: int, holds: bool) -> None:
    at = str(int((NOW + timedelta(seconds=seconds)).timestamp()))
    headers = {SIGNATURE_HEADER: signature_of("secret", b"body", at), TIMESTAMP_HEADER: at}
    assert (refused("secret", b"body", **headers) is None) is holds


@pytest.mark.parametrize("at", ["", "soon", "-1", "1e9", "٣", "9" * 400])
def test_a_signed_time_that_is_none_is_refused(at: str) -> None:
    headers = {SIGNATURE_HEADER: signature_of("secret", b"body", at), TIMESTAMP_HEADER: at}
    assert refused("secret", b"body", **headers) is not None


def test_a_time_cannot_be_taken_away_or_added() -> None:
    at = str(int(NOW.timestamp()))
    signed = signature_of("secret", b"body", at)
    assert refused("secret", b"body", **{SIGNATURE_HEADER: signed}) is not None
    plain = signature_of("secret", b"body")
    assert refused("secret", b"body", **{SIGNATURE_HEADER: plain, TIMESTAMP_HEADER: at}) is not None


def run(state: str, *steps: tuple[int, str, int], waiting_for: str | None = None) -> RunSeen:
    seen = tuple(StepSeen(number, f"s{number}", how, tries, None, "") for number, how, tries in steps)
    return RunSeen(UUID(int=1), state, waiting_for, None, seen)


def test_a_stream_tells_what_is_new_and_nothing_twice() -> None:
    first, seen = events_since(Seen(), run("ready", (0, "done", 1)))
    assert [(event.kind, event.data["state"]) for event in first] == [("step", "done"), ("run", "ready")]
    assert events_since(seen, run("ready", (0, "done", 1))) == ([], seen)
    later, _ = events_since(seen_of(first[0].id), run("ready", (0, "done", 1)))
    assert [event.kind for event in later] == ["run"], "broken off between the two"
    more, _ = events_since(seen, run("waiting", (0, "done", 1), (1, "retrying", 1), waiting_for="time"))
    assert [event.kind for event in more] == ["step", "run"]
    again, seen = events_since(seen_of(more[-1].id), run("succeeded", (0, "done", 1), (1, "done", 2)))
    assert ([event.data["state"] for event in again], seen.has_ended) == (["done", "succeeded"], True)


@given(st.text(max_size=60) | st.none())
def test_an_event_id_that_is_none_of_ours_begins_anew(text: Any) -> None:
    found = seen_of(text)
    assert isinstance(found.steps, dict | type(Seen().steps))
    events_since(found, run("ready"))


def test_an_event_id_leads_back_to_what_was_seen() -> None:
    seen = Seen("waiting:approval", {"0": "done1", "12": "retrying3"})
    assert seen_of(id_of(seen)) == seen
