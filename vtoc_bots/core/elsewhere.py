"""Work of an action that goes on at another service while its run waits, parked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vtoc_bots.core.errors import VtocError

KEPT: Final = "elsewhere"
"""The member of a step's row that holds the memo."""


class Elsewhere(VtocError):
    """Raised by an action whose work goes on elsewhere, or can't be handed over yet.

    The run parks, and holds no task and no worker; the action is called again with the same idempotency key after
    `after_seconds`, or as soon as something wakes the run. `memo` (JSON) is kept and given back as `ctx.inquiry.memo`;
    the text tells people what is waited for. It counts as no failed try.
    """

    def __init__(self, what: str, memo: Mapping[str, Any], after_seconds: float) -> None:
        super().__init__(what)
        self.memo, self.after_seconds = memo, after_seconds


def memo_of(kept: Any) -> Mapping[str, Any] | None:
    """What a step's row holds of work elsewhere; None where there is none."""
    if not isinstance(kept, dict) or not isinstance(kept.get(KEPT), dict):
        return None
    memo: dict[str, Any] = kept[KEPT]
    return memo
