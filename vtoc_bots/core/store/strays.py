"""Processes of the embedded server that outlived their supervisor: found, and ended before another server starts."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vtoc_bots.core.errors import StartupError

FAST_SECONDS: Final = 60.0
"""How long a server may take to end in order."""
IMMEDIATE_SECONDS: Final = 10.0
"""How long it may take to end at once."""

_STRAY_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.01
_HAS_PROC: Final = os.path.exists("/proc/self/cwd")


def clear_strays(folder: Path) -> None:
    """End what is left of an earlier server, and remove its lock files, so that no process number is taken for alive.

    Postgres believes the number in such a file as long as any process has it, even one that ended and waits to be
    noted, so after a kill, a power cut or in a new container it could refuse to start for ever. The caller holds the
    server's lock.
    """
    files = [file for file in (folder / "postmaster.pid", *folder.glob(".s.PGSQL.*.lock")) if file.exists()]
    if not files:
        return
    number = _first_number(files[0])

    def gone() -> bool:
        return not processes_in(folder, number)

    # The rest of a server whose first process was killed ends by itself, unless it is in the middle of a statement.
    if not until(gone, _STRAY_SECONDS):
        alive = number in processes_in(folder, number)
        _signal_all([number] if alive else processes_in(folder, number), signal.SIGINT if alive else signal.SIGQUIT)
        if not until(gone, FAST_SECONDS if alive else IMMEDIATE_SECONDS):
            _signal_all(processes_in(folder, number), signal.SIGKILL)
    if not until(gone, IMMEDIATE_SECONDS):
        raise StartupError(f"postgres: processes {processes_in(folder, number)} hold {folder} and can't be ended")
    if _HAS_PROC or _is_alive(number):
        for file in files:
            file.unlink(missing_ok=True)


def processes_in(folder: Path, postmaster: int) -> list[int]:
    """The server's processes that work in a cluster's folder."""
    if not _HAS_PROC:
        return [postmaster] if _is_alive(postmaster) and str(folder) in _command(postmaster) else []
    place = os.path.realpath(folder)
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and _works_in(entry.path, place)]


def _works_in(process: str, place: str) -> bool:
    """Whether the process of this folder of /proc is a Postgres with that working directory."""
    try:
        return os.readlink(f"{process}/cwd") == place and "postgres" in os.path.basename(os.readlink(f"{process}/exe"))
    except OSError:
        # It ended meanwhile, or is another user's, and so not our server.
        return False


def _first_number(file: Path) -> int:
    """The process number in a lock file; 0, which is nobody's, where there is none."""
    line = file.read_text().split("\n", 1)[0].strip()
    return int(line) if line.isdigit() else 0


def _is_alive(number: int) -> bool:
    if not number:
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _signal_all(numbers: list[int], kill: int) -> None:
    for number in numbers:
        try:
            os.kill(number, kill)
        except ProcessLookupError:
            continue


def _command(number: int) -> str:
    answer = subprocess.run(  # noqa: S603  a number is its only argument
        ["/bin/ps", "-o", "command=", "-p", str(number)], capture_output=True, text=True, check=False
    )
    return answer.stdout


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
