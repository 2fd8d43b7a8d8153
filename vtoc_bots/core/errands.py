"""What an agent may do for a person, as its model is told of it, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vtoc_bots.core.cards import Card


@dataclass(frozen=True, slots=True)
class Errand:
    """A tool as an agent's model is told of it. `schema` is the JSON Schema of its arguments, an object."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a looking-up command answered, in words; `private` where it is for the asker alone."""

    text: str
    private: bool = False
    exercise: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """A command for the asker to confirm by a button of that label; `card` says what it would do."""

    label: str
    command: str
    card: Card


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the person asked in this conversation a short while ago, by the same playbook, and how it was answered."""

    inputs: Mapping[str, Any]
    text: str
    private: bool = False
    exercise: bool = False
