"""Commands: looking up, parsing and deciding one, microseconds of CPU, among 30 and among 10,000 commands."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal
from uuid import UUID

from annotated_types import Ge, Le

from vtoc_bots import Card, Distance, Level, Operator, Station, TrackId, command, nm
from vtoc_bots.core.access import Access
from vtoc_bots.core.commands import Call, Commands, CommandSpec

ROUNDS = 9
CALLS = 1500
FEW, MANY = 30, 10_000
BAR = 15.0
RADIUS_M = nm(5)
TEXTS = (
    "/{} A1B2C3",
    "/{} A1B2C3 10nm --quiet",
    "/{} A1B2C3 --radius 10nm minutes=20",
    '/{} "A1B2C3" --radius "10 nm"',
)
ADA = Operator(UUID(int=1), "Ada", {"toc-s1": Level.LEAD})
STATION = Station(UUID(int=2), "toc-s1", "TOC-S1", "Bench", "ops")


async def run() -> list[str]:
    """Markdown rows: what, microseconds of CPU a command, the floor's, the ratio of the two."""
    few, many = _whole(FEW), _whole(MANY)
    fewest, most, floor, peer = _best_of(few, many, _floor(), _argparse())
    what = "look up, parse and decide a command, µs CPU"
    return [
        f"| {what}, {FEW} commands | {fewest:.1f} | {BAR:.0f} (bar) | {fewest / BAR:.2f} |",
        f"| the same, {FEW} commands | {fewest:.1f} | {floor:.1f} (split, dictionary, float) | {fewest / floor:.1f} |",
        f"| the same, {MANY:,} commands | {most:.1f} | {fewest:.1f} ({FEW} commands) | {most / fewest:.2f} |",
        f"| the same, {FEW} commands | {fewest:.1f} | {peer:.1f} (argparse, parsing alone) | {fewest / peer:.2f} |",
    ]


def _command(name: str) -> CommandSpec:
    async def watch(
        ctx: Any,
        target: TrackId,
        radius: Distance = RADIUS_M,
        *,
        minutes: Annotated[int, Ge(1), Le(240)] = 30,
        kind: Literal["air", "sea"] = "air",
        quiet: bool = False,
    ) -> Card:
        """Alert this conversation when a track comes within a radius."""
        return Card.of(target)

    return command(name)(watch)


def _names(count: int) -> list[str]:
    """Half of one word, half of two, as a catalogue has them."""
    return [f"track watch{n}" if n % 2 else f"watch{n}" for n in range(count)]


def _texts(names: list[str]) -> list[str]:
    return [text.format(name) for text in TEXTS for name in names[-2:]]


def _whole(count: int) -> Callable[[], None]:
    """From text to a decision, rights cached; calls each text once."""
    names = _names(count)
    commands, access, texts = Commands(map(_command, names)), Access(), _texts(names)

    def work() -> None:
        for text in texts:
            call = commands.parse(text)
            if not isinstance(call, Call) or not access.decide_now(ADA, STATION, call.ask("bench")).allowed:
                raise RuntimeError(f"{text} must parse and be allowed")

    return work


def _floor() -> Callable[[], None]:
    """The least that any parser does: split, probe a dictionary, read one number."""
    names = _names(FEW)
    table, texts = {name.split()[0]: name for name in names}, _texts(names)

    def work() -> None:
        for text in texts:
            words = text.split()
            table[words[0][1:]]
            float("10")

    return work


def _argparse() -> Callable[[], None]:
    """The standard library's parser for the same words; it neither decides nor reads units."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    names = _names(FEW)
    for name in names:
        watch = commands.add_parser(name.replace(" ", "_"))
        watch.add_argument("target")
        watch.add_argument("radius", nargs="?")
        watch.add_argument("--radius", dest="radius_option")
        watch.add_argument("--minutes", type=int, default=30)
        watch.add_argument("--kind", choices=("air", "sea"), default="air")
        watch.add_argument("--quiet", action="store_true")
    texts = [text[1:].replace("minutes=", "--minutes=") for text in _texts([name.replace(" ", "_") for name in names])]

    def work() -> None:
        for text in texts:
            parser.parse_args(shlex.split(text))

    return work


def _best_of(*works: Callable[[], None]) -> list[float]:
    """Microseconds of CPU a text for each, the best of several rounds in turns, so that noise meets all alike."""
    best = [float("inf")] * len(works)
    texts = len(TEXTS) * 2
    for _ in range(ROUNDS):
        for index, work in enumerate(works):
            began = time.process_time()
            for _ in range(CALLS // texts):
                work()
            best[index] = min(best[index], (time.process_time() - began) / (CALLS // texts * texts) * 1e6)
    return best
