"""PgBouncer in transaction mode in front of the session's Postgres, for tests that must pass through one."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.embedded_kit import eventually
from vtoc_bots.core.store.account import Account, identity, server_account
from vtoc_bots.core.store.urls import ROLES, DatabaseUrl, DatabaseUrls

MISSING: Final = "PgBouncer is not installed (Debian: apt-get install pgbouncer)"
_PLACES: Final = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


def program() -> str | None:
    """Where the pooler is; Debian puts it where only root's PATH leads."""
    return shutil.which("pgbouncer", path=_PLACES)


class Pooler:
    """A running PgBouncer: each database of the server through it, under the same logins."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.log = log

    def through(self, url: DatabaseUrl) -> DatabaseUrl:
        """The same login and database by way of the pooler."""
        options = MappingProxyType({"pgbouncer": "true", "sslmode": "disable"})
        return replace(url, hosts=f"127.0.0.1:{self.port}", options=options)

    def urls(self, urls: DatabaseUrls) -> DatabaseUrls:
        """DATABASE_URL through the pooler; DATABASE_DIRECT_URL and DATABASE_ADMIN_URL past it."""
        return replace(urls, main=self.through(urls.main))


@contextmanager
def running_pooler(urls: DatabaseUrls) -> Iterator[Pooler]:
    """PgBouncer in front of this server, with few server connections, so that clients really share them."""
    found = program()
    assert found, MISSING
    folder = Path(tempfile.mkdtemp(prefix="vtoc-pooler-"))
    port = _free_port()
    (folder / "users.txt").write_text("".join(_users(urls)))
    (folder / "pgbouncer.ini").write_text(_configuration(urls.main, folder, port))
    account = identity(_account(urls.main))
    if account:
        for path in (folder, *folder.iterdir()):
            os.chown(path, account["user"], account["group"])
    log = folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen([found, folder / "pgbouncer.ini"], stdout=said, stderr=said, cwd="/", **account)
    try:
        asyncio.run(eventually(lambda: _answers(port) or process.poll() is not None))
        assert process.poll() is None, log.read_text()
        yield Pooler(port, log)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


def _users(urls: DatabaseUrls) -> Iterator[str]:
    for url in (urls.main, *(urls.session(role) for role in ROLES)):
        yield f'"{url.user}" "{url.password}"\n'


def _configuration(url: DatabaseUrl, folder: Path, port: int) -> str:
    host = url.options.get("host") or url.hosts.rpartition(":")[0]
    server_port = url.options.get("port") or url.hosts.rpartition(":")[2]
    return f"""[databases]
* = host={host} port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder / "users.txt"}
pool_mode = transaction
default_pool_size = 4
max_client_conn = 400
server_idle_timeout = 5
server_round_robin = 1
"""


def _account(url: DatabaseUrl) -> Account | None:
    """Whom it runs as: it refuses root, as Postgres does, and the server's socket is for the server's user alone."""
    if os.geteuid() != 0:
        return None
    host = url.options.get("host", "")
    found = Path(host).stat() if host.startswith("/") else None
    return Account("server", found.st_uid, found.st_gid) if found else server_account(Path("/nowhere"))


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
