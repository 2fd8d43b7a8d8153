"""The session manager against a real Postgres."""

from __future__ import annotations

from uuid import uuid4

from vtoc_bots.core.store.pool import Store


async def test_json_goes_in_and_comes_out_as_values(store: Store) -> None:
    value = {"a": [1, 2.5, None, "é\x00"], "b": {"c": True}}
    assert await store.fetchval("SELECT $1::jsonb", value) == {"a": [1, 2.5, None, "é"], "b": {"c": True}}
    assert await store.fetchval("SELECT $1::jsonb[]", [value, 3]) == [{"a": [1, 2.5, None, "é"], "b": {"c": True}}, 3]
    assert await store.fetchval("SELECT $1::uuid", uuid4()) is not None
