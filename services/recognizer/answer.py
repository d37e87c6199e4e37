"""From the network's tensors to an AuGraph: names, sides, thresholds, the strongest edges.

An answer is made in two steps. `answer` says what depends on the motion alone, which is what the cache keeps;
`address` adds whose it is.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from microex.v1 import graph_pb2, window_pb2
from services.common.errors import Poison
from services.common.ids import prediction_id, stream_key
from services.motion.aus import AUS
from services.motion.rois import ROIS
from services.motion.tensor import MotionTensor, unpack
from services.recognizer.stag.model import StagOutput

EDGES: Final = 12
"""Edges of each kind that an answer holds at the most: the strongest."""

WEAKEST_EDGE: Final = 0.01
"""Edges that weigh less are left out."""

ONE_SIDED: Final = 2.0
"""From which ratio of intensities on an AU acted mostly on one side."""

Array = NDArray[np.float32]


def read(window: window_pb2.ApexWindow) -> MotionTensor:
    """The motion in a window. Raises Poison when the window lacks an id or a stream, or cannot be recognised."""
    if not window.window_id:
        raise Poison("window has no id")
    stream_key(window.stream)
    tensor = unpack(window.motion)
    if not tensor.seen.any():
        raise Poison("no region of the face was seen in any frame of the window", window=window.window_id)
    centres = window.roi_centres
    if len(centres) != 2 * len(ROIS) or not np.isfinite(centres).all():
        raise Poison("window needs the centre of every region", got=len(centres), want=2 * len(ROIS))
    return tensor


def answer(
    output: StagOutput, tensor: MotionTensor, classes: tuple[str, ...], thresholds: tuple[float, ...]
) -> graph_pb2.AuGraph:
    """What the network says of one clip, not yet addressed to anyone.

    output: tensors without the batch dimension, on the CPU; thresholds: [A].
    """
    frames = len(tensor.times)
    emotion = _array(output.emotion.softmax(-1))
    au = _array(output.au.sigmoid())
    intensity = _array(output.intensity)
    frame_weights = _array(output.frame_weights)[:frames]
    adjacency = _array(output.adjacency)[:frames]
    edges = _edges(output, au, np.tensordot(frame_weights, adjacency, 1))
    return graph_pb2.AuGraph(
        emotion=graph_pb2.Emotion(
            label=classes[int(emotion.argmax())],
            probabilities=[
                graph_pb2.ClassProbability(label=label, probability=p)
                for label, p in zip(classes, emotion.tolist(), strict=True)
            ],
        ),
        aus=[
            graph_pb2.ActionUnit(
                au=unit.code,
                name=unit.name,
                side=_side(*intensity[i].tolist()),
                probability=au[i],
                intensity=intensity[i].max() if tensor.magnitude_known else None,
                active=bool(au[i] >= thresholds[i]),
            )
            for i, unit in enumerate(AUS)
        ],
        rois=[
            graph_pb2.Roi(name=roi.name, weight=weight)
            for roi, weight in zip(ROIS, _array(output.roi_weights).tolist(), strict=True)
        ],
        frames=[
            graph_pb2.FrameGraph(weight=weight, adjacency=rows.ravel().tolist())
            for weight, rows in zip(frame_weights.tolist(), adjacency, strict=True)
        ],
        edges=edges,
    )


def address(graph: graph_pb2.AuGraph, window: window_pb2.ApexWindow, model: graph_pb2.Model) -> graph_pb2.AuGraph:
    """Say whose answer it is: ids, stream, moments, places and stages of `window`; returns `graph` itself."""
    graph.prediction_id = prediction_id(window.window_id, model.digest)
    graph.window_id = window.window_id
    graph.time_base, graph.kind, graph.fps = window.time_base, window.kind, window.fps
    for name in ("stream", "onset", "apex", "offset", "stages"):
        getattr(graph, name).CopyFrom(getattr(window, name))
    graph.model.CopyFrom(model)
    for roi, x, y in zip(graph.rois, window.roi_centres[::2], window.roi_centres[1::2], strict=True):
        roi.x, roi.y = x, y
    for frame, index in zip(graph.frames, window.motion.indices, strict=True):
        frame.index = index
    return graph


def _array(values: object) -> Array:
    return np.asarray(values, np.float32)


def _side(left: float, right: float) -> graph_pb2.Side.ValueType:
    if left >= ONE_SIDED * right:
        return graph_pb2.SIDE_LEFT
    return graph_pb2.SIDE_RIGHT if right >= ONE_SIDED * left else graph_pb2.SIDE_BOTH


def _edges(output: StagOutput, au: Array, adjacency: Array) -> list[graph_pb2.Edge]:
    """The strongest edges. au: [A] probabilities; adjacency: [R, R], the mean over frames by their weights."""
    au_names, roi_names = [unit.code for unit in AUS], [roi.name for roi in ROIS]
    return [
        # Between AUs an edge has no direction; it is listed once.
        *_strongest(graph_pb2.Edge.KIND_AU_AU, np.triu(_array(output.au_edges), 1), au_names, au_names),
        # A row of the adjacency listens, so the edge runs from column to row.
        *_strongest(graph_pb2.Edge.KIND_ROI_ROI, (adjacency - np.diag(adjacency.diagonal())).T, roi_names, roi_names),
        *_strongest(graph_pb2.Edge.KIND_ROI_AU, (_array(output.au_rois) * au[:, None]).T, roi_names, au_names),
    ]


def _strongest(
    kind: graph_pb2.Edge.Kind.ValueType, weights: Array, sources: list[str], targets: list[str]
) -> list[graph_pb2.Edge]:
    """weights: [source, target]. Strongest first; equals in the order of the tables."""
    order = np.argsort(-weights.ravel(), kind="stable")[:EDGES]
    found = [(int(place) // len(targets), int(place) % len(targets)) for place in order]
    return [
        graph_pb2.Edge(kind=kind, source=sources[i], target=targets[j], weight=min(float(weights[i, j]), 1.0))
        for i, j in found
        if weights[i, j] >= WEAKEST_EDGE
    ]
