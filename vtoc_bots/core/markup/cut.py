"""Where a tree may be cut in two, and the two trees that come of it: both whole, so both written balanced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import IntEnum
from math import inf
from typing import Any, Final, TypeAlias

from vtoc_bots.core.markup.cells import boundary
from vtoc_bots.core.markup.nodes import Break, Code, CodeBlock, Inline, Item, Listing, Node, Rule, Words

_Any: TypeAlias = Node | Inline | Item

# Types to look up: the classes are compared for every word of a text, several times a piece.
_TEXTS: Final = (Words, Code, CodeBlock)
_CHILDLESS: Final = (Break, Rule, *_TEXTS)


class _Rank(IntEnum):
    """How good a place is, the best last."""

    WITHIN_CODE = 0
    BESIDE_CODE = 1
    WORD = 2
    LINE = 3
    BLOCK = 4


def weight(node: _Any, enough: float = inf) -> int:
    """How many places a tree has to be cut at: one a character, at least one a node; beyond `enough` only that."""
    if isinstance(node, _TEXTS):
        return len(node.text) or 1
    total = 0
    for child in _children(node):
        total += weight(child, enough - total)
        if total > enough:  # so that the first piece of a book does not take the time of the whole
            break
    return total or 1


def cut_blocks(nodes: tuple[Node, ...], at: int) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """The blocks before and after a place, which is counted in `weight`."""
    head, tail = _cut_all(nodes, at)
    return head, tail


def best_cut(block: Node, most: int) -> int:
    """The best place at or before `most` (1 or more): an end of block, line or word, or else between characters."""
    if most >= weight(block, most):
        return most
    places = [(at, rank) for at, rank in _places(block, 0, most) if 0 < at <= most]
    for enough, ranks in (
        (most / 3, (_Rank.BLOCK,)),
        (most / 3, (_Rank.LINE, _Rank.BLOCK)),
        (0, (_Rank.WORD, _Rank.LINE, _Rank.BLOCK)),
        (0, (_Rank.BESIDE_CODE,)),
        (0, (_Rank.WITHIN_CODE,)),
    ):
        good = [at for at, rank in places if at >= enough and rank in ranks]
        if good:
            return max(good)
    return _between_characters(block, most)


def trimmed(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The blocks without white space before and after their text; blocks without text at either end are left out."""
    return _trimmed(_trimmed(nodes, end=False), end=True)


def _children(node: _Any) -> tuple[Any, ...]:
    if isinstance(node, _CHILDLESS):
        return ()
    return node.items if isinstance(node, Listing) else node.children


def _cut_all(nodes: Sequence[Any], at: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    for index, node in enumerate(nodes):
        size = weight(node, at)
        if at < size:
            if at <= 0:
                return tuple(nodes[:index]), tuple(nodes[index:])
            head, tail = _cut(node, at)
            return (*nodes[:index], head), (tail, *nodes[index + 1 :])
        at -= size
    return tuple(nodes), ()


def _cut(node: Any, at: int) -> tuple[Any, Any]:
    match node:
        case Words() | Code():
            return replace(node, text=node.text[:at]), replace(node, text=node.text[at:])
        case CodeBlock():
            return replace(node, text=node.text[:at]), replace(node, text=node.text[at:], continued=True)
        case Listing():
            head, tail = _cut_all(node.items, at)
            return replace(node, items=head), _later(node, tail)
        case Item():
            head, tail = _cut_all(node.children, at)
            return replace(node, children=head), Item(tail, continued=True)
        case _:
            head, tail = _cut_all(node.children, at)
            return replace(node, children=head), replace(node, children=tail)


def _later(listing: Listing, items: tuple[Item, ...]) -> Listing:
    """The last items of a listing, numbered as they were."""
    start = None if listing.start is None else listing.start + len(listing.items) - len(items)
    return replace(listing, items=items, start=start)


def _places(node: _Any, base: int, most: int) -> Iterator[tuple[int, _Rank]]:
    """Places of the tree up to `most`, in any order; `base` is where the tree begins."""
    match node:
        case Words():
            yield from ((base + at, _Rank.WORD) for at in _spaces(node.text, most - base))
        case Break():
            yield base, _Rank.LINE
        case Code():
            yield base, _Rank.BESIDE_CODE
            yield base + weight(node), _Rank.BESIDE_CODE
            yield from ((base + at, _Rank.WITHIN_CODE) for at in _spaces(node.text, most - base))
        case CodeBlock():
            for at in _spaces(node.text, most - base):
                yield base + at, _Rank.LINE if node.text[at] == "\n" else _Rank.WORD
        case _:
            for child in _children(node):
                if base > most:
                    return
                yield from _places(child, base, most)
                base += weight(child, most - base)
                if isinstance(child, Node | Item):
                    yield base, _Rank.BLOCK


def _spaces(text: str, most: int) -> Iterator[int]:
    return (at for at, character in enumerate(text[: max(0, most + 1)]) if character in " \n")


def _between_characters(node: _Any, most: int) -> int:
    match node:
        case Words() | Code() | CodeBlock():
            return boundary(node.text, most)
        case _:
            base = 0
            for child in _children(node):
                size = weight(child, most - base)
                if base + size >= most:
                    return base + _between_characters(child, most - base)
                base += size
            return most


def _trimmed(nodes: tuple[Any, ...], *, end: bool) -> tuple[Any, ...]:
    """The nodes without white space at one side."""
    while nodes:
        edge = _trimmed_one(nodes[-1 if end else 0], end=end)
        rest = nodes[:-1] if end else nodes[1:]
        if edge is not None:
            return (*rest, edge) if end else (edge, *rest)
        nodes = rest
    return ()


def _trimmed_one(node: Any, *, end: bool) -> Any:
    match node:
        case Words():
            text = node.text.rstrip(" ") if end else node.text.lstrip(" ")
            return Words(text) if text else None
        case Break():
            return None
        case Code() | Rule():
            return node
        case CodeBlock():
            text = node.text.rstrip("\n") if end else node.text.lstrip("\n")
            return replace(node, text=text) if text else None
        case Listing():
            items = _trimmed(node.items, end=end)
            return (replace(node, items=items) if end else _later(node, items)) if items else None
        case Item():
            return replace(node, children=_trimmed(node.children, end=end))  # its mark is seen without any text
        case _:
            children = _trimmed(node.children, end=end)
            return replace(node, children=children) if children else None
