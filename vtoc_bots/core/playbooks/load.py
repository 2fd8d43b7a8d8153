"""Playbooks from files and folders: all that are right, and all that is wrong with the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from vtoc_bots.core.documents import Problem
from vtoc_bots.core.errors import ConfigError
from vtoc_bots.core.playbooks.compile import compile_playbook
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.playbooks.source import parse_yaml
from vtoc_bots.core.ports import ActionSpec


def load_playbooks(
    paths: Iterable[Path], actions: Mapping[str, ActionSpec]
) -> tuple[dict[str, Playbook], list[ConfigError]]:
    """The playbooks of these files and folders (``*.yml`` and ``*.yaml`` in them, at any depth), by id.

    An error has ``file:line`` and says what to do; a file with errors is left out, and so is the second of two with
    the same id.
    """
    playbooks: dict[str, Playbook] = {}
    errors: list[ConfigError] = []
    for path in _files(paths, errors):
        text = _text_of(path, errors)
        if text is None:
            continue
        playbook, problems = check_source(text, actions, str(path))
        errors += [ConfigError(problem.message, problem.where) for problem in problems]
        if playbook is None:
            continue
        first = playbooks.setdefault(playbook.id, playbook)
        if first is not playbook:
            errors.append(ConfigError(f"the playbook {playbook.id} is in {first.where} too; rename one", str(path)))
    return playbooks, errors


def check_source(text: str, actions: Mapping[str, ActionSpec], where: str) -> tuple[Playbook | None, list[Problem]]:
    """The playbook of a text, or None and all that is wrong with it. `where` names the text in problems."""
    document, problems = parse_yaml(text, where)
    if document.data is None and problems:
        return None, problems
    playbook, more = compile_playbook(document, text, actions)
    problems += more
    return (None, problems) if problems else (playbook, [])


def parse_source(text: str, actions: Mapping[str, ActionSpec], where: str = "playbook") -> Playbook:
    """The playbook of a text, e.g. the one a run kept. Raises ConfigError with all that is wrong."""
    playbook, problems = check_source(text, actions, where)
    if playbook is None:
        first, *rest = problems
        more = "".join(f"\n{problem}" for problem in rest)
        raise ConfigError(f"{first.message}{more}", first.where)
    return playbook


def _files(paths: Iterable[Path], errors: list[ConfigError]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            errors.append(ConfigError("is no file and no folder; correct the path", str(path)))
            continue
        found = sorted(p for p in path.rglob("*") if p.suffix in (".yml", ".yaml")) if path.is_dir() else [path]
        for each in found:
            if each.resolve() not in seen:
                seen.add(each.resolve())
                yield each


def _text_of(path: Path, errors: list[ConfigError]) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        errors.append(ConfigError("is not UTF-8 text; save it as UTF-8", str(path)))
    except OSError as error:
        errors.append(ConfigError(f"can't be read ({error.strerror}); check its permissions", str(path)))
    return None
