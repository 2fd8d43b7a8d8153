"""What is wrong with a request, place by place, as the problem document tells it."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from vtoc_bots.core.web.problems import Refusal

MOST_MISTAKES: Final = 20


def mistakes(where: str, error: ValidationError, first: int | None = None) -> list[dict[str, str]]:
    """Each mistake: in, at, message. `first` is the number of the item that pydantic's 0 stands for."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        {
            "in": where,
            "at": _at(each["loc"], first),
            "message": each["msg"].removeprefix("Value error, "),
        }
        for each in found[:MOST_MISTAKES]
    ]


def mistaken(found: list[dict[str, str]]) -> Refusal:
    """The refusal that tells them."""
    first = found[0]
    at = f" {first['at']}" if first["at"] else ""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Refusal(400, f"{first['in']}{at}: {first['message']}{more}", members={"errors": found})


def _at(loc: tuple[int | str, ...], first: int | None) -> str:
    if first is not None and loc and isinstance(loc[0], int):
        loc = (loc[0] + first, *loc[1:])
    return ".".join(str(part) for part in loc)[:200]
