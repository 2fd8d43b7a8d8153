"""The rows of stations and operators."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from vtoc_bots.core.access import Level
from vtoc_bots.core.config import StationEntry
from vtoc_bots.core.errors import NotFound, UsageError
from vtoc_bots.core.store.operators import Operators
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.stations import Stations


def entry(slug: str, **fields: object) -> StationEntry:
    """A configured station."""
    return StationEntry.model_validate({"slug": slug, **fields})


async def test_stations_are_what_the_configuration_says(store: Store) -> None:
    stations = Stations(store)
    await stations.sync([entry("toc-a", latitude=1.0, longitude=2.0), entry("toc-b", role="intel")])
    made = await stations.get("toc-a")
    assert made is not None
    assert (made.callsign, made.position, made.role) == ("TOC-A", (1.0, 2.0), "ops")
    await stations.sync([entry("toc-a", name="Main", timezone="Europe/Paris")])
    changed = await stations.get("toc-a")
    assert changed is not None
    assert (changed.id, changed.name, changed.timezone, changed.position) == (made.id, "Main", "Europe/Paris", None)
    assert [station.slug for station in await stations.all()] == ["toc-a", "toc-b"]
    assert await stations.get("toc-c") is None


async def test_an_operator_has_levels_and_accounts(store: Store) -> None:
    operators = Operators(store)
    ann = await operators.add("Ann", {"toc-a": Level.LEAD, "*": Level.OBSERVER})
    assert await operators.get(ann.id) == ann
    assert await operators.by_identity("slack", "T1", "U1") is None
    with pytest.raises(UsageError, match="an operator Ann already"):
        await operators.add("Ann", {})
    await operators.set_default_station(ann.id, "toc-a")
    found = await operators.get(ann.id)
    assert found is not None
    assert found.default_station == "toc-a"
    (row,) = await operators.list()
    assert (row["name"], row["levels"], row["identities"]) == ("Ann", {"toc-a": "lead", "*": "observer"}, [])


async def test_an_invitation_joins_one_account_once(store: Store) -> None:
    operators = Operators(store)
    ann = await operators.add("Ann", {"*": Level.OPERATOR})
    code, _ = await operators.invite("Ann", "an admin", 24)
    assert await operators.redeem("WRONG-WRONG-WRONG", "slack", "T1", "U1", "ann") is None
    names = await asyncio.gather(*(operators.redeem(code.lower(), "slack", "T1", f"U{n}", "ann") for n in range(5)))
    assert sorted(names, key=str) == ["Ann", None, None, None, None]
    joined = await operators.by_identity("slack", "T1", f"U{names.index('Ann')}")
    assert joined is not None
    assert joined.id == ann.id
    assert await operators.by_identity("slack", "T2", f"U{names.index('Ann')}") is None
    assert code not in str(await store.fetch("SELECT * FROM vtoc.invitations"))
    with pytest.raises(NotFound):
        await operators.invite("Nobody", "an admin", 24)


async def test_an_invitation_ends(store: Store) -> None:
    operators = Operators(store)
    await operators.add("Ann", {})
    code, _ = await operators.invite("Ann", "an admin", 24)
    await store.execute("UPDATE vtoc.invitations SET expires_at = now() - interval '1 second'")
    assert await operators.redeem(code, "slack", "T1", "U1", "ann") is None


async def test_an_inactive_operator_is_nobody(store: Store) -> None:
    operators = Operators(store)
    ann = await operators.own("ann", "terminal", "", "ann@host", Level.ADMIN)
    assert (await operators.own("ann", "terminal", "", "ann@host", Level.ADMIN)).id == ann.id
    await store.execute("UPDATE vtoc.operators SET is_active = false")
    assert await operators.get(ann.id) is None
    assert await operators.by_identity("terminal", "", "ann@host") is None
    with pytest.raises(NotFound, match="not active"):
        await operators.own("ann", "terminal", "", "ann@host", Level.ADMIN)
    assert await operators.get(uuid4()) is None


async def test_two_first_uses_of_an_account_at_once_make_one_operator(store: Store) -> None:
    operators = Operators(store)
    both = await asyncio.gather(*(operators.own("ann", "terminal", "", "ann@host", Level.ADMIN) for _ in range(4)))
    assert len({operator.id for operator in both}) == 1
