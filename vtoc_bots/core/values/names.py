"""Names of things that only a running system knows: tracks, playbooks, runs, commands."""

from __future__ import annotations

import re
from typing import Any, Final

from vtoc_bots.core.values.value_type import ValueType, shown, text_only


def name_type(kind: str, pattern: str, example: str, *, lower: bool = False) -> ValueType[str]:
    """The name of a `kind` of thing: one word that `pattern` matches whole, in lower case where `lower`.

    Transports offer the names of that kind as choices.
    """
    form = re.compile(pattern)
    accepts = f"the name of a {kind} such as {example}"

    def parse(text: str) -> str:
        word = text.strip()
        if form.fullmatch(word):
            return word.lower() if lower else word
        raise ValueError(f"{shown(text)} is no {kind}; write {accepts}")

    def same(value: str) -> str:
        return value

    schema: dict[str, Any] = {"type": "string", "description": accepts}
    return ValueType(kind, accepts, example, parse, text_only(parse, kind, accepts), same, same, schema, offers=kind)


TRACK: Final = name_type("track", r"[^\s\"'“”]{1,64}", "A1B2C3")
"""A track's id or label: an ICAO address, MMSI or callsign, as written."""
PLAYBOOK: Final = name_type("playbook", r"[A-Za-z][A-Za-z0-9_-]{0,62}", "op_airtrack_merge")
RUN: Final = name_type("run", r"[0-9A-Za-z-]{4,36}", "7K3M9QXZ")
"""A run's short id, or its whole one."""
APPROVAL: Final = name_type("approval", r"[0-9A-Za-z-]{4,36}", "7K3M9QXZ")
MISSION: Final = name_type("mission", r"[^\s\"'“”]{1,32}", "M-12")
ALERT: Final = name_type("alert", r"[0-9A-Za-z-]{4,36}", "7K3M9QXZ")
COMMAND: Final = name_type("command", r"/?[^\s\"'“”].{0,62}", "tracks")
STATION: Final = name_type("station", r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "toc-s1")
