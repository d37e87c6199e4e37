"""An AU graph drawn on the face it was read from: ROIs as circles, AUs as labels beside it, edges between them."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch
from numpy.typing import NDArray

from microex.v1 import graph_pb2, window_pb2
from services.analyze.events import side_of
from services.analyze.style import FAINT, INK, LINE, PAPER
from services.motion.aus import AU_INDEX, incidence
from services.motion.convention import CROP_PX
from services.motion.rois import ROI_INDEX

_LABELS: Final = 10
"""AUs that are named beside the face, five on each side."""

_MARGIN: Final = 56.0
"""Room for labels on each side, crop pixels."""

_CAPTION: Final = (
    "circle: a region's share in the answer  ·  line: an AU read from it\nwhite: regions linked  ·  dashed: AUs linked"
)


@dataclass(frozen=True)
class Label:
    """Where an AU's label stands: y in crop pixels; column -1 at the picture's left, 1 at its right."""

    au: graph_pb2.ActionUnit
    column: int
    y: float

    @property
    def anchor(self) -> tuple[float, float]:
        """Where edges leave the label."""
        return (-5.0 if self.column < 0 else CROP_PX + 5.0), self.y


def draw_face(axes: Axes, graph: graph_pb2.AuGraph, window: window_pb2.ApexWindow, colour: str) -> None:
    """Draw the crop at the apex and on it the graph, in `colour`.

    The picture is as the camera sees it: the subject's left is at the right.
    """
    axes.set(xlim=(-_MARGIN, CROP_PX + _MARGIN), ylim=(CROP_PX + 15, -1), aspect="equal")
    axes.axis("off")
    if window.apex_jpeg:
        axes.imshow(_picture(window.apex_jpeg), extent=(0, CROP_PX, CROP_PX, 0), interpolation="lanczos", zorder=0)
    centres = np.array(window.roi_centres, np.float32).reshape(-1, 2)
    labels = place_labels(graph, centres)
    _draw_roi_edges(axes, graph, centres)
    _draw_au_edges(axes, graph, labels, centres, colour)
    _draw_rois(axes, graph, centres, colour)
    _draw_labels(axes, labels, colour)
    _draw_note(axes, len(labels), sum(au.active for au in graph.aus))
    axes.text(CROP_PX / 2, CROP_PX + 8, _CAPTION, ha="center", va="center", size=7.5, color=FAINT, linespacing=1.5)


def place_labels(graph: graph_pb2.AuGraph, centres: NDArray[np.float32]) -> list[Label]:
    """The most probable active AUs, each on the side on which it acted, or where there is room when that was both, from
    brow to chin, none on another.

    centres: [R, 2] crop pixels.
    """
    active = sorted((au for au in graph.aus if au.active), key=lambda au: -au.probability)[:_LABELS]
    height = {au.au: _height(au.au, centres) for au in active}
    columns: dict[int, list[graph_pb2.ActionUnit]] = {-1: [], 1: []}
    for au in sorted(active, key=lambda au: (side_of(au) == "both", height[au.au])):
        fuller = 1 if len(columns[1]) > len(columns[-1]) else -1
        column = {"left": 1, "right": -1}.get(side_of(au), -fuller)
        columns[column if len(columns[column]) < _LABELS // 2 else -column].append(au)
    labels = []
    for column, aus in columns.items():
        aus.sort(key=lambda au: height[au.au])
        for y, au in zip(_apart([height[au.au] for au in aus]), aus, strict=True):
            labels.append(Label(au, column, y))
    return labels


def _height(au: str, centres: NDArray[np.float32]) -> float:
    moved = incidence()[AU_INDEX[au]] > 0 if au in AU_INDEX else slice(None)
    return float(centres[moved, 1].mean())


def _rois_of(graph: graph_pb2.AuGraph, au: str) -> list[tuple[str, float]]:
    found = []
    for edge in graph.edges:
        if edge.kind == graph_pb2.Edge.KIND_ROI_AU and au in (edge.source, edge.target):
            roi = edge.source if edge.target == au else edge.target
            if roi in ROI_INDEX:
                found.append((roi, edge.weight))
    return found


def _apart(heights: list[float], gap: float = CROP_PX / (_LABELS // 2)) -> list[float]:
    """The heights, ascending, moved as little as it takes to lie `gap` apart and inside the picture."""
    low, high = gap / 2, CROP_PX - gap / 2
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, low, placed[-1] + gap if placed else low))
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], high if i == len(placed) - 1 else placed[i + 1] - gap)
    return placed


def _picture(jpeg: bytes) -> NDArray[np.uint8]:
    # Lighter than life, so that lines and labels stand out; three channels, or matplotlib would paint it in colours.
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return (55 + np.asarray(decoded, np.float32) * (200 / 255)).astype(np.uint8)


def _draw_roi_edges(axes: Axes, graph: graph_pb2.AuGraph, centres: NDArray[np.float32]) -> None:
    edges = [
        edge
        for edge in graph.edges
        if edge.kind == graph_pb2.Edge.KIND_ROI_ROI
        and edge.source != edge.target
        and edge.source in ROI_INDEX
        and edge.target in ROI_INDEX
    ]
    most = max((edge.weight for edge in edges), default=1.0)
    for edge in edges:
        ends = centres[[ROI_INDEX[edge.source], ROI_INDEX[edge.target]]]
        share = edge.weight / most
        axes.plot(*ends.T, color=PAPER, linewidth=0.5 + 1.3 * share, alpha=0.7, zorder=2, solid_capstyle="round")


def _draw_au_edges(
    axes: Axes, graph: graph_pb2.AuGraph, labels: list[Label], centres: NDArray[np.float32], colour: str
) -> None:
    for label in labels:
        for roi, weight in _rois_of(graph, label.au.au):
            _curve(axes, label.anchor, _point(centres[ROI_INDEX[roi]]), colour, 0.5 + 2.2 * weight, 0.25 + 0.6 * weight)
    at = {label.au.au: label for label in labels}
    for edge in graph.edges:
        if edge.kind == graph_pb2.Edge.KIND_AU_AU and edge.source in at and edge.target in at:
            start, end = at[edge.source], at[edge.target]
            if start.column == end.column and start is not end:
                _bracket(axes, start, end, 0.4 + 1.2 * edge.weight)


def _curve(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, width: float, alpha: float
) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            connectionstyle="arc3,rad=0.12",
            arrowstyle="-",
            color=colour,
            linewidth=width,
            alpha=alpha,
            zorder=3,
            capstyle="round",
        )
    )


def _point(centre: NDArray[np.float32]) -> tuple[float, float]:
    return float(centre[0]), float(centre[1])


def _bracket(axes: Axes, start: Label, end: Label, width: float) -> None:
    upper, lower = sorted((start, end), key=lambda label: label.y)
    bend = 0.25 * upper.column
    axes.add_patch(
        FancyArrowPatch(
            upper.anchor,
            lower.anchor,
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-",
            color=INK,
            linewidth=width,
            linestyle=(0, (2, 1.6)),
            alpha=0.6,
            zorder=4,
        )
    )


def _draw_rois(axes: Axes, graph: graph_pb2.AuGraph, centres: NDArray[np.float32], colour: str) -> None:
    rois = [roi for roi in graph.rois if roi.name in ROI_INDEX]
    places = centres[[ROI_INDEX[roi.name] for roi in rois]]
    # Area is share; an average ROI is as large wherever it is drawn.
    areas = np.clip([90 * len(rois) * roi.weight for roi in rois], 8, 360)
    axes.scatter(places[:, 0], places[:, 1], s=areas, color=colour, alpha=0.8, edgecolors=PAPER, linewidths=1, zorder=5)


def _draw_labels(axes: Axes, labels: list[Label], colour: str) -> None:
    for label in labels:
        x, y = label.anchor
        left = label.column < 0
        x += 2 * label.column
        align = "right" if left else "left"
        intensity = f"  ·  {label.au.intensity:.0%} of full" if label.au.HasField("intensity") else ""
        axes.plot([label.anchor[0]] * 2, [y - 9, y + 9], color=colour, linewidth=2.5, solid_capstyle="round")
        # The side in words, "both" too: such an AU stands where there is room.
        axes.text(x, y - 5.2, f"{label.au.au} {side_of(label.au)}", ha=align, va="center", weight="bold", size=9.5)
        axes.text(x, y + 1.4, label.au.name, ha=align, va="center", size=8)
        axes.text(x, y + 7.4, f"p {label.au.probability:.2f}{intensity}", ha=align, va="center", size=7.5, color=FAINT)


def _draw_note(axes: Axes, shown: int, active: int) -> None:
    if active == shown > 0:
        return
    note = f"and {active - shown} more AUs" if active else "no AU reached its threshold"
    box = {"facecolor": PAPER, "edgecolor": LINE, "boxstyle": "round,pad=0.4"}
    axes.text(CROP_PX / 2, CROP_PX - 7, note, ha="center", va="center", size=8.5, bbox=box, zorder=7)
