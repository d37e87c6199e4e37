"""From faces to positions: where every ROI of every frame lies relative to neutral, and how new that is.

    frame ── cheap flow from the reference ── head removed ── position of each ROI
                 ▲                                                  │ less its median over the last baseline_s
    typical frame of the last reference_s,                          ▼
    chosen anew on a grid of stream time                        novelty

When the reference changes, positions of earlier rows are carried over by the flow from the old one to the new one, so
a movement that straddles the change stays whole. No row rests on more than `record_s` of the stream before it.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.displacement import Sampler
from services.motion.flow import Flow
from services.motion.rois import REGIONS, ROI_INDEX, ROIS
from services.spotter.constants import CONSTANTS as C
from services.spotter.reading import Face, decode
from services.spotter.rows import THUMB_PX, Kept, Rows

SECOND: Final = 1_000_000

LIDS: Final = np.array([roi.name.startswith("lid_") for roi in ROIS])
"""[R] ROIs that blink."""

BASELINE_ROWS: Final = 25
"""Rows that a median is taken of: enough, and the same work at any frame rate."""

REGION_MEAN: Final = np.array(
    [[1 / len(names) if roi.name in names else 0 for roi in ROIS] for names in REGIONS.values()], np.float32
)
"""[regions, R] the mean over the ROIs of each region."""

assert all(name in ROI_INDEX for names in REGIONS.values() for name in names)


@dataclass(frozen=True, eq=False)
class Reference:
    """The frame that flow is measured from."""

    picture: NDArray[np.uint8]
    sampler: Sampler


class Signal:
    """Fills rows. Its state is the reference; everything else lies in the rows."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._flow = Flow("cheap")
        self._reference: Reference | None = None

    def add(self, face: Face) -> NDArray[np.float32]:
        """Takes one more frame, later than all before it; returns the magnitude of each region, [regions] float32,
        outer-eye distances."""
        rows = self._rows
        if self._reference is None or face.time_us // _GRID_US != int(rows.table["time_us"][-1]) // _GRID_US:
            self._change_reference(face)
        assert self._reference is not None
        moved = self._reference.sampler(self._flow(self._reference.picture, face.picture))
        row = rows.append(face.time_us, Kept(face.jpeg, face.landmarks))
        row["index"], row["position"] = face.index, moved.rois
        row["opening"], row["brightness"], row["turn"] = face.opening, face.brightness, face.turn
        row["thumb"] = cv2.resize(face.picture, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA).reshape(-1)
        away = smooth(rows, face.time_us) - baseline(rows, face.time_us)
        length = np.sqrt((away * away).sum(1))
        row["magnitude"] = magnitude = np.asarray(REGION_MEAN @ length, np.float32)
        row["novelty"] = length[~LIDS].max()
        return magnitude

    def _change_reference(self, face: Face) -> None:
        """To the most typical frame of the last `reference_s` before the grid line: the one whose thumbnail is nearest
        to the median of all. A movement that fills less than half of that time is never typical."""
        grid_us = face.time_us // _GRID_US * _GRID_US
        window = self._rows.since(grid_us - int(C.reference_s * SECOND), grid_us)
        picture, landmarks = face.picture, face.landmarks
        if window.start < window.stop:
            chosen = window.start + _typical(self._rows.table["thumb"][window])
            landmarks = self._rows.kept[chosen].landmarks
            picture = _decoded(self._rows.kept[chosen].jpeg)
        if self._reference is not None and len(self._rows):
            shift = self._reference.sampler(self._flow(self._reference.picture, picture)).rois
            self._rows.table["position"] -= shift
        self._reference = Reference(picture, Sampler(landmarks))


def smooth(rows: Rows, time_us: int) -> NDArray[np.float32]:
    """[R, 2]: position at that time, averaged over the last `smooth_s`."""
    window = rows.since(time_us - int(C.smooth_s * SECOND), time_us)
    return np.asarray(rows.table["position"][window].mean(0), np.float32)


def baseline(rows: Rows, time_us: int) -> NDArray[np.float32]:
    """[R, 2]: the median position over the last `baseline_s`, of at most BASELINE_ROWS rows spread over them."""
    window = rows.since(time_us - int(C.baseline_s * SECOND), time_us)
    picked = rows.table["position"][window]
    if len(picked) > BASELINE_ROWS:
        picked = picked[np.linspace(0, len(picked) - 1, BASELINE_ROWS).astype(np.intp)]
    return np.asarray(np.sort(picked, axis=0)[len(picked) // 2], np.float32)


def _typical(thumbs: NDArray[np.float32]) -> int:
    return int(np.abs(thumbs - np.median(thumbs, axis=0)).sum(1).argmin())


def _decoded(jpeg: bytes) -> NDArray[np.uint8]:
    picture = decode(jpeg)
    assert picture is not None, "was read before"
    return picture


_GRID_US: Final = int(C.grid_s * SECOND)
