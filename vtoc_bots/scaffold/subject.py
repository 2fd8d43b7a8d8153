"""What is to be checked: an installed plugin by its name, or the folder of one."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.loader import GROUP, installed


@dataclass(frozen=True, slots=True)
class Subject:
    """A plugin: its entry point, the folder that it is worked on in if there is one, and its README's text."""

    name: str
    entry: Any
    folder: Path | None
    readme: str
    alone: bool = True
    """Whether its folder has no other plugin."""

    @property
    def module(self) -> str:
        """The module that the entry point names."""
        return str(self.entry.value).partition(":")[0]


def subject_of(what: str) -> Subject:
    """The plugin that a name or a path means. Raises UsageError."""
    path = Path(what)
    entries = {entry.name: entry for entry in installed()}
    if what in entries and not (path / "pyproject.toml").is_file():
        return _installed(what, entries[what])
    if path.is_dir():
        return _in_folder(path.resolve())
    raise UsageError(
        f"{what} is neither an installed plugin ({', '.join(sorted(entries))}) nor a folder with a pyproject.toml"
    )


def _installed(name: str, entry: Any) -> Subject:
    folder = _folder_of(name, entry.value.partition(":")[0])
    readme = str((entry.dist.metadata.get_payload() if entry.dist is not None else "") or "")
    readme = readme or str(entry.dist.metadata.get("Description", "") if entry.dist is not None else "")
    points = _points(_project(folder)) if folder is not None else {}
    module = entry.value.partition(":")[0]
    own = _readme_beside(module)
    return Subject(name, entry, folder, own or readme, alone=len(points) < 2)


def _in_folder(folder: Path) -> Subject:
    points = _points(_project(folder))
    if not points:
        raise UsageError(f'{folder}/pyproject.toml has no [project.entry-points."{GROUP}"]')
    if len(points) > 1:
        raise UsageError(f"{folder} has several plugins ({', '.join(points)}); install it and name one")
    [(name, value)] = points.items()
    for path in (folder / "src", folder):
        if path.is_dir() and str(path) not in sys.path:
            sys.path.insert(0, str(path))
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    return Subject(name, EntryPoint(name, value, GROUP), folder, text)


def _project(folder: Path) -> Mapping[str, Any]:
    path = folder / "pyproject.toml"
    try:
        project: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error
    return project


def _points(project: Mapping[str, Any]) -> dict[str, str]:
    return dict(project.get("entry-points", {}).get(GROUP, {}))


def _folder_of(name: str, module: str) -> Path | None:
    """Where an installed plugin is worked on: the folder above its module whose pyproject.toml names it."""
    place = _place(module)
    for folder in place.parents if place is not None else ():
        if (folder / "pyproject.toml").is_file() and name in _points(_project(folder)):
            return folder
    return None


def _readme_beside(module: str) -> str:
    place = _place(module)
    path = place.parent / "README.md" if place is not None else None
    return path.read_text(encoding="utf-8") if path is not None and path.is_file() else ""


def _place(module: str) -> Path | None:
    from importlib.util import find_spec

    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None
