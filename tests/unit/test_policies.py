"""config/policies.yml: what rules apply to, and what is said of wrong ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from vtoc_bots.core.access import Access, Ask, Decision, Level, Operator, Station, Verdict
from vtoc_bots.core.documents import parse_document
from vtoc_bots.core.errors import ConfigError, StartupError
from vtoc_bots.core.policies import Policies, load_policies, policies_schema, rules_from

ROOT = Path(__file__).parents[2]
STATION = Station(UUID(int=1), "toc-s1", "TOC-S1", "Test", "ops", timezone="Europe/Paris")
LEAD = Operator(UUID(int=2), "Ada", {"toc-s1": Level.LEAD})
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday; 13:00 in Paris


def policies(text: str, now: datetime = NOON) -> Policies:
    rules, problems = rules_from(parse_document(text, "config/policies.yml"))
    assert not problems
    return Policies(rules, lambda: now)


def verdict(
    rule: str, ask: Ask, *, now: datetime = NOON, operator: Operator = LEAD, station: Station = STATION
) -> Verdict:
    made = policies(f"rules:\n  - {{{rule}, effect: deny, reason: because}}\n", now)
    return Access(made).decide_now(operator, station, ask).verdict


def applies(rule: str, ask: Ask | None = None, **more: Any) -> bool:
    return verdict(rule, ask or Ask("playbook:op_order_frag"), **more) is Verdict.DENY


def test_a_decision_names_the_line_of_its_rule() -> None:
    made = policies("# first\nrules:\n  - actions: command:map\n    effect: require-approval\n    reason: Ask first.\n")
    decision = Access(made).decide_now(LEAD, STATION, Ask("command:map"))
    assert decision == Decision(Verdict.REQUIRE_APPROVAL, "Ask first.", "policies.yml:3")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('actions: "*"', True),
        ("actions: api:*", False),
        ("actions: playbook:op_order_*", True),
        ("actions: [command:map, playbook:op_order_frag]", True),
        ("actions: playbook:op", False),
        ("actions: command:*", False),
        ("stations: TOC-*", True),
        ("stations: [toc-i1, toc-l1]", False),
        ("roles: ops", True),
        ("roles: [intel, logistics]", False),
        ("operators: ada", True),
        ("operators: 00000000-0000-0000-0000-000000000002", True),
        ("operators: Grace", False),
        ("below: admin", True),
        ("below: lead", False),
        ("transports: telegram", False),
        ("roles: ops, below: lead", False),
        ('roles: ops, unless: {actions: "command:*"}', True),
        ("roles: ops, unless: {actions: playbook:op_order_frag}", False),
        ("roles: ops, unless: {actions: playbook:op_order_frag, below: operator}", True),
    ],
)
def test_a_rule_applies_where_every_key_fits(rule: str, expected: bool) -> None:
    assert applies(rule) is expected


def test_a_rule_may_look_at_the_transport() -> None:
    assert applies("transports: [tele*]", Ask("command:map", transport="telegram"))


@pytest.mark.parametrize(
    ("wanted", "value", "expected"),
    [
        ("everywhere", "everywhere", True),
        ("every*", "Everywhere", True),
        ("[station, everywhere]", "40nm", False),
        ("{min: 100000}", 100_000, True),
        ("{min: 100000}", 99_999.9, False),
        ("{max: 2}", 2, True),
        ("{min: 1, max: 2}", 3, False),
        ("{max: 2}", "1", False),
        ("{max: 2}", True, False),
        ("true", True, True),
        ("1", True, False),
        ("[1, 2]", 2.0, True),
        ("adsb", ["cot", "adsb"], True),
        ('"*"', None, False),
    ],
)
def test_a_rule_may_look_at_an_argument(wanted: str, value: object, expected: bool) -> None:
    ask = Ask("playbook:x", arguments={"given": value})
    assert applies(f"arguments: {{given: {wanted}}}", ask) is expected


def test_a_rule_on_an_argument_says_nothing_while_the_arguments_are_open() -> None:
    assert not applies('arguments: {area: "*"}', Ask("playbook:x"))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("days: fri", True),
        ("days: [sat, sun]", False),
        ('hours: "13:00-14:00"', True),
        ('hours: "12:00-13:00"', False),
        ('hours: "22:00-13:30"', True),
        ('hours: "22:00-06:00"', False),
    ],
)
def test_a_rule_may_look_at_the_stations_clock(rule: str, expected: bool) -> None:
    assert applies(rule) is expected


def test_the_day_is_that_of_the_station() -> None:
    assert applies("days: sat", now=datetime(2026, 11, 20, 23, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{actoins: x, effect: deny, reason: r}", "actoins is not a known key. Did you mean actions?"),
        ("{actions: map, effect: deny, reason: r}", "map matches nothing; write kind:name"),
        ("{actions: comand:map, effect: deny, reason: r}", "Did you mean command?"),
        ("{actions: '*', effect: forbid, reason: r}", "'allow', 'require-approval' or 'deny'"),
        ("{actions: '*', effect: deny}", "reason is missing"),
        ("{effect: deny, reason: r}", 'write actions: "*" to mean everything'),
        ("{actions: '*', unless: {}, effect: deny, reason: r}", "says nothing of what it applies to"),
        ("{roles: sales, effect: deny, reason: r}", "'ops', 'intel' or 'logistics'"),
        ("{hours: '25:00-26:00', effect: deny, reason: r}", 'hours are written "22:00-06:00"'),
        ("{hours: '22:00-22:00', effect: deny, reason: r}", 'hours are written "22:00-06:00"'),
        ("{arguments: {radius: {}}, effect: deny, reason: r}", "give min, max or both"),
        ("{arguments: {radius: {min: .nan}}, effect: deny, reason: r}", "finite number"),
        ("{stations: [], effect: deny, reason: r}", "at least 1 item"),
        ("just text", "valid dictionary"),
    ],
)
def test_a_wrong_rule_is_explained_with_its_line(tmp_path: Path, rule: str, message: str) -> None:
    path = tmp_path / "policies.yml"
    path.write_text(f"rules:\n  - {{actions: command:map, effect: allow, reason: fine}}\n  - {rule}\n")
    with pytest.raises(ConfigError) as caught:
        load_policies(path, lambda: NOON)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert message in str(caught.value)


def test_all_wrong_rules_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "policies.yml"
    path.write_text("rule: []\nrules:\n  - {effect: deny}\n  - {roles: sales, effect: deny, reason: r}\n")
    with pytest.raises(StartupError) as caught:
        load_policies(path, lambda: NOON)
    for part in (":1: rule is not a known key", ":3: ", ":4: "):
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "rules: 5", "rules: {a: 1}"])
def test_a_file_of_another_shape_is_told_its_shape(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policies.yml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="begins with `rules:`"):
        load_policies(path, lambda: NOON)


@pytest.mark.parametrize("text", [None, "", "rules:\n", "rules: []"])
def test_a_missing_or_empty_file_has_no_rules(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "policies.yml"
    if text is not None:
        path.write_text(text)
    assert len(load_policies(path, lambda: NOON)) == 0


def test_the_example_file_is_right_also_with_its_comments_taken_off() -> None:
    path = ROOT / "config" / "policies.yml"
    assert len(load_policies(path, lambda: NOON)) == 0
    _, commented = path.read_text().split("rules: []\n")
    text = "\n".join(line.removeprefix("# ").removeprefix("#") for line in commented.splitlines())
    rules, problems = rules_from(parse_document(text, "policies.yml"))
    assert not problems
    assert len(rules) == len(yaml.safe_load(text)["rules"]) == 2


def test_the_published_schema_is_the_one_the_loader_has() -> None:
    assert json.loads((ROOT / "config" / "policies.schema.json").read_text()) == policies_schema()
