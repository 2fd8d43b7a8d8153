"""How an action of a run is waited for: to its end, its timeout, or a cancellation, whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class StoppedByCancel(Exception):
    """Somebody cancelled the run while its action was at work."""


async def acted(action: Coroutine[Any, Any, Any], name: str, cancelled: asyncio.Event, seconds: float) -> Any:
    """The action's result. Raises TimeoutError past its timeout, StoppedByCancel, and what the action raises."""
    work = asyncio.ensure_future(action)
    stopped = asyncio.ensure_future(cancelled.wait())
    try:
        done, _ = await asyncio.wait({work, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if work in done:
            return work.result()
        if stopped in done:
            raise StoppedByCancel
        raise TimeoutError(f"{name} did not answer within {seconds:g} s")
    finally:
        stopped.cancel()
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
