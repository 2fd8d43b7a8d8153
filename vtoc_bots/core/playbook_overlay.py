"""config/agentkit.yml: playbooks that it adds or names anew, and where each of them runs."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from vtoc_bots.core.config import RoleName, StationEntry, config_error
from vtoc_bots.core.documents import Document, Problem, nearest, read_document, validate
from vtoc_bots.core.errors import PluginError, StartupError
from vtoc_bots.core.installation import packaged_playbooks
from vtoc_bots.core.loader import Loaded
from vtoc_bots.core.playbooks.actions import action
from vtoc_bots.core.playbooks.library import Library
from vtoc_bots.core.playbooks.load import check_source, load_playbooks
from vtoc_bots.core.playbooks.model import Playbook
from vtoc_bots.core.playbooks.schema import NAME_PATTERN
from vtoc_bots.core.playbooks.source import parse_yaml
from vtoc_bots.core.ports import ActionSpec
from vtoc_bots.core.settings import Settings

FILE: Final = "agentkit.yml"
CALL, CARD = "agentkit.call", "agentkit.card"
STEP: Final = "run"
"""The one step of a playbook that is an entry point or runs remotely."""
_ENTRYPOINT = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Options(_Keys):
    """What an entry point or a remote playbook is given; its inputs and approval are written as in a playbook file."""

    tool: str | None = Field(None, min_length=1, description="the remote tool's name; default: the playbook's id")
    inputs: dict[str, Any] = Field(default_factory=dict, description="what is asked of people, as in a playbook file")
    values: dict[str, Any] = Field(default_factory=dict, description="what is given besides the inputs")
    within: str | None = Field(None, description="how long a remote tool may take, such as 2h; default 1h")
    level: str | None = Field(None, description="the least level that may run it; default operator")
    private: bool | None = Field(None, description="whether only the asker sees it")
    approval: Any = Field(None, description="who must approve, as in a playbook file")


class PlaybookEntry(_Keys):
    """A playbook: one of `file`, `entrypoint` and `runner: remote`."""

    name: str | None = Field(None, min_length=1, description="its title")
    description: str | None = Field(None, description="what it does, in a sentence")
    station_role: RoleName = Field(description="the role of the stations it is for: ops, intel or logistics")
    file: str | None = Field(None, min_length=1, description="a playbook file, from the folder of this file")
    entrypoint: str | None = Field(
        None, pattern=_ENTRYPOINT, description="package.module:name of an action or an async function"
    )
    runner: Literal["local", "remote"] = Field("local", description="remote: it runs at AGENTKIT_API_BASE_URL")
    options: Options = Field(default_factory=Options)

    @model_validator(mode="after")
    def _one_way(self) -> PlaybookEntry:
        if (self.file is not None) + (self.entrypoint is not None) + (self.runner == "remote") != 1:
            raise ValueError("give one of file, entrypoint and runner: remote")
        return self


class OverlayFile(_Keys):
    """config/agentkit.yml."""

    playbooks: dict[str, PlaybookEntry] = Field(default_factory=dict, description="by the playbook's id")


def agentkit_schema() -> dict[str, Any]:
    """The JSON Schema of agentkit.yml, as config/agentkit.schema.json holds it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **OverlayFile.model_json_schema(),
        "title": FILE,
    }


def load_library(settings: Settings, loaded: Loaded) -> Library:
    """The playbooks that come along, those of plugins, and those of agentkit.yml, which wins; with all actions.

    Raises StartupError naming every wrong line.
    """
    actions = {spec.name: spec for spec in loaded.actions}
    playbooks, errors = load_playbooks((*packaged_playbooks(), *loaded.playbook_paths), actions)
    if errors:
        raise StartupError("\n".join(str(error) for error in errors))
    document = read_document(settings.config_dir / FILE)
    if document is not None:
        overlay = Overlay(
            document, actions, settings.stations, settings.config_dir, settings.agentkit_api_base_url is not None
        )
        playbooks |= overlay.playbooks()
        if overlay.problems:
            raise config_error(overlay.problems)
    return Library(playbooks, actions)


