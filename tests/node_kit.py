"""Programs of the Node and Python registries that tests run: installed once into a scratch folder, or not at all.

Where they can't be had (no npm, no registry), `npm_programs` and `python_program` skip the test and say so.
VTOC_TEST_PROGRAMS names a folder that keeps them between runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

INSTALL_SECONDS = 240


@cache
def scratch() -> Path:
    """The folder that they are installed into."""
    kept = os.environ.get("VTOC_TEST_PROGRAMS")
    folder = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="vtoc-programs-"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def npm_programs(*packages: str) -> tuple[Path | None, str]:
    """The folder of their programs, a Node of version 22 among them; else why there is none."""
    folder = scratch() / "npm"
    programs = folder / "node_modules" / ".bin"
    wanted = [*packages, "node@22"]
    if not all((folder / "node_modules" / package.rpartition("@")[0]).is_dir() for package in packages):
        if shutil.which("npm") is None:
            return None, "npm is not installed here"
        folder.mkdir(parents=True, exist_ok=True)
        done = _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *wanted])
        if done is not None:
            return None, f"npm could not install {', '.join(wanted)}: {done}"
    node = _run([str(programs / "node"), "--version"])
    return (programs, "") if node is None else (None, f"the Node from npm does not run: {node}")


def npm_folder(*packages: str) -> Path:
    """The folder of the programs. Skips the test where they can't be had."""
    programs, why = npm_programs(*packages)
    if programs is None:
        pytest.skip(why)
    return programs


def node_environment(programs: Path) -> dict[str, str]:
    """The variables under which they run with the Node beside them."""
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}


@cache
def _python_program(package: str) -> tuple[Path | None, str]:
    folder = scratch() / package
    program = folder / "bin" / package
    if not program.exists():
        made = _run([sys.executable, "-m", "venv", str(folder)])
        made = made or _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", package])
        if made is not None:
            return None, f"pip could not install {package}: {made}"
    return program, ""


def python_program(package: str) -> Path:
    """A Python program in an environment of its own. Skips the test where it can't be had."""
    program, why = _python_program(package)
    if program is None:
        pytest.skip(why)
    return program


def _run(command: list[str]) -> str | None:
    """None where it succeeded, else the end of what it wrote."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    return None if done.returncode == 0 else (done.stderr or done.stdout).strip()[-300:]
