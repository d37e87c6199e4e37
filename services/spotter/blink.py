"""Blinks, taken out of the positions once the eyes are open again.

Lids that close drag the skin around them along, and upset the landmarks that the crop is aligned by. What moves exactly
in step with the closure or with its square, between the frames before and after it, is the blink's; what is left is an
expression's.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled
from services.motion.convention import (
    EYE_DISTANCE_PX,
    LANDMARKS,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)
from services.motion.middle import middle
from services.motion.rois import ROIS
from services.spotter.constants import CONSTANTS as C
from services.spotter.rows import OPEN, SECOND, SHUT, TAKEN_OUT, Rows

LIDS: Final = np.array([roi.name.startswith("lid_") for roi in ROIS])
"""[R] ROIs that blink."""


_CORNERS: Final = {"right": (RIGHT_EYE_OUTER, RIGHT_EYE_INNER), "left": (LEFT_EYE_INNER, LEFT_EYE_OUTER)}

_CLOSING: Final = 1 - C.closing
_FALL_US: Final = int(C.blink_fall_s * SECOND)


def _lid_weights() -> NDArray[np.float32]:
    """[lids, 478]: the edge of each lid less the middle of its eye's corners, outer-eye distances."""
    weights = np.zeros((int(LIDS.sum()), LANDMARKS), np.float32)
    for row, roi in zip(weights, (roi for roi in ROIS if roi.name.startswith("lid_")), strict=True):
        row[list(roi.landmarks)] = 1 / len(roi.landmarks)
        row[list(_CORNERS[roi.side])] -= 0.5
    return weights / np.float32(EYE_DISTANCE_PX)


LID_WEIGHTS: Final = _lid_weights()
"""Times landmarks, how far each lid is from the middle of its eye. Landmarks tell; the skin of a lid folds away, and
the eyeball beneath it looks about."""

_LID, _LANDMARK = map(np.ascontiguousarray, LID_WEIGHTS.nonzero())
_WEIGHT: Final = LID_WEIGHTS[_LID, _LANDMARK]
_ROI: Final = np.flatnonzero(LIDS)[_LID]


@compiled("void(f4[:,::1], f4[:,::1])")
def place_lids(rois: NDArray[np.float32], landmarks: NDArray[np.float32]) -> None:
    """Puts those of the ROIs, [R, 2], that are lids where the landmarks, [478, 2], say."""
    for roi in _ROI:
        rois[roi] = 0
    for k in range(len(_ROI)):
        for axis in range(2):
            rois[_ROI[k], axis] += _WEIGHT[k] * landmarks[_LANDMARK[k], axis]


@compiled("f8[::1](f4[:,:])")
def closure(opening: NDArray[np.float32]) -> NDArray[np.float64]:
    """[n]: how far the eyes are shut, 0 to 1, against what is usual there. opening: [n, 2], one or more."""
    eyes = opening[:, 0].astype(np.float64) + opening[:, 1]
    return 1 - eyes / max(middle(eyes.copy()), 1e-6)


@compiled("b1(i8[::1], f4[:,:], i8)")
def _fell(times: NDArray[np.int64], opening: NDArray[np.float32], since_us: int) -> bool:
    """Whether the eyes, in the last row, are less open than they were since then."""
    most, newest = np.float32(0), opening[-1, 0] + opening[-1, 1]
    for row in range(len(times) - 1, -1, -1):
        if times[row] <= since_us:
            break
        most = max(most, opening[row, 0] + opening[row, 1])
    return bool(newest < _CLOSING * most)


def take_out_blink(rows: Rows) -> None:
    """Marks the newest row as shut, or, when it is the first open one after a blink, corrects those of the blink."""
    newest_us = int(rows.times[-1])
    fell = _fell(rows.times, rows.table["opening"], newest_us - _FALL_US)
    if not fell and (len(rows) < 2 or rows.table["shut"][-2] != SHUT):
        return
    window = rows.since(newest_us - int(C.baseline_s * SECOND))
    table, times = rows.table[window], rows.times[window]
    shut = closure(table["opening"])
    began = len(table) - 1
    while began > 0 and table["shut"][began - 1] == SHUT:
        began -= 1
    if shut[-1] > C.closing and newest_us - int(times[began]) < C.blink_s * SECOND:
        table["shut"][-1] = SHUT
        return
    if began == len(table) - 1:
        return
    run, share = table[max(began - 2, 0) :], shut[max(began - 2, 0) :].clip(0)
    if shut[-1] > C.closing or began < 2 or shut[began:].max() < C.closure:  # lowered lids are no blink
        run["shut"] = OPEN
        return
    position = run["position"].reshape(len(run), -1)
    straight = position[0] + np.linspace(0, 1, len(run), dtype=np.float32)[:, None] * (position[-1] - position[0])
    with_lids = np.stack([share, share**2], 1)  # skin gives way the more, the further they close
    step = np.linalg.lstsq(with_lids, position - straight)[0]
    shape = run["position"].shape
    run["position"] -= (with_lids @ step).astype(np.float32).reshape(shape)
    run["position"][:, LIDS] = straight.reshape(shape)[:, LIDS]
    run["shut"] = TAKEN_OUT
