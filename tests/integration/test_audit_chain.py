"""The audit chain in a real database: sealing, verifying, erasing and exporting."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtoc_bots.core import audit
from vtoc_bots.core.audit import audit_row, canonical, detail_digest, export, seal, verify, verify_lines
from vtoc_bots.core.store.pool import Store

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
INSERT = """
INSERT INTO vtoc_engine.audit (id, at, actor, event, subject, station, detail, detail_digest, correlation_id)
SELECT id, at, actor, event, subject, station, detail, detail_digest, correlation_id
FROM jsonb_populate_recordset(NULL::vtoc_engine.audit, $1)"""


async def write(store: Store, count: int, **changes: Any) -> list[dict[str, Any]]:
    rows = [
        audit_row(
            actor="operator:1",
            event="command.done",
            subject="command:map",
            station=None,
            detail={"n": n, **changes},
            correlation_id=uuid4(),
            at=START + timedelta(seconds=n, microseconds=n),
        )
        for n in range(count)
    ]
    await store.execute(INSERT, rows)
    return rows


async def test_rows_are_sealed_oldest_first_and_the_chain_holds(store: Store) -> None:
    rows = await write(store, 5)
    assert await seal(store) == 5
    assert await seal(store) == 0
    sealed = await store.fetch("SELECT id FROM vtoc_engine.audit ORDER BY position")
    assert [row["id"] for row in sealed] == [row["id"] for row in rows]
    report = await verify(store)
    assert report.ok
    assert (report.sealed, report.unsealed, report.oldest_unsealed_seconds) == (5, 0, None)


async def test_a_row_that_commits_late_follows_what_was_sealed_before_it(store: Store) -> None:
    await write(store, 3)
    await seal(store)
    await store.execute("UPDATE vtoc_engine.audit SET at = at")  # nothing about the rows' time is looked at again
    late = await write(store, 1)
    await seal(store)
    last = await store.fetchrow("SELECT id, at FROM vtoc_engine.audit WHERE position = 4")
    assert last is not None
    assert (last["id"], last["at"]) == (late[0]["id"], START)
    assert (await verify(store)).ok


async def test_a_limit_leaves_the_rest_as_the_unsealed_tail(store: Store) -> None:
    await write(store, 5)
    assert await seal(store, limit=2) == 2
    report = await verify(store)
    assert (report.ok, report.sealed, report.unsealed) == (True, 2, 3)
    age = (datetime.now(UTC) - START).total_seconds()
    assert report.oldest_unsealed_seconds == pytest.approx(age, abs=60)


async def test_many_sealers_at_once_make_one_chain(store: Store) -> None:
    await write(store, 200)
    counts = await asyncio.gather(*(seal(store, limit=30) for _ in range(30)))
    while await seal(store, limit=30):
        pass
    report = await verify(store)
    assert report.ok
    assert report.sealed == 200
    assert sum(counts) <= 200


async def test_a_sealer_does_nothing_while_another_is_at_it(store: Store) -> None:
    await write(store, 2)
    async with store.transaction() as other:
        await other.execute("SELECT pg_advisory_xact_lock($1)", audit._SEAL_LOCK)
        assert await seal(store) == 0
    assert await seal(store) == 2


async def test_erasing_a_detail_keeps_the_chain(store: Store) -> None:
    rows = await write(store, 3)
    await seal(store)
    await store.execute("UPDATE vtoc_engine.audit SET detail = NULL WHERE id = $1", rows[1]["id"])
    report = await verify(store)
    assert report.ok
    assert report.erased == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE vtoc_engine.audit SET actor = 'operator:2' WHERE position = 2", "was changed after it was sealed"),
        ("UPDATE vtoc_engine.audit SET detail = '{\"n\": 9}' WHERE position = 2", "is not the one that was recorded"),
        ("UPDATE vtoc_engine.audit SET at = at + interval '1 microsecond' WHERE position = 2", "was changed after"),
    ],
)
async def test_a_changed_row_is_found_at_its_place(store: Store, change: str, message: str) -> None:
    await write(store, 4)
    await seal(store)
    assert await store.execute(change) == 1
    report = await verify(store)
    assert report.first_broken == 2
    assert message in report.problems[0].message


async def test_a_deleted_row_is_found_at_the_gap(store: Store) -> None:
    await write(store, 4)
    await seal(store)
    await store.execute("DELETE FROM vtoc_engine.audit WHERE position = 2")
    assert (await verify(store)).problems == [(3, "rows 2 to 2 are missing")]


async def test_a_cut_off_end_is_found_by_the_head_written_down(store: Store) -> None:
    await write(store, 4)
    await seal(store)
    head = (await verify(store)).head
    await store.execute("DELETE FROM vtoc_engine.audit WHERE position > 2")
    assert (await verify(store)).ok
    assert (await verify(store, head)).first_broken == 3


async def test_pages_join_without_a_gap(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAGE", 3)
    await write(store, 10)
    await seal(store, limit=6)
    report = await verify(store)
    assert (report.ok, report.sealed, report.unsealed) == (True, 6, 4)
    lines: list[bytes] = []
    assert await export(store, lines.append) == 10


async def test_an_export_can_be_verified_without_the_database(store: Store) -> None:
    await write(store, 4, text="über\n𝄞")
    await seal(store, limit=3)
    lines: list[bytes] = []
    assert await export(store, lines.append) == 4
    report = verify_lines(lines)
    assert report.ok
    assert report.head == (await verify(store)).head
    last = orjson.loads(lines[-1])
    assert last["position"] is None
    assert last["detail"]["text"] == "über\n𝄞"


async def test_details_of_any_shape_survive_the_database(store: Store) -> None:
    """jsonb rewrites numbers, order and duplicates: the digest must not see it."""
    details: list[Any] = []
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()

    @settings(max_examples=200, database=None)
    @given(st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10))
    def collect(value: Any) -> None:
        details.append(canonical(value))

    collect()
    details += [canonical(x) for x in (1e300, -1e300, 1e20, -0.0, 5e-324, 2**63, 2**64, 10**30, 1e18, "\\u0000")]
    stored = await store.fetch(
        "SELECT value FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY ORDER BY ordinality", details
    )
    assert [detail_digest(row["value"]) for row in stored] == [detail_digest(detail) for detail in details]
