"""Lists that are shown a page at a time."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval

from vtoc_bots import Button, Buttons

MOST_PAGES = 10_000
Page = Annotated[int, Interval(ge=1, le=MOST_PAGES), "which page, 1 the first"]


def page_buttons(command: str, page: int, *, more: bool) -> tuple[Buttons, ...]:
    """Buttons that replace the card by the pages before and after; none where there is one page."""
    wanted = [("Newer", page - 1)] if page > 1 else []
    if more and page < MOST_PAGES:
        wanted.append(("Older", page + 1))
    buttons = tuple(Button(label=label, command=f"{command} --page {to}", replaces=True) for label, to in wanted)
    return (Buttons(buttons=buttons),) if buttons else ()
