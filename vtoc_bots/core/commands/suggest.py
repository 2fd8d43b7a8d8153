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
    matcher = SequenceMatcher(autojunk=False)
    best: dict[str, Near] = {}
    for typed, width in _beginnings(text, max((name.count(" ") for name in names), default=0) + 1):
        matcher.set_seq2(typed)
        for name in names:
            if name.count(" ") != typed.count(" ") or abs(len(name) - len(typed)) > max(len(name), len(typed)) // 2:
                continue
            matcher.set_seq1(name)
            # The quick ratios are upper bounds, and most names end there.
            if matcher.real_quick_ratio() < CUTOFF or matcher.quick_ratio() < CUTOFF:
                continue
            likeness = matcher.ratio()
            if likeness >= CUTOFF and (name not in best or likeness > best[name].likeness):
                best[name] = Near(likeness, name, width)
    likest = nsmallest(_TRIED, best.values(), key=lambda near: (-near.likeness, near.name))
    return [near for near in likest if may(near.name)][:LIMIT]


def _beginnings(text: str, most: int) -> list[tuple[str, int]]:
    """The text's first word, its first two …, and ``track_watch`` as two words, each with its width in the text."""
    words = text[:200].split()[:most]
    found: list[tuple[str, int]] = []
    end = 0
    for count, word in enumerate(words, 1):
        end = text.index(word, end) + len(word)
        found.append((" ".join(words[:count]).casefold(), end))
    if words and (parted := words[0].casefold().replace("_", " ").replace("-", " ")) != found[0][0]:
        found.append((parted, len(words[0])))
    return found
