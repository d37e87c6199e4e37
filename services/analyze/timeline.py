"""timeline.png: a panel for each face that was there at once, and beside them the strongest expression's AU graph."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from microex.v1 import graph_pb2
from services.analyze.events import KINDS
from services.analyze.face import draw_face
from services.analyze.files import whole
from services.analyze.panel import MACRO_HATCH, SIDES, draw_panel, row_scales
from services.analyze.picture import Picture, Strongest
from services.analyze.style import FAINT, PAPER, WARNING, WARNING_EDGE, clock, emotion_colours, settings

Place = Callable[[float, float, float, float], Axes]
"""Axes at so many inches from the left and from the top, so wide and so tall."""

_DPI: Final = 150

# Inches: the page, the names of rows, the AU graph and what lies between.
_WIDTH, _LEFT, _GRAPH, _GAP, _HEADER, _FOOTER = 13.6, 1.2, 5.7, 0.5, 1.0, 0.95
_PANEL: Final = {1: 5.5, 2: 4.3}
_SMALL_PANEL: Final = 3.6


def write_timeline(path: Path, picture: Picture) -> None:
    """Draw the picture to a PNG."""
    with mpl.rc_context(settings()), warnings.catch_warnings():
        # A script that no installed font knows is drawn as boxes; that is no news for the terminal.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        with whole(path) as part:
            _draw(picture).savefig(part)


def _draw(picture: Picture) -> Figure:
    panels = picture.panels()
    tall = _PANEL.get(len(panels), _SMALL_PANEL)
    height = _HEADER + tall * len(panels) + _FOOTER
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI)

    def place(left: float, top: float, width: float, tall: float) -> Axes:
        return figure.add_axes((left / _WIDTH, 1 - (top + tall) / height, width / _WIDTH, tall / height))

    colours = emotion_colours(_emotions(picture))
    width = _WIDTH - _LEFT - (_GRAPH + _GAP if picture.strongest else 0.6)
    scales, faces = row_scales(picture), picture.faces()
    for number, tracks in enumerate(panels):
        axes = place(_LEFT, _HEADER + tall * number, width, tall - (0.45 if len(panels) == 1 else 0.75))
        draw_panel(axes, picture, tracks, scales, colours, width * _DPI)
        if len(faces) > 1:
            axes.set_title(_named([faces[track] for track in tracks]), loc="left", size=10, weight="bold", pad=4)
    _draw_header(place(0, 0, _WIDTH, _HEADER), picture)
    _draw_legend(place(0, height - _FOOTER, _WIDTH, _FOOTER), picture, colours)
    if picture.strongest:
        _draw_strongest(place, picture.strongest, picture.origin_s, colours)
    return figure


def _named(numbers: Sequence[int], most: int = 8) -> str:
    """ "face 1", "faces 1, 3"; of many the first."""
    shown = ", ".join(map(str, numbers[:most])) + (", …" if len(numbers) > most else "")
    return f"face{'s' if len(numbers) > 1 else ''} {shown}"


def _emotions(picture: Picture) -> list[str]:
    classes = [each.label for each in picture.strongest.graph.emotion.probabilities] if picture.strongest else []
    return classes + sorted({mark.emotion for mark in picture.marks})


def _draw_header(axes: Axes, picture: Picture) -> None:
    axes.axis("off")
    axes.set(xlim=(0, _WIDTH), ylim=(0, _HEADER))
    axes.text(0.3, _HEADER - 0.32, _shortened(picture.title), size=15, weight="bold", va="center")
    axes.text(0.3, _HEADER - 0.62, picture.subtitle, size=10, color=FAINT, va="center")
    if picture.trained is False:
        axes.text(
            _WIDTH - 0.3,
            _HEADER - 0.42,
            "Untrained model: its weights are random.\n"
            "Intervals and curves were measured; emotions and AUs mean nothing.",
            size=9,
            ha="right",
            va="center",
            linespacing=1.5,
            bbox={"facecolor": WARNING, "edgecolor": WARNING_EDGE, "boxstyle": "round,pad=0.55"},
        )


def _draw_legend(axes: Axes, picture: Picture, colours: Mapping[str, str]) -> None:
    axes.axis("off")
    axes.set(xlim=(0, _WIDTH), ylim=(0, _FOOTER))
    kinds = {mark.kind for mark in picture.marks}
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=ink, linestyle=dashes, label=side if side == "middle" else f"subject's {side}")
        for side, (ink, dashes) in SIDES.items()
    ]
    handles += [Patch(color=colours[label], label=label) for label in dict.fromkeys(m.emotion for m in picture.marks)]
    if "micro" in kinds:
        handles.append(Patch(color=FAINT, label="micro: half a second at most"))
    if "macro" in kinds:
        handles.append(Patch(facecolor=PAPER, edgecolor=FAINT, hatch=MACRO_HATCH, label="macro: longer"))
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.3 / _WIDTH, 1),
        ncols=len(handles),
        frameon=False,
        handlelength=1.6,
        columnspacing=1.4,
        borderaxespad=0,
        borderpad=0,
    )
    notes = (
        "Curves: how far a region is from its median of the 1.35 s before, head motion removed, as a fraction of the "
        "distance between the outer eye corners.",
        "What lasts longer shows twice: as it comes and as it goes. The number at the right of a row is its full "
        "height; what lies above is cut off.",
        picture.footer,
    )
    for y, text in zip((0.56, 0.39, 0.22), notes, strict=True):
        axes.text(0.3, y, text, size=8, color=FAINT, va="center")


def _draw_strongest(place: Place, strongest: Strongest, origin_s: float, colours: Mapping[str, str]) -> None:
    graph, left = strongest.graph, _WIDTH - _GRAPH - 0.1
    onset_s, offset_s = graph.onset.time_us / 1e6 - origin_s, graph.offset.time_us / 1e6 - origin_s
    span = f"{KINDS[graph.kind]}, {clock(onset_s, 2)} to {clock(offset_s, 2)} ({offset_s - onset_s:.2f} s)"
    title = place(left, _HEADER, _GRAPH, 0.5)
    title.axis("off")
    title.set(xlim=(0, 1), ylim=(0, 1))
    title.text(0.5, 0.75, "Strongest expression", size=12, weight="bold", va="center", ha="center")
    title.text(0.5, 0.25, span, size=9.5, color=FAINT, va="center", ha="center")
    draw_face(place(left, _HEADER + 0.55, _GRAPH, 3.4), graph, strongest.window, colours[graph.emotion.label])
    _draw_emotions(place(left + 1.35, _HEADER + 4.05, _GRAPH - 2.7, 0.95), graph, colours)


def _draw_emotions(axes: Axes, graph: graph_pb2.AuGraph, colours: Mapping[str, str]) -> None:
    classes = sorted(graph.emotion.probabilities, key=lambda each: each.probability)[-5:]
    names = [each.label for each in classes]
    bars = axes.barh(
        names, [each.probability for each in classes], color=[colours[name] for name in names], height=0.62
    )
    axes.bar_label(bars, [f"{each.probability:.2f}" for each in classes], padding=4, size=9)
    axes.set(xlim=(0, 1), xticks=[])
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)


def _shortened(text: str, longest: int = 60) -> str:
    return text if len(text) <= longest else f"{text[: longest // 2]}…{text[1 - longest // 2 :]}"