@dataclass(slots=True)
class Overlay:
    """A document of agentkit.yml being read. `actions` grows by those of entry points; `problems` by what is wrong."""

    document: Document
    actions: dict[str, ActionSpec]
    stations: Sequence[StationEntry]
    folder: Path
    has_remote: bool
    problems: list[Problem] = field(default_factory=list)

    def playbooks(self) -> dict[str, Playbook]:
        """The playbooks of all entries that are right, by id."""
        data = self.document.data
        if data is None:
            return {}
        if not isinstance(data, dict) or not isinstance(data.get("playbooks") or {}, dict):
            self._add((), "begins with `playbooks:`, then one entry a playbook below it")
            return {}
        for key in data.keys() - {"playbooks"}:
            self._add((key,), f"{key} is not a known key.{nearest(key, ['playbooks'])} Only playbooks is")
        made = {name: self._entry(name, value) for name, value in (data.get("playbooks") or {}).items()}
        return {name: playbook for name, playbook in made.items() if playbook is not None}

    def _entry(self, name: str, value: Any) -> Playbook | None:
        keys = ("playbooks", name)
        if not re.fullmatch(NAME_PATTERN, name):
            self._add(keys, f"{name!r}: a playbook's id has lower-case letters, digits and _, a letter first")
        entry, wrong = validate(PlaybookEntry, self.document, keys, value)
        self.problems += wrong
        if entry is None:
            return None
        if all(station.role != entry.station_role for station in self.stations):
            here = ", ".join(f"{station.slug} ({station.role})" for station in self.stations)
            self._add(
                (*keys, "station_role"),
                f"playbooks.{name} is for {entry.station_role}, and no station here runs on that schema: {here}. "
                "Correct station_role or POSTGRES_STATION_ROLE, or remove the entry",
            )
            return None
        if entry.file is not None:
            return self._of_file(name, entry, entry.file)
        if entry.entrypoint is not None:
            return self._of_entrypoint(name, entry, entry.entrypoint)
        if not self.has_remote:
            self._add(
                (*keys, "runner"), f"playbooks.{name} runs remotely, and no AgentKit is set. Set AGENTKIT_API_BASE_URL"
            )
            return None
        return self._of_remote(name, entry)

    def _of_file(self, name: str, entry: PlaybookEntry, file: str) -> Playbook | None:
        keys, path = ("playbooks", name, "file"), self.folder / file
        if entry.options != Options():
            self._add(keys, f"playbooks.{name}: options are for entrypoint and runner: remote; write them in {file}")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self._add(keys, f"{file} can't be read ({type(error).__name__}); the path begins at this file's folder")
            return None
        playbook, problems = check_source(text, self.actions, str(path))
        self.problems += problems
        if playbook is None:
            return None
        if playbook.id != name:
            self._add(keys, f"{file} is the playbook {playbook.id}, not {name}; correct one of them")
        if playbook.role not in (None, entry.station_role):
            self._add(
                ("playbooks", name, "station_role"),
                f"{file} is for {playbook.role}, not {entry.station_role}; correct one of them",
            )
            return None
        document, _ = parse_yaml(text, str(path))
        return self._compiled(name, {**document.data, **_head(name, entry, playbook.title, playbook.description)})

    def _of_entrypoint(self, name: str, entry: PlaybookEntry, entrypoint: str) -> Playbook | None:
        keys = ("playbooks", name, "entrypoint")
        module, _, attribute = entrypoint.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
            spec = found if isinstance(found, ActionSpec) else action(f"{name}.{STEP}")(found)
        except Exception as error:  # whatever a module raises that is imported for the first time
            known = isinstance(error, ImportError | AttributeError | PluginError)
            why = str(error) if known else f"{type(error).__name__}: {error}"
            self._add(keys, f"playbooks.{name}: {entrypoint} is of no use: {why}")
            return None
        self.actions.setdefault(spec.name, spec)
        given = {**entry.options.values, **_passed(entry.options)}
        return self._compiled(name, self._source(name, entry, spec.name, given))

    def _of_remote(self, name: str, entry: PlaybookEntry) -> Playbook | None:
        options = entry.options
        given: dict[str, Any] = {"tool": options.tool or name, "input": {**options.values, **_passed(options)}}
        if options.within is not None:
            given["within"] = options.within
        source = self._source(name, entry, CALL, given)
        shown = {"title": source["title"], "outcome": f"${{{{ steps.{STEP} }}}}", "private": bool(options.private)}
        return self._compiled(name, {**source, "reply": {"uses": CARD, "with": shown}})

    def _source(self, name: str, entry: PlaybookEntry, uses: str, given: Mapping[str, Any]) -> dict[str, Any]:
        options = entry.options
        more = {"level": options.level, "private": options.private, "approval": options.approval}
        step = {"id": STEP, "title": entry.name or name, "uses": uses, "with": dict(given), "timeout": "2m"}
        return {
            **_head(name, entry, name, ""),
            **{key: value for key, value in more.items() if value is not None},
            **({"inputs": options.inputs} if options.inputs else {}),
            "steps": [step],
        }

    def _compiled(self, name: str, source: Mapping[str, Any]) -> Playbook | None:
        """The playbook of a source made here; runs keep it as any other text."""
        where = self.document.where("playbooks", name)
        playbook, problems = check_source(orjson.dumps(source).decode(), self.actions, where)
        self.problems += [Problem(where, f"playbooks.{name}: {problem.message}") for problem in problems]
        return playbook

    def _add(self, keys: tuple[str, ...], message: str) -> None:
        self.problems.append(Problem(self.document.where(*keys), message))


def _head(name: str, entry: PlaybookEntry, title: str, description: str) -> dict[str, Any]:
    return {
        "id": name,
        "title": entry.name or title,
        "description": entry.description or description,
        "role": entry.station_role,
    }


def _passed(options: Options) -> dict[str, str]:
    """Every input, passed on under its name."""
    return {name: f"${{{{ inputs.{name} }}}}" for name in options.inputs}
