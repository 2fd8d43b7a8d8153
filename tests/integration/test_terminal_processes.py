"""Terminals as processes: real pipes, a real terminal device, kills and signals."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 30.0
ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-_])")


def start(mode: str, folder: Path, *flags: str, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.terminal_process", mode, str(folder), *flags]
    environment = {**os.environ, "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm", "NO_COLOR": ""}
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, **options)


def piped(folder: Path, text: str, *flags: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a piped terminal with that input."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start("piped", folder, *flags, **pipes)
    out, err = process.communicate(text.encode(), PATIENCE_SECONDS)
    return process.returncode, out.decode(), err.decode()


def read_until(descriptor: int, wanted: str) -> str:
    """What comes, up to and with the wanted text; escape sequences left out."""
    ends = time.monotonic() + PATIENCE_SECONDS
    seen = b""
    while wanted not in (shown := ESCAPES.sub("", seen.decode(errors="replace"))):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, ends - time.monotonic()))
        if not ready:
            raise AssertionError(f"no {wanted!r} in {shown!r}")
        chunk = os.read(descriptor, 65536)
        if not chunk:
            raise AssertionError(f"ended without {wanted!r}: {shown!r}")
        seen += chunk
    return shown


class Screen:
    """A prompt in a terminal device."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.device, self._inner = pty.openpty()
        self.resize(100, 30)
        self.process = start(
            "prompt", folder, *flags, stdin=self._inner, stdout=self._inner, stderr=self._inner, start_new_session=True
        )

    def type(self, text: str) -> None:
        os.write(self.device, text.encode())

    def wait_for(self, text: str) -> str:
        return read_until(self.device, text)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.device, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def echoes(self) -> bool:
        """Whether the device is back as a shell wants it."""
        return bool(termios.tcgetattr(self._inner)[3] & termios.ECHO)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_SECONDS)
        os.close(self.device)
        os.close(self._inner)


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    opened = Screen(tmp_path)
    yield opened
    opened.close()


def test_lines_in_a_pipe_are_answered_and_the_process_exits_with_zero(tmp_path: Path) -> None:
    assert piped(tmp_path, "/echo 1\n/echo 2\n") == (0, "heard /echo 1\n\nheard /echo 2\n\n", "")


def test_no_input_at_all_is_no_failure(tmp_path: Path) -> None:
    assert piped(tmp_path, "") == (0, "", "")


def test_what_is_not_answered_in_time_is_told_on_stderr_and_by_the_exit_code(tmp_path: Path) -> None:
    code, out, err = piped(tmp_path, "/order\n", "wait=0.2")
    assert code == 3
    assert "[1] Approve" in out
    assert err.splitlines() == [
        "vtoc-bots chat: line 1, '/order', waits for an approval or an answer (no final answer within 0.2 s)"
    ]


def test_a_choice_of_an_earlier_terminal_can_be_made_by_its_number(tmp_path: Path) -> None:
    piped(tmp_path, "/order\n", "wait=0.2")
    assert piped(tmp_path, "1\n")[:2] == (0, "pressed yes\n\n")


