"""What `vtoc_bots` exports is exact, typed, documented and cheap to import."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import vtoc_bots
from tests.docs_kit import ROOT, tree

HEAVY = ("matplotlib", "scipy", "numpy", "sqlalchemy", "alembic", "prompt_toolkit", "aiohttp", "asyncpg", "pydantic")


@pytest.mark.parametrize("name", vtoc_bots.__all__)
def test_every_name_can_be_imported(name: str) -> None:
    assert getattr(vtoc_bots, name) is not None


def test_type_checkers_see_the_names_that_there_are_at_run_time() -> None:
    module = tree(ROOT / "vtoc_bots" / "__init__.py")
    guarded = next(node for node in module.body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == vtoc_bots._HOME_OF
    assert sorted(seen) == sorted(vtoc_bots.__all__)


def test_no_other_name_is_given() -> None:
    with pytest.raises(AttributeError, match="no public name 'Runtime'"):
        _ = vtoc_bots.Runtime
    assert set(dir(vtoc_bots)) == {*vtoc_bots.__all__, "__version__"}


def test_everything_public_has_a_docstring() -> None:
    bare = []
    for name in vtoc_bots.__all__:
        value = getattr(vtoc_bots, name)
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        if not (vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__):
            bare.append(name)
        members = vars(value).items() if inspect.isclass(value) else ()
        bare += [
            f"{name}.{member}"
            for member, function in members
            if not member.startswith("_") and inspect.isfunction(function) and not inspect.getdoc(function)
        ]
    assert bare == []


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, vtoc_bots; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_is_typed_and_of_one_version() -> None:
    assert (Path(vtoc_bots.__file__).parent / "py.typed").is_file()
    assert f'version = "{vtoc_bots.__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
