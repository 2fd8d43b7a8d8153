"""What outlives a killed terminal: its seat's number, what it printed, what it was asked."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.terminal_kit import outbound
from vtoc_bots import Card, Receipt, StartupError
from vtoc_bots.plugins.terminal import journal as journal_module
from vtoc_bots.plugins.terminal.choices import Choice
from vtoc_bots.plugins.terminal.journal import Journal, OpenLine
from vtoc_bots.plugins.terminal.seat import TerminalSeat, sender_of_process
from vtoc_bots.testing.clock import NOON

RECEIPT = Receipt("ref", NOON)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "1.receipts"


def test_terminals_of_one_folder_take_different_seats_and_a_left_one_is_taken_again(tmp_path: Path) -> None:
    first, second = TerminalSeat.take(tmp_path), TerminalSeat.take(tmp_path)
    assert (first.number, second.number) == (1, 2)
    assert first.data_id == second.data_id
    assert str(second.conversation) == f"terminal:{first.data_id}:2"
    assert second.queue == f"terminal.{first.data_id}.2"
    first.release()
    assert TerminalSeat.take(tmp_path).number == 1


def test_folders_have_different_ids_that_stay(tmp_path: Path) -> None:
    ids = [TerminalSeat.take(tmp_path / name).data_id for name in ("a", "b", "a")]
    assert ids[0] == ids[2] != ids[1]


def test_nobody_else_reads_what_a_terminal_remembers(tmp_path: Path) -> None:
    seat = TerminalSeat.take(tmp_path)
    Journal(seat.journal).close()
    assert stat.S_IMODE(seat.folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in seat.folder.iterdir())


def test_a_damaged_id_stops_the_terminal_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("../../x")
    with pytest.raises(StartupError, match="remove it"):
        TerminalSeat.take(tmp_path)


def test_a_folder_that_cannot_be_made_stops_the_terminal_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match="--data"):
        TerminalSeat.take(tmp_path / "file")


def test_the_sender_is_the_real_user_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody")
    monkeypatch.setenv("LOGNAME", "somebody")
    assert sender_of_process("data").user_id != "somebody"


def test_a_forked_child_does_not_keep_the_seat(tmp_path: Path) -> None:
    """As a process pool's child would, which outlives its killed parent for a while."""
    seat = TerminalSeat.take(tmp_path)
    until, let_go = os.pipe()
    hear, say = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(let_go)
        os.write(say, b"here")
        os.read(until, 1)  # lives until the test lets go
        os._exit(0)
    try:
        os.read(hear, 4)
        seat.release()
        assert TerminalSeat.take(tmp_path).number == 1
    finally:
        for descriptor in (let_go, until, hear, say):
            os.close(descriptor)
        os.waitpid(child, 0)


def test_what_was_printed_is_known_to_the_next_terminal(path: Path) -> None:
    card = outbound("a", key="k")
    before = Journal(path)
    before.begin(card)
    before.end(card, RECEIPT, (), None)
    after = Journal(path)
    assert after.receipt(card) == RECEIPT
    assert not after.may_be_printed(card)
    assert after.receipt(outbound("a", key="k", revision=1)) is None


def test_printing_that_was_cut_short_may_have_happened(path: Path) -> None:
    card = outbound("a")
    Journal(path).begin(card)
    after = Journal(path)
    assert after.receipt(card) is None
    assert after.may_be_printed(card)


def test_lines_of_a_killed_terminal_are_open_until_their_answer_is_printed(path: Path) -> None:
    line = OpenLine("11111111-1111-4111-8111-111111111111", "/playbook x")
    Journal(path).open_line(line)
    after = Journal(path)
    assert after.open_lines == (line,)
    after.end(outbound("a"), RECEIPT, (), line.message_id)
    assert Journal(path).open_lines == ()


def test_a_terminal_that_ended_in_good_order_leaves_no_open_lines(path: Path) -> None:
    before = Journal(path)
    before.open_line(OpenLine("11111111-1111-4111-8111-111111111111", "/playbook x"))
    before.close()
    assert Journal(path).open_lines == ()


def test_choices_can_be_made_after_a_restart_until_their_card_closes(path: Path) -> None:
    choices = (Choice(1, "Approve", "a"), Choice(2, "Deny", "b"))
    Journal(path).end(outbound("ask", key="k"), RECEIPT, choices, None)
    after = Journal(path)
    assert after.choices == ("k", choices)
    after.end(outbound("other"), RECEIPT, (), None)
    assert after.choices == ("k", choices)
    after.end(outbound("approved", key="k", revision=1), RECEIPT, (), None)
    assert after.choices == ("", ())


def test_a_question_ends_the_choices_before_it(path: Path) -> None:
    before = Journal(path)
    before.end(outbound("approve?", key="k"), RECEIPT, (Choice(1, "Approve", "a"),), None)
    before.end(outbound(Card.of("How many?", asks=True)), RECEIPT, (), None)
    assert before.choices == Journal(path).choices == ("", ())


@pytest.mark.parametrize("damage", [b'{"printed": "k", "rev', b"\xff\xfe\n", b"[]\n3\n", b'{"printed": 3}\n'])
def test_a_torn_or_damaged_record_is_left_out_and_the_rest_is_kept(path: Path, damage: bytes) -> None:
    card = outbound("a")
    Journal(path).end(card, RECEIPT, (), None)
    with path.open("ab") as file:
        file.write(damage)
    again = Journal(path)
    again.end(outbound("b", key="after"), RECEIPT, (), None)
    last = Journal(path)
    assert last.receipt(card) == RECEIPT
    assert last.receipt(outbound("b", key="after")) == RECEIPT


def test_a_record_with_a_wrong_time_is_left_out(path: Path) -> None:
    path.write_text('{"printed": "k", "revision": 0, "ref": "r", "sent_at": "yesterday"}\n')
    assert Journal(path).receipt(outbound("a", key="k")) is None


def test_only_the_newest_records_are_kept_and_a_long_session_stays_small(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "KEEP_RECORDS", 10)
    monkeypatch.setattr(journal_module, "COMPACT_AT", 20)
    journal = Journal(path)
    for number in range(95):
        journal.end(outbound("a", key=f"k{number}"), RECEIPT, (), None)
    assert len(path.read_text().splitlines()) < 20
    assert journal.receipt(outbound("a", key="k94")) == RECEIPT
    assert journal.receipt(outbound("a", key="k0")) is None


def test_a_full_disk_costs_the_memory_and_nothing_else(path: Path) -> None:
    journal = Journal(path)
    os.dup2(os.open("/dev/full", os.O_WRONLY), journal._file or -1)
    card = outbound("a")
    journal.end(card, RECEIPT, (), None)
    assert journal.receipt(card) == RECEIPT
    assert Journal(path).receipt(card) is None


def test_nothing_is_written_after_the_end(path: Path) -> None:
    journal = Journal(path)
    journal.close()
    written = path.read_bytes()
    journal.begin(outbound("late"))
    journal.close()
    assert path.read_bytes() == written
