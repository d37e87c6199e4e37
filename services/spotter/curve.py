"""Reading one curve that rises and falls: where its peak ends, and where its feet stand. Times in seconds."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.spotter.constants import CONSTANTS as C

Floats = NDArray[np.float64]
Phase = Literal["decayed", "open", "part", "drift"]

LOW: Final = 0.2
HIGH: Final = 0.8
"""Shares of the height between which a flank is taken to be straight."""

TO_SIGMA: Final = 1.4826
"""From the median absolute deviation to the standard deviation of a normal distribution."""


def phase(curve: Floats, apex: int) -> Phase:
    """What a peak is, as far as the curve goes.

    decayed: it rose from below `decay` of its height and fell below that again. open: it has not fallen yet. part: on the
    way to one of its sides comes something higher first, so it belongs to that. drift: it rose too slowly to see a start.
    """
    top = curve[apex]
    low = C.decay * top
    before, after = curve[:apex][::-1], curve[apex + 1 :]
    rose, higher_before = _first(before <= low), _first(before > top)
    fell, higher_after = _first(after <= low), _first(after > top)
    if min(higher_before, len(before)) < rose or higher_after < fell:
        return "part"
    if rose > len(before):
        return "drift"
    return "open" if fell > len(after) else "decayed"


def start(curve: Floats, apex: int) -> int:
    """The last sample before the peak that is not above `decay` of its height; 0 when there is none."""
    return max(apex - 1 - _first(curve[:apex][::-1] <= C.decay * curve[apex]), 0)


def spread(values: Floats) -> float:
    """Standard deviation of the quiet part of the values, by the median absolute deviation; 0 for fewer than 5."""
    if len(values) < 5:
        return 0.0
    return TO_SIGMA * float(np.median(np.abs(values - np.median(values))))


def feet(times: Floats, curve: Floats, apex: int) -> tuple[float, float]:
    """When the movement began and ended: the flanks between 80 and 20 % of the height, extended to nothing.

    A flank that does not reach 20 % is extended from as low as it gets; one without any slope ends at the curve's end.
    """
    return (
        -_foot(-times[: apex + 1][::-1], curve[: apex + 1][::-1]),
        _foot(times[apex:], curve[apex:]),
    )


def _foot(times: Floats, fall: Floats) -> float:
    """Times ascend, `fall` begins at the peak."""
    top = fall[0]
    low = max(LOW * top, float(fall.min()))
    if low > C.decay * top + 1e-9 and low > HIGH * top:
        return float(times[-1])
    high_at, low_at = _crossing(times, fall, HIGH * top), _crossing(times, fall, low)
    rate = (low_at - high_at) / (HIGH - low / top)  # seconds a height
    return low_at + rate * (low / top - LOW) + C.foot * rate * (HIGH - LOW)


def _crossing(times: Floats, fall: Floats, level: float) -> float:
    after = _first(fall <= level)
    if after >= len(fall):
        return float(times[-1])
    if after == 0:
        return float(times[0])
    above, below = fall[after - 1], fall[after]
    share = (above - level) / (above - below) if above > below else 1.0
    return float(times[after - 1] + share * (times[after] - times[after - 1]))


def _first(mask: NDArray[np.bool_]) -> int:
    """Position of the first True; one more than there are when there is none."""
    found = int(mask.argmax()) if len(mask) else 0
    return found if len(mask) and mask[found] else len(mask) + 1
