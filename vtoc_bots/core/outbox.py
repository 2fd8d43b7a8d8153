"""Sending what is stored: in order, once, and with the truth about what became of it."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from vtoc_bots.core.cards import Button, Buttons, Card
from vtoc_bots.core.errors import LostLease, NotSent, RateLimited, Refused, Unknown
from vtoc_bots.core.ids import new_id, short_id
from vtoc_bots.core.leases import Grip, LeaseKeeper
from vtoc_bots.core.messages import ConversationId, Outbound, OutboundKind, Receipt
from vtoc_bots.core.observe.metrics import Metrics
from vtoc_bots.core.observe.tracing import span
from vtoc_bots.core.ports import Clock
from vtoc_bots.core.store.conversations import ConversationLeases, Held
from vtoc_bots.core.store.effects import Effects, Row
from vtoc_bots.core.store.outbox import LOOKED_UP_PAUSES, UNSURE_PAUSES, Ended, OutboxRows, StoredOutbound
from vtoc_bots.core.transports import LooksUpReceipts, Transport

logger = structlog.get_logger(__name__)

KEEP_SECONDS: Final = 24 * 3600.0
KEEP_PROGRESS_SECONDS: Final = 60.0
SEND_TIMEOUT_SECONDS: Final = 30.0
MAX_FAULTS: Final = 30
"""Tries after which a card that its transport breaks on is given up. A platform that is away is tried until the card's
deadline."""
MAX_COPIES: Final = 2 * len(UNSURE_PAUSES)
"""Sendings of unknown end after which a card is given up. Ends that were seen count no further than the pauses go: what
comes so far has killed its sender again and again."""
BUTTON_SECONDS: Final = 15 * 60.0


def add_outbound(
    effects: Effects,
    *,
    key: str,
    kind: OutboundKind,
    conversation: str,
    card: Card,
    correlation_id: UUID,
    trace: str | None = None,
    reply_to: str | None = None,
    private_to: str | None = None,
    reply_context: Mapping[str, Any] | None = None,
    message_id: UUID | None = None,
    run_id: UUID | None = None,
    button_seconds: float = BUTTON_SECONDS,
    only_revise: bool = False,
    though_unsent: bool = False,
) -> None:
    """Add a card to be sent to what a transaction writes. Its buttons' commands become rows, named by tokens.

    `only_revise` changes nothing unless something was sent under the key, or with `though_unsent` is to be.
    """
    card = _with_tokens(card, key, conversation, private_to, button_seconds, effects)
    mark = short_id(correlation_id)
    footer = f"{card.footer} · {mark}" if card.footer else mark
    row: Row = {
        "id": new_id(),
        "key": key,
        "transport": conversation.partition(":")[0],
        "conversation": conversation,
        "kind": kind.value,
        "card": card.model_copy(update={"footer": footer}).model_dump(mode="json"),
        "reply_to": reply_to,
        "private_to": private_to,
        "reply_context": dict(reply_context) if reply_context else None,
        "message_id": message_id,
        "run_id": run_id,
        "keep": KEEP_PROGRESS_SECONDS if kind is OutboundKind.PROGRESS else KEEP_SECONDS,
        "correlation_id": correlation_id,
        "trace": trace,
        "only_revise": only_revise,
        "though_unsent": though_unsent,
    }
    effects.outbox.append(row)


def _with_tokens(
    card: Card, key: str, conversation: str, private_to: str | None, seconds: float, effects: Effects
) -> Card:
    if not any(isinstance(block, Buttons) for block in card.blocks):
        return card

    def tokenised(button: Button) -> Button:
        if button.command is None and button.answer is None:
            return button
        value: Row = {"command": button.command}
        if button.answer is not None:
            value = {"answer": button.answer, "dialog": str(effects.dialogs[-1]["id"]) if effects.dialogs else None}
        if button.replaces:
            value |= {"replaces": key, "private_to": private_to}
        if button.once:
            value["once"] = True
        token = secrets.token_urlsafe(16)[:21]
        effects.buttons.append({"token": token, "value": value, "conversation": conversation, "keep": seconds})
        return button.model_copy(update={"token": token, "command": None, "answer": None})

    blocks = tuple(
        block.model_copy(update={"buttons": tuple(tokenised(button) for button in block.buttons)})
        if isinstance(block, Buttons)
        else block
        for block in card.blocks
    )
    return card.model_copy(update={"blocks": blocks})


def outbound_of(row: StoredOutbound) -> Outbound:
    """The outbound of a stored row."""
    edits = None
    if row.receipt is not None:
        edits = Receipt(row.receipt["ref"], datetime.fromisoformat(row.receipt["sent_at"]), row.receipt["detail"])
    return Outbound(
        id=row.id,
        key=row.key,
        conversation=ConversationId.parse(row.conversation),
        kind=OutboundKind(row.kind),
        card=Card.model_validate(row.card),
        correlation_id=row.correlation_id,
        revision=row.revision,
        reply_to=row.reply_to,
        private_to=row.private_to,
        edits=edits,
        may_be_repeat=row.was_unknown,
        reply_context=row.reply_context or {},
        message_id=row.message_id,
        trace=row.trace,
    )


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    """A receipt as it is stored."""
    return {"ref": receipt.ref, "sent_at": receipt.sent_at.isoformat(), "detail": dict(receipt.detail)}


@dataclass(slots=True)
class _Looking:
    """Whether the platform tells what became of a try before there is another, as far as that is known."""

    is_told: bool


class Deliverer:
    """Delivers the conversations of one transport.

    `again` is told of a conversation that has something to be tried again, and in how many seconds.
    """

    def __init__(
        self,
        transport: Transport,
        rows: OutboxRows,
        leases: ConversationLeases,
        keeper: LeaseKeeper[Held],
        clock: Clock,
        metrics: Metrics,
        sent: Callable[[Outbound], Awaitable[None]] | None = None,
        again: Callable[[str, float], None] | None = None,
    ) -> None:
        self._transport = transport
        self._rows, self._leases, self._keeper = rows, leases, keeper
        self._clock, self._metrics, self._sent, self._again = clock, metrics, sent, again

    async def deliver(self, conversation: str) -> None:
        """Send what is due in this conversation, in order, while nobody else does."""
        began = self._clock.monotonic()
        held = await self._leases.claim(conversation)
        if held is None:
            return
        delay = 0.0
        with self._keeper.keep(held, began) as grip:
            while held is not None:
                row = await self._rows.next(conversation, held.attempt)
                if row is None:
                    held = await self._leases.let_go(held)
                    continue
                ended = await self._ended(row, held, grip)
                if not await self._rows.end(ended):
                    logger.warning("delivery_lost", conversation=conversation, key=row.key)
                    return
                delay = ended.delay
        if delay and self._again is not None:
            self._again(conversation, delay)

    async def _ended(self, row: StoredOutbound, held: Held, grip: Grip[Held]) -> Ended:
        outbound, looking = outbound_of(row), _Looking(isinstance(self._transport, LooksUpReceipts))
        copies = row.copies - 1  # what certainly was not sent is no copy
        platform = row.conversation.partition(":")[0]
        with span("reply", row.trace, correlation_id=row.correlation_id, platform=platform, kind=row.kind):
            try:
                state, receipt, error, delay = await self._send(row, outbound, grip, looking)
            except RateLimited as limit:
                state, receipt, error, delay = _unsent(row), _begun(limit), str(limit), limit.after_seconds
            except NotSent as failure:
                state, receipt, error, delay = _unsent(row), _begun(failure), str(failure), _backoff(row.tries)
            except Refused as refusal:
                state, receipt, error, delay = "refused", _begun(refusal), str(refusal), 0.0
            except (Unknown, TimeoutError) as failure:
                receipt, error = _begun(failure), str(failure) or "no answer"
                state, error, delay, copies = _unsure(row, looking, error)
            except LostLease:
                raise
            except Exception as failure:  # a transport's own fault: what was sent is not known
                logger.exception("send_failed", key=row.key, correlation_id=str(row.correlation_id))
                receipt = None
                state, error, delay, copies = _unsure(row, looking, repr(failure))
                if state == "unknown" and row.tries >= MAX_FAULTS:
                    state, error = "refused", f"given up after {row.tries} tries: {error}"
        self._metrics.outbox_ended(held.queue, state)
        log = logger.warning if state in ("refused", "expired") and row.kind != "progress" else logger.debug
        log("outbound_ended", key=row.key, state=state, error=error, correlation_id=str(row.correlation_id))
        if state == "sent" and self._sent is not None and not outbound.revision:
            await self._sent(outbound)
        fallback = _fallback(row, error) if state == "refused" else None
        copies = 0 if state == "sent" else copies
        return Ended(
            row.id, row.conversation, held.attempt, row.revision, state, receipt, error, delay, fallback, copies
        )

    async def _send(
        self, row: StoredOutbound, outbound: Outbound, grip: Grip[Held], looking: _Looking
    ) -> tuple[str, dict[str, Any] | None, str | None, float]:
        if row.expires_at <= self._clock.now():
            return "expired", None, "older than its deadline", 0.0
        caps = self._transport.caps
        if not caps.edit and outbound.kind is OutboundKind.PAGE:
            outbound = replace(outbound, edits=None)  # the next page comes after the one before
        elif not caps.edit and (outbound.kind is OutboundKind.PROGRESS or outbound.edits is not None):
            return "sent", row.receipt, None, 0.0  # this platform can't edit: what came first stands
        if outbound.edits is not None:
            # The same edit twice is one edit; a card of several messages that was begun goes on behind those it has.
            outbound = replace(outbound, may_be_repeat=row.was_unknown and not row.revision)
        elif row.was_unknown and isinstance(self._transport, LooksUpReceipts):
            found = None
            try:
                found = await asyncio.wait_for(self._transport.look_up(outbound), SEND_TIMEOUT_SECONDS)
            except Refused as refusal:
                logger.warning("outbound_not_looked_up", key=row.key, error=str(refusal))
                looking.is_told = False
            if found is not None and not (row.revision and caps.edit):
                return "sent", receipt_json(found), None, 0.0
            # Which revision was shown is not known: editing shows the latest.
            outbound = replace(outbound, may_be_repeat=not looking.is_told, edits=found)
        if row.copies > MAX_COPIES:
            raise Unknown("whoever began to send it was killed, again and again")
        grip.check()
        receipt = await asyncio.wait_for(self._transport.send(outbound), SEND_TIMEOUT_SECONDS)
        return "sent", receipt_json(receipt), None, 0.0


def _unsure(row: StoredOutbound, looking: _Looking, error: str) -> tuple[str, str, float, int]:
    """State, error, pause and copies of one whose end is not known."""
    if row.copies >= MAX_COPIES:
        return "refused", f"given up, it may have been shown: {error}", 0.0, row.copies
    copies = min(row.copies, len(UNSURE_PAUSES))
    pauses = LOOKED_UP_PAUSES if looking.is_told else UNSURE_PAUSES
    return "unknown", error, _jittered(pauses[copies - 1]), copies


def _unsent(row: StoredOutbound) -> str:
    """The state of one that was not sent just now: what an earlier sending did stays unknown."""
    return "unknown" if row.was_unknown else "due"


def _begun(error: Exception) -> dict[str, Any] | None:
    """The receipt of what was sent of a card before the rest failed."""
    receipt = getattr(error, "receipt", None)
    return receipt_json(receipt) if isinstance(receipt, Receipt) else None


def _fallback(row: StoredOutbound, error: str | None) -> dict[str, Any] | None:
    """What is said, once and in plain text, instead of a reply that the platform will not take."""
    if row.kind in ("progress", "notice") or (row.revision > 0 and row.kind != "page"):  # a page answers its press
        return None
    title = str(row.card.get("title") or "the reply")
    text = f"“{title}” could not be shown here ({error}). Its id is {short_id(row.correlation_id)}."
    return Card.of("", text, private=bool(row.card.get("private"))).model_dump(mode="json")


def _backoff(tries: int) -> float:
    """Seconds until the next try: doubling from half a second to a minute, with jitter."""
    return _jittered(min(60.0, 0.5 * 2.0 ** min(tries, 8)))


def _jittered(seconds: float) -> float:
    return float(seconds * random.uniform(0.7, 1.3))
