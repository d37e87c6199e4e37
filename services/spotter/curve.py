"""Reading one curve that rises and falls: where its peak ends, and where its feet stand. Times in seconds."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.spotter.constants import CONSTANTS as C

Floats = NDArray[np.float64]

LOW: Final = 0.2
HIGH: Final = 0.6
"""Shares of the height between which a flank is taken to be straight."""

DURATIONS: Final = np.linspace(0.06, 0.42, 25)
"""Of the rises and falls that are fitted, seconds."""

VISIBLE: Final = 0.18
"""The share of a rise after which it can be seen: 5 % of the height."""

TO_SIGMA: Final = 1.4826
"""From the median absolute deviation to the standard deviation of a normal distribution."""


@dataclass(frozen=True)
class Peak:
    """What a peak is, as far as its curve goes.

    phase: decayed: it rose from below `decay` of its height and fell below that again. open: it has not fallen yet.
    part: something larger comes first on one of its sides, so it belongs to that. drift: its rise has no start.
    start: position of the last sample before it that was below; 0 when there is none.
    """

    phase: Literal["decayed", "open", "part", "drift"]
    start: int


def middle(values: NDArray[Any]) -> NDArray[Any]:
    """The median along the first axis; the larger of two in the middle. One at least."""
    half = len(values) // 2
    return np.asarray(np.partition(values, half, axis=0)[half])


def peak(curve: Floats, apex: int) -> Peak:
    """The peak at `apex`. What comes before or later may be a little larger: a movement that is held has many peaks."""
    low, high = C.decay * curve[apex], C.held * curve[apex]
    before, after = curve[:apex][::-1], curve[apex + 1 :]
    rose, fell = _first(before <= low), _first(after <= low)
    start = max(apex - 1 - rose, 0)
    if _first(before > high) < rose or _first(after > high) < fell:
        return Peak("part", start)
    if rose > len(before):
        return Peak("drift", start)
    return Peak("open" if fell > len(after) else "decayed", start)


def feet(times: Floats, curve: Floats, apex: int) -> tuple[float, float]:
    """When the movement began and ended: the flanks between HIGH and LOW of the height, extended to nothing.

    A flank that does not come down to LOW is extended from as low as it gets, but no further than it is long.
    """
    return (
        -_foot(-times[: apex + 1][::-1], curve[: apex + 1][::-1]),
        _foot(times[apex:], curve[apex:]),
    )


def fitted_feet(times: Floats, curve: Floats, apex: int) -> tuple[float, float]:
    """The same for a brief movement, by least squares: minimum-jerk rises and falls (Flash & Hogan, "The coordination
    of arm movements", J. Neuroscience 5(7), 1985) of several durations. Noise of single frames matters less to it."""
    since = times - times[apex]
    return times[apex] - _fitted(-since[: apex + 1], curve[: apex + 1]), times[apex] + _fitted(
        since[apex:], curve[apex:]
    )


def fit(times: Floats, curve: Floats, apex: int, onset_s: float, offset_s: float) -> float:
    """How much of a curve's square a rise and a fall between those feet explain, up to 1; a little around them counts
    too."""
    since = times - times[apex]
    rise, fall = ((s + 1e-3) / (1 - VISIBLE) for s in (times[apex] - onset_s, offset_s - times[apex]))
    near = (since >= -rise - C.margin_s) & (since <= fall + C.margin_s)
    since, curve = since[near], curve[near]
    shape = rise_and_fall(since, rise, fall)
    rest = curve - shape * float((shape @ curve) / (shape @ shape))
    return float(1 - (rest @ rest) / max(float(curve @ curve), 1e-12))


def rise_and_fall(since: Floats, rise: float, fall: float) -> Floats:
    """A brief movement, 0 to 1, at times since its apex; rise, fall: how long either takes."""
    return _minimum_jerk(1 - np.clip(np.where(since < 0, -since / rise, since / fall), 0, 1))


def _minimum_jerk(share: Floats) -> Floats:
    return np.asarray(share**3 * (10 - 15 * share + 6 * share**2))


def _fitted(since: Floats, flank: Floats) -> float:
    """From the apex to the foot, seconds; since: 0 or more, from the apex."""
    near = since <= DURATIONS[-1]
    shape = _minimum_jerk(1 - np.clip(since[near] / DURATIONS[:, None], 0, 1))  # [D, n]
    best = int(((shape @ flank[near]).clip(0) ** 2 / (shape**2).sum(1)).argmax())
    return float(DURATIONS[best]) * (1 - VISIBLE)


def _foot(times: Floats, fall: Floats) -> float:
    """Times ascend, `fall` begins at the peak."""
    top = fall[0]
    if fall.min() > HIGH * top:
        return float(times[-1])
    low = max(LOW * top, float(fall.min()))
    high_at, low_at = _crossing(times, fall, HIGH * top), _crossing(times, fall, low)
    rate = (low_at - high_at) / max(HIGH - low / top, 0.05)  # seconds a height
    end = low_at + rate * (low / top - LOW + C.foot * (HIGH - LOW))
    return float(min(end, 2 * times[-1] - times[0]))


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
