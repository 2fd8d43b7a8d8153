"""A text in pieces of at most the platform's limit, each of them complete and balanced in its dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from vtoc_bots.core.markup.cut import best_cut, cut_blocks, trimmed, weight
from vtoc_bots.core.markup.dialect import PLAIN, Dialect
from vtoc_bots.core.markup.nodes import Break, Heading, Node, Paragraph, Words, words
from vtoc_bots.core.markup.render import render

SMALLEST_LIMIT: Final = 32
"""A limit below this could not hold one escaped character in its markup."""

_Blocks = tuple[Node, ...]


def pieces(nodes: Sequence[Node], dialect: Dialect, limit: int) -> list[str]:
    """The blocks written in the dialect, in pieces that measure at most `limit` (32 or more); none for empty text.

    A piece ends after a block where it can, else after a line, a word, a character as people see it. A code span is
    cut only where it is longer than a piece. What is cut is opened again in the next piece: a list item without its
    mark, a code block with its language. White space at the ends of pieces is dropped, nothing else.
    """
    if limit < SMALLEST_LIMIT:
        raise ValueError(f"a limit of {limit} is too small for a piece of text; it must be {SMALLEST_LIMIT} or more")
    return list(_pieces(trimmed(tuple(nodes)), dialect, limit))


def _pieces(rest: _Blocks, dialect: Dialect, limit: int) -> Iterator[str]:
    while rest:
        head, rest = _first_piece(rest, dialect, limit)
        written = render(head, dialect)
        if written.strip():
            yield written
        rest = trimmed(rest)


def _first_piece(nodes: _Blocks, dialect: Dialect, limit: int) -> tuple[_Blocks, _Blocks]:
    """The blocks of the next piece, which fits, and those that are left."""

    def size(blocks: _Blocks) -> int:
        return dialect.measure(render(blocks, dialect))

    count = _whole_blocks(nodes, dialect, limit)
    while count and size(nodes[:count]) > limit:
        count -= 1
    if count == len(nodes):
        return nodes, ()
    whole = nodes[:count]
    alone = weight(nodes[count], limit) <= limit and size(nodes[count : count + 1]) <= limit
    if whole and (alone or size(whole) * 2 >= limit):
        while len(whole) > 1 and isinstance(whole[-1], Heading):  # a heading goes with what it is the heading of
            whole = whole[:-1]
        return whole, nodes[len(whole) :]
    if found := _cut_block(whole, nodes[count], dialect, limit):
        return found[0], found[1] + nodes[count + 1 :]
    if whole:
        return whole, nodes[count:]
    return _first_piece((_loosened(nodes[0], limit), *nodes[1:]), dialect, limit)


def _whole_blocks(nodes: _Blocks, dialect: Dialect, limit: int) -> int:
    """About how many blocks fit whole."""
    used = 0
    for index, node in enumerate(nodes):
        if weight(node, limit) > limit:
            return index
        used += dialect.measure(render((node,), dialect)) + 2 * (index > 0)
        if used > limit:
            return index
    return len(nodes)


def _cut_block(whole: _Blocks, block: Node, dialect: Dialect, limit: int) -> tuple[_Blocks, _Blocks] | None:
    """As much of the block as fits behind the whole ones, and its rest. None where nothing of it fits."""
    window = cut_blocks((block,), limit + 1)[0][0]  # no more of it can fit: every character measures 1 or more

    def size(at: int) -> int:
        return dialect.measure(render((*whole, *trimmed(cut_blocks((window,), at)[0])), dialect))

    at = _farthest(size, weight(window), limit)
    while at and size(best := best_cut(block, at)) > limit:
        at = best - 1
    if not at:
        return None
    head, tail = cut_blocks((block,), best_cut(block, at))
    return (*whole, *trimmed(head)), tail


def _farthest(size: Callable[[int], int], most: int, limit: int) -> int:
    """A place whose size is within the limit, and near it; 0 where there is none."""
    enough = limit - limit // 64
    least, lower, upper = 0, size(0), size(most)
    if upper <= limit:
        return most
    while most - least > 1 and lower < enough:
        # Where the limit would be if text were even; bisection where that is no nearer.
        guess = int((most - least) * (limit - lower) / max(1, upper - lower))
        middle = least + min(max(guess, (most - least + 15) // 16), most - least - (most - least + 15) // 16 or 1)
        if (found := size(middle)) <= limit:
            least, lower = middle, found
        else:
            most, upper = middle, found
    return least


def _loosened(block: Node, limit: int) -> Node:
    """A block as plain words, for one whose markup alone is longer than a piece: a huge address, quotes in quotes."""
    if isinstance(block, Paragraph) and all(isinstance(inline, Words | Break) for inline in block.children):
        raise ValueError(f"the dialect writes a character longer than {limit}")
    return Paragraph(words(render((block,), PLAIN)))
