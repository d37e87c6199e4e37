"""One expression as the dict that a line of events.jsonl holds; events.schema.json beside this file defines it.

Every number is explained in docs/outputs.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from microex.v1 import graph_pb2, window_pb2
from services.common.errors import Poison
from services.motion.rois import ROI_INDEX, ROIS

Event = dict[str, Any]

KINDS: Final = {window_pb2.KIND_MICRO: "micro", window_pb2.KIND_MACRO: "macro"}

SIDES: Final = {graph_pb2.SIDE_LEFT: "left", graph_pb2.SIDE_RIGHT: "right", graph_pb2.SIDE_BOTH: "both"}

EDGES: Final = {
    graph_pb2.Edge.KIND_AU_AU: "au-au",
    graph_pb2.Edge.KIND_ROI_ROI: "roi-roi",
    graph_pb2.Edge.KIND_ROI_AU: "roi-au",
}


@dataclass(frozen=True)
class Mark:
    """What pictures, tiers and tables need of an event: little enough to keep for every event of a long video.

    probability: of the emotion. onset_s, apex_s, offset_s: seconds in the stream's time base.
    aus: active AUs, a side named where it has one.
    """

    track: str
    kind: str
    emotion: str
    probability: float
    onset_s: float
    apex_s: float
    offset_s: float
    aus: tuple[str, ...]


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one event."""
    loaded: dict[str, Any] = json.loads(files("services.analyze").joinpath("events.schema.json").read_text("utf-8"))
    return loaded


def event(graph: graph_pb2.AuGraph, video: str | None) -> Event:
    """The answer about one window as a dict of JSON values.

    video: name of the file; None where the stream did not come from a file that is known here.
    Raises Poison for a graph whose kind, or the kind of one of its edges, was never set.
    """
    return {
        "window_id": graph.window_id,
        "video": video,
        "session": graph.stream.session,
        "camera": graph.stream.camera,
        "track": graph.stream.track,
        "kind": _named(KINDS, graph.kind, "kind"),
        "onset_frame": graph.onset.index,
        "apex_frame": graph.apex.index,
        "offset_frame": graph.offset.index,
        "onset_s": graph.onset.time_us / 1e6,
        "apex_s": graph.apex.time_us / 1e6,
        "offset_s": graph.offset.time_us / 1e6,
        "fps": _short(graph.fps),
        "emotion": {
            "label": graph.emotion.label,
            "probabilities": {each.label: _short(each.probability) for each in graph.emotion.probabilities},
        },
        "aus": [_au(au) for au in graph.aus],
        "graph": {"nodes": _nodes(graph), "edges": [_edge(edge) for edge in graph.edges]},
        "frame_weights": [{"frame": frame.index, "weight": _short(frame.weight)} for frame in graph.frames],
        "roi_weights": {roi.name: _short(roi.weight) for roi in graph.rois},
        "model": model(graph.model),
    }


def mark(graph: graph_pb2.AuGraph) -> Mark:
    """The few fields of the answer that are kept for the whole video."""
    return Mark(
        graph.stream.track,
        _named(KINDS, graph.kind, "kind"),
        graph.emotion.label,
        max((each.probability for each in graph.emotion.probabilities), default=0.0),
        graph.onset.time_us / 1e6,
        graph.apex.time_us / 1e6,
        graph.offset.time_us / 1e6,
        tuple(au_name(au) for au in graph.aus if au.active),
    )


def au_name(au: graph_pb2.ActionUnit) -> str:
    """ "AU12", or "AU12 left" when it acted mostly on one side."""
    side = side_of(au)
    return au.au if side == "both" else f"{au.au} {side}"


def side_of(au: graph_pb2.ActionUnit) -> str:
    """ "left", "right" (the subject's own) or "both"."""
    return SIDES.get(au.side, "both")


def model(message: graph_pb2.Model) -> dict[str, Any]:
    """Which weights answered."""
    return {
        "name": message.name,
        "version": message.version,
        "digest": message.digest,
        "trained": message.trained,
    }


def _au(au: graph_pb2.ActionUnit) -> dict[str, Any]:
    return {
        "au": au.au,
        "name": au.name,
        "side": side_of(au),
        "probability": _short(au.probability),
        "intensity": _short(au.intensity) if au.HasField("intensity") else None,
        "active": au.active,
    }


def _nodes(graph: graph_pb2.AuGraph) -> list[dict[str, Any]]:
    # AUs first, then ROIs: each with what it is, so that the graph reads without another table.
    aus = [
        {"id": au.au, "kind": "au", "name": au.name, "weight": _short(au.probability), "active": au.active}
        for au in graph.aus
    ]
    rois = [
        {
            "id": roi.name,
            "kind": "roi",
            "name": ROIS[ROI_INDEX[roi.name]].skin if roi.name in ROI_INDEX else roi.name,
            "weight": _short(roi.weight),
            "x": _short(roi.x),
            "y": _short(roi.y),
        }
        for roi in graph.rois
    ]
    return aus + rois


def _edge(edge: graph_pb2.Edge) -> dict[str, Any]:
    kind = _named(EDGES, edge.kind, "edge")
    return {"source": edge.source, "target": edge.target, "kind": kind, "weight": _short(edge.weight)}


def _named(names: Mapping[Any, str], value: int, what: str) -> str:
    if value not in names:
        raise Poison("graph with an unknown value", field=what, value=value)
    return names[value]


def _short(number: float) -> float:
    # Six digits are more than a float32 knows, and half as long as what it prints as.
    return round(number, 6)
