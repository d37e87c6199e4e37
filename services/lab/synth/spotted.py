"""Labelled motion in the windows that the spotter itself finds: whole scenes go through ingest and spotter in
memory."""

from typing import Any, Final

import numpy as np

from microex.v1 import stream_pb2, window_pb2
from services.common.settings import LandmarkSettings
from services.ingest.core import Captured, Ingest
from services.lab.synth import tracks, videos
from services.lab.synth.batch import Clips
from services.lab.synth.combos import Drawn
from services.lab.synth.faces import Still
from services.lab.synth.scene import Mover, Scene
from services.lab.synth.styles import Style
from services.lab.synth.timing import FRAMES
from services.motion.aus import AU_INDEX, AUS
from services.motion.rois import PATCH, ROIS
from services.motion.tensor import unpack
from services.spotter.core import Spotter

MATCH_IOU: Final = 0.3
"""A window shows the expression that it shares this much of its time with; what it shares less with is another
thing."""


SCENE_S: Final = 30.0
SCENE_PX: Final = (640, 480)
SCENE_FPS: Final = (25, 30, 60)
"""Of scenes that are made for the spotter."""


def scene_clips(
    rng: np.random.Generator, still: Still, mover: Mover, style: Style, strength: tracks.Strengths
) -> Clips:
    """As `clips`, of a scene that is made for it."""
    fps = float(rng.choice(SCENE_FPS))
    return clips(videos.scene(rng, still, mover, SCENE_PX, fps, SCENE_S, strength), still.identity, style)


def clips(shown: Scene, identity: str, style: str) -> Clips:
    """One clip for each window that matches an expression of the scene; maybe none."""
    found = [(window, label) for window in windows(shown) if (label := match(window, shown.labels)) is not None]
    motion = np.zeros((len(found), FRAMES, len(ROIS), 3, PATCH, PATCH), np.float32)
    seen = np.zeros((len(found), FRAMES, len(ROIS)), bool)
    present, times = np.zeros((len(found), FRAMES), bool), np.zeros((len(found), FRAMES), np.float32)
    for i, (window, _) in enumerate(found):
        tensor = unpack(window.motion)
        k = len(tensor.times)
        motion[i, :k], seen[i, :k], present[i, :k], times[i, :k] = tensor.data, tensor.seen, True, tensor.times
    drawn = [_drawn(label) for _, label in found]
    return Clips.make(motion, times, seen, present, drawn, [identity] * len(found), style)


def windows(shown: Scene) -> list[window_pb2.ApexWindow]:
    """What ingest and spotter find in a scene."""
    ingest, spotter = Ingest("lab", "synth", 0, stream_pb2.TIME_BASE_MEDIA, LandmarkSettings()), Spotter()
    found = []
    for i in range(len(shown)):
        for message in ingest.step(Captured(i, round(shown.times[i] * 1e6), shown.frame(i))):
            found += spotter.step(message).windows
    ingest.close()
    return found


def match(window: window_pb2.ApexWindow, labels: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The label that overlaps the window most, if it does so enough."""
    return max((label for label in labels if _iou(window, label) >= MATCH_IOU), key=lambda label: _iou(window, label),
               default=None)  # fmt: skip


def _iou(window: window_pb2.ApexWindow, label: dict[str, Any]) -> float:
    shared = min(window.offset.index, label["offset"]) - max(window.onset.index, label["onset"]) + 1
    whole = max(window.offset.index, label["offset"]) - min(window.onset.index, label["onset"]) + 1
    return float(max(0, shared) / whole)


def _drawn(label: dict[str, Any]) -> Drawn:
    """The label's AUs again as intensities; the weaker side of a one-sided AU counts as still."""
    intensity = np.zeros((len(AUS), 2))
    for each in label["aus"]:
        intensity[AU_INDEX[each["au"]]] = each["intensity"] * (
            np.array([each["side"] != "right", each["side"] != "left"]))  # fmt: skip
    return Drawn(label["emotion"], tuple(each["au"] for each in label["aus"]), intensity)
