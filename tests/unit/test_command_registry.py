"""Finding commands, suggesting near ones, completing, and help."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from vtoc_bots.core.cards import Card, Table, Text
from vtoc_bots.core.commands import (
    Call,
    Commands,
    CommandSpec,
    MissingArguments,
    UnknownCommand,
    choices,
    code_block,
    code_span,
    command,
    command_card,
    complete,
    list_card,
    missing_card,
    mistake_card,
    usage_line,
)
from vtoc_bots.core.errors import PluginError, UsageError
from vtoc_bots.core.values import Area, PlaybookId, Rest, TrackId


async def handler(ctx: Any) -> Card:
    """Do something."""
    return Card.of("x")


async def with_word(ctx: Any, word: str = "none") -> Card:
    """Do something with a word."""
    return Card.of("x")


@command("track watch", level="lead", roles={"ops"}, examples=("/track watch A1 --kind sea",))
async def watch(
    ctx: Any,
    target: TrackId,
    *,
    kind: Annotated[Literal["air", "sea"], "what moves there"] = "air",
    quiet: bool = False,
) -> Card:
    """Watch a track."""
    return Card.of("x")


@command("playbook")
async def playbook(ctx: Any, id: PlaybookId, *, dry_run: bool = False, **inputs: str) -> Card:
    """Run a playbook."""
    return Card.of("x")


@command("log")
async def log(ctx: Any, text: Rest) -> Card:
    """Log a text.

    It goes to the mission log.
    """
    return Card.of("x")


@command("area")
async def map_of_area(ctx: Any, area: Area | None = None) -> Card:
    """Show an area."""
    return Card.of("x")


def plain(name: str, *aliases: str) -> CommandSpec:
    return command(name, aliases=aliases)(handler)


COMMANDS = Commands(
    [
        watch,
        playbook,
        log,
        plain("tracks"),
        plain("track list"),
        plain("map"),
        plain("status", "vtoc-status"),
        command("run")(with_word),
        plain("run all now"),
    ]
)


@pytest.mark.parametrize(
    ("text", "name", "rest"),
    [
        ("/map", "map", ""),
        ("map", "map", ""),
        ("  /MAP  40nm", "map", "  40nm"),
        ("/map@vtoc_bot 40nm", "map", " 40nm"),
        ("/map\n40nm", "map", "\n40nm"),
        ("/track watch A1", "track watch", " A1"),
        ("/Track  Watch A1", "track watch", " A1"),
        ("/track_watch A1", "track watch", " A1"),
        ("/track-watch A1", "track watch", " A1"),
        ("/vtoc-status", "status", ""),
        ("/vtoc_status", "status", ""),
        ("/run all now", "run all now", ""),
        ("/run all", "run", " all"),
        ("/run", "run", ""),
        ("@agent op_x area=40nm", "playbook", "op_x area=40nm"),
        ("@Agent", "playbook", ""),
        ("@agent /map 40nm", "map", " 40nm"),
    ],
)
def test_the_longest_name_that_fits_is_found(text: str, name: str, rest: str) -> None:
    found = COMMANDS.find(text)
    assert found is not None
    assert found.spec.name == name
    assert text[found.start :] == rest


@pytest.mark.parametrize(
    "text", ["", "/", "//map", "/track", "/track wach", "/maps", "hello there", "@agents map", "@", "/a/b"]
)
def test_what_names_no_command_is_not_found(text: str) -> None:
    assert COMMANDS.find(text) is None


def test_a_command_for_another_bot_is_not_ours() -> None:
    assert COMMANDS.find("/map@other_bot", {"vtoc_bot"}) is None
    assert COMMANDS.find("/map@VTOC_bot", {"vtoc_bot"}) is not None


def test_a_native_name_gets_its_command() -> None:
    for name in ("track watch", "track_watch", "/Track Watch", "track-watch"):
        assert COMMANDS.get(name) is watch
    assert COMMANDS.get("nothing") is None


def test_a_text_is_parsed_to_a_call() -> None:
    call = COMMANDS.parse("@agent op_x area=40nm --dry-run")
    assert isinstance(call, Call)
    assert (call.values, call.inputs) == ({"id": "op_x", "dry_run": True}, {"area": "40nm"})
    assert isinstance(COMMANDS.parse("/track watch"), MissingArguments)


def test_commands_come_by_name() -> None:
    assert [spec.name for spec in COMMANDS][:3] == ["log", "map", "playbook"]
    assert len(COMMANDS) == 9


@pytest.mark.parametrize(
    ("text", "suggested", "corrected"),
    [
        ("/trakcs", "tracks", "/tracks"),
        ("/Mapp  40nm", "map", "/map  40nm"),
        ("/trak watch A1 --quiet", "track watch", "/track watch A1 --quiet"),
        ("/track_wacth A1", "track watch", "/track watch A1"),
        ("/vtoc-stauts", "vtoc-status", "/vtoc-status"),
        ("/playbok op_x a=1", "playbook", "/playbook op_x a=1"),
    ],
)
def test_an_unknown_command_suggests_the_nearest(text: str, suggested: str, corrected: str) -> None:
    with pytest.raises(UnknownCommand) as caught:
        COMMANDS.parse(text)
    assert caught.value.suggestions[0] == suggested
    assert caught.value.corrected == corrected
    assert f"did you mean /{suggested}" in str(caught.value)


def test_only_what_the_caller_may_use_is_suggested() -> None:
    with pytest.raises(UnknownCommand) as caught:
        COMMANDS.parse("/trakcs", may=lambda spec: spec.name not in ("tracks", "track watch"))
    assert "tracks" not in caught.value.suggestions
    assert "track watch" not in caught.value.suggestions
    with pytest.raises(UnknownCommand, match="There is no command /trakcs; /help lists") as caught:
        COMMANDS.parse("/trakcs", may=lambda spec: False)
    assert caught.value.suggestions == ()


@pytest.mark.parametrize(
    ("text", "corrected", "word"),
    [
        ("/track", "/track watch", "track"),
        ("/Track wach A1", "/Track watch A1", "wach"),
        ("/track lst", "/track list", "lst"),
        ("/track wach A1", "/track watch A1", "wach"),
        ("/track 5 A1", "/track watch A1", "5"),
    ],
)
def test_a_name_that_is_unfinished_tells_how_it_goes_on(text: str, corrected: str, word: str) -> None:
    with pytest.raises(UnknownCommand, match="/track is followed by watch or list") as caught:
        COMMANDS.parse(text)
    assert caught.value.corrected == corrected
    assert caught.value.word == word
    assert caught.value.suggestions == ("track watch", "track list")


def test_an_unfinished_name_tells_only_what_the_caller_may_use() -> None:
    with pytest.raises(UnknownCommand, match="followed by list"):
        COMMANDS.parse("/track", may=lambda spec: spec is not watch)
    with pytest.raises(UnknownCommand, match="There is no command /track;"):
        COMMANDS.parse("/track", may=lambda spec: False)


def test_few_of_many_are_listed() -> None:
    many = Commands(plain(f"x a{n}") for n in range(100))
    with pytest.raises(UnknownCommand, match=r"followed by a0, .*, a7 or …"):
        many.parse("/x")


def test_two_commands_of_one_name_are_refused_naming_both() -> None:
    with pytest.raises(
        PluginError, match=r"/status is registered twice: by .*\.handler and by .*\.with_word; rename one"
    ):
        Commands([plain("status"), command("state", aliases=("status",))(with_word)])


def test_a_full_name_wins_over_anothers_one_word_form() -> None:
    for specs in ([plain("a b"), plain("a-b")], [plain("a-b"), plain("a b")]):
        commands = Commands(specs)
        assert {text: commands.get(text).name for text in ("a b", "a-b")} == {"a b": "a b", "a-b": "a-b"}  # type: ignore[union-attr]  # both are there


@given(st.text(max_size=60))
def test_no_text_breaks_finding_and_suggesting(text: str) -> None:
    with contextlib.suppress(UsageError):
        COMMANDS.parse(text)


def test_usage_lines_show_what_may_be_left_out() -> None:
    assert usage_line(watch) == "/track watch <target> [--kind <air|sea>] [--quiet]"
    assert usage_line(playbook) == "/playbook <id> [--dry-run] [key=value …]"
    assert usage_line(log) == "/log <text …>"
    assert usage_line(COMMANDS.get("run") or log) == "/run [word]"


def test_the_help_of_a_command_tells_all_of_it() -> None:
    card = command_card(watch)
    table = next(block for block in card.blocks if isinstance(block, Table))
    assert card.title == "/track watch"
    assert table.rows[1] == ("--kind", "one of air, sea", "air", "what moves there")
    assert table.rows[0][2] == "required"
    assert table.rows[2] == ("--quiet", "nothing (--no-quiet is its opposite)", "no", "")
    texts = "\n".join(block.text for block in card.blocks if isinstance(block, Text))
    for part in ("Watch a track.", usage_line(watch), "/track watch A1 --kind sea", "Needs lead, at ops stations."):
        assert part in texts
    assert any("mission log" in block.text for block in command_card(log).blocks if isinstance(block, Text))


def test_the_list_of_commands_shows_what_it_is_given() -> None:
    table = list_card([watch, log]).blocks[0]
    assert isinstance(table, Table)
    assert table.rows == (("/track watch", "Watch a track."), ("/log", "Log a text."))
    assert command_card(map_of_area).blocks[2].rows[0][2] == "–"  # type: ignore[union-attr]  # a table
    assert "no command that you may use" in list_card([]).blocks[0].text  # type: ignore[union-attr]  # a text


def test_a_mistake_is_shown_in_place_with_its_correction() -> None:
    text = "/track watch A1 --kind se`a"
    with pytest.raises(UsageError) as caught:
        COMMANDS.parse(text)
    texts = [block.text for block in mistake_card(text, caught.value).blocks if isinstance(block, Text)]
    assert texts[1] == "```\n/track watch A1 --kind se`a\n                       ^^^^\n```"
    assert texts[2] == "Try: `/track watch A1 --kind sea`"


def test_what_is_missing_is_listed_with_an_example() -> None:
    missing = COMMANDS.parse("/track watch")
    assert isinstance(missing, MissingArguments)
    card = missing_card(missing)
    assert isinstance(card.blocks[1], Table)
    assert card.blocks[1].rows == (("Target", "the name of a track such as A1B2C3"),)
    assert "`/track watch A1 --kind sea`" in card.blocks[3].text  # type: ignore[union-attr]  # a text


@given(st.text(alphabet="`a* \n", min_size=1, max_size=20).filter(str.strip))
def test_code_is_read_back_as_it_was(text: str) -> None:
    reader = MarkdownIt("commonmark")
    (block,) = reader.parse(code_block(text))
    assert block.content == f"{text}\n"
    inline = reader.parse(f"Try: {code_span(text)}")[1]
    assert inline.children is not None
    assert [child.content for child in inline.children] == ["Try: ", " ".join(text.splitlines())]


class Source:
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def choices(self, kind: str, prefix: str, limit: int) -> Sequence[tuple[str, str]]:
        self.asked.append(kind)
        return [("OP_frag", "Fragmentary order"), ("op_airtrack_merge", "Merge air tracks"), ("my_op", "two words")]


async def test_a_parameter_offers_its_choices_those_that_begin_so_first() -> None:
    assert await choices(watch, "kind", "s") == (("sea", "sea"),)
    assert await choices(watch, "target", "a", None) == ()
    assert await choices(watch, "nothing", "a") == ()
    source = Source()
    assert [value for value, _ in await choices(playbook, "id", "OP_", source)] == ["OP_frag", "op_airtrack_merge"]
    assert [value for value, _ in await choices(playbook, "id", "op", source)] == [
        "OP_frag",
        "op_airtrack_merge",
        "my_op",
    ]
    assert [value for value, _ in await choices(playbook, "id", "merge", source)] == ["op_airtrack_merge"]
    assert [value for value, _ in await choices(playbook, "id", "", source, limit=1)] == ["OP_frag"]
    assert source.asked == ["playbook"] * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/tra", ["/track list", "/track watch", "/tracks"]),
        ("tra", ["track list", "track watch", "tracks"]),
        ("/track ", ["/track list", "/track watch"]),
        ("/track w", ["/track watch"]),
        ("/track watch", ["/track watch"]),
        ("/track watch A1 ", ["/track watch A1 --kind", "/track watch A1 --quiet"]),
        ("/track watch A1 --k", ["/track watch A1 --kind"]),
        ("/track watch A1 --kind ", ["/track watch A1 --kind air", "/track watch A1 --kind sea"]),
        ("/track watch A1 --kind s", ["/track watch A1 --kind sea"]),
        ("/track watch A1 kind=a", ["/track watch A1 kind=air", "/track watch A1 kind=sea"]),
        ("/track watch A1 --kind=", ["/track watch A1 --kind=air", "/track watch A1 --kind=sea"]),
        ("/track watch A1 --kind sea --", ["/track watch A1 --kind sea --quiet"]),
        ("/track watch A1 --no-quiet --", ["/track watch A1 --no-quiet --kind"]),
        ("/track watch --quiet A1 --", ["/track watch --quiet A1 --kind"]),
        ("/track watch --quiet A1 kind=sea ", []),
        ("/track watch A1 xxkind ", ["/track watch A1 xxkind --kind", "/track watch A1 xxkind --quiet"]),
        ("/playbook ", ["/playbook OP_frag", "/playbook op_airtrack_merge", "/playbook my_op", "/playbook --dry-run"]),
        ("/playbook op_a", ["/playbook op_airtrack_merge"]),
        ("/playbook op_x ", ["/playbook op_x --dry-run"]),
        ("/playbook op_x area=40nm ", ["/playbook op_x area=40nm --dry-run"]),
        ('/playbook "op', []),
        ("/nothing ", []),
        ("/map ", []),
    ],
)
async def test_a_text_is_completed(text: str, expected: list[str]) -> None:
    offered = await complete(COMMANDS, text, source=Source())
    assert [text[: each.start] + each.text for each in offered] == expected


async def test_a_completion_says_what_it_means() -> None:
    assert [each.label for each in await complete(COMMANDS, "/track w")] == ["Watch a track."]
    labels = [each.label for each in await complete(COMMANDS, "/track watch A1 --")]
    assert labels == ["what moves there", "yes or no"]
    assert [each.label for each in await complete(COMMANDS, "/playbook op_f", source=Source())] == ["Fragmentary order"]


async def test_only_what_the_caller_may_use_is_completed() -> None:
    may_not = {"track watch", "playbook"}
    offered = await complete(COMMANDS, "/tra", lambda spec: spec.name not in may_not)
    assert [each.text for each in offered] == ["/track list", "/tracks"]
    assert await complete(COMMANDS, "/playbook op", lambda spec: spec.name not in may_not, Source()) == ()


@given(st.text(max_size=40))
async def test_no_text_breaks_completion(text: str) -> None:
    for begun in (text, f"/track watch {text}", f"/playbook op_x {text}"):
        for each in await complete(COMMANDS, begun, source=Source()):
            assert 0 <= each.start <= len(begun)


@command("ask", agents="never")
async def ask(ctx: Any, question: Rest) -> Card:
    """Ask something."""
    return Card.of("x")


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("what is up?", "what is up?"),
        ("@agent  is it?", "is it?"),
        ("/what is up?", None),
        ("@agent", None),
        (" ", None),
    ],
)
def test_a_text_is_a_question_where_a_command_answers_questions(text: str, question: str | None) -> None:
    asked = Commands([ask]).question(text)
    assert (None if asked is None else asked.values["question"]) == question
    assert COMMANDS.question(text) is None
