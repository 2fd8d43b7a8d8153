"""Deciding: levels, roles, rules and policies, and the reason a person is given."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtoc_bots.core.access import Access, Ask, Decision, Level, Operator, Station, Verdict, decide_by_level

STATION = Station(UUID(int=1), "toc-s1", "TOC-S1", "Test", "ops")
ALLOW = Decision(Verdict.ALLOW, "fine", "x")
ASK_APPROVAL = Decision(Verdict.REQUIRE_APPROVAL, "ask a lead", "x")
DENY = Decision(Verdict.DENY, "no", "x")


def operator(**levels: Level) -> Operator:
    return Operator(UUID(int=2), "Ada", {slug.replace("_", "-"): level for slug, level in levels.items()})


class FixedRules:
    def __init__(self, *decisions: Decision) -> None:
        self.decisions = decisions

    def verdicts(self, operator: Operator, station: Station, ask: Ask) -> Iterator[Decision]:
        yield from self.decisions


class FixedPolicy:
    def __init__(self, decision: object, name: str = "night") -> None:
        self.decision, self.name, self.asked = decision, name, 0

    async def verdict(self, operator: Operator, station: Station, ask: Ask) -> Decision | None:
        self.asked += 1
        if isinstance(self.decision, BaseException):
            raise self.decision
        return self.decision  # type: ignore[return-value]  # a policy may return what it should not


def test_a_level_that_is_too_low_is_denied_with_a_reason_that_explains_itself() -> None:
    decision = decide_by_level(operator(toc_s1=Level.OPERATOR), STATION, Ask("playbook:op_order_frag", Level.LEAD))
    assert decision == Decision(
        Verdict.DENY, "playbook:op_order_frag needs lead at station toc-s1; you are operator there", "levels"
    )


def test_no_level_at_the_station_is_denied() -> None:
    decision = decide_by_level(operator(toc_i1=Level.ADMIN), STATION, Ask("command:map"))
    assert decision.reason == "command:map needs operator at station toc-s1; you have no level there"


def test_a_level_everywhere_counts_at_every_station() -> None:
    everywhere = Operator(UUID(int=2), "Ada", {"*": Level.LEAD})
    assert decide_by_level(everywhere, STATION, Ask("command:map")).verdict is Verdict.ALLOW


def test_a_station_of_another_role_is_denied() -> None:
    decision = decide_by_level(
        operator(toc_s1=Level.ADMIN), STATION, Ask("command:kit", roles=frozenset({"logistics"}))
    )
    assert decision == Decision(Verdict.DENY, "command:kit is for logistics stations; station toc-s1 is ops", "roles")


def test_an_unknown_identity_is_told_how_to_be_let_in() -> None:
    assert "Send /link <code>" in decide_by_level(None, STATION, Ask("command:map")).reason


def test_what_is_open_to_anyone_is_open_to_an_unknown_identity_without_a_station() -> None:
    assert decide_by_level(None, None, Ask("command:link", None)).verdict is Verdict.ALLOW


def test_what_is_for_one_role_needs_a_station_even_where_it_is_open_to_anyone() -> None:
    ask = Ask("command:kit", None, frozenset({"ops", "intel"}))
    assert decide_by_level(None, STATION, ask).verdict is Verdict.ALLOW
    decision = decide_by_level(None, None, ask)
    assert decision == Decision(
        Verdict.DENY, "command:kit is for intel and ops stations; no station is chosen", "roles"
    )


def test_rules_are_not_asked_about_a_stranger() -> None:
    assert Access(FixedRules(DENY)).decide_now(None, STATION, Ask("command:link", None)).reason == (
        "command:link is open to anyone"
    )
    assert Access(FixedRules(DENY)).decide_now(operator(), None, Ask("command:link", None)).allowed


def test_what_may_go_on_after_an_approval_is_allowed() -> None:
    assert [each.allowed for each in (ALLOW, ASK_APPROVAL, DENY)] == [True, True, False]


def test_an_allowed_ask_is_explained_too() -> None:
    decision = decide_by_level(operator(toc_s1=Level.LEAD), STATION, Ask("command:map"))
    assert decision == Decision(
        Verdict.ALLOW, "command:map needs operator at station toc-s1; you are lead there", "levels"
    )


def test_a_level_has_a_name_that_is_read_back() -> None:
    assert [Level.parse(str(level).upper()) for level in Level] == list(Level)
    with pytest.raises(ValueError, match="unknown level 'boss': observer, operator, lead or admin"):
        Level.parse("boss")


def test_a_station_has_a_position_only_with_both_coordinates() -> None:
    assert STATION.position is None
    assert replace(STATION, latitude=0.0, longitude=2.0).position == (0.0, 2.0)
    assert replace(STATION, latitude=1.0).position is None
    assert replace(STATION, longitude=2.0).position is None


def test_an_operator_without_a_station_is_told_to_choose_one() -> None:
    assert "/station" in decide_by_level(operator(toc_s1=Level.ADMIN), None, Ask("command:map")).reason


@given(st.permutations([ALLOW, ASK_APPROVAL, DENY]), st.integers(1, 3))
def test_deny_beats_require_approval_beats_allow_in_whatever_order(decisions: list[Decision], count: int) -> None:
    chosen = decisions[:count]
    decision = Access(FixedRules(*chosen)).decide_now(operator(toc_s1=Level.ADMIN), STATION, Ask("command:map"))
    assert decision.verdict == max(each.verdict for each in chosen)


async def test_a_rule_that_allows_does_not_give_what_a_level_denies() -> None:
    access = Access(FixedRules(ALLOW), [FixedPolicy(ALLOW)])
    assert (await access.decide(operator(), STATION, Ask("command:map"))).verdict is Verdict.DENY


async def test_the_stricter_of_rules_and_policies_wins_and_is_named() -> None:
    access = Access(FixedRules(ASK_APPROVAL), [FixedPolicy(None), FixedPolicy(DENY), FixedPolicy(ALLOW)])
    decision = await access.decide(operator(toc_s1=Level.ADMIN), STATION, Ask("command:map"))
    assert decision == Decision(Verdict.DENY, "no", "policy night")


async def test_rules_that_fail_are_a_deny() -> None:
    class Broken:
        def verdicts(self, operator: Operator, station: Station, ask: Ask) -> Iterator[Decision]:
            raise KeyError("No/Such_Zone")

    decision = await Access(Broken()).decide(operator(toc_s1=Level.ADMIN), STATION, Ask("command:map"))
    assert decision.verdict is Verdict.DENY
    assert "No/Such_Zone" in decision.reason


@pytest.mark.parametrize("answer", [RuntimeError("secret text"), asyncio.CancelledError(), "yes", True])
async def test_a_policy_that_fails_is_a_deny_that_names_it_and_keeps_its_error_to_itself(answer: object) -> None:
    access = Access(None, [FixedPolicy(answer)])
    decision = await access.decide(operator(toc_s1=Level.ADMIN), STATION, Ask("command:map"))
    assert decision.verdict is Verdict.DENY
    assert decision.by == "policy night"
    assert "secret" not in decision.reason


async def test_a_policy_that_does_not_answer_in_time_is_a_deny_even_if_it_ignores_its_cancellation() -> None:
    released = asyncio.Event()

    class Stubborn:
        name = "slow"

        async def verdict(self, operator: Operator, station: Station, ask: Ask) -> Decision | None:
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    continue
            return None

    access = Access(None, [Stubborn()], policy_seconds=0.01)
    decision = await access.decide(operator(toc_s1=Level.ADMIN), STATION, Ask("command:map"))
    assert decision.verdict is Verdict.DENY
    assert "policy slow gave no verdict within 0.01 s" in decision.reason
    released.set()


async def test_an_abandoned_policy_that_fails_later_disturbs_nobody() -> None:
    released = asyncio.Event()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))

    class Late:
        name = "late"

        async def verdict(self, operator: Operator, station: Station, ask: Ask) -> Decision | None:
            try:
                await released.wait()
            except asyncio.CancelledError:
                raise RuntimeError("in the clean-up") from None
            return None

    access = Access(None, [Late()], policy_seconds=0.01)
    assert not (await access.decide(operator(toc_s1=Level.ADMIN), STATION, Ask("command:map"))).allowed
    if abandoned := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(abandoned)
    del abandoned
    gc.collect()
    assert complaints == []


async def test_a_policy_that_is_no_coroutine_is_a_deny() -> None:
    class Plain:
        name = "plain"

        def verdict(self, operator: Operator, station: Station, ask: Ask) -> Decision | None:
            return None

    access = Access(None, [Plain()])  # type: ignore[list-item]  # what a plugin may get wrong
    assert (await access.decide(operator(toc_s1=Level.ADMIN), STATION, Ask("x"))).verdict is Verdict.DENY


async def test_policies_are_not_asked_about_what_is_denied_anyway() -> None:
    policy = FixedPolicy(ALLOW)
    await Access(FixedRules(DENY), [policy]).decide(operator(toc_s1=Level.ADMIN), STATION, Ask("command:map"))
    assert policy.asked == 0
