"""Loading playbooks: what is taken, and that everything wrong is told with its line and the fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from vtoc_bots.core.access import Level
from vtoc_bots.core.cards import Card
from vtoc_bots.core.errors import ConfigError
from vtoc_bots.core.playbooks.actions import action
from vtoc_bots.core.playbooks.load import check_source, load_playbooks, parse_source
from vtoc_bots.core.playbooks.model import ApprovalRule, Playbook, Retry
from vtoc_bots.core.playbooks.results import EventSet, Picture, TrackSet
from vtoc_bots.core.values import Area, Distance, Duration

SHIPPED = Path(__file__).parents[2] / "playbooks"


class Count(BaseModel):
    """A model for the tests."""

    total: int
    names: list[str] = []


@action("telemetry.collect")
async def collect(ctx: Any, types: list[str], window: Duration, area: Area | None = None) -> EventSet:
    """Collect."""
    raise NotImplementedError


@action("tracks.merge")
async def merge(ctx: Any, reports: EventSet, area: Area | None = None) -> TrackSet:
    """Merge."""
    raise NotImplementedError


@action("pictures.map")
async def draw(ctx: Any, tracks: TrackSet, area: Area | None = None) -> Picture:
    """Draw."""
    raise NotImplementedError


@action("ops.airtrack_card")
async def airtrack_card(ctx: Any, tracks: TrackSet, map: Picture | None, reports: EventSet) -> Card:
    """Answer."""
    raise NotImplementedError


@action("count")
async def count(
    ctx: Any, text: str = "", radius: Distance = 0.0, often: int = 1, names: list[str] | None = None
) -> Count:
    """Count."""
    raise NotImplementedError


ACTIONS = {spec.name: spec for spec in (collect, merge, draw, airtrack_card, count)}

HEAD = "id: test\ntitle: Test\n"


def problems(text: str) -> list[str]:
    """The problems of a text, without the file's name."""
    playbook, found = check_source(text, ACTIONS, "f.yml")
    assert (playbook is None) == bool(found)
    return [str(problem).removeprefix("f.yml:") for problem in found]


def steps(text: str, head: str = "") -> list[str]:
    """The problems of a playbook with these steps, which begin at line 4."""
    return problems(f"{HEAD}{head}steps:\n{text}")


