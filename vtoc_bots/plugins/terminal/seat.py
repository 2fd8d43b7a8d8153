"""A terminal's seat: the number, unique among the terminals of a data folder, that names its conversation."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vtoc_bots import ConversationId, Sender, StartupError

TRANSPORT: Final = "terminal"
MAX_SEATS: Final = 1000
_ID: Final = re.compile(r"[0-9a-z]{4,64}")


@dataclass(slots=True)
class TerminalSeat:
    """A taken seat. The lock that holds it ends with this process, however that ends."""

    data_id: str
    number: int
    folder: Path
    _lock: int | None = field(repr=False)

    @classmethod
    def take(cls, data_dir: Path) -> TerminalSeat:
        """The first free seat of a data folder, so that a restarted terminal gets its conversation back.

        Raises StartupError where the folder can't be used.
        """
        folder = data_dir / TRANSPORT
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            data_id = _data_id(data_dir)
            for number in range(1, MAX_SEATS + 1):
                lock = _lock(folder / f"{number}.lock")
                if lock is not None:
                    seat = cls(data_id, number, folder, lock)
                    # A forked child (a process pool's) shares the lock and would keep it when this process is killed.
                    os.register_at_fork(after_in_child=seat.release)
                    return seat
        except OSError as error:
            raise StartupError(
                f"terminal: {error.filename or folder} can't be used: {error.strerror}. "
                "Make the data folder writable or give another with --data."
            ) from error
        raise StartupError(f"terminal: all {MAX_SEATS} seats in {folder} are taken; end some terminals")

    @property
    def conversation(self) -> ConversationId:
        """``terminal:<data folder id>:<n>``."""
        return ConversationId(TRANSPORT, self.data_id, str(self.number))

    @property
    def queue(self) -> str:
        """The delivery queue that only this process serves."""
        return f"{TRANSPORT}.{self.data_id}.{self.number}"

    @property
    def journal(self) -> Path:
        """The file that remembers what was printed here."""
        return self.folder / f"{self.number}.receipts"

    def release(self) -> None:
        """Leave the seat to the next terminal."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def sender_of_process(data_id: str) -> Sender:
    """The operating system's user, by the process's real user id: the environment could name anybody."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's user without an entry
        name = f"uid{uid}"
    return Sender(user_id=name, name=name, workspace=data_id)


def _lock(path: Path) -> int | None:
    """The descriptor of the locked file, None when another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _data_id(data_dir: Path) -> str:
    """The folder's random id, made once: whoever links the file first has decided it."""
    path = data_dir / "id"
    if not path.exists():
        draft = data_dir / f".id-{secrets.token_hex(8)}"
        try:
            with draft.open("x", encoding="ascii") as file:
                file.write(f"{secrets.token_hex(8)}\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if not _ID.fullmatch(text):
        raise StartupError(f"terminal: {path} does not hold an id; remove it and a new one is made")
    return text
