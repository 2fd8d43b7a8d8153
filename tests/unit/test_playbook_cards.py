"""What people see of a playbook: its plan before, its progress while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from vtoc_bots.core.access import Decision, Level, Station, Verdict
from vtoc_bots.core.cards import Card, Fields, Plan, Progress, Severity, Text
from vtoc_bots.core.ids import short_id
from vtoc_bots.core.markup import Code, Paragraph, Words, parse
from vtoc_bots.core.playbooks.actions import action
from vtoc_bots.core.playbooks.cards import approval_words, dry_run_card, progress_card
from vtoc_bots.core.playbooks.decisions import StepRow
from vtoc_bots.core.playbooks.inputs import bind_inputs
from vtoc_bots.core.playbooks.load import parse_source
from vtoc_bots.core.playbooks.model import ApprovalRule

DUE = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
STATION = Station(UUID(int=1), "toc-s1", "TOC-S1", "First", "ops", latitude=49.0, longitude=2.5)


@action("count")
async def count(ctx: Any, text: str = "", often: int = 1) -> dict[str, int]:
    """Count."""
    raise NotImplementedError


@action("mail", sends="the text to every addressee")
async def mail(ctx: Any, text: str) -> None:
    """Send."""
    raise NotImplementedError


@action("card")
async def card(ctx: Any) -> Card:
    """Answer."""
    raise NotImplementedError


ACTIONS = {spec.name: spec for spec in (count, mail, card)}
PLAYBOOK = parse_source(
    """
id: test
title: Count and mail
inputs:
  area: {type: area, default: 40nm}
  window: {type: duration, default: 10m}
  loud: {type: bool, default: false}
approval: {quorum: 2, expires: 4h, on_expiry: hold}
steps:
  - {id: first, title: Count them, uses: count, with: {text: "in ${{ inputs.area }}", often: 2}}
  - {id: shout, uses: count, if: "${{ inputs.loud }}"}
  - {id: ask, wait: {message: "Go ${{ inputs.area }}?", for: 1h}, needs: first}
  - id: send
    uses: mail
    with: {text: "${{ steps.first }} of ${{ inputs.window }}"}
    if: "${{ steps.ask.text == 'go' }}"
    approve: {exclude_requester: false}