def test_a_terminal_killed_before_its_reply_gets_it_when_it_starts_again(tmp_path: Path) -> None:
    killed = start("piped", tmp_path, "hold", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert killed.stdin is not None
    killed.stdin.write(b"/echo 1\n")
    killed.stdin.flush()
    journal = tmp_path / "terminal" / "1.receipts"
    wait_until(lambda: journal.exists() and b"opened" in journal.read_bytes())
    kill(killed)
    code, out, _ = piped(tmp_path, "")
    assert (code, out) == (0, "heard /echo 1\n\n")


def test_a_terminal_killed_between_printing_and_the_receipt_does_not_print_again(tmp_path: Path) -> None:
    killed = start("piped", tmp_path, "stall", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert killed.stdin is not None
    assert killed.stdout is not None
    killed.stdin.write(b"/echo 1\n")
    killed.stdin.flush()
    journal = tmp_path / "terminal" / "1.receipts"
    read_until(killed.stdout.fileno(), "heard /echo 1")
    wait_until(lambda: b"printed" in journal.read_bytes())
    kill(killed)
    assert not list((tmp_path / "outbox").glob("*.sent"))
    code, out, _ = piped(tmp_path, "/echo 2\n")
    assert (code, out) == (0, "heard /echo 2\n\n")


def test_two_terminals_of_one_folder_have_conversations_of_their_own(tmp_path: Path) -> None:
    first = start("piped", tmp_path, "hold", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    wait_until((tmp_path / "terminal" / "1.receipts").exists)
    assert piped(tmp_path, "")[0] == 0
    assert (tmp_path / "terminal" / "2.receipts").exists()
    kill(first)


def test_a_reader_that_goes_away_ends_the_process_quietly(tmp_path: Path) -> None:
    process = start("piped", tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.write(b"/echo 1\n")
    process.stdin.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(PATIENCE_SECONDS) == 141
    assert b"Traceback" not in errors
    assert b"Exception ignored" not in errors


def test_an_interrupt_ends_a_waiting_terminal_with_130(tmp_path: Path) -> None:
    process = start("piped", tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"/silence\n")
    process.stdin.flush()
    journal = tmp_path / "terminal" / "1.receipts"
    wait_until(lambda: journal.exists() and b"opened" in journal.read_bytes())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "'/silence', is not answered (interrupted" in err.decode()


def test_a_prompt_where_there_is_no_terminal_reads_nothing_and_serves_on(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("/echo 1\n")
    with (tmp_path / "input").open() as given:
        process = start("prompt", tmp_path, stdin=given, stdout=subprocess.PIPE)
        assert process.stdout is not None
        told = read_until(process.stdout.fileno(), "nothing is read from it")
        assert "http://127.0.0.1:8080" in told
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_SECONDS)
        assert given.read() == "/echo 1\n"


def test_a_prompt_greets_answers_and_leaves_at_end_of_input(screen: Screen) -> None:
    greeting = screen.wait_for("TOC-S1>")
    assert "station TOC-S1" in greeting
    assert "http://127.0.0.1:8080" in greeting
    assert "/help" in greeting
    screen.type("/echo hello\r")
    screen.wait_for("heard /echo hello")
    screen.type("\x04")
    assert screen.process.wait(PATIENCE_SECONDS) == 0
    assert screen.echoes()


def test_control_c_clears_the_line_and_nothing_else(screen: Screen) -> None:
    screen.wait_for("TOC-S1>")
    screen.type("/echo wrong\x03/echo right\r")
    shown = screen.wait_for("heard /echo right")
    assert "heard /echo wrong" not in shown
    screen.type("/quit\r")
    assert screen.process.wait(PATIENCE_SECONDS) == 0


def test_tab_completes_what_core_offers(screen: Screen) -> None:
    screen.wait_for("TOC-S1>")
    screen.type("/ec")
    screen.wait_for("say it again")
    screen.type("\t hello\r")
    screen.wait_for("heard /echo hello")


def test_a_run_is_shown_while_it_goes_on(screen: Screen) -> None:
    screen.wait_for("TOC-S1>")
    screen.type("/progress\r")
    assert "Merging  [############............] step: 1 of 2 (50%)" in screen.wait_for("▶ running  Merge tracks")


def test_a_prompt_outlives_a_change_of_its_size(screen: Screen) -> None:
    screen.wait_for("TOC-S1>")
    screen.resize(30, 10)
    screen.process.send_signal(signal.SIGWINCH)
    screen.type("/echo narrow\r")
    screen.wait_for("heard /echo narrow")
    screen.resize(5, 3)
    screen.process.send_signal(signal.SIGWINCH)
    screen.type("/quit\r")
    assert screen.process.wait(PATIENCE_SECONDS) == 0


def test_a_terminated_prompt_leaves_the_terminal_as_it_was(screen: Screen) -> None:
    screen.wait_for("TOC-S1>")
    screen.process.send_signal(signal.SIGTERM)
    assert screen.process.wait(PATIENCE_SECONDS) == 130
    assert screen.echoes()


def test_a_killed_prompt_gets_its_pending_replies_and_remembers_its_lines(tmp_path: Path) -> None:
    first = Screen(tmp_path, "hold")
    first.wait_for("TOC-S1>")
    first.type("/echo before\r")
    journal = tmp_path / "terminal" / "1.receipts"
    wait_until(lambda: b"opened" in journal.read_bytes())
    first.close()
    second = Screen(tmp_path)
    try:
        second.wait_for("heard /echo before")
        second.type("\x1b[A\r")
        second.wait_for("heard /echo before")
    finally:
        second.close()


def wait_until(condition: Any) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.01)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(PATIENCE_SECONDS)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
