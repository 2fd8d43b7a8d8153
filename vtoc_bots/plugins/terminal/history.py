"""The lines a person gave before, kept in a file that only they can read."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory


def open_history(folder: Path, lines: int) -> History:
    """The history in a folder, cut to its last `lines`; 0 keeps none beyond this process. Raises OSError."""
    if not lines:
        return InMemoryHistory()
    path = folder / "history"
    _make(path)
    history = FileHistory(path)
    newest = list(islice(history.load_history_strings(), lines + 1))
    if len(newest) > lines:
        draft = folder / f"history.{os.getpid()}"
        _make(draft)
        kept = FileHistory(draft)
        for line in reversed(newest[:lines]):
            kept.store_string(line)
        os.replace(draft, path)
    return history


def _make(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
