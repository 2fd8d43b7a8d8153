"""A terminal for scripts: lines in, replies out, an exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.terminal_kit import PICTURE, FakeCore, PipedTerminal, Typed, echo, outbound, until
from vtoc_bots import (
    Accepted,
    Button,
    Buttons,
    Card,
    Image,
    Message,
    MessageKind,
    NotSent,
    Outbound,
    OutboundKind,
    Progress,
    TransientError,
    markup,
)
from vtoc_bots.plugins.terminal.exchange import LineState
from vtoc_bots.plugins.terminal.journal import Journal, OpenLine
from vtoc_bots.plugins.terminal.seat import TerminalSeat

APPROVAL = Card.of(
    "Approval needed", Buttons(buttons=(Button(label="Approve", token="yes"), Button(label="Deny", token="no")))
)


def silence(message: Message, line: UUID) -> Iterable[Outbound]:
    return []


def playbook(message: Message, line: UUID) -> Iterable[Outbound]:
    """``/order`` asks for an approval, a button answers itself and gives the order's result; the rest is echoed."""
    if message.text == "/order":
        playbook.line = line  # type: ignore[attr-defined]  # remembered from one message to the next
        return [outbound(APPROVAL, line, OutboundKind.APPROVAL)]
    if message.kind is MessageKind.BUTTON:
        order = playbook.line  # type: ignore[attr-defined]  # see above
        return [outbound(f"pressed {message.token}", line), outbound("ordered", order, OutboundKind.RESULT)]
    return echo(message, line)


async def test_every_line_is_answered_in_order_and_the_exit_code_is_zero(tmp_path: Path) -> None:
    terminal = PipedTerminal(tmp_path, FakeCore(echo), Typed("/help", "", "  ", "/whoami"))
    assert await terminal.run() == 0
    assert terminal.out.getvalue() == "heard /help\n\nheard /whoami\n\n"
    assert terminal.err.getvalue() == ""


async def test_a_message_is_from_the_user_in_this_seats_conversation(tmp_path: Path) -> None:
    terminal = PipedTerminal(tmp_path, FakeCore(echo), Typed("/help", "/help"))
    await terminal.run()
    first, second = terminal.core.messages
    assert first.conversation == terminal.seat.conversation
    assert first.sender.workspace == first.account == terminal.seat.data_id
    assert first.event_id != second.event_id
    assert first.mentions_us


async def test_no_input_ends_at_once(tmp_path: Path) -> None:
    assert await PipedTerminal(tmp_path, FakeCore(echo), Typed()).run() == 0


async def test_a_line_waits_for_the_answer_of_the_one_before(tmp_path: Path) -> None:
    terminal = PipedTerminal(tmp_path, FakeCore(silence), Typed("/first", "/second"))
    running = asyncio.create_task(terminal.run())
    await until(lambda: bool(terminal.transport._journal.open_lines))
    assert len(terminal.core.messages) == 1
    terminal.core.script = echo
    (line,) = terminal.transport._journal.open_lines
    terminal.core.due.put_nowait(outbound("at last", UUID(line.message_id), OutboundKind.RESULT))
    assert await running == 0
    assert terminal.printed == ["at last", "heard /second"]


async def test_the_next_line_presses_the_button_of_an_approval_that_was_asked_for(tmp_path: Path) -> None:
    terminal = PipedTerminal(tmp_path, FakeCore(playbook), Typed("/order", "1"))
    assert await terminal.run() == 0
    pressed = terminal.core.messages[1]
    assert (pressed.kind, pressed.token) == (MessageKind.BUTTON, "yes")
    assert terminal.printed == [
        "Approval needed",
        "[1] Approve  [2] Deny  (type the number)",
        "pressed yes",
        "ordered",
    ]


async def test_a_number_that_is_no_choice_is_a_line_like_any_other(tmp_path: Path) -> None:
    terminal = PipedTerminal(tmp_path, FakeCore(playbook), Typed("/order", "3"))
    running = asyncio.create_task(terminal.run())
    await until(lambda: "heard 3" in terminal.out.getvalue())
    terminal.clock.advance(60)
    assert await running == 3
    assert [message.kind for message in terminal.core.messages] == [MessageKind.TEXT, MessageKind.TEXT]


