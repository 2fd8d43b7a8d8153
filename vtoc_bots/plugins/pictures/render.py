"""Draws a composed picture with matplotlib's object API and Agg: no pyplot, no window, no global state."""

from __future__ import annotations

import io

from matplotlib.artist import Artist
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vtoc_bots.plugins.pictures.alternative import alt_text
from vtoc_bots.plugins.pictures.layers import Area, Colour, Fill, Layer, Words
from vtoc_bots.plugins.pictures.picture import MapPicture
from vtoc_bots.plugins.pictures.scene import Scene, compose
from vtoc_bots.plugins.pictures.typeface import outlines, printable

DPI = 72
"""At 72 dots an inch a point is a pixel, so that everything here is said in pixels."""
HALO = 3.0
COLOURS = 256


def render_map(picture: MapPicture) -> bytes:
    """Return the picture as PNG, `width_px` by `height_px`; the same picture gives the same bytes.

    Its alternative text is in the file's Description.
    """
    pixels = io.BytesIO()
    figure_of(compose(picture)).savefig(pixels, format="rgba")
    image = Image.frombytes("RGBA", (picture.width_px, picture.height_px), pixels.getvalue()).convert("RGB")
    # A palette makes the file a third as large, which counts on a poor link; nobody sees the difference.
    image = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    about = PngInfo()
    about.add_itxt("Title", printable(picture.title))
    about.add_itxt("Description", alt_text(picture))
    output = io.BytesIO()
    image.save(output, "PNG", pnginfo=about)
    return output.getvalue()


def figure_of(scene: Scene) -> Figure:
    """Return the picture as a matplotlib figure."""
    sheet = scene.sheet
    figure = Figure(figsize=(sheet.width / DPI, sheet.height / DPI), dpi=DPI)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, sheet.width)
    axes.set_ylim(0, sheet.height)
    frame = sheet.frame
    clip = Rectangle((frame.left, frame.bottom), frame.width, frame.height, transform=axes.transData)
    for order, layer in enumerate(scene.layers):
        for artist in artists_of(layer):
            artist.set_zorder(order)
            # add_artist, not add_patch: that one measures every curve of every glyph for limits nobody needs.
            axes.add_artist(artist)
            if layer.clipped:
                artist.set_clip_path(clip)
            else:
                artist.set_clip_on(False)
    return figure


def artists_of(layer: Layer) -> list[Artist]:
    """Return the matplotlib artists of a layer, in drawing order."""
    if isinstance(layer, Words):
        return words(layer)
    if isinstance(layer, Area):
        return [patch(layer.path, layer.face, layer.edge, layer.width, layer.dashes)]
    if isinstance(layer, Fill):
        if not layer.polygons:
            return []
        return [PolyCollection(layer.polygons, facecolors=layer.faces, edgecolors=layer.edges, linewidths=layer.width)]
    if not layer.lines:
        return []
    style = (0, layer.dashes) if layer.dashes else "solid"
    return [
        LineCollection(layer.lines, colors=layer.colours, linewidths=layer.width, linestyles=[style], capstyle="butt")
    ]


def words(layer: Words) -> list[Artist]:
    """Return texts as filled outlines, over a halo of the same outlines drawn wide."""
    path = outlines(layer.runs)
    if path is None:
        return []
    halo: list[Artist] = [] if layer.halo is None else [patch(path, layer.halo, layer.halo, HALO, ())]
    return [*halo, patch(path, layer.colour, None, 0.0, ())]


def patch(path: Path, face: Colour | None, edge: Colour | None, width: float, dashes: tuple[float, ...]) -> PathPatch:
    """Return a path filled and stroked, each where it has a colour."""
    return PathPatch(
        path,
        facecolor=face or "none",
        edgecolor=edge or "none",
        linewidth=width,
        linestyle=(0, dashes) if dashes else "solid",
        joinstyle="round",
    )
