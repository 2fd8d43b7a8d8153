"""What is taken on a map, and which boxes and lines meet: the ground labels are placed on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vtoc_bots.plugins.pictures.extent import Box
from vtoc_bots.plugins.pictures.projection import Floats

CELL = 2.0
"""Pixels a side of the cells that are known as free or taken."""

Grid = NDArray[np.int32]
Mask = NDArray[np.bool_]


class Ground:
    """What is taken on the map: symbols and other things no label may cover, and trails it had better not."""

    def __init__(self, area: Box, solid: Sequence[Box], lines: Sequence[Floats]) -> None:
        """`lines` are (n, 2) arrays of pixel positions."""
        self.area = area
        self.columns = math.ceil(area.width / CELL)
        self.rows = math.ceil(area.height / CELL)
        trails = np.zeros((self.rows, self.columns), dtype=np.bool_)
        self._draw(trails, lines)
        self._trail_sums = _sums(trails)
        self._take(np.zeros_like(trails), solid)

    def also(self, solid: Sequence[Box]) -> Ground:
        """Return the ground with more boxes taken."""
        other = Ground.__new__(Ground)
        other.area, other.columns, other.rows = self.area, self.columns, self.rows
        other._trail_sums = self._trail_sums
        other._take(self.solid.copy(), solid)
        return other

    def _take(self, mask: Mask, solid: Sequence[Box]) -> None:
        if solid:
            for left, bottom, right, top in self._cells(np.array(solid)).tolist():
                mask[bottom:top, left:right] = True
        self.solid = mask
        self._solid_sums = _sums(mask)

    def _cells(self, boxes: Floats) -> NDArray[np.int64]:
        shifted = (boxes - (self.area.left, self.area.bottom) * 2) / CELL
        low, high = np.floor(shifted[:, :2]), np.ceil(shifted[:, 2:])
        limits = (self.columns, self.rows)
        return np.hstack([np.clip(low, 0, limits), np.clip(high, 0, limits)]).astype(np.int64)

    def _draw(self, mask: Mask, lines: Sequence[Floats]) -> None:
        drawn = [line for line in lines if len(line) > 1]
        if not drawn:
            return
        starts = np.concatenate([line[:-1] for line in drawn])
        runs = np.concatenate([line[1:] for line in drawn]) - starts
        steps = np.ceil(np.abs(runs).max(axis=1) / CELL).astype(np.int64) + 1
        steps = np.minimum(steps, self.columns + self.rows)
        which = np.repeat(np.arange(len(steps)), steps)
        part = (np.arange(len(which)) - np.repeat(np.cumsum(steps) - steps, steps)) / np.maximum(steps[which] - 1, 1)
        points = starts[which] + runs[which] * part[:, None]
        cells = np.floor((points - (self.area.left, self.area.bottom)) / CELL).astype(np.int64)
        inside = (cells >= 0).all(axis=1) & (cells[:, 0] < self.columns) & (cells[:, 1] < self.rows)
        mask[cells[inside, 1], cells[inside, 0]] = True

    def covered(self, boxes: Floats) -> tuple[Grid, Grid]:
        """Return how many solid cells and how many trail cells each of the (n, 4) boxes covers."""
        cells = self._cells(boxes)
        return _within(self._solid_sums, cells), _within(self._trail_sums, cells)

    def strikes(self, leaders: Floats, reach: float) -> NDArray[np.int64]:
        """Return how many solid places each of the (n, 4) leaders runs over, `reach` round its own start left out."""
        parts = np.linspace(0.1, 1.0, 12)
        off_x = (leaders[:, 2] - leaders[:, 0])[:, None] * parts
        off_y = (leaders[:, 3] - leaders[:, 1])[:, None] * parts
        column = ((leaders[:, 0, None] + off_x - self.area.left) / CELL).astype(np.int64)
        row = ((leaders[:, 1, None] + off_y - self.area.bottom) / CELL).astype(np.int64)
        solid = self.solid[np.clip(row, 0, self.rows - 1), np.clip(column, 0, self.columns - 1)]
        away = np.maximum(np.abs(off_x), np.abs(off_y)) > reach
        return np.asarray((solid & away).sum(axis=1))


def _within(sums: Grid, cells: NDArray[np.int64]) -> Grid:
    left, bottom, right, top = cells.T
    return np.asarray(sums[top, right] - sums[bottom, right] - sums[top, left] + sums[bottom, left])


def _sums(mask: Mask) -> Grid:
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.int32)
    np.cumsum(np.cumsum(mask, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
    return sums


def overlap(boxes: Floats, others: Floats, spacing: float = 0.0) -> Mask:
    """Return an (n, m) array of which boxes come within `spacing` pixels of which others."""
    a, b = boxes[:, None, :], others[None, :, :]
    across = (a[..., 0] < b[..., 2] + spacing) & (a[..., 2] > b[..., 0] - spacing)
    return np.asarray(across & (a[..., 1] < b[..., 3] + spacing) & (a[..., 3] > b[..., 1] - spacing))


def runs_through(lines: Floats, boxes: Floats) -> Mask:
    """Return an (n, m) array of which (n, 4) line segments meet which (m, 4) boxes (slab method)."""
    enters, leaves = np.zeros((len(lines), len(boxes))), np.ones((len(lines), len(boxes)))
    for axis in (0, 1):
        start, run = lines[:, axis, None], (lines[:, axis + 2] - lines[:, axis])[:, None]
        run = np.where(run == 0, 1e-9, run)
        one, other = (boxes[:, axis] - start) / run, (boxes[:, axis + 2] - start) / run
        enters, leaves = np.maximum(enters, np.minimum(one, other)), np.minimum(leaves, np.maximum(one, other))
    return np.asarray(enters <= leaves)


def cross(lines: Floats, others: Floats) -> Mask:
    """Return an (n, m) array of which line segments properly cross which others."""

    def side(segments: Floats, x: Floats, y: Floats) -> Floats:
        x0, y0, x1, y1 = segments.T
        return np.asarray((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0))

    a, b = lines[:, None, :], others
    first, second = side(b, a[..., 0], a[..., 1]), side(b, a[..., 2], a[..., 3])
    c, d = others[:, None, :], lines
    third, fourth = side(d, c[..., 0], c[..., 1]).T, side(d, c[..., 2], c[..., 3]).T
    return np.asarray((first * second < 0) & (third * fourth < 0))
