"""Reads JSON that a stranger sent: UTF-8, strict, and nested no deeper than anything sensible."""

from __future__ import annotations

from typing import Any, Final

import orjson

from vtoc_bots.core.web.problems import Refusal

DEEPEST: Final = 60


def loaded(text: bytes) -> Any:
    """The value of a JSON text, however deep. Raises Refusal (400) where it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"the body is no JSON in UTF-8 ({error.msg} at character {error.pos})") from None


def refuse_deep(value: Any) -> None:
    """Raise Refusal (400) for a value that is nested too deep."""
    if _depth(value) > DEEPEST:
        raise Refusal(400, f"the body is nested more than {DEEPEST} deep")


def _depth(value: Any) -> int:
    """How deep lists and objects are nested, level by level: no text of a caller's may exhaust our stack."""
    depth, level = 0, [value]
    while level and depth <= DEEPEST:
        level = [
            item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
            if isinstance(item, dict | list)
        ]
        depth += 1
    return depth
