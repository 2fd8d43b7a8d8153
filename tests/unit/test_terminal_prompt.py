"""The parts of a person's prompt: live runs, history, completion, colours."""

from __future__ import annotations

import asyncio
import stat
from io import StringIO
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import DummyInput

import vtoc_bots.plugins.terminal
from tests.terminal_kit import is_safe, outbound
from vtoc_bots import Card, Outbound, OutboundKind, Plan, PlanStep, Progress, TransientError
from vtoc_bots.core.settings import documented_settings
from vtoc_bots.plugins.terminal.completion import OfferCompleter, completion_of
from vtoc_bots.plugins.terminal.history import open_history
from vtoc_bots.plugins.terminal.live import LiveBoard
from vtoc_bots.plugins.terminal.prompt import Banner, PromptFrontEnd
from vtoc_bots.plugins.terminal.settings import TerminalSettings


def progress(key: str, line: UUID, done: int, *, ended: bool = False) -> Outbound:
    steps = tuple(PlanStep(title=f"step {n}", state="done" if n < done else "planned") for n in range(3))
    plan = Plan(steps=steps)
    blocks = [plan] if ended else [plan, Progress(text="Run", done=done, total=3)]
    return outbound(Card.of(f"Merge {key}", *blocks), line, OutboundKind.PROGRESS, key=key, revision=done)


def test_a_run_is_shown_by_its_newest_progress() -> None:
    board, line = LiveBoard(), uuid4()
    board.update(progress("a", line, 0))
    board.update(progress("a", line, 2))
    assert board.lines(20) == [
        "Merge a  [################........] Run: 2 of 3 (67%)",
        "  ✓ done     step 0",
        "  ✓ done     step 1",
        "  · planned  step 2",
    ]


def test_a_run_leaves_with_its_result_and_late_progress_does_not_bring_it_back() -> None:
    board, line, other = LiveBoard(), uuid4(), uuid4()
    board.update(progress("a", line, 1))
    board.update(progress("b", other, 1))
    board.shown(outbound("done", line, OutboundKind.RESULT))
    board.update(progress("a", line, 2))
    assert len(board) == 1
    assert board.lines(20)[0].startswith("Merge b")


def test_a_run_leaves_when_its_progress_says_that_it_ended() -> None:
    board, line = LiveBoard(), uuid4()
    board.update(progress("a", line, 1))
    board.update(progress("a", line, 3, ended=True))
    assert len(board) == 0


def test_an_approval_on_the_way_does_not_end_a_run() -> None:
    board, line = LiveBoard(), uuid4()
    board.update(progress("a", line, 1))
    board.shown(outbound("Approval needed", line, OutboundKind.APPROVAL))
    assert len(board) == 1


@pytest.mark.parametrize("most", [1, 2, 3, 5, 100])
def test_runs_take_no_more_room_than_there_is(most: int) -> None:
    board = LiveBoard()
    for number in range(6):
        board.update(progress(f"run {number}", uuid4(), 1))
    lines = board.lines(most)
    assert len(lines) <= most
    assert most >= 6 or "6 runs are under way" in lines[-1]


def test_a_title_cannot_break_out_of_its_line() -> None:
    board = LiveBoard()
    card = Card.of("a\x1b[2J\nb", Progress(text="c\x07\nd"))
    board.update(outbound(card, uuid4(), OutboundKind.PROGRESS))
    assert [line for line in board.lines(9) if "\n" in line or not is_safe(line)] == []


def test_lines_are_remembered_between_starts_by_their_owner_alone(tmp_path: Path) -> None:
    first = open_history(tmp_path, 100)
    first.store_string("/help")
    first.store_string("/map")
    assert list(open_history(tmp_path, 100).load_history_strings()) == ["/map", "/help"]
    assert stat.S_IMODE((tmp_path / "history").stat().st_mode) == 0o600