def only(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


class TestWhatIsShipped:
    def test_every_playbook_in_the_folder_loads(self) -> None:
        playbooks, errors = load_playbooks([SHIPPED], ACTIONS)
        assert errors == []
        assert "op_airtrack_merge" in playbooks

    def test_the_air_track_merge_is_wired_as_declared(self) -> None:
        playbook = load_playbooks([SHIPPED / "ops"], ACTIONS)[0]["op_airtrack_merge"]
        assert (playbook.role, playbook.level, playbook.approval) == ("ops", Level.OPERATOR, None)
        assert [(step.id, step.needs) for step in playbook.steps] == [
            ("reports", ()),
            ("tracks", ("reports",)),
            ("map", ("tracks",)),
        ]
        assert playbook.reply is not None
        assert sorted(playbook.reply.inputs) == ["map", "reports", "tracks"]
        assert playbook.reply.needs == ("reports", "tracks", "map")


FULL = """\
id: full
role: intel
title: Everything at once
description: All keys.
level: lead
private: false
inputs:
  area: {type: area, default: 40nm, help: Where}
  kind: {type: choice, choices: [yes, no, on], default: no}
  start: {type: time, required: true}
approval: {quorum: 2, level: admin, exclude_requester: false, expires: never, on_expiry: hold, title: "Go?"}
timeout: 2h
steps:
  - {id: on, title: Count, uses: count, with: {text: "${{ inputs.kind }}"}, timeout: 5s}
  - {id: pause, wait: {until: "${{ inputs.start }}"}}
  - {id: gate, approve: {}, needs: pause}
  - id: last
    uses: count
    with: {often: "${{ steps.on.total }}", names: "${{ steps.gate.approved_by }}", radius: 5km}
    if: "${{ steps.on.total > `1` }}"
    retry: {attempts: 5, backoff: 2s, max_delay: 1m, jitter: 0}
reply:
  card: {title: Done, blocks: ["It is ${{ steps.last.total }}"]}
"""


class TestWhatIsTaken:
    def test_every_key_arrives_in_the_model(self) -> None:
        playbook = parse_source(FULL, ACTIONS)
        assert (playbook.id, playbook.role, playbook.level, playbook.private) == ("full", "intel", Level.LEAD, False)
        assert playbook.approval is not None
        assert (playbook.approval.quorum, playbook.approval.level) == (2, Level.ADMIN)
        assert (playbook.approval.expires_seconds, playbook.approval.on_expiry) == (None, "hold")
        assert playbook.timeout_seconds == 7200
        on, pause, gate, last = playbook.steps
        assert (on.title, on.timeout_seconds, on.needs) == ("Count", 5, ())
        assert pause.wait is not None
        assert (gate.needs, gate.approve) == (("pause",), ApprovalRule())
        assert (last.needs, last.retry) == (("on", "gate"), Retry(5, 2.0, 60.0, 0.0))
        assert playbook.reply_card is not None

    def test_words_that_old_yaml_takes_for_yes_and_no_are_text(self) -> None:
        playbook = parse_source(FULL, ACTIONS)
        assert playbook.inputs[1].choices == ("yes", "no", "on")
        assert playbook.inputs[1].default == "no"
        assert playbook.steps[0].id == "on"

    def test_a_step_depends_on_what_it_names_and_what_it_refers_to_and_nothing_else(self) -> None:
        playbook = parse_source(
            HEAD + "steps:\n  - {id: a, uses: count}\n  - {id: b, uses: count}\n"
            '  - {id: c, uses: count, needs: b, if: "${{ steps.a.total }}"}\n',
            ACTIONS,
        )
        assert [step.needs for step in playbook.steps] == [(), (), ("a", "b")]

    def test_the_digest_is_of_the_content_and_not_of_its_layout(self) -> None:
        first = parse_source(FULL, ACTIONS)
        commented = parse_source("# why\n" + FULL.replace("private: false", "private:   false   # all"), ACTIONS)
        assert first.digest == commented.digest
        assert first.source != commented.source
        changed = parse_source(FULL.replace("timeout: 5s", "timeout: 6s"), ACTIONS)
        assert first.digest != changed.digest

    def test_a_kept_text_gives_the_same_playbook_again(self) -> None:
        first = parse_source(FULL, ACTIONS)
        again = parse_source(first.source, ACTIONS)
        assert again == first

    def test_a_byte_order_mark_and_windows_lines_do_no_harm(self, tmp_path: Path) -> None:
        path = tmp_path / "full.yml"
        path.write_bytes(b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode())
        playbooks, errors = load_playbooks([path], ACTIONS)
        assert (list(playbooks), errors) == (["full"], [])


class TestFiles:
    def test_two_playbooks_of_one_id_name_both_files(self, tmp_path: Path) -> None:
        for name in ("a.yml", "b.yaml"):
            (tmp_path / name).write_text(FULL)
        playbooks, errors = load_playbooks([tmp_path], ACTIONS)
        assert list(playbooks) == ["full"]
        assert len(errors) == 1
        assert "a.yml" in str(errors[0])
        assert "b.yaml" in str(errors[0])

    def test_a_wrong_file_does_not_keep_the_others_out(self, tmp_path: Path) -> None:
        (tmp_path / "a.yml").write_text("id: [")
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "b.yml").write_text(FULL)
        (tmp_path / "notes.txt").write_text("not a playbook")
        (tmp_path / "c.yml").write_bytes(b"\xff\xfe\xff")
        playbooks, errors = load_playbooks([tmp_path, tmp_path / "deep", tmp_path / "missing"], ACTIONS)
        assert list(playbooks) == ["full"]
        assert [Path(str(error.where).partition(".yml")[0]).name for error in errors] == ["a", "c", "missing"]

    def test_a_text_that_is_wrong_raises_with_every_problem(self) -> None:
        with pytest.raises(ConfigError) as caught:
            parse_source("id: Bad\ntitle: x\nsteps: []\n", ACTIONS, "the kept text")
        assert "the kept text:1" in str(caught.value)
        assert "the kept text:3" in str(caught.value)

    def test_an_action_that_is_gone_names_the_step(self) -> None:
        without = {name: spec for name, spec in ACTIONS.items() if name != "count"}
        with pytest.raises(ConfigError, match="step on: there is no action count"):
            parse_source(FULL, without)


