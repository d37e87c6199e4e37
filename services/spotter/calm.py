"""How much each channel may say about whether anything happens: a mouth that talks must not hide a brow.

A channel that was restless just before counts less, as much as it was; a ROI whose skin is not found again, not at all.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled
from services.motion.middle import middle
from services.spotter.blink import LIDS
from services.spotter.constants import CONSTANTS as C
from services.spotter.curve import TO_SIGMA
from services.spotter.rows import SECOND

FEWEST_PAIRS: Final = 5
"""So many frames are needed to tell noise."""

BASELINE_ROWS: Final = 25
"""Rows that a median is taken of, at least where there are as many: enough, and the same work at any frame rate."""

_CALM_US: Final = int(C.calm_s * SECOND)
_LAG_US: Final = int(C.noise_lag_s * SECOND)
_NEAR_US: Final = int(C.near_s * SECOND)
_USUAL_STEP: Final = C.usual_noise * C.noise_floor * np.sqrt(2) / TO_SIGMA
_FARTHEST: Final = np.float32(C.farthest)
_MISFIT: Final = C.misfit
_MISFIT_FACTOR: Final = C.misfit_factor


@compiled("f4[:,::1](i8[::1], f4[:,:,:], f4[:,:], i8)")
def calm(
    times: NDArray[np.int64], position: NDArray[np.float32], misfit: NDArray[np.float32], row: int
) -> NDArray[np.float32]:
    """[R, 2]: 1 where a channel is calm, down to 0, for a movement around that row.

    times: [n] microseconds; position: [n, R, 2]; misfit: [n, R]."""
    weight, since, until = np.ones(position.shape[1:], np.float32), row, row + 1
    while since > 0 and times[since - 1] > times[row] - _CALM_US:
        since -= 1
    while until < len(times) and times[until] < times[row] + _NEAR_US:
        until += 1
    begun = row
    while begun > 0 and times[begun - 1] > times[row] - _NEAR_US:
        begun -= 1
    pairs, count, later = np.empty((row - since + 1, 2), np.int64), 0, since
    for k in range(since, row + 1, (row - since) // BASELINE_ROWS + 1):
        while later <= row and times[later] < times[k] + _LAG_US:
            later += 1
        if later > row:
            break
        pairs[count, 0], pairs[count, 1] = k, later
        count += 1
    if count < FEWEST_PAIRS:
        return weight
    values, half = np.empty(count), count // 2
    for roi in range(len(weight)):
        for axis in range(2):
            calmer = 0
            for k in range(count):
                values[k] = abs(position[pairs[k, 1], roi, axis] - position[pairs[k, 0], roi, axis])
                calmer += values[k] <= _USUAL_STEP
            if calmer <= half:  # the median is more
                weight[roi, axis] = _USUAL_STEP / middle(values)
        if LIDS[roi]:
            continue
        hidden, better = (misfit[begun:until, roi].max() - _MISFIT) / _MISFIT_FACTOR, 0
        for k in range(count):
            better += misfit[pairs[k, 0], roi] < hidden
        if hidden > 0.5 and better > half:
            weight[roi] = 0
    return weight


@compiled("f4[:,::1](f4[:,::1], f4[:,::1])")
def calmed(motion: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """[R, 2]: a motion, each channel by its weight; no ROI counts for more than `farthest`, lest one that was followed
    astray decides alone."""
    made = np.empty_like(motion)
    for roi in range(len(motion)):
        length = np.sqrt(motion[roi, 0] ** 2 + motion[roi, 1] ** 2)
        share = min(np.float32(1), _FARTHEST / max(length, np.float32(1e-9)))
        for axis in range(2):
            made[roi, axis] = share * weight[roi, axis] * motion[roi, axis]
    return made
