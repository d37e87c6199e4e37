"""How much each channel may say about whether anything happens: a mouth that talks must not hide a brow.

A channel that was restless just before counts less, as much as it was; a ROI whose skin is not found again, not at all.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled, inlined
from services.motion.middle import middle
from services.spotter.blink import LIDS
from services.spotter.constants import CONSTANTS as C
from services.spotter.curve import TO_SIGMA
from services.spotter.rows import SECOND, until

FEWEST_PAIRS: Final = 5
"""So many frames are needed to tell noise."""

BASELINE_ROWS: Final = 25
"""Rows that a median is taken of, at least where there are as many: enough, and the same work at any frame rate."""

LEAST_MISFIT: Final = 0.5
"""Skin is never taken to be found again better than so, percent of its brightness."""

_CALM_US: Final = int(C.calm_s * SECOND)
_LAG_US: Final = int(C.noise_lag_s * SECOND)
_NEAR_US: Final = int(C.near_s * SECOND)
_USUAL_STEP: Final = C.usual_noise * C.noise_floor * np.sqrt(2) / TO_SIGMA
_FARTHEST: Final = np.float32(C.farthest)
_MISFIT: Final = C.misfit
_MISFIT_FACTOR: Final = C.misfit_factor


@inlined
def lagged(times: NDArray[Any], counts: NDArray[np.bool_], lag: float, step: int) -> NDArray[np.int64]:
    """[n, 2]: every `step`-th row, and the first one that is `lag` later, where both count. times: [m], in the unit of
    `lag`; counts: [m]."""
    pairs, count, later = np.empty((len(times), 2), np.int64), 0, 0
    for row in range(0, len(times), step):
        while later < len(times) and times[later] < times[row] + lag:
            later += 1
        if later < len(times) and counts[row] and counts[later]:
            pairs[count, 0], pairs[count, 1] = row, later
            count += 1
    return pairs[:count]


@inlined
def counted(x: np.float32, y: np.float32, most: np.float32) -> np.float32:
    """The share of a ROI's motion that counts, where no more than `most` does."""
    far = x * x + y * y
    return np.float32(1) if far <= most * most else most / np.sqrt(far)


@compiled("f4[:,::1](i8[::1], f4[:,:,:], f4[:,:], i8)")
def calm(
    times: NDArray[np.int64], position: NDArray[np.float32], misfit: NDArray[np.float32], row: int
) -> NDArray[np.float32]:
    """[R, 2]: 1 where a channel is calm, down to 0, for a movement around that row.

    times: [n] microseconds; position: [n, R, 2]; misfit: [n, R]."""
    weight, now = np.ones(position.shape[1:], np.float32), times[row]
    since, begun, ended = until(times, now - _CALM_US), until(times, now - _NEAR_US), until(times, now + _NEAR_US - 1)
    recent = times[since : row + 1]
    pairs = since + lagged(recent, np.ones(len(recent), np.bool_), _LAG_US, (row - since) // BASELINE_ROWS + 1)
    count = len(pairs)
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
        hidden, better = (misfit[begun:ended, roi].max() - _MISFIT) / _MISFIT_FACTOR, 0
        for k in range(count):
            better += misfit[pairs[k, 0], roi] < hidden
        if hidden > LEAST_MISFIT and better > half:
            weight[roi] = 0
    return weight


@compiled("f4[:,::1](f4[:,::1], f4[:,::1])")
def calmed(motion: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """[R, 2]: a motion, each channel by its weight; no ROI counts for more than `farthest`, lest one that was followed
    astray decides alone."""
    made = np.empty_like(motion)
    for roi in range(len(motion)):
        share = counted(motion[roi, 0], motion[roi, 1], _FARTHEST)
        for axis in range(2):
            made[roi, axis] = share * weight[roi, axis] * motion[roi, axis]
    return made
