"""Terminals and the work behind them, killed: `chat` gets its pending replies, and takes the work over alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.embedded_kit import data_folder
from tests.kill_kit import write_playbooks

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 90.0


class Installation:
    """A data folder with processes on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        write_playbooks(folder)

    def start(self, *, runs: bool = False) -> subprocess.Popen[bytes]:
        """`vtoc-bots run` (its work), or `vtoc-bots chat` with a pipe."""
        number = len(self.processes)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(REPOSITORY),
            "KIT_FOLDER": str(self.folder),
            "KIT_RUNS": "1" if runs else "",
            "VTOC_LEASE_SECONDS": "2",
            "VTOC_SWEEP_SECONDS": "0.2",
        }
        with (self.folder / f"out-{number}").open("wb") as out, (self.folder / f"err-{number}").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.kill_kit", "terminal"],
                cwd=REPOSITORY,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
            )
        self.processes.append(process)
        return process

    def chat(self, text: str) -> subprocess.Popen[bytes]:
        """A terminal that was given this text and whose input is still open."""
        process = self.start()
        assert process.stdin is not None
        process.stdin.write(text.encode())
        process.stdin.flush()
        return process

    def said(self, process: subprocess.Popen[bytes]) -> str:
        """What it printed so far."""
        return (self.folder / f"out-{self.processes.index(process)}").read_text()

    def begun(self) -> int:
        """How often the step was begun."""
        marks = self.folder / "marks"
        return len(marks.read_text().splitlines()) if marks.exists() else 0

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it is true."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            failed = [process.pid for process in self.processes if process.poll() not in (None, -signal.SIGKILL)]
            assert not failed, f"{failed} ended\n{self.logs()}"
            assert time.monotonic() < ends, self.logs()
            time.sleep(0.05)

    def logs(self) -> str:
        """What all of them wrote."""
        return "\n".join(path.read_text()[-3000:] for path in sorted(self.folder.glob("[elo]*-*")))

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """End its input and wait for its exit code."""
        assert process.stdin is not None
        process.stdin.close()
        return process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """Kill what is left."""
        for process in self.processes:
            process.kill()
            process.wait()
            if process.stdin is not None and not process.stdin.closed:
                process.stdin.close()


@pytest.fixture
def installation() -> Iterator[Installation]:
    with data_folder() as data:
        opened = Installation(data.parent)
        try:
            yield opened
        finally:
            opened.close()


def test_a_terminal_killed_while_its_run_goes_on_gets_the_result_when_it_is_back(installation: Installation) -> None:
    gate = installation.folder / "gate-gated"
    gate.touch()
    installation.start(runs=True)
    killed = installation.chat("/playbook gated\n")
    installation.until(lambda: installation.begun() == 1)
    killed.kill()
    killed.wait()
    gate.unlink()
    again = installation.chat("/whoami\n")
    assert installation.end(again) == 0, installation.logs()
    assert installation.said(again).count("All gated") == 1
    assert "admin" in installation.said(again)
    assert installation.begun() == 1, "the worker beside it did the step once"


def test_a_terminal_takes_the_work_over_when_the_worker_beside_it_is_killed(installation: Installation) -> None:
    gate = installation.folder / "gate-gated"
    gate.touch()
    worker = installation.start(runs=True)
    log = installation.folder / f"log-{worker.pid}"
    installation.until(lambda: log.exists() and '"ready"' in log.read_text())
    chat = installation.chat("/playbook gated\n")
    installation.until(lambda: installation.begun() == 1)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    gate.unlink()
    assert installation.end(chat) == 0, installation.logs()
    assert installation.said(chat).count("All gated") == 1
    assert installation.begun() == 2, "the step in flight was begun again, by the terminal's process"
    assert f" {chat.pid} " in (installation.folder / "marks").read_text().splitlines()[1]


def test_a_terminal_killed_alone_finishes_its_run_when_it_is_started_again(installation: Installation) -> None:
    gate = installation.folder / "gate-gated"
    gate.touch()
    killed = installation.chat("/playbook gated\n")
    installation.until(lambda: installation.begun() == 1)
    killed.kill()
    killed.wait()
    gate.unlink()
    again = installation.start()
    assert installation.end(again) == 0, installation.logs()
    assert installation.said(again).count("All gated") == 1
