"""Writes the generated parts of docs/hooks.md from the hookspecs and Protocols: ``python -m
vtoc_bots.scaffold.hook_reference docs/hooks.md``."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

from vtoc_bots.core import hookspecs, ports, transports

PROTOCOLS: Final = (
    (
        transports,
        ("Transport", "Inbox", "LooksUpReceipts", "PublishesCommands", "ServesRoutes", "ReportsHealth"),
    ),
    (ports, ("Connector", "Decoder", "Policy", "Observer", "ActionContext", "Services", "Telemetry", "Blobs", "Clock")),
)
HOOKS, METHODS = "hooks", "protocols"


def generated(page: str) -> str:
    """The page with its generated parts as they are now. Raises ValueError where a part's marks are missing."""
    return _with_part(_with_part(page, HOOKS, _hook_table()), METHODS, _protocols())


def _with_part(page: str, name: str, text: str) -> str:
    begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page lacks {begin} … {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def _hook_table() -> str:
    rows = ["| hook | signature | what it declares |", "|---|---|---|"]
    for node in _tree(hookspecs).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("vtoc_"):
            about = " ".join((ast.get_docstring(node) or "").split()).rstrip(".")
            rows.append(f"| {node.name.removeprefix('vtoc_')} | `{signature(node)}` | {about} |")
    return "\n".join(rows)


def _protocols() -> str:
    parts = []
    for module, names in PROTOCOLS:
        classes = {node.name: node for node in _tree(module).body if isinstance(node, ast.ClassDef)}
        parts += ["\n".join(_protocol(classes[name])) for name in names]
    return "\n\n".join(parts)


def _protocol(node: ast.ClassDef) -> Iterator[str]:
    about = " ".join((ast.get_docstring(node) or "").split())
    yield f"### {node.name}\n\n{about}\n\n```"
    for member in node.body:
        if isinstance(member, ast.AnnAssign):
            yield ast.unparse(member)
        if not isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        says = " ".join((ast.get_docstring(member) or "").split())
        if any(isinstance(each, ast.Name) and each.id == "property" for each in member.decorator_list):
            yield f"{member.name}: {ast.unparse(member.returns) if member.returns else None}  # {says}"
        else:
            kind = "async def" if isinstance(member, ast.AsyncFunctionDef) else "def"
            yield f"{kind} {signature(member)}\n    # {says}"
    yield "```"


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """A function's name, parameters and result, as they are written."""
    return f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns) if node.returns else None}"


def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def main(path: Path) -> None:
    """Bring the page up to date."""
    path.write_text(generated(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
