"""Answers and windows made up for tests, with everything in them that the recognizer and the spotter put there."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from microex.v1 import graph_pb2, stream_pb2, window_pb2
from services.analyze.events import Mark
from services.motion.aus import AUS
from services.motion.convention import CROP_PX
from services.motion.rois import REGIONS, ROIS

CENTRES = np.stack([np.linspace(20, 108, len(ROIS)), np.linspace(12, 116, len(ROIS))], 1).astype(np.float32)


def moment(time_s: float, fps: float = 25.0) -> stream_pb2.Moment:
    return stream_pb2.Moment(index=round(time_s * fps), time_us=round(time_s * 1e6))


def stream(track: str = "0.0.0", session: str = "local", camera: str = "clip") -> stream_pb2.StreamKey:
    return stream_pb2.StreamKey(session=session, camera=camera, track=track)


def graph(
    onset_s: float = 1.0,
    offset_s: float = 1.4,
    active: Sequence[str] = ("AU6", "AU12"),
    sides: dict[str, Any] | None = None,
    emotion: str = "positive",
    track: str = "0.0.0",
    **fields: Any,
) -> graph_pb2.AuGraph:
    """An answer; fields: of AuGraph, in place of what is made up."""
    emotions = dict.fromkeys(("negative", "positive", "surprise"), 0.2) | {emotion: 0.6}
    kind = window_pb2.KIND_MICRO if offset_s - onset_s <= 0.5 else window_pb2.KIND_MACRO
    made: dict[str, Any] = {
        "prediction_id": "b" * 32,
        "window_id": f"{round(onset_s * 1000):032x}",
        "stream": stream(track),
        "time_base": stream_pb2.TIME_BASE_MEDIA,
        "kind": kind,
        "onset": moment(onset_s),
        "apex": moment((onset_s + offset_s) / 2),
        "offset": moment(offset_s),
        "fps": 25.0,
        "emotion": graph_pb2.Emotion(
            label=emotion,
            probabilities=[graph_pb2.ClassProbability(label=name, probability=p) for name, p in emotions.items()],
        ),
        "aus": [
            graph_pb2.ActionUnit(
                au=au.code,
                name=au.name,
                side=(sides or {}).get(au.code, graph_pb2.SIDE_BOTH),
                probability=0.9 if au.code in active else 0.1,
                intensity=0.3 if au.code in active else 0.0,
                active=au.code in active,
            )
            for au in AUS
        ],
        "rois": [
            graph_pb2.Roi(name=roi.name, weight=1 / len(ROIS), x=x, y=y)
            for roi, (x, y) in zip(ROIS, CENTRES, strict=True)
        ],
        "frames": [graph_pb2.FrameGraph(index=round(onset_s * 25) + i, weight=0.125) for i in range(8)],
        "edges": [
            graph_pb2.Edge(kind=graph_pb2.Edge.KIND_AU_AU, source="AU6", target="AU12", weight=0.5),
            graph_pb2.Edge(kind=graph_pb2.Edge.KIND_ROI_AU, source="lip_corner_left", target="AU12", weight=0.7),
            graph_pb2.Edge(kind=graph_pb2.Edge.KIND_ROI_ROI, source="chin", target="lip_lower", weight=0.1),
        ],
        "model": graph_pb2.Model(name="stag", version="1", digest="c" * 64, trained=True),
    }
    return graph_pb2.AuGraph(**made | fields)


def window(of: graph_pb2.AuGraph, height: float = 0.05) -> window_pb2.ApexWindow:
    """The window that an answer is about; its curves rise to `height` in every region."""
    times = np.linspace(of.onset.time_us, of.offset.time_us, 11).round().astype(int)
    curve = height * np.sin(np.linspace(0, np.pi, 11))
    picture = np.full((CROP_PX, CROP_PX), 128, np.uint8)
    return window_pb2.ApexWindow(
        window_id=of.window_id,
        stream=of.stream,
        time_base=of.time_base,
        kind=of.kind,
        onset=of.onset,
        apex=of.apex,
        offset=of.offset,
        fps=of.fps,
        detector="1-test",
        curves=window_pb2.Curves(
            time_us=times, curves=[window_pb2.Curve(region=region, magnitude=curve) for region in REGIONS]
        ),
        motion=window_pb2.MotionTensor(data=b"\0" * 64),
        apex_jpeg=cv2.imencode(".jpg", picture)[1].tobytes(),
        roi_centres=CENTRES.ravel(),
    )


def mark(onset_s: float, offset_s: float, track: str = "0.0.0", **fields: Any) -> Mark:
    made: dict[str, Any] = {
        "track": track,
        "kind": "micro" if offset_s - onset_s <= 0.5 else "macro",
        "emotion": "negative",
        "probability": 0.6,
        "onset_s": onset_s,
        "apex_s": (onset_s + offset_s) / 2,
        "offset_s": offset_s,
        "aus": ("AU4",),
    }
    return Mark(**made | fields)
