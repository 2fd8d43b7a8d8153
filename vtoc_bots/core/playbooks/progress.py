"""What runs tell: how far they are, by one message each that is edited to the latest, and how they ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog

from vtoc_bots.core.cards import Card, Severity
from vtoc_bots.core.messages import OutboundKind
from vtoc_bots.core.outbox import add_outbound
from vtoc_bots.core.playbooks.decisions import Parked, Wait
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.store.effects import Effects, effect_arguments, effects_sql
from vtoc_bots.core.store.pool import Store
from vtoc_bots.core.store.runs import ClaimedRun

logger = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 0.5
LONG_WAIT: Final = timedelta(seconds=5)
"""Whoever started a run that waits for longer is told so, though it was not told of before."""
_ASKED_FOR: Final = ("approval", "message", "answer")
"""What a card of its own asks for."""

# Fenced like every other write of a run: a worker that lost it tells nothing more.
_TELL: Final = f"""
WITH head AS (
    SELECT r.id FROM vtoc_engine.runs r JOIN unnest($1::uuid[], $2::int[]) AS w(id, attempt)
        ON r.id = w.id AND r.attempt = w.attempt AND r.state IN ('ready', 'waiting')
    ORDER BY r.id FOR SHARE OF r
), {effects_sql(3)}
SELECT id FROM head
"""


class _Latest(NamedTuple):
    run: ClaimedRun
    card: Card


class ProgressBoard:
    """Keeps the latest card of each run in hand and stores the changed ones twice a second.

    A run that ends sooner has no progress message at all.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._changed: dict[UUID, _Latest] = {}
        self._flushing = asyncio.Lock()

    def tell(self, run: ClaimedRun, card: Card) -> None:
        """Replace what is to be told of the run."""
        if run.conversation is not None:
            self._changed[run.id] = _Latest(run, card)

    def drop(self, run_id: UUID) -> None:
        """Tell nothing more of the run."""
        self._changed.pop(run_id, None)

    async def parked(self, run: ClaimedRun, card: Card, wait: Wait) -> Effects:
        """The effects that tell what the run waits for; of an older card nothing more is stored.

        A wait that is short, or that a card of its own tells of, only revises what was told before.
        """
        self.drop(run.id)
        async with self._flushing:  # what was being stored comes before this
            is_long = wait.until is None or wait.until - self._clock.now() > LONG_WAIT
            is_asked = any(each.kind in _ASKED_FOR for each in wait.waits)
            return progress_effects(run, card, only_revise=is_asked or not is_long, though_unsent=True)

    async def run(self) -> None:
        """Store what changed, until cancelled."""
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception as error:  # progress may be lost, never in the way
                logger.info("progress_not_stored", error=f"{type(error).__name__}: {error}")

    async def flush(self) -> None:
        """Store what changed, now."""
        async with self._flushing:
            changed, self._changed = self._changed, {}
            if not changed:
                return
            owned = [(latest.run.id, progress_effects(latest.run, latest.card)) for latest in changed.values()]
            await self._store.fetch(
                _TELL,
                [latest.run.id for latest in changed.values()],
                [latest.run.attempt for latest in changed.values()],
                *effect_arguments(owned),
            )


def add_run_outbound(
    effects: Effects, run: ClaimedRun, key: str, kind: OutboundKind, card: Card, **options: Any
) -> None:
    """Add a card of a run, addressed as the message that started it; nothing where a schedule started it silently."""
    if run.conversation is None:
        return
    reply = run.reply or {}
    add_outbound(
        effects,
        key=f"run:{run.id}:{key}",
        kind=kind,
        conversation=run.conversation,
        card=card,
        correlation_id=run.correlation_id,
        trace=run.trace,
        reply_to=reply.get("to"),
        private_to=reply.get("user") if card.private else None,
        reply_context=reply.get("context"),
        message_id=run.message_id,
        run_id=run.id,
        **options,
    )


def progress_effects(run: ClaimedRun, card: Card, **options: bool) -> Effects:
    """The effects that tell of a run's progress; `options` are those of `add_outbound`."""
    effects = Effects()
    add_run_outbound(effects, run, "progress", OutboundKind.PROGRESS, card, **options)
    return effects


def add_prompts(effects: Effects, run: ClaimedRun, steps: Iterable[Parked]) -> None:
    """Put the questions of waiting steps to the conversation; the next plain message there answers one."""
    for parked in steps:
        if parked.prompt:
            card = Card.of(run.title, parked.prompt, "Answer here.", private=run.private, asks=True)
            add_run_outbound(effects, run, f"prompt:{parked.step}", OutboundKind.APPROVAL, card)


def result_card(run: ClaimedRun, state: str, card: Mapping[str, Any] | None, error: str | None) -> Card:
    """What a run that has ended says: its playbook's card, or how and why it ended."""
    if state == "succeeded" and card is not None:
        made = Card.model_validate(card)
        return made.model_copy(update={"private": made.private or run.private})
    if state == "succeeded":
        return Card.of(run.title, "Done.", severity=Severity.GOOD, private=run.private)
    title = f"{run.title}: {state}"
    severity = Severity.BAD if state == "failed" else Severity.WARNING
    text = error or state
    ended = text if text.endswith((".", "!", "?")) else f"{text}."
    return Card.of(title, ended[:1].upper() + ended[1:], severity=severity, private=run.private)
