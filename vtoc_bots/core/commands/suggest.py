"""The nearest names to what somebody typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from heapq import nsmallest
from typing import Final, NamedTuple

CUTOFF: Final = 0.6
LIMIT: Final = 3
_TRIED: Final = 20


class Near(NamedTuple):
    """A name, how like it is (to 1), and how many characters of the text it would replace."""

    likeness: float
    name: str
    width: int


def nearest_names(text: str, names: Sequence[str], may: Callable[[str], bool]) -> list[Near]:
    """At most three of the `names` that `may` allows, the likest first; a name of two words is compared with two."""
    prefixes = _prefixes(text, max((name.count(" ") for name in names), default=0) + 1)
    matcher = SequenceMatcher(autojunk=False)
    best: dict[str, Near] = {}
    for count, prefix in enumerate(prefixes, 1):
        matcher.set_seq2(prefix.casefold())
        for name in names:
            if name.count(" ") + 1 != count or abs(len(name) - len(prefix)) > max(len(name), len(prefix)) // 2:
                continue
            matcher.set_seq1(name)
            # The quick ratios are upper bounds, and most names end there.
            if matcher.real_quick_ratio() >= CUTOFF and matcher.quick_ratio() >= CUTOFF:
                likeness = matcher.ratio()
                if likeness >= CUTOFF:
                    best[name] = Near(likeness, name, len(prefix))
    likest = nsmallest(_TRIED, best.values(), key=lambda near: (-near.likeness, near.name))
    return [near for near in likest if may(near.name)][:LIMIT]


def _prefixes(text: str, most: int) -> list[str]:
    """The text's first word, its first two …, as they stand."""
    found: list[str] = []
    end = 0
    for word in text[:200].split()[:most]:
        end = text.index(word, end) + len(word)
        found.append(text[:end])
    return found
