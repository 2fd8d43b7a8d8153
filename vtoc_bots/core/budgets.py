"""Rate budgets: a token bucket as arithmetic, which the store applies to a row."""

from __future__ import annotations

import math
from datetime import datetime
from typing import NamedTuple


class Budget(NamedTuple):
    """What is left, as of when."""

    tokens: float
    updated_at: datetime


class Taken(NamedTuple):
    """The budget afterwards and, where nothing could be taken, the seconds until it can."""

    budget: Budget
    allowed: bool
    wait_seconds: float = 0.0

    @property
    def message(self) -> str:
        """What to tell a person who has to wait."""
        return f"Too many commands. Try again in {max(1, math.ceil(self.wait_seconds))} s."


def take(budget: Budget | None, now: datetime, per_minute: int) -> Taken:
    """Take one of `per_minute` tokens a minute; up to a minute's worth is saved up. None is a budget never used.

    Refusals cost nothing. A clock that went back gives no tokens and takes none.
    """
    if budget is None:
        return Taken(Budget(per_minute - 1.0, now), True)
    passed = max(0.0, (now - budget.updated_at).total_seconds())
    tokens = min(float(per_minute), budget.tokens + passed * per_minute / 60)
    seen_at = max(now, budget.updated_at)
    # The wait that was told must be enough in spite of rounding.
    if tokens >= 1.0 - 1e-9:
        return Taken(Budget(max(0.0, tokens - 1.0), seen_at), True)
    microseconds = math.ceil((1.0 - tokens) * 60_000_000 / per_minute)
    return Taken(Budget(tokens, seen_at), False, microseconds / 1_000_000)
