"""A card of several messages whose sending broke off goes on behind what was sent, and says what may be there twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from tests.centre_kit import Centre, open_centre
from vtoc_bots import NotSent, Outbound, RateLimited, Receipt, SendError, Unknown
from vtoc_bots.core.store.urls import DatabaseUrls

BEGUN = Receipt("begun", datetime(2026, 1, 1, tzinfo=UTC), {"messages": [1, 2]})


@pytest_asyncio.fixture
async def centre(database_urls: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Centre]:
    async with open_centre(database_urls, tmp_path, {}) as opened:
        await opened.person("ada")
        yield opened


@pytest.mark.parametrize(
    ("error", "repeat"), [(NotSent("down"), False), (RateLimited("slow", 0.2), False), (Unknown("cut off"), True)]
)
async def test_the_next_try_knows_what_was_sent_before(centre: Centre, error: SendError, repeat: bool) -> None:
    failed: list[Outbound] = []
    error.receipt = BEGUN

    def once(outbound: Outbound) -> Exception | None:
        if failed:
            return None
        failed.append(outbound)
        return error

    centre.transport.fails = once
    await centre.ask("ada", "/whoami")
    assert failed[0].edits is None
    [again] = centre.transport.sends
    assert again.edits is not None
    assert (again.edits.ref, again.edits.detail) == (BEGUN.ref, BEGUN.detail)
    assert (again.revision, again.may_be_repeat) == (0, repeat)


async def test_a_second_failure_without_a_receipt_forgets_nothing(centre: Centre) -> None:
    errors = [NotSent("down"), NotSent("still down")]
    errors[0].receipt = BEGUN
    centre.transport.fails = lambda outbound: errors.pop(0) if errors else None
    await centre.ask("ada", "/whoami")
    [again] = centre.transport.sends
    assert again.edits is not None
    assert again.edits.ref == BEGUN.ref
