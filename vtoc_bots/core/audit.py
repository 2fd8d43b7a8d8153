"""The audit log: rows written with what they record, sealed into a hash chain, verified and exported."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from vtoc_bots.core.ids import new_id
from vtoc_bots.core.store.clean import clean_text, dumps_clean
from vtoc_bots.core.store.pool import Row, Store

GENESIS: Final = "0" * 64
"""What stands before the first row."""
SEALED_AT_ONCE: Final = 2000
PAGE: Final = 1000
MOST_PROBLEMS: Final = 20
_SEAL_LOCK: Final = 0x76746F63_61756474
"""Key of the advisory lock that sealers hold; the letters ``vtocaudt``."""

_TO_SEAL: Final = """
SELECT id, at, actor, event, subject, station, detail_digest, correlation_id
FROM vtoc_engine.audit WHERE position IS NULL ORDER BY at, id LIMIT $1"""
_LAST_SEALED: Final = """
SELECT position, hash FROM vtoc_engine.audit WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1"""
_LINK: Final = """
UPDATE vtoc_engine.audit AS row SET position = link.position, previous = link.previous, hash = link.hash
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) AS link(id, position, previous, hash)
WHERE row.id = link.id AND row.position IS NULL"""
_SEALED_PAGE: Final = """
SELECT id, at, actor, event, subject, station, detail, detail_digest, correlation_id, position, previous, hash
FROM vtoc_engine.audit WHERE position > $1 ORDER BY position LIMIT $2"""
_UNSEALED_PAGE: Final = """
SELECT id, at, actor, event, subject, station, detail, detail_digest, correlation_id, position, previous, hash
FROM vtoc_engine.audit WHERE position IS NULL AND (at, id) > ($1, $2) ORDER BY at, id LIMIT $3"""
_OLDEST_UNSEALED: Final = """
SELECT extract(epoch FROM now() - min(at))::float8 FROM vtoc_engine.audit WHERE position IS NULL"""


class Head(NamedTuple):
    """The end of the chain. Written down elsewhere, it proves later that nothing before it was taken away."""

    position: int = 0
    hash: str = GENESIS


GENESIS_HEAD: Final = Head()


class AuditProblem(NamedTuple):
    """Something wrong at a place in the chain; position None for a row not yet sealed."""

    position: int | None
    message: str


@dataclass(slots=True)
class AuditReport:
    """What `verify` found. `problems` holds the first twenty of `problem_count`, in the chain's order."""

    sealed: int = 0
    erased: int = 0
    """Rows whose detail was erased; their place in the chain still holds."""
    head: Head = GENESIS_HEAD
    problems: list[AuditProblem] = field(default_factory=list)
    problem_count: int = 0
    unsealed: int = 0
    oldest_unsealed_seconds: float | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong. An unsealed tail is no fault, an old one is for the reader to judge."""
        return self.problem_count == 0

    @property
    def first_broken(self) -> int | None:
        """The first position where something is wrong."""
        return next((each.position for each in self.problems if each.position is not None), None)

    def _found(self, position: int | None, message: str) -> None:
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(AuditProblem(position, message))


def audit_row(
    *,
    actor: str,
    event: str,
    subject: str,
    station: str | None,
    detail: Mapping[str, Any],
    correlation_id: UUID,
    at: datetime,
) -> dict[str, Any]:
    """A row of vtoc_engine.audit, unsealed, columns by name.

    Personal data belongs in `detail` alone: it can be erased (set to NULL) without breaking the chain. The digest is
    salted inside the detail, so what was erased can't be found again by trying values. `at` is aware.
    """
    salted = canonical({**detail, "_salt": secrets.token_hex(8)}) if detail else {}
    return {
        "id": new_id(),
        "at": at.astimezone(UTC),
        "actor": clean_text(actor),
        "event": clean_text(event),
        "subject": clean_text(subject),
        "station": station,
        "detail": salted,
        "detail_digest": detail_digest(salted),
        "correlation_id": correlation_id,
    }


def canonical(value: Any) -> Any:
    """The value as JSON that survives jsonb unchanged: no NUL, whole numbers as integers, no negative zero."""
    return _settled(orjson.loads(dumps_clean(value)))


def detail_digest(detail: Any) -> str:
    """Hexadecimal SHA-256 of a detail's canonical JSON."""
    return hashlib.sha256(orjson.dumps(_settled(detail), option=orjson.OPT_SORT_KEYS)).hexdigest()


def row_hash(head: Head, row: Mapping[str, Any]) -> str:
    """Hexadecimal SHA-256 of the hash before, the position, and all the row but its detail, as a JSON array."""
    at: datetime = row["at"]
    chained = [
        head.hash,
        head.position + 1,
        str(row["id"]),
        at.astimezone(UTC).isoformat(timespec="microseconds"),
        row["actor"],
        row["event"],
        row["subject"],
        row["station"],
        row["detail_digest"],
        str(row["correlation_id"]),
    ]
    return hashlib.sha256(orjson.dumps(chained)).hexdigest()


