"""Whether a package's functions have types, seen from its source: nothing is imported, no type checker is needed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def untyped(root: Path) -> list[str]:
    """``file:line function`` of every function in the package (or the module) that lacks a type somewhere."""
    files = sorted(root.rglob("*.py")) if root.is_dir() else [root]
    found: list[str] = []
    for file in files:
        where = file.relative_to(root.parent) if root.is_dir() else Path(file.name)
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
        found += [f"{where}:{each.lineno} {each.name}" for each in _functions(tree) if not _is_typed(each)]
    return found


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return iter(sorted(found, key=lambda node: node.lineno))


def _is_typed(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args]
    if named and named[0].arg in ("self", "cls"):
        named = named[1:]
    others = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    every = [*named, *arguments.kwonlyargs, *others]
    return function.returns is not None and all(each.annotation is not None for each in every)
