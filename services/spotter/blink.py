"""Blinks, taken out of the positions once the eyes are open again.

Lids that close drag the skin around them along, and upset the landmarks that the crop is aligned by. What moves exactly
in step with the closure or with its square, between the frames before and after it, is the blink's; what is left is an
expression's.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled, inlined
from services.motion.convention import (
    EYE_DISTANCE_PX,
    LANDMARKS,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)
from services.motion.dot import dot
from services.motion.middle import middle
from services.motion.rois import ROIS
from services.spotter.constants import CONSTANTS as C
from services.spotter.rows import OPEN, SECOND, SHUT, TAKEN_OUT, Rows, until

LIDS: Final = np.array([roi.name.startswith("lid_") for roi in ROIS])
"""[R] ROIs that blink."""


_CORNERS: Final = {"right": (RIGHT_EYE_OUTER, RIGHT_EYE_INNER), "left": (LEFT_EYE_INNER, LEFT_EYE_OUTER)}

_CLOSING: Final = C.closing
_CLOSURE: Final = C.closure
_FALL_US: Final = int(C.blink_fall_s * SECOND)
_BLINK_US: Final = int(C.blink_s * SECOND)
_USUAL_US: Final = int(C.baseline_s * SECOND)


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


def take_out_blink(rows: Rows) -> None:
    """Marks the newest row as shut, or, when it is the first open one after a blink, corrects those of the blink."""
    table = rows.table
    _take_out(rows.times, table["opening"], table["position"], table["shut"])


@inlined
def _fell(times: NDArray[np.int64], opening: NDArray[np.float32]) -> bool:
    """Whether the eyes, in the last row, are less open than they were just before."""
    most, newest = np.float32(0), opening[-1, 0] + opening[-1, 1]
    for row in range(len(times) - 1, -1, -1):
        if times[row] <= times[-1] - _FALL_US:
            break
        most = max(most, opening[row, 0] + opening[row, 1])
    return bool(newest < (1 - _CLOSING) * most)


@inlined
def _apart(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """[2, n]: a curve, and what its square adds to it (Gram & Schmidt), of length 1; 0 where that is nothing."""
    apart, square = np.empty((2, len(share))), share * share
    apart[0] = share / np.sqrt(dot(share, share))
    apart[1] = square - apart[0] * dot(apart[0], square)
    left = np.sqrt(dot(apart[1], apart[1]))
    apart[1] *= 1 / left if left > 1e-9 * np.sqrt(dot(square, square)) else 0
    return apart


@inlined
def _straighten(position: NDArray[np.float32], share: NDArray[np.float64]) -> None:
    """Takes out of positions, [n, R, 2], what moves in step with the closure, [n], or its square, beside the straight
    way from the first to the last; lids are put on that way."""
    with_lids = _apart(share)  # skin gives way the more, the further they close
    way = np.linspace(0, 1, len(share))
    for roi in range(position.shape[1]):
        for axis in range(2):
            course = position[:, roi, axis]
            straight = course[0] + way * (course[-1] - course[0])
            if LIDS[roi]:
                course[:] = straight
            else:
                beside = course - straight
                for one in with_lids:
                    course -= one * dot(one, beside)


@compiled("void(i8[::1], f4[:,:], f4[:,:,:], u1[:])")
def _take_out(
    times: NDArray[np.int64], opening: NDArray[np.float32], position: NDArray[np.float32], state: NDArray[np.uint8]
) -> None:
    """All of `take_out_blink`. times: [n]; the others are those columns of `ROW`, state is whether eyes are shut."""
    newest = len(times) - 1
    if not _fell(times, opening) and (newest == 0 or state[newest - 1] != SHUT):
        return
    first, began = until(times, times[newest] - _USUAL_US), newest
    while began > first and state[began - 1] == SHUT:
        began -= 1
    shut = closure(opening[first:])
    closing, begun = shut[-1] > _CLOSING, max(began - 2, first)
    if closing and times[newest] - times[began] < _BLINK_US:
        state[newest] = SHUT
    elif began == newest:
        return
    elif closing or began < first + 2 or shut[began - first :].max() < _CLOSURE:  # lowered lids are no blink
        state[begun:] = OPEN
    else:
        _straighten(position[begun:], np.maximum(shut[begun - first :], 0))
        state[begun:] = TAKEN_OUT