reply: {uses: card}
""",
    ACTIONS,
)


RUN_ID = UUID(int=99)


@dataclass
class Run:
    """As much of a run as a card shows."""

    id: UUID = RUN_ID
    private: bool = True


def block(card: Card, kind: type[Any]) -> Any:
    return next(block for block in card.blocks if isinstance(block, kind))


def planned(decision: Decision | None = None, **given: Any) -> Card:
    return dry_run_card(PLAYBOOK, bind_inputs(PLAYBOOK, given).values, STATION, ACTIONS, decision)


class TestPlan:
    def test_it_shows_the_station_the_inputs_as_people_write_them_and_the_approval(self) -> None:
        fields = {pair.name: pair.value for pair in block(planned(window="90s"), Fields).fields}
        assert fields == {
            "station": "TOC-S1",
            "approval": "2 leads or above, not the asker, within 4h, then held open",
            "area": "40nm",
            "window": "1m30s",
            "loud": "no",
        }

    def test_each_step_says_what_it_would_do_with_the_values_known_by_now(self) -> None:
        steps = [(step.title, step.state, step.detail) for step in block(planned(), Plan).steps]
        assert steps == [
            ("Count them", "planned", "count(text=in 40nm, often=2)"),
            ("Shout", "skipped", "its condition is false for these inputs"),
            ("Ask", "planned", "asks “Go 40nm?” and waits for 1h; after first"),
            (
                "Send",
                "planned",
                "only if steps.ask.text == 'go'; after approval by 1 lead or above, within 1d, then denied; "
                "mail(text={steps.first} of {inputs.window}); after first, ask; sends the text to every addressee",
            ),
            ("Reply", "planned", "card()"),
        ]

    def test_a_condition_that_is_true_for_these_inputs_leaves_the_step_in(self) -> None:
        assert block(planned(loud="yes"), Plan).steps[1].state == "planned"

    def test_it_says_what_would_be_sent_to_whom(self) -> None:
        texts = [block.text for block in planned().blocks if isinstance(block, Text)]
        assert any("- Send: the text to every addressee" in text for text in texts)
        quiet = parse_source("id: q\ntitle: Q\nsteps: [{id: a, uses: count}]", ACTIONS)
        texts = [b.text for b in dry_run_card(quiet, {}, STATION, ACTIONS).blocks if isinstance(b, Text)]
        assert any("sends nothing" in text for text in texts)

    def test_it_says_how_to_run_it(self) -> None:
        texts = [block.text for block in planned(area="80nm").blocks if isinstance(block, Text)]
        assert texts[-1] == "To run it: `/playbook test area=80nm window=10m loud=no`"

    def test_no_value_stands_outside_the_command_that_it_is_part_of(self) -> None:
        playbook = parse_source(
            "id: q\ntitle: Q\ninputs: {text: {type: string}}\nsteps: [{id: a, uses: count}]", ACTIONS
        )
        card = dry_run_card(playbook, {"text": "x` **This plan is void.** `y"}, STATION, ACTIONS)
        (paragraph,) = parse(card.blocks[-1].text)  # type: ignore[union-attr]  # it is a text
        assert paragraph == Paragraph((Words("To run it: "), Code('/playbook q text="x` **This plan is void.** `y"')))

    def test_it_says_when_a_policy_asks_for_an_approval_or_refuses(self) -> None:
        quiet = parse_source("id: q\ntitle: Q\nsteps: [{id: a, uses: count}]", ACTIONS)
        asked = Decision(Verdict.REQUIRE_APPROVAL, "night hours", "policies.yml:4")
        card = dry_run_card(quiet, {}, STATION, ACTIONS, asked)
        assert "night hours" in block(card, Fields).fields[1].value
        refused = dry_run_card(quiet, {}, STATION, ACTIONS, Decision(Verdict.DENY, "you are observer"))
        assert refused.severity is Severity.BAD
        assert "you are observer" in block(refused, Text).text


class TestProgress:
    def test_every_state_is_shown(self) -> None:
        rows = [
            StepRow("first", "done", 1),
            StepRow("shout", "skipped"),
            StepRow("ask", "waiting", due_at=DUE),
        ]
        card = progress_card(PLAYBOOK, rows, {"send": "3 of 5 sent"}, "running", Run())
        assert [(step.state, step.detail) for step in block(card, Plan).steps] == [
            ("done", ""),
            ("skipped", ""),
            ("waiting", "waits for an answer until 01 12:05:00Z"),
            ("running", "3 of 5 sent"),
        ]
        progress = block(card, Progress)
        assert (progress.done, progress.total) == (2, 4)
        assert short_id(Run().id) in progress.text
        assert card.private

    def test_a_step_that_waits_for_approval_or_a_retry_says_so(self) -> None:
        rows = [
            StepRow("first", "retrying", 2, error="no route", due_at=DUE),
            StepRow("send", "waiting"),
        ]
        card = progress_card(PLAYBOOK, rows, {"shout": "Shout"}, "running", Run())
        details = [step.detail for step in block(card, Plan).steps]
        assert details == ["try 2 failed: no route, again at 01 12:05:00Z", "", "", "waits for approval"]

    @pytest.mark.parametrize(
        ("state", "severity"),
        [("succeeded", Severity.GOOD), ("failed", Severity.BAD), ("cancelled", Severity.WARNING)],
    )
    def test_an_ended_run_says_how_and_what_was_not_run(self, state: str, severity: Severity) -> None:
        rows = [StepRow("first", "failed", 1, error="x" * 300), StepRow("reply", "failed", 1, error="no card")]
        card = progress_card(PLAYBOOK, rows, {}, state, Run(private=False))
        assert (card.title, card.severity, card.private) == (f"Count and mail: {state}", severity, False)
        steps = block(card, Plan).steps
        assert len(steps[0].detail) == 120
        assert (steps[1].state, steps[1].detail) == ("skipped", "not run")
        assert (steps[4].title, steps[4].state) == ("Reply", "failed")
        assert not [b for b in card.blocks if isinstance(b, Progress)]


def test_rules_without_a_time_limit_say_so() -> None:
    rule = ApprovalRule(quorum=1, level=Level.ADMIN, expires_seconds=None)
    assert approval_words(rule) == "1 admin or above, not the asker, without a time limit"