async def seal(store: Store, limit: int = SEALED_AT_ONCE) -> int:
    """Chain up to `limit` unsealed rows, the oldest first; how many were. Two at once are safe: one does nothing."""
    async with store.transaction() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _SEAL_LOCK):
            return 0
        rows = await connection.fetch(_TO_SEAL, limit)
        if not rows:
            return 0
        last = await connection.fetchrow(_LAST_SEALED)
        head = Head(last["position"], last["hash"]) if last else Head()
        links: list[tuple[UUID, int, str, str]] = []
        for row in rows:
            position, previous = head.position + 1, head.hash
            head = Head(position, row_hash(head, row))
            links.append((row["id"], position, previous, head.hash))
        await connection.execute(_LINK, *map(list, zip(*links, strict=True)))
        return len(links)


async def verify(store: Store, known: Head | None = None) -> AuditReport:
    """Check every link and every detail, page by page. `known` is a head written down before: it must still stand."""
    report = AuditReport()
    async for row in _sealed_rows(store):
        _check(report, row, known)
    async for row in _unsealed_rows(store):
        _check(report, row, known)
    _check_known(report, known)
    report.oldest_unsealed_seconds = await store.fetchval(_OLDEST_UNSEALED)
    return report


def verify_lines(lines: Iterable[bytes | str], known: Head | None = None) -> AuditReport:
    """`verify` for what `export` wrote, without a database. A line that is no audit row is a problem."""
    report = AuditReport()
    for number, line in enumerate(lines, 1):
        try:
            row = orjson.loads(line)
            _check(report, {**row, "at": datetime.fromisoformat(row["at"])}, known)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            report._found(report.head.position + 1, f"line {number} is no audit row ({type(error).__name__})")
    _check_known(report, known)
    return report


async def export(store: Store, write: Callable[[bytes], object]) -> int:
    """Write every row as a line of JSON, sealed ones first in the chain's order; how many there were."""
    count = 0
    async for row in _sealed_rows(store):
        write(_line(row))
        count += 1
    async for row in _unsealed_rows(store):
        write(_line(row))
        count += 1
    return count


def _line(row: Row) -> bytes:
    at = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return orjson.dumps({**row, "at": at}, default=str, option=orjson.OPT_APPEND_NEWLINE)  # str: the driver's UUIDs


def _check(report: AuditReport, row: Mapping[str, Any], known: Head | None) -> None:
    position: int | None = row["position"]
    if row["detail"] is None:
        report.erased += 1
    elif detail_digest(row["detail"]) != row["detail_digest"]:
        report._found(position, f"row {row['id']}: the detail is not the one that was recorded")
    if position is None:
        report.unsealed += 1
        return
    report.sealed += 1
    if position <= report.head.position:
        report._found(position, f"row {row['id']} is out of order")
        report.head = Head(position - 1, row["previous"])
    elif position != report.head.position + 1:
        report._found(position, f"rows {report.head.position + 1} to {position - 1} are missing")
        report.head = Head(position - 1, row["previous"])
    elif row["previous"] != report.head.hash:
        report._found(position, f"row {row['id']} does not follow the row before it")
        report.head = Head(position - 1, row["previous"])
    if row_hash(report.head, row) != row["hash"]:
        report._found(position, f"row {row['id']} was changed after it was sealed")
    report.head = Head(position, row["hash"])
    if known is not None and position == known.position and row["hash"] != known.hash:
        report._found(position, "the chain is not the one whose head was written down")


def _check_known(report: AuditReport, known: Head | None) -> None:
    if known is not None and known.position > report.head.position:
        report._found(
            report.head.position + 1, f"rows {report.head.position + 1} to {known.position} were there and are missing"
        )


async def _sealed_rows(store: Store) -> AsyncIterator[Row]:
    after = -1
    while True:
        rows = await store.fetch(_SEALED_PAGE, after, PAGE, idempotent=True)
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        after = rows[-1]["position"]


async def _unsealed_rows(store: Store) -> AsyncIterator[Row]:
    after_at, after_id = datetime.min.replace(tzinfo=UTC), UUID(int=0)
    while True:
        rows = await store.fetch(_UNSEALED_PAGE, after_at, after_id, PAGE, idempotent=True)
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        after_at, after_id = rows[-1]["at"], rows[-1]["id"]


def _settled(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value == value // 1 and abs(value) < 2**63 else value
    if isinstance(value, dict):
        return {key: _settled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_settled(item) for item in value]
    return value
