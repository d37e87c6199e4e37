"""What a detector sees of a recording, kept, and shown to it again with expressions planted into it.

Following points is the dear part of detection; what follows from their positions costs a thousandth of real time. So
one recording shows a detector many expressions, each over what really disturbs it there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from microex.v1 import frame_pb2, window_pb2
from services.lab.metrics import Span
from services.lab.synth import direct
from services.lab.synth.canvas import rotation
from services.lab.synth.course import Kind
from services.lab.synth.scene import VISIBLE_PX, Expression, reach
from services.lab.synth.styles import Style, fields
from services.lab.synth.videos import draw_next
from services.motion.aus import AU_INDEX
from services.motion.convention import EYE_DISTANCE_PX
from services.motion.rois import ROIS
from services.spotter.blink import LID_WEIGHTS, LIDS
from services.spotter.detector import Detector
from services.spotter.judge import Expression as Found
from services.spotter.judge import Verdict
from services.spotter.reading import Face, read
from services.spotter.signal import Sight

Array = NDArray[np.float64]
Spans = dict[Kind, list[Span]]

MACRO_SHARE: Final = 0.12
GAP_S: Final = (0.25, 2.5)
"""Neutral after a planted expression, seconds, lowest and highest."""
APART_S: Final = 0.2
"""From what the recording shows by itself."""
TURN: Final = 0.25
"""Standard deviation of the angle by which an AU moves otherwise than its muscle would, radians."""
GAIN: Final = 0.25
"""… and of the logarithm of its strength on each side."""
FOLLOWED: Final = (0.8, 1.05)
"""How much of a motion following points returns, lowest and highest."""


class Replay(Detector):
    """A detector that is shown what was seen before. It makes no windows."""

    def watch(self, sights: Iterable[Sight]) -> list[Verdict]:
        """On all candidates; sights: in order of time, of one stream seen from its start."""
        message = frame_pb2.FaceFrame()
        return [verdict for sight in sights for verdict in self._take(sight, message).verdicts]

    def see(self, messages: Iterable[frame_pb2.FaceFrame]) -> list[Sight]:
        """What it sees on each frame that can be measured."""
        sights = []
        for message in messages:
            face = read(message)
            if isinstance(face, Face) and self._refuse(face) is None:
                self._begin(face, message)
                sights.append(self._signal.see(face))
                self._signal.take(sights[-1])
        return sights

    def _window(self, found: Found, message: frame_pb2.FaceFrame) -> window_pb2.ApexWindow:
        return window_pb2.ApexWindow()


@dataclass(frozen=True)
class Planted:
    """sights: with the expressions; spans: of each kind, seconds from the first frame."""

    sights: list[Sight]
    spans: Spans


def plant(
    rng: np.random.Generator,
    sights: Sequence[Sight],
    shown: Sequence[Span],
    style: Style,
    person: int,
    intensity: tuple[float, float],
    eye_distance_px: float,
) -> Planted:
    """Expressions one after the other, between those that the recording shows by itself (`shown`, seconds from the
    first frame). eye_distance_px: of the recording's pictures: what cannot be seen in these is not labelled."""
    times = np.array([int(sight.row["time_us"]) for sight in sights]) / 1e6
    times -= times[0]
    moved = np.zeros((len(times), len(ROIS), 2))
    spans: Spans = {"micro": [], "macro": []}
    followed, at = rng.uniform(*FOLLOWED), float(rng.uniform(1, 2.5))
    while True:
        expression = draw_next(rng, at, intensity, MACRO_SHARE)
        end = at + expression.course.whole_s + expression.lags.max()
        if end > times[-1] - 0.6:
            break
        if after := [span.end for span in shown if span.start < end + APART_S and span.end > at - APART_S]:
            at = max(after) + APART_S + float(rng.exponential(0.5))
            continue
        motion = _motion(rng, expression, times, style, person)
        moved += followed * motion
        size = reach(expression.at(times), fields(style, person)) * eye_distance_px
        if len(seen := np.flatnonzero(size > VISIBLE_PX)):
            span = Span(float(times[seen[0]]), float(times[seen[-1]] + times[1] - times[0]))
            spans[expression.kind].append(span)
        at = end + float(rng.uniform(*GAP_S))
    return Planted([_moved(sight, by) for sight, by in zip(sights, moved, strict=True)], spans)


def _motion(rng: np.random.Generator, expression: Expression, times: Array, style: Style, person: int) -> Array:
    """[n, R, 2] of the ROIs at those times, the head's share taken out as it is of a face."""
    points, lids = _basis(style, person)
    come = expression.at(times)  # [n, A, 2]
    skin, edges = np.zeros((len(times), *points.shape[2:])), np.zeros((len(times), *lids.shape[2:]))
    for au in (AU_INDEX[code] for code in expression.drawn.aus):
        angle, gain = rng.normal(0, TURN), np.exp(rng.normal(0, GAIN, 2))
        for side, turn in enumerate((angle, -angle)):
            otherwise = gain[side] * rotation(turn).T
            skin += come[:, au, side, None, None] * (points[au, side] @ otherwise)
            edges += come[:, au, side, None, None] * (lids[au, side] @ otherwise)
    acts = come.any((1, 2))
    motion = np.zeros((len(times), len(ROIS), 2))
    motion[acts] = direct.without_head(skin[acts])[:, : len(ROIS)]
    motion[:, LIDS] = edges
    return motion


@cache
def _basis(style: Style, person: int) -> tuple[Array, Array]:
    """How every AU moves ROIs and stable points, [A, 2, R + S, 2], and the edges of lids against their eye, [A, 2,
    lids, 2]; outer-eye distances."""
    moved = fields(style, person)
    dense = np.stack([[direct.crop().dense(side) for side in au] for au in moved])  # [A, 2, side, side, 2]
    points = direct.point_motion(dense.transpose(0, 1, 4, 2, 3)).astype(np.float64)
    return points, EYE_DISTANCE_PX * (LID_WEIGHTS @ moved)


def _moved(sight: Sight, by: Array) -> Sight:
    row = sight.row.copy()
    row["position"] += by.astype(np.float32)
    return sight._replace(row=row)
