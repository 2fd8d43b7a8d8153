"""Makes the package of a new plugin: ``./vtoc-bots-NAME/``, which works and whose tests pass as it is."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Literal

from vtoc_bots.core.errors import UsageError

Kind = Literal["transport", "connector", "action"]

LONGEST_NAME: Final = 24
SUFFIX: Final = ".tmpl"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_MARK: Final = re.compile(r"@(\w+)@")
_ABOUT: Final[Mapping[str, tuple[str, str, str]]] = {
    "transport": (
        "{title}: a chat platform",
        "It polls the platform's events, and sends, edits and looks up what is shown. The platform in `api.py` and"
        " `wire.py` is an\nexample: put yours in its place, then make `tests/stand_in.py` as strict as the real one.",
        "| variable | what |\n|---|---|\n| `@NAME@_BASE_URL` | the platform's API |\n"
        "| `@NAME@_TOKEN` | the bot's credential |",
    ),
    "connector": (
        "{title}: a telemetry feed",
        "It reads lines from a server, or from a recording. The format in `decode.py` is an example: put yours in its"
        " place.\n\n```yaml\nsources:\n  my-source: {type: @name@, host: 127.0.0.1, port: 4001}\n"
        "  a-recording: {type: @name@, mode: offline, capture_path: lines.log}\n```",
        "| key of a source | what |\n|---|---|\n| `host`, `port` | the server to read from |\n"
        "| `capture_path` | a recording, with `mode: offline` |\n"
        "| `silence_seconds` | a server that sends nothing for so long is connected anew |",
    ),
    "action": (
        "{title}: actions, a command and a playbook",
        "`/@name@` answers at once, `/playbook @module_name@_report` runs the playbook; both use the action"
        " `@module_name@.tally`.",
        "None.",
    ),
}


def new_package(kind: Kind, name: str, parent: Path, version: str, taken: Collection[str] = ()) -> Path:
    """Make the package in `parent` and return its folder. `taken` are names that no new plugin may have.

    Raises UsageError where the name won't do or the folder exists: nothing is ever overwritten.
    """
    check_name(name, taken)
    folder = parent / f"vtoc-bots-{name}"
    try:
        folder.mkdir()
    except FileExistsError:
        raise UsageError(f"{folder} exists already, and nothing is overwritten; take another name or folder") from None
    except OSError as error:
        raise UsageError(f"{folder} can't be made: {error.strerror or error}") from error
    words = words_of(kind, name, version)
    templates = files("vtoc_bots.scaffold") / "templates"
    for tree in (templates / "common", templates / kind):
        for where, text in _texts(tree, Path()):
            path = folder / _renamed(where, words)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(filled(text, words), encoding="utf-8")
    return folder


def check_name(name: str, taken: Collection[str] = ()) -> None:
    """Raises UsageError that says what a plugin's name is like, where this is none."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise UsageError(
            f"{name!r} is no name for a plugin: lower-case letters, digits and single hyphens, beginning with a letter,"
            f" at most {LONGEST_NAME}, such as harbour-log"
        )
    if name.startswith("vtoc"):
        raise UsageError(f"{name!r}: leave vtoc out of it, the package is called vtoc-bots-NAME anyway")
    if name in taken or keyword.iskeyword(name):
        raise UsageError(f"the name {name} is taken; take another")


def words_of(kind: Kind, name: str, version: str) -> dict[str, str]:
    """What stands for each ``@mark@`` of the templates."""
    major, minor = version.split(".")[:2]
    title = name.replace("-", " ").capitalize()
    words = {
        "name": name,
        "NAME": name.replace("-", "_").upper(),
        "Class": "".join(part.capitalize() for part in name.split("-")),
        "module": f"vtoc_bots_{name.replace('-', '_')}",
        "module_name": name.replace("-", "_"),
        "title": title,
        "kinds": f"{kind}s",
        "version": version,
        "next": f"{major}.{int(minor) + 1}",
    }
    summary, about, settings = _ABOUT[kind]
    words["summary"] = summary.format(title=title)
    return {**words, "about": filled(about, words), "settings": filled(settings, words)}


def filled(text: str, words: Mapping[str, str]) -> str:
    """The text with its marks replaced; an unknown one is an error in a template (KeyError)."""
    return _MARK.sub(lambda found: words[found[1]], text)


def _renamed(where: Path, words: Mapping[str, str]) -> Path:
    """Where a template's file goes: ``package`` is the module's folder, and a name loses its suffix."""
    parts = [words["module"] if part == "package" else part for part in where.parts]
    last = parts[-1].removesuffix(SUFFIX)
    return Path(*parts[:-1], ".gitignore" if last == "gitignore" else last)


def _texts(tree: Traversable, where: Path) -> Iterator[tuple[Path, str]]:
    for each in sorted(tree.iterdir(), key=lambda item: item.name):
        if each.is_dir():
            yield from _texts(each, where / each.name)
        elif each.name.endswith(SUFFIX):
            yield where / each.name, each.read_text(encoding="utf-8")
