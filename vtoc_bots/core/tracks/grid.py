"""A spatial hash over the globe: which items may lie within a distance of a point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from vtoc_bots.core.tracks.kalman import METRES_PER_DEGREE

T = TypeVar("T")
Cell = tuple[int, int]

CELL_DEGREES: Final = 0.05
ROWS: Final = round(180.0 / CELL_DEGREES)


def _edge_cosine(row: int) -> float:
    """The cosine of a row's latitude at its edge nearer to a pole, where its columns are narrowest."""
    south = row * CELL_DEGREES - 90.0
    return max(0.0, math.cos(math.radians(max(abs(south), abs(south + CELL_DEGREES)))))


EDGE_COSINES: Final = tuple(_edge_cosine(row) for row in range(ROWS))
COLUMNS: Final = tuple(max(1, int(360.0 / CELL_DEGREES * cosine)) for cosine in EDGE_COSINES)
"""How many cells go round the globe in each row, so that a cell is about as wide as high anywhere."""


def cell_of(latitude: float, longitude: float) -> Cell:
    """The cell of a position in degrees."""
    row = int((latitude + 90.0) / CELL_DEGREES)
    if row >= ROWS:
        row = ROWS - 1
    columns = COLUMNS[row]
    return row, int((longitude + 180.0) / 360.0 * columns) % columns


class SpatialHash(Generic[T]):
    """Items by cell. Whoever puts an item keeps its cell, to take it out again. Iterates in the order of putting."""

    def __init__(self) -> None:
        self._cells: dict[Cell, dict[T, None]] = {}

    def put(self, cell: Cell, item: T) -> None:
        """Add an item to a cell."""
        self._cells.setdefault(cell, {})[item] = None

    def remove(self, cell: Cell, item: T) -> None:
        """Take an item out of the cell it was put in. Raises KeyError if it is not there."""
        items = self._cells[cell]
        del items[item]
        if not items:
            del self._cells[cell]

    def near(self, latitude: float, longitude: float, radius_m: float) -> Iterator[T]:
        """Every item in a cell that a circle of `radius_m` around a position in degrees may touch, each once."""
        reach = radius_m / METRES_PER_DEGREE
        first = max(0, int((latitude - reach + 90.0) / CELL_DEGREES))
        last = min(ROWS - 1, int((latitude + reach + 90.0) / CELL_DEGREES))
        cells = self._cells
        for row in range(first, last + 1):
            columns = COLUMNS[row]
            centre = (longitude + 180.0) / 360.0 * columns
            # Degrees of longitude that the circle spans here; near a pole it spans the whole row.
            half = reach / 360.0 * columns / EDGE_COSINES[row] if EDGE_COSINES[row] * columns > 1.0 else columns
            west, east = math.floor(centre - half), math.floor(centre + half)
            if east - west >= columns:
                west, east = 0, columns - 1
            for column in range(west, east + 1):
                items = cells.get((row, column % columns))
                if items is not None:
                    yield from items
