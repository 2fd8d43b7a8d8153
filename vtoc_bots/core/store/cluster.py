"""The embedded server's cluster: where it lives, whose it is, how it is made. Only Python's own libraries are used."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from vtoc_bots.core.errors import StartupError
from vtoc_bots.core.store.account import Account, environment, identity, may_pass, may_run, server_account
from vtoc_bots.core.store.binaries import Binaries, choose, copied
from vtoc_bots.core.store.strays import processes_in

SHARED: Final = Path("/var/lib/vtoc-bots")
"""Where root keeps what its unprivileged user can't reach elsewhere."""
OWNER_FILE: Final = "data_folder"
"""Names there the data folder whose cluster it is."""
_TEMPORARY: Final = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  named to be cleared, not used
STATE_FILE: Final = "postgres.json"
PORT: Final = 5432
_LONGEST_SOCKET_FOLDER: Final = 85
_NEEDED_BYTES: Final = 150 * 2**20


@dataclass(frozen=True)
class State:
    """What the data folder remembers of its server; the file is readable by its owner alone."""

    superuser_password: str
    app_password: str
    home: str | None = None
    """Folder of the cluster where that is not the data folder itself."""
    host: str = ""
    """The socket's folder, or ``127.0.0.1``."""
    port: int = PORT

    @classmethod
    def load(cls, data: Path) -> State | None:
        """The remembered state, None where there is none yet."""
        try:
            return cls(**json.loads((data / STATE_FILE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise StartupError(
                f"postgres: {data / STATE_FILE} is damaged ({error}). Restore it, or start with a new --data folder"
            ) from error

    def save(self, data: Path) -> None:
        """Replace the file in one step."""
        scratch = data / f".{STATE_FILE}.{os.getpid()}"
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(data / STATE_FILE)


@dataclass(frozen=True)
class Cluster:
    """Everything needed to start the server."""

    folder: Path
    """Postgres's data directory."""
    binaries: Binaries
    account: Account | None
    state: State


def prepare(data: Path, wheel: Path | None, *, durable: bool = True) -> Cluster:
    """The data folder's cluster, made if it does not exist. The caller holds the server's lock.

    Raises StartupError that says what is wrong with the folder, the disk, the user or the programs.
    """
    if not data.is_dir():
        raise StartupError(f"postgres: {data} was removed while it was used. Start again")
    try:
        return _prepare(data, wheel, durable=durable)
    except OSError as error:
        raise StartupError(f"postgres: {data}: {_told(error)}") from error


def _prepare(data: Path, wheel: Path | None, *, durable: bool) -> Cluster:
    known = State.load(data)
    state = known or State(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    account = server_account(Path(state.home or data) / "postgres")
    home = Path(state.home) if state.home else _home(data, account)
    if known is None and _major(home / "postgres") is not None:
        raise StartupError(
            f"postgres: {home / 'postgres'} has a database, but {data / STATE_FILE} with its passwords is missing. "
            f"Restore that file, or remove the database"
        )
    if home != data:
        _claim(home, data)
        state = replace(state, home=str(home))
    folder = home / "postgres"
    binaries = choose(wheel, _major(folder))
    if account and not (
        may_run(account, binaries.folder / "initdb") and may_run(account, binaries.folder / "postgres")
    ):
        binaries = copied(binaries, _shared())
    state = _addressed(state, folder)
    state.save(data)
    cluster = Cluster(folder, binaries, account, state)
    if _major(folder) is None:
        _make(cluster, durable=durable)
    return cluster


def _home(data: Path, account: Account | None) -> Path:
    """Where a cluster lives: in the data folder, or where the server's user can reach."""
    if account is None or may_pass(account, data):
        return data
    if (data / "postgres").is_dir():
        raise StartupError(
            f"postgres: {data / 'postgres'} exists and user {account.name}, whom the server runs as, can't reach it. "
            f"Let others pass through the folders above it (chmod o+x), or start with a new --data folder"
        )
    shared = _shared()
    for left in abandoned(shared):
        shutil.rmtree(left, ignore_errors=True)
    return shared / hashlib.sha256(os.fsencode(data)).hexdigest()[:16]


def _shared() -> Path:
    if not SHARED.is_dir():
        SHARED.mkdir(parents=True, exist_ok=True)
        # Past the umask: the server's user passes through.
        SHARED.chmod(0o755)
    return SHARED


def abandoned(shared: Path) -> list[Path]:
    """Clusters of data folders that were in a temporary folder and are gone.

    Of no others: a folder that is not there may be on a disk that is not mounted.
    """
    temporary = {Path(tempfile.gettempdir()).resolve(), *_TEMPORARY}
    found = []
    for note in shared.glob(f"*/{OWNER_FILE}"):
        data = Path(os.fsdecode(note.read_bytes()))
        if not data.exists() and temporary & set(data.parents) and not processes_in(note.parent / "postgres", 0):
            found.append(note.parent)
    return found


def _claim(home: Path, data: Path) -> None:
    """Note whose cluster this is. A data folder that was copied must not share one with its original."""
    home.mkdir(exist_ok=True)
    home.chmod(0o711)
    owner = home / OWNER_FILE
    known = Path(os.fsdecode(owner.read_bytes())) if owner.exists() else data
    if known != data and (known / STATE_FILE).exists():
        raise StartupError(
            f"postgres: {data} looks like a copy of {known}, whose database is in {home}. "
            f"Remove {data / STATE_FILE} to begin an empty one"
        )
    owner.write_bytes(os.fsencode(data))


def _major(folder: Path) -> int | None:
    """The version that made a cluster, None where there is none."""
    try:
        return int((folder / "PG_VERSION").read_text().split(".")[0])
    except FileNotFoundError:
        return None


def _addressed(state: State, folder: Path) -> State:
    """Where the server listens: a unix socket in its folder if the path is short and plain enough, else loopback."""
    path = str(folder)
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_FOLDER and not set(path) & set(',"\\'):
        return replace(state, host=path, port=PORT)
    wanted = state.port if state.host == "127.0.0.1" else 0
    return replace(state, host="127.0.0.1", port=_free_port(wanted))


def _free_port(wanted: int) -> int:
    """The wanted loopback port if it is free, else any."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StartupError("postgres: no free port on 127.0.0.1")


def _make(cluster: Cluster, *, durable: bool) -> None:
    """Make the cluster beside its place and move it there, so that a kill leaves none that is half made."""
    home = cluster.folder.parent
    free = shutil.disk_usage(home).free
    if free < _NEEDED_BYTES:
        raise OSError(errno.ENOSPC, f"{free // 2**20} MB are free, a new database needs {_NEEDED_BYTES // 2**20}")
    scratch, password = home / "postgres.new", home / "postgres.pw"
    shutil.rmtree(scratch, ignore_errors=True)
    password.unlink(missing_ok=True)
    scratch.mkdir(mode=0o700)
    try:
        with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(cluster.state.superuser_password)
        if cluster.account:
            for path in (scratch, password):
                os.chown(path, cluster.account.uid, cluster.account.gid)
        _initdb(cluster, scratch, password)
    finally:
        password.unlink(missing_ok=True)
    if durable:
        sync(scratch)
    scratch.rename(cluster.folder)
    if durable:
        sync(home)


def _initdb(cluster: Cluster, scratch: Path, password: Path) -> None:
    # From 17 on the locale is built in; before, the C library's, where plain C exists everywhere.
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if cluster.binaries.major >= 17 else []
    answer = subprocess.run(  # noqa: S603  the program and every argument are ours
        [
            *(cluster.binaries.folder / "initdb", "-D", scratch, "--no-sync", "--no-instructions"),
            *("--username=postgres", f"--pwfile={password}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", *builtin),
        ],
        capture_output=True,
        text=True,
        errors="replace",
        env=environment(),
        cwd="/",
        check=False,
        **identity(cluster.account),
    )
    if answer.returncode:
        raise StartupError(f"postgres: initdb failed: {' '.join(answer.stderr.split())[-600:]}")


def sync(folder: Path) -> None:
    """Put everything on the folder's file system on disk."""
    if not sys.platform.startswith("linux"):
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)


def _told(error: OSError) -> str:
    """An operating system's error with what to do."""
    advice = {
        errno.ENOSPC: "the disk is full. Free some space, or choose another --data folder",
        errno.EDQUOT: "the disk quota is used up. Free some space, or choose another --data folder",
        errno.EROFS: "the file system is read-only. Choose another --data folder",
        errno.EACCES: "it may not be written. Choose another --data folder, or correct its owner",
        errno.EPERM: "it may not be written. Choose another --data folder, or correct its owner",
    }.get(error.errno or 0, "Choose another --data folder")
    return f"{advice} ({error})"
