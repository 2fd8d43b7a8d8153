"""Actions: answer a question by a model that may use the asker's commands, and show the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from vtoc_bots import ActionContext, ActionSpec, Block, Button, Buttons, Card, Clock, Severity, Text, UsageError, action
from vtoc_bots.plugins.agent.model import Model
from vtoc_bots.plugins.agent.settings import AgentSettings
from vtoc_bots.plugins.agent.talk import Answer, Budget, Talk

LONGEST_QUESTION: Final = 4_000
LONGEST_ANSWER: Final = 6_000


def agent_actions(
    model: Model,
    settings: AgentSettings,
    lifespan: Callable[[Path], AbstractAsyncContextManager[None]] | None = None,
    probe: Callable[[Clock], Awaitable[str | None]] | None = None,
) -> tuple[ActionSpec, ...]:
    """The actions over a model."""

    @action(
        "agent.answer",
        level="observer",
        sends="the question and what is looked up for it, to the language model",
        in_chat=True,
    )
    async def answer(
        ctx: ActionContext,
        question: str,
        calls: int | None = None,
        tokens: int | None = None,
        within: timedelta | None = None,
        follows: bool = False,
    ) -> Answer:
        """Answer a question with the asker's rights: look things up, and propose what does more.

        With `follows` what they asked and were answered just before it belongs to the question.
        """
        if not question.strip() or len(question) > LONGEST_QUESTION:
            raise UsageError(f"a question has 1 to {LONGEST_QUESTION:,} characters, this has {len(question):,}")
        budget = Budget(
            settings.calls if calls is None else calls,
            settings.tokens if tokens is None else tokens,
            settings.seconds if within is None else within.total_seconds(),
        )
        return await Talk(ctx, model, question, budget, follows=follows).go()

    return replace(answer, lifespan=lifespan, probe=probe), card


@action("agent.card")
async def card(ctx: ActionContext, answer: Answer) -> Card:
    """Show an answer, with the plan of each thing that it proposes and a button that confirms it."""
    blocks: list[Block | str] = []
    if answer.text:
        cut = len(answer.text) > LONGEST_ANSWER
        blocks.append(answer.text[:LONGEST_ANSWER] + ("…" if cut else ""))
    if answer.stopped:
        blocks.append(answer.stopped)
    for number, each in enumerate(answer.proposals, 1):
        # Some platforms put all buttons below the last plan, where two of one playbook would look the same.
        which = f"{number}. " if len(answer.proposals) > 1 else ""
        blocks += [Text(text=f"**{which}{each.card.title}**"), *each.card.blocks]
        button = Button(label=f"{which}{each.label}", command=each.command, style="good", once=True)
        blocks.append(Buttons(buttons=(button,)))
    return Card.of(
        "" if not answer.stopped else "No answer yet",
        *blocks,
        severity=Severity.WARNING if answer.stopped else Severity.PLAIN,
        private=answer.private,
        exercise=answer.exercise,
    )
