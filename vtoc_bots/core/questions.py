"""Questions that an action puts to the person who started its run, and what it remembers while the run waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from vtoc_bots.core.errors import VtocError

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `schema` is the JSON Schema of a flat object; without properties it asks for consent alone.

    `id` is the question's own within its step; `asker` says in words who asks, `seconds` how long there is to answer.
    """

    id: str
    text: str
    asker: str
    seconds: float
    schema: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said: accepted with these values, or declined."""

    action: Literal["accept", "decline"]
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What an action learnt in this step so far: the answers by their question's id, and its own memo."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    memo: Mapping[str, Any] = field(default_factory=dict)


class PersonNeeded(VtocError):
    """Raised by an action that can't go on without an answer.

    The run parks, the question is put where the run was started, and the action is called again with the same
    idempotency key once it was answered, or its time is over: then the answer is not there. `memo` (JSON) is kept and
    given back. `held` says that this process keeps something in memory which goes on with the answer.
    """

    def __init__(self, question: Question, memo: Mapping[str, Any] = NOTHING, *, held: bool = False) -> None:
        super().__init__(f"{question.asker} needs an answer: {question.text}")
        self.question, self.memo, self.held = question, memo, held
