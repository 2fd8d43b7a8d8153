"""The unprivileged user that the embedded server runs as when we are root, and what that user may reach."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vtoc_bots.core.errors import StartupError

_NAMES: Final = ("postgres", "nobody")
_ADVICE: Final = "Run vtoc-bots as an ordinary user, or set DATABASE_URL"


@dataclass(frozen=True)
class Account:
    """A user of the operating system."""

    name: str
    uid: int
    gid: int


def server_account(cluster: Path) -> Account | None:
    """Whom the server runs as: None (ourselves) unless we are root; the cluster's owner; else postgres or nobody.

    Raises StartupError where there is none of these.
    """
    if os.geteuid() != 0:
        return None
    if cluster.is_dir() and (owner := cluster.stat()).st_uid != 0:
        return Account(f"number {owner.st_uid}", owner.st_uid, owner.st_gid)
    for name in _NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise StartupError(f"postgres: it refuses to run as root, and there is no user {' or '.join(_NAMES)}. {_ADVICE}")


def identity(account: Account | None) -> dict[str, Any]:
    """subprocess's arguments to become that user."""
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}


def environment() -> dict[str, str]:
    """The server's environment: none of the PG variables that would change where it looks."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C"}


def may_pass(account: Account, folder: Path) -> bool:
    """Whether the user can pass into a folder."""
    return _as(account, lambda: os.access(folder, os.X_OK))


def may_run(account: Account, program: Path) -> bool:
    """Whether the user can run a Postgres program and read the files it needs, of which one of each kind is tried."""
    try:
        answer = subprocess.run(  # noqa: S603  a Postgres found by us
            [program, "-V"], capture_output=True, env=environment(), cwd="/", check=False, **identity(account)
        )
    except PermissionError:
        return False
    install = program.parents[1]
    needed = (install / "share", "**/postgres.bki"), (install / "lib", "**/plpgsql.so")
    return answer.returncode == 0 and _as(
        account,
        lambda: all(
            any(os.access(found, os.R_OK) for found in below.glob(pattern))
            for below, pattern in needed
            if below.is_dir()
        ),
    )


def _as(account: Account, question: Callable[[], bool]) -> bool:
    """The answer to a question as that user finds it. Forks, so it is for a process with a single thread."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            os._exit(0 if question() else 1)
        except BaseException:
            os._exit(2)
    answer = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if answer not in (0, 1):
        raise StartupError(f"postgres: it refuses to run as root, and becoming user {account.name} failed. {_ADVICE}")
    return answer == 0
