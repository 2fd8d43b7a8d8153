"""Covariance intersection: one state from several source tracks of an entity, whose errors may be correlated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from vtoc_bots.core.tracks.kalman import ConstantVelocityFilter

CONTRADICTION_SIGMAS: Final = 10.0
CONTRADICTION_SLACK_M: Final = 3_000.0


class Fused(NamedTuple):
    """A fused state: degrees, m/s east and north, variances along each axis, and which filters had no part in it."""

    latitude: float
    longitude: float
    vx: float
    vy: float
    variance: float
    velocity_variance: float
    left_out: tuple[int, ...]
    """Places in the input of the filters that are impossibly far from the best one."""


class Row(NamedTuple):
    """A filter's state at one time on a common plane, and its covariance."""

    x: float
    y: float
    vx: float
    vy: float
    p: float
    c: float
    w: float


def fused(filters: Sequence[ConstantVelocityFilter], t: float, leaders: int = 1) -> Fused:
    """The state at `t` of one entity by several filters. Raises ValueError if there are none.

    Of the first `leaders` the one with the least variance leads. A filter that contradicts it by kilometres is left
    out: two aircraft may have been given the same address, or an operator may have joined what is far apart.
    """
    if not filters:
        raise ValueError("fusion: there is no filter to fuse")
    if len(filters) == 1:
        only = filters[0]
        row = _row(only, t, only)
        latitude, longitude = only.from_plane(row.x, row.y)
        return Fused(latitude, longitude, row.vx, row.vy, row.p, row.w, ())
    lead = min(range(leaders), key=lambda place: filters[place].variance_at(t))
    plane = filters[lead]
    rows = [_row(one, t, plane) for one in filters]
    best = rows[lead]
    left_out = tuple(place for place, row in enumerate(rows) if _contradicts(row, best))
    if left_out:
        rows = [row for place, row in enumerate(rows) if place not in left_out]
    return _intersected(rows, plane, left_out)


def _row(one: ConstantVelocityFilter, t: float, plane: ConstantVelocityFilter) -> Row:
    dt = t - one.t
    x, y = one.x + one.vx * dt, one.y + one.vy * dt
    if one is not plane:
        x, y = plane.to_plane(*one.from_plane(x, y))
    return Row(x, y, one.vx, one.vy, *one.covariance_at(t))


def _contradicts(row: Row, best: Row) -> bool:
    reach = CONTRADICTION_SIGMAS * math.sqrt(row.p + best.p) + CONTRADICTION_SLACK_M
    return (row.x - best.x) ** 2 + (row.y - best.y) ** 2 > reach * reach


def _intersected(rows: list[Row], plane: ConstantVelocityFilter, left_out: tuple[int, ...]) -> Fused:
    """Covariance intersection with the closed-form weights of Niehsen (Information Fusion, 2002): 1 / variance."""
    norm = sum([1.0 / row.p for row in rows])
    # Both axes have the same information matrix (pp, pv, vv), and an information vector (position, velocity) each.
    pp = pv = vv = x_position = x_velocity = y_position = y_velocity = 0.0
    for x, y, vx, vy, p, c, w in rows:
        weight = 1.0 / (p * norm * (p * w - c * c))
        a, b, d = weight * w, -weight * c, weight * p
        pp, pv, vv = pp + a, pv + b, vv + d
        x_position, x_velocity = x_position + a * x + b * vx, x_velocity + b * x + d * vx
        y_position, y_velocity = y_position + a * y + b * vy, y_velocity + b * y + d * vy
    determinant = pp * vv - pv * pv
    p, c, w = vv / determinant, -pv / determinant, pp / determinant
    latitude, longitude = plane.from_plane(p * x_position + c * x_velocity, p * y_position + c * y_velocity)
    return Fused(
        latitude,
        longitude,
        c * x_position + w * x_velocity,
        c * y_position + w * y_velocity,
        p,
        w,
        left_out,
    )
