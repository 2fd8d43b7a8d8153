"""What `db provision` begins an installation with: stations, and the default channel of each."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chatkit_org import KEY, ORG, ChatKitOrg
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.urls import DatabaseUrls

STATIONS = """
stations:
  toc-s1: {callsign: TOC-S1, role: ops}
  toc-i1: {callsign: TOC-I1, role: intel}
"""
THREADS = "SELECT station, channel, purpose, body ->> 'title' AS title FROM vtoc_engine.threads ORDER BY station"


async def provision(urls: DatabaseUrls, folder: Path, **environ: str) -> str:
    """`vtoc-bots db provision`; what it printed."""
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "stations.yml").write_text(STATIONS)
    databases = {"DATABASE_URL": urls.main.text, "DATABASE_ADMIN_URL": urls.admin.text}
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "vtoc_bots", "db", "provision"],
        *["--config", str(folder / "config"), "--data", str(folder / "data")],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **databases, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def rows(urls: DatabaseUrls, sql: str) -> list[tuple[str, ...]]:
    """Rows of the database."""
    store = await Store.open(urls)
    try:
        return [tuple(row.values()) for row in await store.fetch(sql)]
    finally:
        await store.close()


def organisation(org: ChatKitOrg) -> Mapping[str, str]:
    """The variables of a process that has this organisation."""
    return {
        "CHATKIT_API_BASE_URL": org.address,
        "CHATKIT_API_KEY": KEY,
        "CHATKIT_ORG_ID": ORG,
        "POSTGRES_STATION_ROLE": "ops",
        "STATION_CALLSIGN": "TOC-S1",
    }


async def test_stations_and_channels_that_live_here_are_there_once(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    for _ in range(2):
        printed = await provision(database_urls, tmp_path)
        assert "Stations: toc-s1, toc-i1." in printed
        assert "ChatKit channels that live here: toc-s1, toc-i1." in printed
    stations = "SELECT slug, callsign, role FROM vtoc.stations ORDER BY slug"
    assert await rows(database_urls, stations) == [("toc-i1", "TOC-I1", "intel"), ("toc-s1", "TOC-S1", "ops")]
    assert await rows(database_urls, THREADS) == [
        ("toc-i1", "toc-i1", "channel", "TOC-I1"),
        ("toc-s1", "toc-s1", "channel", "TOC-S1"),
    ]


async def test_an_organisation_gets_the_channels_that_it_lacks_and_no_other(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    org = ChatKitOrg()
    org.channels["TOC-I1"] = "the intel people"
    await org.start()
    try:
        assert f"made at {ORG}: toc-s1." in await provision(database_urls, tmp_path, **organisation(org))
        assert f"made at {ORG}: none." in await provision(database_urls, tmp_path, **organisation(org))
        assert org.channels == {"TOC-I1": "the intel people", "toc-s1": "TOC-S1"}
        assert [method for method, _ in org.asked] == ["GET", "POST", "GET"]
    finally:
        await org.stop()
    assert await rows(database_urls, THREADS) == []


@pytest.mark.parametrize("wrong", ["key", "away"])
async def test_an_organisation_that_gives_no_answer_stops_nothing_and_is_told(
    database_urls: DatabaseUrls, tmp_path: Path, wrong: str
) -> None:
    org = ChatKitOrg()
    await org.start()
    environ = organisation(org)
    if wrong == "key":
        org.key = "another"
    else:
        await org.stop()
    printed = await provision(database_urls, tmp_path, **environ)
    await org.stop()
    assert "ChatKit channels were not made" in printed
    assert len(await rows(database_urls, "SELECT slug FROM vtoc.stations")) == 2


async def test_without_the_plugin_there_are_no_channels(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    assert "ChatKit" not in await provision(database_urls, tmp_path, PLUGINS_DISABLED="chatkit")
    assert await rows(database_urls, THREADS) == []
