"""Reads the repository for the convention tests: its pages, its Python files, the code in its pages."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import count
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
FOLDERS = ("vtoc_bots", "tests", "bench")
_numbers = count(1)


def page(name: str) -> str:
    """The text of a page, by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """A page's fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page(name), re.DOTALL | re.MULTILINE)


def module_of(code: str, where: Path) -> ModuleType:
    """A module made of a page's code; it believes itself to be the file `where`."""
    module = ModuleType(f"page_{next(_numbers)}")
    module.__file__ = str(where)
    exec(compile(code, str(where), "exec", dont_inherit=True), module.__dict__)
    return module


@cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """Every Python file of these folders, by default of all of ours."""
    return tuple(path for folder in folders or FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def relative(path: Path) -> str:
    """A file's path in the repository."""
    return path.relative_to(ROOT).as_posix()
