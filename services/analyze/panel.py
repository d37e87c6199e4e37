"""One panel of timeline.png: how each region of a face moved, a row a part of the face, and what was found in it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MultipleLocator
from numpy.typing import NDArray

from services.analyze.curves import Curve
from services.analyze.events import Mark
from services.analyze.picture import Picture
from services.analyze.style import FAINT, INK, LINE, PAPER, clock
from services.motion.rois import REGIONS

ROWS: Final[dict[str, tuple[str, ...]]] = {
    "brows": ("brow right", "brow left", "brow middle"),
    "eyes": ("eye right", "eye left"),
    "nose": ("nose",),
    "cheeks": ("cheek right", "cheek left"),
    "mouth corners": ("mouth right", "mouth left"),
    "lips": ("lips",),
    "chin": ("chin",),
}
"""Rows of a panel, from the brow down, and the regions whose curves each one holds."""

SIDES: Final[dict[str, tuple[str, Any]]] = {
    "right": ("#243447", "-"),
    "left": ("#9a6fb0", "-"),
    "middle": ("#5b6b7a", (0, (3, 1.5))),
}
"""Colour and dashes of a curve by the subject's side."""

MACRO_HATCH: Final = "//////"

_STRIP: Final = {"micro": 0.75, "macro": 0.05}
_TALL: Final = 0.55
_ROW: Final = 0.86
_SMALLEST_SCALE: Final = 0.02
_STEPS_S: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def row_scales(picture: Picture) -> dict[str, float]:
    """Row to the magnitude that its full height stands for, the same for all faces: the largest inside an expression,
    or what all but a hundredth stay below where that is more. One frame that was tracked wrongly must not flatten all
    others. Never so small that noise fills it."""
    regions = list(REGIONS)
    every = [curve.magnitude for curve in picture.curves.values()]
    inside = [_inside(picture.curves[mark.track], mark) for mark in picture.marks if mark.track in picture.curves]
    scales = {}
    for row, members in ROWS.items():
        columns = [regions.index(name) for name in members]
        usual = np.percentile(np.concatenate([each[:, columns] for each in every]), 99) if every else 0.0
        found = max((each[:, columns].max(initial=0) for each in inside), default=0.0)
        scales[row] = max(float(usual), float(found), _SMALLEST_SCALE)
    return scales


def _inside(curve: Curve, mark: Mark) -> NDArray[np.float32]:
    """The magnitudes of an expression, from the point that holds its onset: in a long video a point is a slice."""
    first = max(int(np.searchsorted(curve.time_s, mark.onset_s, "right")) - 1, 0)
    return curve.magnitude[first : int(np.searchsorted(curve.time_s, mark.offset_s, "right"))]


def draw_panel(
    axes: Axes,
    picture: Picture,
    tracks: Sequence[str],
    scales: Mapping[str, float],
    colours: Mapping[str, str],
    width_px: float,
) -> None:
    """Draw the tracks, which are never there at the same time. scales: as `row_scales`; colours: by emotion; width_px:
    of the axes."""
    end_s = max(picture.end_s, picture.start_s + 0.1)
    axes.set(xlim=(picture.start_s, end_s), ylim=(-len(ROWS) - 0.05, 1.5))
    for number, (row, members) in enumerate(ROWS.items(), 1):
        axes.axhline(-number, color=LINE, linewidth=0.6, zorder=1)
        at: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "xytext": (4, 0), "textcoords": "offset points"}
        axes.annotate(f"{scales[row]:.2f}", (1, _ROW - number), va="top", size=7.5, color=FAINT, **at)
        for track in tracks:
            if track in picture.curves:
                _draw_row(axes, picture.curves[track], members, -number, _ROW / scales[row])
    axes.axhline(0, color=LINE, linewidth=0.6)
    ticks = {_STRIP[kind] + 0.36: kind for kind in _STRIP} | {0.35 - i: row for i, row in enumerate(ROWS, 1)}
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.tick_params(axis="y", length=0)
    if not picture.marks:
        words = picture.unjudged or ("no expression was found" if picture.curves else "no usable face was seen")
        axes.text(0.5, 0.75, words, transform=axes.get_yaxis_transform(), ha="center", va="center", color=FAINT)
    for mark in picture.marks:
        if mark.track in tracks:
            _draw_mark(axes, mark, colours[mark.emotion], (end_s - picture.start_s) / width_px)
            if _is_strongest(mark, picture):
                _point_at(axes, mark)
    _draw_time_axis(axes, end_s - picture.start_s, picture.origin_s)


def _draw_row(axes: Axes, curve: Curve, members: Sequence[str], floor: float, factor: float) -> None:
    regions = list(REGIONS)
    time_s, magnitude = _with_holes(curve)
    for name in members:
        side = name.rsplit(" ", 1)[-1] if len(members) > 1 else "middle"
        ink, dashes = SIDES[side]
        values = floor + np.minimum(factor * magnitude[:, regions.index(name)], _ROW)
        axes.fill_between(time_s, floor, values, color=ink, alpha=0.07, linewidth=0, zorder=2)
        axes.plot(time_s, values, color=ink, linestyle=dashes, linewidth=0.9, zorder=3, solid_joinstyle="round")


def _with_holes(curve: Curve) -> Curve:
    """The curve with a hole wherever the face was away, so that no line bridges it."""
    steps = np.diff(curve.time_s)
    if not len(steps):
        return curve
    holes = np.flatnonzero(steps > max(0.5, 4 * float(np.median(steps)))) + 1
    between = (curve.time_s[holes - 1] + curve.time_s[holes]) / 2
    return Curve(np.insert(curve.time_s, holes, between), np.insert(curve.magnitude, holes, np.nan, axis=0))


def _draw_mark(axes: Axes, mark: Mark, colour: str, second_a_px: float) -> None:
    # In a long video an expression is thinner than a pixel: it is drawn 4 px wide about its middle at least.
    length = max(mark.offset_s - mark.onset_s, 4 * second_a_px)
    start = (mark.onset_s + mark.offset_s - length) / 2
    micro = mark.kind == "micro"
    band: dict[str, Any] = {"facecolor": colour, "alpha": 0.32 if micro else 0.13, "zorder": 1}
    bar: dict[str, Any] = (
        {"facecolor": colour} if micro else {"facecolor": PAPER, "edgecolor": colour, "hatch": MACRO_HATCH}
    )
    axes.add_patch(Rectangle((start, -len(ROWS)), length, len(ROWS), **band))
    axes.add_patch(Rectangle((start, _STRIP[mark.kind] + 0.08), length, _TALL, linewidth=0.8, zorder=4, **bar))


def _is_strongest(mark: Mark, picture: Picture) -> bool:
    if picture.strongest is None:
        return False
    graph = picture.strongest.graph
    return (graph.stream.track, graph.onset.time_us / 1e6) == (mark.track, mark.onset_s)


def _point_at(axes: Axes, mark: Mark) -> None:
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    above = (mark.apex_s, _STRIP[mark.kind] + _TALL + 0.12)
    axes.annotate("", above, xytext=(0, 11), textcoords="offset points", arrowprops=arrow, zorder=6)


def _draw_time_axis(axes: Axes, span_s: float, origin_s: float) -> None:
    step = next((step for step in _STEPS_S if span_s / step <= 9), math.ceil(span_s / 9 / 86400) * 86400)
    digits = 1 if step < 1 else 0
    axes.xaxis.set_major_locator(MultipleLocator(step, offset=origin_s))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time, _: clock(time - origin_s, digits)))
    axes.tick_params(axis="x", color=LINE)
