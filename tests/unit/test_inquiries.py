"""Questions of actions: kept in a step's row, asked by forms, answered by values; and the plan that waits for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from vtoc_bots.core.access import Station
from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.playbooks.decisions import RunSteps, RunView, StepRow, Wait
from vtoc_bots.core.playbooks.inquiries import (
    form_of,
    inquiry_of,
    kept_of,
    question_card,
    values_of,
    waits_for_answer,
)
from vtoc_bots.core.playbooks.model import Playbook, Step
from vtoc_bots.core.playbooks.plan import plan
from vtoc_bots.core.questions import Answer, PersonNeeded, Question

RUN = uuid4()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "enum": ["red", "blue"], "title": "Colour"},
        "copies": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1},
        "share": {"type": "number"},
        "urgent": {"type": "boolean"},
        "run": {"type": "string"},
        "post-code": {"type": "string"},
        "sides": {"type": "array", "items": {"type": "string", "enum": ["left", "right"]}},
    },
    "required": ["colour", "post-code"],
}
QUESTION = Question("q1", "Which paint?", "MCP server shop", 60.0, SCHEMA)


def kept(question: Question = QUESTION, before: Any = None, **memo: Any) -> dict[str, Any]:
    return kept_of(PersonNeeded(question, memo, held=True), before)


def test_answers_become_what_was_asked_for_under_its_own_names() -> None:
    given = {"colour": "red", "copies": "3", "urgent": "yes", "run_": "x", "post_code": "75001", "sides": "left, right"}
    assert values_of(QUESTION, RUN, given) == {
        "colour": "red",
        "copies": 3,
        "urgent": True,
        "run": "x",
        "post-code": "75001",
        "sides": ["left", "right"],
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"colour": "green", "post_code": "1"}, "red"),
        ({"colour": "red", "post_code": "1", "copies": "12"}, "at most 9"),
        ({"colour": "red"}, "needs post_code"),
        ({"colour": "red", "post_code": "1", "size": "2"}, "no input size"),
    ],
)
def test_a_wrong_answer_says_what_is_accepted(given: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        values_of(QUESTION, RUN, given)


def test_a_question_without_fields_asks_for_consent() -> None:
    question = Question("q", "May I?\n\nhttps://login.example", "MCP server shop", 60.0)
    assert form_of(question, RUN).inputs == ()
    assert values_of(question, RUN, {}) == {}
    assert "Agree" in str(question_card(question, "Order", RUN, private=True))


def test_the_card_says_who_asks_what_and_how_to_answer() -> None:
    words = str(question_card(QUESTION, "Order", RUN, private=True))
    assert "MCP server shop asks" in words
    assert f"/answer {short_id(RUN)} colour=… post_code=…" in words


def test_what_a_row_keeps_gives_the_inquiry_back() -> None:
    row = kept(round=1)
    assert waits_for_answer(row)
    row["answers"]["q1"] = {"action": "accept", "values": {"colour": "red"}, "by": "ada"}
    assert not waits_for_answer(row)
    assert inquiry_of(row).answers == {"q1": Answer("accept", {"colour": "red"})}
    assert inquiry_of(row).memo == {"round": 1}
    second = kept(Question("q2", "And now?", "x", 1.0), before=row)
    assert waits_for_answer(second)
    assert set(inquiry_of(second).answers) == {"q1"}
    for other in (None, {}, {"text": "x"}, "question", [1]):
        assert inquiry_of(other).answers == {}
        assert not waits_for_answer(other)


def test_the_plan_waits_for_an_answer_and_goes_on_with_it_or_when_its_time_is_over() -> None:
    station = Station(uuid4(), "toc-s1", "TOC-S1", "One", "ops")
    playbook = Playbook(id="p", title="P", steps=(Step(id="one", index=0, title="one", uses="mcp.call"),))
    run = RunView(RUN, {}, station, NOW)
    row = kept()
    waiting = StepRow("one", "waiting", 0, row, None, NOW + timedelta(seconds=60))
    decision = plan(playbook, run, [waiting], [], NOW)
    assert isinstance(decision, Wait)
    assert (decision.reason, decision.until) == ("answer", waiting.due_at)
    assert isinstance(plan(playbook, run, [waiting], [], NOW + timedelta(seconds=60)), RunSteps)
    row["answers"]["q1"] = {"action": "decline", "values": {}}
    decided = plan(playbook, run, [waiting], [], NOW)
    assert isinstance(decided, RunSteps)
    assert decided.calls[0].tries == 1