class TestProblems:
    def test_all_of_them_are_told_in_the_order_of_their_lines(self) -> None:
        text = (
            FULL.replace("role: intel", "role: spies")
            .replace("default: 40nm", "default: 40 leagues")
            .replace("uses: count\n", "uses: cuont\n")
            .replace("pause, wait", "on, wait")
            .replace("retry: {attempts", "retry: {atempts")
            .replace("${{ steps.last.total }}", "${{ steps.lost.total }}")
            + "extra: 1\n"
        )
        lines = [int(problem.partition(":")[0]) for problem in problems(text)]
        assert lines == [2, 8, 15, 16, 18, 21, 23, 24]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "is empty"),
            ("~", "a playbook is a mapping"),
            ("- id: x", "a playbook is a mapping"),
            ("just text", "a playbook is a mapping"),
            ("id: [", "is not YAML"),
            ("a: &x 1\nb: *x\n", "an alias"),
            ("a: !!python/object/apply:os.system [ls]\n", "the tag"),
            ("a: 1\na: 2\n", "a is given twice; keep one"),
            ("? [1]\n: 2\n", "a key must be plain text"),
            ("<<: {a: 1}\n", "a key must be plain text"),
            ("a: !!set {b, c}\n", "the tag"),
            ("a: " + "[" * 5000, "too deeply nested"),
            ("a: " + "[" * 40 + "]" * 40, "deeply nested"),
            ("a: 99999999999999999999\n", "too large a number"),
            ("a: 1\n---\nb: 2\n", "is not YAML"),
            ("#" + "x" * 300_000, "longer than"),
        ],
    )
    def test_a_text_that_is_no_playbook_is_told_so(self, text: str, says: str) -> None:
        assert any(says in problem for problem in problems(text)), problems(text)

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("titel: x", "titel is not a known key. Did you mean title?"),
            ("level: boss", "unknown level 'boss': observer, operator, lead or admin"),
            ("role: navy", "role: input should be 'ops', 'intel' or 'logistics' (it is 'navy')"),
            ("private: maybe", "private"),
            ("timeout: soon", "duration"),
            ("timeout: 0s", "greater than 0"),
            ("description: 5", "description must be text, YAML reads this as 5; put it in quotes"),
            ("approval: {quorum: 0}", "approval.quorum"),
            ("approval: {levl: lead}", "approval.levl is not a known key. Did you mean level?"),
            ("approval: {title: '${{ steps.a }}'}", "the approval comes before every step"),
            ("inputs: [a]", "inputs"),
            ("inputs: {Area: {type: area}}", "'Area' is no name for an input"),
            ("inputs: {a: {type: aera}}", "input a: there is no type aera. Did you mean area?"),
            ("inputs: {a: {type: int, default: x}}", "input a: default: “x” is no whole number"),
            (
                "inputs: {a: {type: int, default: 9, max: 5}}",
                "input a: default: “9” is out of range; it must be at most 5",
            ),
            ("inputs: {a: {type: int, min: x}}", "input a: min: "),
            ("inputs: {a: {type: area, min: 5}}", "input a: min and max are not for area; remove them"),
            ("inputs: {a: {type: choice}}", "input a: a choice needs choices"),
            ("inputs: {a: {type: int, choices: [b]}}", "only a choice has them"),
            ("inputs: {a: {type: choice, choices: [b], default: c}}", "input a: default: “c” is not one of b"),
            ("inputs: {a: {type: int, required: true, default: 1}}", "what has a default is not required"),
            ("reply: {}", "a reply is either uses"),
            ("reply: {uses: count}", "reply: count returns no card"),
            ("reply: {uses: nope}", "step reply: there is no action nope"),
            ("reply: {card: {titel: x}}", "reply: card: titel"),
            ("reply: {card: {title: '${{ steps.a }}', colour: red}}", "reply: the card has colour"),
            ("reply: {card: {title: x}, timeout: 5s}", "a card written out has none"),
            ("reply: {uses: ops.airtrack_card}", "ops.airtrack_card needs tracks (a TrackSet); add it to with"),
        ],
    )
    def test_a_wrong_line_is_told_with_the_fix(self, line: str, says: str) -> None:
        found = problems(f"id: test\ntitle: Test\n{line}\nsteps:\n  - {{id: a, uses: count}}\n")
        assert any(problem.startswith("3: ") and says in problem for problem in found), found

    @pytest.mark.parametrize(
        ("step", "says"),
        [
            ("{uses: count}", "id is missing"),
            ("{id: a}", "a step needs uses (an action), wait or approve"),
            ("{id: A, uses: count}", "use lower-case letters"),
            ("{id: reply, uses: count}", "this id stands for the playbook's reply"),
            ("{id: a, uses: cuont}", "there is no action cuont. Did you mean count?"),
            ("{id: a, use: count}", "use is not a known key. Did you mean uses?"),
            ("{id: a, uses: count, needs: b}", "step a needs b, and there is no such step"),
            ("{id: a, uses: count, needs: a}", "step a needs itself"),
            ("{id: a, uses: count, timeout: never}", "duration"),
            ("{id: a, uses: count, retry: {attempts: 0}}", "retry.attempts"),
            ("{id: a, uses: count, retry: {atempts: 2}}", "retry.atempts is not a known key. Did you mean attempts?"),
            ("{id: a, uses: count, wait: {for: 5s}}", "a step that waits does nothing else"),
            ("{id: a, wait: {}}", "a wait is for one thing"),
            ("{id: a, wait: {for: 5s, until: x}}", "a wait is for one thing"),
            ("{id: a, wait: {until: tomorrow}}", "is no time"),
            ("{id: a, wait: {until: '${{ station.latitude }}'}}", "until must be a time: it is a number"),
            ("{id: a, wait: {for: 5s}, with: {x: 1}}", "with belong to an action"),
            ("{id: a, uses: count, if: yes}", "if is 'yes'; write true, false, or one ${{ expression }}"),
            ("{id: a, uses: count, if: '${{ steps.b }}'}", "there is no step b"),
            ("{id: a, uses: count, with: {txt: x}}", "count takes no txt. Did you mean text?"),
            ("{id: a, uses: count, with: {colour: '${{ run.id }}'}}", "count takes no colour. It takes text, radius"),
            ("{id: a, uses: count, with: {often: many}}", "often: Input should be a valid integer"),
            ("{id: a, uses: count, with: {radius: far}}", "write a distance such as 40nm"),
            (
                "{id: a, uses: count, with: {names: ['${{ station.latitude }}']}}",
                "it holds something that is a number, not text",
            ),
            ("{id: a, uses: count, with: {often: 'x ${{ run.id }}'}}", "it is text, not a number"),
            ("{id: a, uses: count, with: {text: '${{ input.x }}'}}", "input is not known"),
            ("{id: a, uses: count, with: {text: '${{ inputs.x }}'}}", "has no x; it has nothing"),
            ("{id: a, uses: count, with: {text: '${{ station.call }}'}}", "has no call"),
            ("{id: a, uses: count, with: {text: '${{ steps }}'}}", "steps can't be taken as a whole"),
            ("{id: a, uses: count, with: {text: '${{ keys(steps) }}'}}", "steps can't be taken as a whole"),
            ("{id: a, uses: count, with: {text: '${{ @ }}'}}", "@ can't stand alone"),
            (
                "{id: a, uses: count, with: {text: '${{ lenght(run.id) }}'}}",
                "there is no function lenght(). Did you mean length?",
            ),
            ("{id: a, uses: count, with: {text: '${{ length() }}'}}", "length() takes 1 arguments, not 0"),
            ("{id: a, uses: count, if: '${{ !station.latitude }}'}", "put what it is for in brackets: !(a.b)"),
            ("{id: a, uses: count, with: {text: '${{ run.id.x }}'}}", "text has no x"),
            ("{id: a, uses: count, with: {text: '${{ run.id[0] }}'}}", "text is no list"),
            ("{id: a, uses: count, with: {text: '${{ run.id'}}", "no closing }}"),
            ("{id: a, uses: telemetry.collect, with: {types: adsb}}", "telemetry.collect needs window (a duration)"),
        ],
    )
    def test_a_wrong_step_is_told_with_the_fix(self, step: str, says: str) -> None:
        found = steps(f"  - {step}\n")
        assert any(problem.startswith("4: ") and says in problem for problem in found), found

    def test_a_step_that_comes_later_is_told_to_be_moved(self) -> None:
        text = '  - {id: a, uses: count, with: {often: "${{ steps.b.total }}"}}\n  - {id: b, uses: count}\n'
        assert only(steps(text)) == "4: step b comes later in the file; move it above a"

    def test_steps_that_wait_for_each_other_are_named(self) -> None:
        text = (
            "  - {id: a, uses: count, needs: c}\n  - {id: b, uses: count, needs: a}\n"
            '  - {id: c, uses: count, if: "${{ steps.b.total }}"}\n'
        )
        assert only(steps(text)) == "4: steps wait for each other: a → c → b → a; remove one of these needs"

    def test_two_steps_of_one_id_name_both_lines(self) -> None:
        found = only(steps("  - {id: a, uses: count}\n  - {id: a, uses: count}\n"))
        assert found == "5: step a is there twice (first in f.yml:4); rename one"

    def test_a_field_that_an_earlier_step_does_not_give_is_told_with_those_it_gives(self) -> None:
        text = '  - {id: a, uses: count}\n  - {id: b, uses: count, with: {often: "${{ steps.a.totl }}"}}\n'
        found = only(steps(text))
        assert "a Count has no totl; it has total, names. Did you mean total?" in found.replace("A Count", "a Count")

    @pytest.mark.parametrize(
        ("kind", "parameter", "fits"),
        [
            ("distance", "radius", True),
            ("number", "radius", True),
            ("string", "radius", True),
            ("duration", "radius", False),
            ("area", "radius", False),
            ("bool", "radius", False),
            ("int", "often", True),
            ("string", "often", False),
            ("bool", "text", False),
            ("track", "text", True),
        ],
    )
    def test_an_input_of_another_type_than_the_parameter_is_told(self, kind: str, parameter: str, fits: bool) -> None:
        found = steps(
            f'  - {{id: a, uses: count, with: {{{parameter}: "${{{{ inputs.x }}}}"}}}}\n',
            f"inputs: {{x: {{type: {kind}, required: true}}}}\n",
        )
        assert (found == []) == fits, found

    def test_one_result_is_not_taken_for_another(self) -> None:
        text = (
            "  - {id: a, uses: telemetry.collect, with: {types: [adsb], window: 10m}}\n"
            '  - {id: b, uses: pictures.map, with: {tracks: "${{ steps.a }}"}}\n'
        )
        assert "pictures.map can't take this as tracks: it is an EventSet, not a TrackSet" in only(steps(text))

    def test_one_problem_causes_no_others(self) -> None:
        text = (
            '  - {id: a, uses: count, with: {often: "${{ steps.x }}"}}\n'
            '  - {id: b, uses: nope, with: {often: 1}}\n  - {id: c, uses: count, with: {often: "${{ steps.b.any }}"}}\n'
        )
        found = steps(text)
        assert [line[:2] for line in found] == ["4:", "5:"]

    def test_too_many_steps_are_refused(self) -> None:
        found = steps("".join(f"  - {{id: a{n}, uses: count}}\n" for n in range(101)))
        assert "at most 100" in only(found)


YAML_BITS = st.sampled_from([*FULL.splitlines(keepends=True), "  - ", "[", "}", ": ", "${{ steps.on }}", "*", "&a "])


@settings(deadline=None, max_examples=100)
@given(st.lists(YAML_BITS, max_size=25).map("".join) | st.text(max_size=80))
def test_any_text_gives_a_playbook_or_problems_with_the_files_name(text: str) -> None:
    playbook, found = check_source(text, ACTIONS, "f.yml")
    assert isinstance(playbook, Playbook) != bool(found)
    assert all(problem.where.startswith("f.yml") and problem.message for problem in found)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_value_in_any_place_gives_a_playbook_or_problems(data: st.DataObject) -> None:
    lines = FULL.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    key, colon, _ = lines[at].partition(":")
    lines[at] = (
        key + colon + " " + data.draw(st.sampled_from(["[]", "{}", "5", "-1", "x", "null", "true", "'${{ 1'", "[[1]]"]))
    )
    playbook, found = check_source("\n".join(lines), ACTIONS, "f.yml")
    assert isinstance(playbook, Playbook) != bool(found)
