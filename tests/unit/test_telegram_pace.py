"""Telegram's flood limits are kept before they are hit, obeyed when they were, and remembered for few chats."""

from __future__ import annotations

import pytest

from tests.passing_clock import PassingClock
from tests.telegram_kit import GROUP
from vtoc_bots.plugins.telegram.pace import Pace


@pytest.fixture
def clock() -> PassingClock:
    return PassingClock()


def sent_in(pace: Pace, clock: PassingClock, chat: int, seconds: float) -> int:
    """How many messages go out to a chat in that time when each waits as it is told."""
    until, count = clock.seconds + seconds, 0
    while True:
        wait = pace.take(chat, "send")
        if wait == 0.0:
            count += 1
        elif clock.seconds + wait >= until:
            return count
        else:
            clock.seconds += wait


def test_a_chat_gets_one_message_a_second(clock: PassingClock) -> None:
    pace = Pace(clock)
    assert pace.take(1, "send") == 0.0
    assert pace.take(1, "send") == pytest.approx(1.0)
    clock.seconds += 0.25
    assert pace.take(1, "send") == pytest.approx(0.75)
    clock.seconds += 0.75
    assert pace.take(1, "send") == 0.0
    assert pace.held_back == 2


def test_a_group_gets_twenty_a_minute(clock: PassingClock) -> None:
    assert sent_in(Pace(clock), clock, GROUP, 60.0) == 20
    assert sent_in(Pace(clock), clock, 1, 60.0) == 60


def test_all_chats_together_get_thirty_a_second(clock: PassingClock) -> None:
    pace = Pace(clock)
    assert sum(pace.take(chat, "send") == 0.0 for chat in range(1, 50)) == 30
    clock.seconds += 1.0
    assert pace.take(49, "send") == 0.0


def test_edits_do_not_hold_up_messages(clock: PassingClock) -> None:
    pace = Pace(clock)
    assert pace.take(1, "edit") == 0.0
    assert pace.take(1, "edit") > 0.0
    assert pace.take(1, "send") == 0.0


def test_a_card_of_several_messages_runs_ahead_and_the_next_card_waits_for_it(clock: PassingClock) -> None:
    pace = Pace(clock)
    assert pace.take(1, "send") == 0.0
    assert [pace.take(1, "send", goes_on=True) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert pace.take(1, "send", goes_on=True) == pytest.approx(1.0)
    assert pace.take(1, "send") == pytest.approx(4.0)
    assert sent_in(pace, clock, 1, 60.0) == 56


def test_what_telegram_asks_is_obeyed_in_that_chat(clock: PassingClock) -> None:
    pace = Pace(clock)
    pace.obey(1, 17.0)
    assert pace.take(1, "send") == pytest.approx(17.0)
    assert pace.take(2, "send") == 0.0
    clock.seconds += 17.0
    assert pace.take(1, "edit") == 0.0
    assert pace.limited == 1


def test_only_so_many_chats_are_remembered(clock: PassingClock) -> None:
    pace = Pace(clock, most_chats=2)
    for chat in (1, 2, 1, 3):
        pace.take(chat, "send")
    assert pace.forgotten == 1
    assert len(pace._chats) == 2
    assert pace.take(1, "send") > 0.0, "the one that was quiet for longest is forgotten"