async def test_a_number_answers_the_newest_question_and_presses_no_older_button(tmp_path: Path) -> None:
    def asking(message: Message, line: UUID) -> Iterable[Outbound]:
        if message.text != "/order":
            return echo(message, line)
        question = outbound(Card.of("How many?", asks=True), line, OutboundKind.APPROVAL)
        return [*playbook(message, line), question]

    lines = Typed("/order", end=False)
    terminal = PipedTerminal(tmp_path, FakeCore(asking), lines)
    running = asyncio.create_task(terminal.run())
    await until(lambda: "How many?" in terminal.out.getvalue())
    lines.type("1")
    await until(lambda: len(terminal.core.messages) == 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [message.kind for message in terminal.core.messages] == [MessageKind.TEXT, MessageKind.TEXT]


async def test_a_run_that_asks_something_lets_the_next_line_answer(tmp_path: Path) -> None:
    def asking(message: Message, line: UUID) -> Iterable[Outbound]:
        return echo(message, line) if message.text == "blue" else [outbound("Colour?", line, OutboundKind.NOTICE)]

    terminal = PipedTerminal(tmp_path, FakeCore(asking), Typed("/ask", "blue"))
    running = asyncio.create_task(terminal.run())
    await until(lambda: "heard blue" in terminal.out.getvalue())
    terminal.clock.advance(60)
    assert await running == 3
    assert terminal.printed == ["Colour?", "heard blue"]


async def test_an_unanswered_line_ends_with_its_reason_after_the_wait(tmp_path: Path) -> None:
    terminal = PipedTerminal(tmp_path, FakeCore(silence), Typed("/slow", "/next"), wait_seconds=30)
    running = asyncio.create_task(terminal.run())
    await until(lambda: terminal.states == [LineState.OPEN])
    terminal.clock.advance(29)
    await asyncio.sleep(0)
    assert not running.done()
    terminal.clock.advance(1)
    assert await running == 3
    assert terminal.err.getvalue().splitlines() == [
        "vtoc-bots chat: line 1, '/slow', is not answered (no final answer within 30 s)",
        "vtoc-bots chat: 1 more not handed over: they come after a line that is not answered",
    ]


async def test_a_line_that_is_parked_on_an_approval_is_not_answered_and_says_so(tmp_path: Path) -> None:
    terminal = PipedTerminal(tmp_path, FakeCore(playbook), Typed("/order"))
    running = asyncio.create_task(terminal.run())
    await until(lambda: terminal.states == [LineState.PARKED])
    terminal.clock.advance(60)
    assert await running == 3
    assert "line 1, '/order', waits for an approval or an answer" in terminal.err.getvalue()


async def test_a_script_that_keeps_its_pipe_open_may_think_for_longer_than_the_wait(tmp_path: Path) -> None:
    typed = Typed("/one", end=False)
    terminal = PipedTerminal(tmp_path, FakeCore(echo), typed, wait_seconds=5)
    running = asyncio.create_task(terminal.run())
    await until(lambda: "heard /one" in terminal.out.getvalue() and not terminal.states)
    terminal.clock.advance(1000)
    typed.type("/two")
    await until(lambda: "heard /two" in terminal.out.getvalue() and not terminal.states)
    terminal.clock.advance(1000)
    typed.end()
    assert await running == 0


async def test_a_passing_fault_is_tried_again_as_the_same_event(tmp_path: Path) -> None:
    class StoredAndLost(FakeCore):
        """Stores the first message, then loses the connection before it can say so."""

        async def accept(self, message: Message) -> Accepted:
            acknowledged = await super().accept(message)
            if self.failures or len(self.messages) > 1:
                raise AssertionError("only the first try stores")
            if not getattr(acknowledged, "duplicate", False):
                raise TransientError("the database went away", after_seconds=0.5)
            assert isinstance(acknowledged, Accepted)
            return acknowledged

    def answering(message: Message, line: UUID) -> Iterable[Outbound]:
        return [Outbound(**{**_fields(outbound("stored once", line)), "reply_to": message.message_ref})]

    terminal = PipedTerminal(tmp_path, StoredAndLost(answering), Typed("/help"))
    running = asyncio.create_task(terminal.run())
    await until(lambda: bool(terminal.clock._sleepers) and "stored once" in terminal.out.getvalue())
    terminal.clock.advance(0.5)
    assert await running == 0


async def test_a_line_that_cannot_be_stored_ends_the_terminal_with_the_reason(tmp_path: Path) -> None:
    failures: list[Exception] = [TransientError("the database is away") for _ in range(9)]
    terminal = PipedTerminal(tmp_path, FakeCore(echo, failures), Typed("/help", "/next"), wait_seconds=1000)
    running = asyncio.create_task(terminal.run())
    for left in (8, 7, 6, 5, 4):
        await until(lambda left=left: len(terminal.core.failures) == left)  # type: ignore[misc]  # mypy and defaults
        await asyncio.sleep(0)
        terminal.clock.advance(10)
    assert await running == 1
    assert terminal.core.messages == []
    assert "line 1, '/help', was not accepted (the database is away)" in terminal.err.getvalue()


async def test_an_answer_may_be_quicker_than_its_acknowledgement(tmp_path: Path) -> None:
    class Quick(FakeCore):
        async def accept(self, message: Message) -> Accepted:
            acknowledged = await super().accept(message)
            await until(lambda: "heard" in terminal.out.getvalue())
            assert isinstance(acknowledged, Accepted)
            return acknowledged

    terminal = PipedTerminal(tmp_path, Quick(echo), Typed("/help"))
    assert await terminal.run() == 0


async def test_progress_is_not_printed(tmp_path: Path) -> None:
    def working(message: Message, line: UUID) -> Iterable[Outbound]:
        yield outbound(Card.of("", Progress(text="half")), line, OutboundKind.PROGRESS)
        yield outbound("done", line, OutboundKind.RESULT)

    terminal = PipedTerminal(tmp_path, FakeCore(working), Typed("/playbook x"))
    assert await terminal.run() == 0
    assert terminal.printed == ["done"]
    assert not terminal.transport.caps.edit


async def test_a_picture_is_saved_and_its_path_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    def drawing(message: Message, line: UUID) -> Iterable[Outbound]:
        return [outbound(Card.of("Map", Image(blob="abc", alt="A map", name="map.png")), line)]

    terminal = PipedTerminal(tmp_path, FakeCore(drawing), Typed("/map"), abc=PICTURE)
    assert await terminal.run() == 0
    (path,) = [line[8:] for line in terminal.out.getvalue().splitlines() if line.startswith("[image] ")]
    assert await asyncio.to_thread(Path(path).read_bytes) == PICTURE


async def test_signs_the_output_cannot_show_do_not_stop_it(tmp_path: Path) -> None:
    terminal = PipedTerminal(tmp_path, FakeCore(echo), Typed("✓ ok"))
    written = BytesIO()
    terminal.front_end._out = TextIOWrapper(written, encoding="ascii")
    assert await terminal.run() == 0
    assert written.getvalue() == b"heard ? ok\n\n"


async def test_a_reader_that_went_away_ends_the_terminal(tmp_path: Path) -> None:
    class Broken(BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    terminal = PipedTerminal(tmp_path, FakeCore(echo), Typed("/help"))
    terminal.front_end._out = TextIOWrapper(Broken(), write_through=True)
    delivering = asyncio.create_task(terminal.core.deliver(terminal.transport))
    await terminal.transport.run(terminal.core)
    assert terminal.transport.exit_code == 141
    with pytest.raises(NotSent):
        await delivering


async def test_an_interrupted_terminal_says_what_is_open_and_exits_130(tmp_path: Path) -> None:
    terminal = PipedTerminal(tmp_path, FakeCore(silence), Typed("/slow"))
    running = asyncio.create_task(terminal.run())
    await until(lambda: bool(terminal.core.messages))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert terminal.transport.exit_code == 130
    assert "'/slow', is not answered (interrupted" in terminal.err.getvalue()


async def test_a_fault_of_our_own_ends_the_terminal_and_is_no_success(tmp_path: Path) -> None:
    class Odd(FakeCore):
        async def accept(self, message: Message) -> Accepted:
            raise RuntimeError("a bug")

    assert await PipedTerminal(tmp_path, Odd(echo), Typed("/help")).run() == 1


async def test_a_card_is_printed_once_however_often_it_is_sent(tmp_path: Path) -> None:
    typed = Typed(end=False)
    terminal = PipedTerminal(tmp_path, FakeCore(echo), typed)
    running = asyncio.create_task(terminal.run())
    card = outbound("once")
    receipts = await asyncio.gather(*(terminal.transport.send(card) for _ in range(5)))
    assert await terminal.transport.send(card) in receipts
    assert await terminal.transport.look_up(card) in receipts
    typed.end()
    assert await running == 0
    assert terminal.out.getvalue() == "once\n\n"


async def test_a_card_whose_sender_lost_patience_is_still_printed_once(tmp_path: Path) -> None:
    typed = Typed(end=False)
    terminal = PipedTerminal(tmp_path, FakeCore(echo), typed)
    running = asyncio.create_task(terminal.run())
    card = outbound("once")
    async with terminal.transport._in_order:
        impatient = asyncio.create_task(terminal.transport.send(card))
        await until(lambda: bool(terminal.transport._printing))
        impatient.cancel()
    await terminal.transport.send(card)
    typed.end()
    await running
    assert terminal.out.getvalue() == "once\n\n"


async def test_the_next_terminal_at_the_seat_does_not_print_again_what_was_printed(tmp_path: Path) -> None:
    card = outbound("once")
    first = PipedTerminal(tmp_path, FakeCore(echo), Typed(end=False))
    killed = asyncio.create_task(first.run())
    receipt = await first.transport.send(card)
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    second = PipedTerminal(tmp_path, FakeCore(echo), Typed("/help"))
    assert await second.transport.look_up(card) == receipt
    second.core.due.put_nowait(card)
    assert await second.run() == 0
    assert second.printed == ["heard /help"]


async def test_a_card_whose_printing_was_cut_short_is_marked_when_printed_again(tmp_path: Path) -> None:
    card = outbound("half printed")
    first = PipedTerminal(tmp_path, FakeCore(echo), Typed())
    first.transport._journal.begin(card)
    first.seat.release()
    second = PipedTerminal(tmp_path, FakeCore(echo), Typed("/help"))
    second.core.due.put_nowait(card)
    await second.run()
    assert second.printed == [f"{markup.REPEAT}\nhalf printed", "heard /help"]


async def test_what_core_says_may_be_a_repeat_is_marked(tmp_path: Path) -> None:
    terminal = PipedTerminal(tmp_path, FakeCore(echo), Typed("/help"))
    terminal.core.due.put_nowait(outbound("again", may_be_repeat=True))
    await terminal.run()
    assert terminal.printed[0] == f"{markup.REPEAT}\nagain"


async def test_a_restarted_terminal_waits_for_the_answers_its_killed_forerunner_waited_for(tmp_path: Path) -> None:
    first = PipedTerminal(tmp_path, FakeCore(silence), Typed("/playbook x", end=False))
    running = asyncio.create_task(first.run())
    await until(lambda: bool(first.transport._journal.open_lines))
    first.transport._journal._file = None  # what a kill does: nothing more is written
    (line,) = first.transport._journal.open_lines
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    second = PipedTerminal(tmp_path, FakeCore(echo), Typed("/help"))
    again = asyncio.create_task(second.run())
    await until(lambda: "heard /help" in second.out.getvalue())
    second.core.due.put_nowait(outbound("merged", UUID(line.message_id), OutboundKind.RESULT))
    assert await again == 0
    assert second.printed == ["heard /help", "merged"]


async def test_an_answer_of_the_forerunner_that_never_comes_is_no_failure_of_this_one(tmp_path: Path) -> None:
    first = PipedTerminal(tmp_path, FakeCore(silence), Typed("/playbook x", end=False))
    running = asyncio.create_task(first.run())
    await until(lambda: bool(first.transport._journal.open_lines))
    first.transport._journal._file = None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    second = PipedTerminal(tmp_path, FakeCore(echo), Typed("/help"))
    again = asyncio.create_task(second.run())
    await until(lambda: "heard /help" in second.out.getvalue() and second.states == [LineState.OPEN])
    second.clock.advance(60)
    assert await again == 0
    assert "a line from before the restart, '/playbook x', is not answered" in second.err.getvalue()
    assert await PipedTerminal(tmp_path, FakeCore(echo), Typed("/help")).run() == 0


async def test_an_answer_of_the_forerunner_is_not_waited_for_without_end(tmp_path: Path) -> None:
    """Not even where the script closes its pipe long after its last line."""
    seat = TerminalSeat.take(tmp_path)
    Journal(seat.journal).open_line(OpenLine(str(uuid4()), "/playbook x"))
    seat.release()
    typed = Typed("/help", end=False)
    terminal = PipedTerminal(tmp_path, FakeCore(echo), typed)
    running = asyncio.create_task(terminal.run())
    await until(lambda: "heard /help" in terminal.out.getvalue() and terminal.states == [LineState.OPEN])
    terminal.clock.advance(1000)
    await asyncio.sleep(0)
    assert not running.done()
    typed.end()
    assert await running == 0


async def test_nothing_is_printed_after_the_end(tmp_path: Path) -> None:
    terminal = PipedTerminal(tmp_path, FakeCore(echo), Typed())
    await terminal.run()
    with pytest.raises(NotSent, match="next one at its seat"):
        await terminal.transport.send(outbound("late"))
    assert terminal.out.getvalue() == ""


async def test_a_card_waits_for_its_pictures_store(tmp_path: Path) -> None:
    typed = Typed(end=False)
    terminal = PipedTerminal(tmp_path, FakeCore(echo), typed, abc=PICTURE)

    async def away(sha256: str) -> bytes:
        raise TransientError("the database is away")

    terminal.transport._files._fetch = away
    running = asyncio.create_task(terminal.run())
    with pytest.raises(NotSent, match="the database is away"):
        await terminal.transport.send(outbound(Card.of("", Image(blob="abc", alt="A map"))))
    assert terminal.out.getvalue() == ""
    typed.end()
    await running


def _fields(value: Outbound) -> dict[str, object]:
    return {name: getattr(value, name) for name in Outbound.__dataclass_fields__}
