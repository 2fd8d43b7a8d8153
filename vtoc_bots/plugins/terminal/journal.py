"""What was printed at a seat and which lines it handed over, in a file that outlives a kill."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog

from vtoc_bots import Outbound, Receipt
from vtoc_bots.plugins.terminal.choices import Choice

logger = structlog.get_logger(__name__)

KEEP_RECORDS: Final = 1000
COMPACT_AT: Final = 10 * KEEP_RECORDS

Print = tuple[str, int]
"""An outbound's key and revision."""


@dataclass(frozen=True, slots=True)
class OpenLine:
    """A line that was handed over and is not answered. `message_id` is what its answer will name."""

    message_id: str
    text: str


class Journal:
    """An append-only file of JSON lines, one record each.

    ``began`` before an outbound is printed and ``printed`` after; ``opened`` when a line was handed over; ``ended``
    when a terminal ended in good order. Methods that write block on the disk: call them in a
    thread, any one. Where the disk is full nothing is remembered, and that is logged.
    """

    def __init__(self, path: Path) -> None:
        """Read the file, cut it to its last thousand records and keep it open.

        A torn last line, of a kill or a power cut in mid-write, is left out. Raises OSError.
        """
        self._path = path
        self._records: list[Mapping[str, Any]] = []
        self._forget()
        for record in _read(path):
            # Our own file, but a disk may have damaged it: what can't be read is left out.
            with contextlib.suppress(ValueError, TypeError):
                self._learn(record)
        self._one_writer = threading.Lock()
        self._file: int | None = None
        self._compact()

    @property
    def open_lines(self) -> tuple[OpenLine, ...]:
        """Lines that a terminal at this seat handed over before it was killed, and that no answer was printed for."""
        return tuple(self._open_lines.values())

    @property
    def choices(self) -> tuple[str, tuple[Choice, ...]]:
        """The key and choices of the last printed card that had any."""
        return self._choices

    def receipt(self, outbound: Outbound) -> Receipt | None:
        """The receipt of an outbound that was printed here."""
        return self._receipts.get((outbound.key, outbound.revision))

    def may_be_printed(self, outbound: Outbound) -> bool:
        """Whether printing it began and nothing tells that it ended."""
        return (outbound.key, outbound.revision) in self._began

    def begin(self, outbound: Outbound) -> None:
        """Note that it is about to be printed; survives a kill, not a power cut."""
        self._write({"began": outbound.key, "revision": outbound.revision})

    def end(self, outbound: Outbound, receipt: Receipt, choices: Iterable[Choice], answers: str | None) -> None:
        """Note, on disk when this returns, that it was printed and which line it answers."""
        record: dict[str, Any] = {
            "printed": outbound.key,
            "revision": outbound.revision,
            "ref": receipt.ref,
            "sent_at": receipt.sent_at.isoformat(),
        }
        if answers is not None:
            record["answers"] = answers
        if rows := [list(choice) for choice in choices]:
            record["choices"] = rows
        elif outbound.card.asks:
            record["asks"] = True
        self._write(record, durably=True)

    def open_line(self, line: OpenLine) -> None:
        """Note that a line was handed over."""
        self._write({"opened": asdict(line)})

    def close(self) -> None:
        """Note that this terminal ended in good order: nobody waits for its open lines any more."""
        self._write({"ended": True})
        with self._one_writer:
            file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _write(self, record: Mapping[str, Any], *, durably: bool = False) -> None:
        with self._one_writer:
            if self._file is None:
                return
            self._learn(record)
            try:
                os.write(self._file, _line(record))
                if durably:
                    os.fsync(self._file)
                if len(self._records) >= COMPACT_AT:
                    self._compact()
            except OSError as error:  # a full disk: what is printed matters more than remembering it
                logger.warning("terminal_journal_failed", path=str(self._path), error=str(error))

    def _forget(self) -> None:
        self._receipts: dict[Print, Receipt] = {}
        self._began: set[Print] = set()
        self._open_lines: dict[str, OpenLine] = {}
        self._choices: tuple[str, tuple[Choice, ...]] = ("", ())

    def _learn(self, record: Mapping[str, Any]) -> None:
        match record:
            case {"began": str(key), "revision": int(revision)}:
                self._began.add((key, revision))
            case {"printed": str(key), "revision": int(revision), "ref": str(ref), "sent_at": str(at)}:
                self._began.discard((key, revision))
                self._receipts[(key, revision)] = Receipt(ref, datetime.fromisoformat(at))
                self._open_lines.pop(record.get("answers", ""), None)
                self._learn_choices(key, record.get("choices"), asks=record.get("asks") is True)
            case {"opened": {"message_id": str(message_id), "text": str(text)}}:
                self._open_lines[message_id] = OpenLine(message_id, text)
            case {"ended": True}:
                self._open_lines.clear()
            case _:
                return
        self._records.append(record)

    def _learn_choices(self, key: str, rows: Any, *, asks: bool) -> None:
        if rows:
            self._choices = (key, tuple(Choice(*row) for row in rows))
        elif asks or key == self._choices[0]:
            self._choices = ("", ())  # a question's answer is no choice; or its later form, which closed them

    def _compact(self) -> None:
        """Rewrite the file with its last records, whole or not at all."""
        kept, self._records = self._records[-KEEP_RECORDS:], []
        self._forget()
        for record in kept:
            self._learn(record)
        draft = self._path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(draft, flags, 0o600)
        os.write(descriptor, b"".join(_line(record) for record in kept))
        os.fsync(descriptor)
        os.replace(draft, self._path)
        if self._file is not None:
            os.close(self._file)
        self._file = descriptor


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=True).encode() + b"\n"


def _read(path: Path) -> Iterable[Mapping[str, Any]]:
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record