def test_only_the_newest_lines_are_remembered(tmp_path: Path) -> None:
    history = open_history(tmp_path, 3)
    for number in range(5):
        history.store_string(f"/line {number}")
    open_history(tmp_path, 3)
    assert list(open_history(tmp_path, 100).load_history_strings()) == ["/line 4", "/line 3", "/line 2"]
    assert [file.name for file in tmp_path.iterdir()] == ["history"]


def test_a_history_of_no_lines_writes_nothing(tmp_path: Path) -> None:
    open_history(tmp_path, 0).store_string("/help")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "value", "becomes"),
    [
        ("/pl", "/playbook", "/playbook"),
        ("/playbook op", "/playbook op_airtrack_merge", "/playbook op_airtrack_merge"),
        ("/playbook op", "op_airtrack_merge", "/playbook op_airtrack_merge"),
        ("/map ", "/map --area", "/map --area"),
        ("/map --area=4", "/map --area=40nm", "/map --area=40nm"),
        ("/track w", "/track watch", "/track watch"),
    ],
)
def test_a_choice_is_the_line_to_be_or_the_word_to_be(line: str, value: str, becomes: str) -> None:
    completion = completion_of(line, value, "what it means")
    assert line[: len(line) + completion.start_position] + completion.text == becomes


async def offered(completer: OfferCompleter, line: str) -> list[str]:
    events = completer.get_completions_async(Document(line), CompleteEvent())
    return [completion.text async for completion in events]


async def test_completions_are_harmless_text() -> None:
    async def offer(line: str) -> tuple[tuple[str, str], ...]:
        return (("/a\x1b[2J", "label\x07"),)

    assert await offered(OfferCompleter(offer), "/") == ["/a␛[2J"]


@pytest.mark.parametrize("failure", [TransientError("away"), RuntimeError("a bug"), TimeoutError()])
async def test_an_offer_that_fails_disturbs_nobody(failure: Exception) -> None:
    async def offer(line: str) -> tuple[tuple[str, str], ...]:
        raise failure

    assert await offered(OfferCompleter(offer), "/pl") == []


async def test_an_empty_line_asks_for_nothing() -> None:
    async def offer(line: str) -> tuple[tuple[str, str], ...]:
        raise AssertionError("nothing was typed")

    assert await offered(OfferCompleter(offer), " ") == []


async def test_a_slow_offer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtoc_bots.plugins.terminal.completion.WAIT_SECONDS", 0.01)

    async def offer(line: str) -> tuple[tuple[str, str], ...]:
        await asyncio.Event().wait()
        return ()

    assert await offered(OfferCompleter(offer), "/pl") == []


def test_the_banner_says_where_one_is_and_the_web_address_where_there_is_one() -> None:
    with_web = Banner("TOC-S1", Path("/out"), lambda: "http://127.0.0.1:8080").lines("root", "2")
    assert len(with_web) == 4
    assert "TOC-S1" in with_web[0]
    assert "terminal 2" in with_web[0]
    assert "http://127.0.0.1:8080" in with_web[1]
    assert len(Banner("TOC-S1", Path("/out")).lines("root", "2")) == 3


def test_a_prompt_takes_edits_and_buttons() -> None:
    front_end = PromptFrontEnd(Banner("TOC-S1", Path("/out")), InMemoryHistory(), StringIO(), DummyInput())
    assert front_end.caps.edit
    assert front_end.caps.buttons


def test_settings_come_from_the_environments_names() -> None:
    settings = TerminalSettings.model_validate({"VTOC_TERMINAL_HISTORY": "0", "NO_COLOR": "1"})
    assert (settings.history_lines, bool(settings.no_color)) == (0, True)
    assert (TerminalSettings().history_lines, bool(TerminalSettings().no_color)) == (1000, False)


def test_the_readme_documents_every_setting() -> None:
    readme = Path(vtoc_bots.plugins.terminal.__file__).with_name("README.md").read_text()
    for setting in documented_settings(TerminalSettings):
        row = f"| `{setting.name}` | {setting.default} | {setting.accepts} | {setting.about} |"
        assert row.replace("|  |", "| |") in readme
