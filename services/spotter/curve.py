"""Reading one curve that rises and falls: where its peak ends, and where its feet stand. Times in seconds."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled, inlined
from services.spotter.constants import CONSTANTS as C

Floats = NDArray[np.float64]

LOW: Final = 0.2
HIGH: Final = 0.6
"""Shares of the height between which a flank is taken to be straight."""

DURATIONS: Final = np.linspace(0.06, 0.42, 25)
"""Of the rises and falls that are fitted, seconds."""

VISIBLE: Final = 0.18
"""The share of a rise after which it can be seen: 5 % of the height."""

_FOOT: Final = C.foot
MARGIN_S: Final = C.margin_s

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


@inlined
def _crossing(times: Floats, fall: Floats, level: float) -> float:
    """When it first is as low as that; the last time when it never is."""
    for k in range(len(fall)):
        if fall[k] <= level:
            if k == 0 or fall[k - 1] <= fall[k]:
                return float(times[k])
            return float(times[k - 1] + (fall[k - 1] - level) / (fall[k - 1] - fall[k]) * (times[k] - times[k - 1]))
    return float(times[-1])


@inlined
def _foot(times: Floats, fall: Floats) -> float:
    """Times ascend, `fall` begins at the peak."""
    top, least = fall[0], fall.min()
    if least > HIGH * top:
        return float(times[-1])
    low = max(LOW * top, least)
    high_at, low_at = _crossing(times, fall, HIGH * top), _crossing(times, fall, low)
    rate = (low_at - high_at) / max(HIGH - low / top, 0.05)  # seconds a height
    end = low_at + rate * (low / top - LOW + _FOOT * (HIGH - LOW))
    return float(min(end, 2 * times[-1] - times[0]))


@compiled("UniTuple(f8, 2)(f8[::1], f8[::1], i8)")
def feet(times: Floats, curve: Floats, apex: int) -> tuple[float, float]:
    """When the movement began and ended: the flanks between HIGH and LOW of the height, extended to nothing.

    A flank that does not come down to LOW is extended from as low as it gets, but no further than it is long.
    """
    return (
        -_foot(-times[: apex + 1][::-1], curve[: apex + 1][::-1]),
        _foot(times[apex:], curve[apex:]),
    )


@inlined
def _course(since: float, rise: float, fall: float) -> float:
    """A brief movement, 0 to 1, that long after its apex, if it takes so long to rise and to fall."""
    share = max(1 - (-since / rise if since < 0 else since / fall), 0.0)
    return share**3 * (10 - 15 * share + 6 * share**2)


@inlined
def _fitted(since: Floats, flank: Floats) -> float:
    """From the apex to the foot, seconds; since: 0 or more, from the apex."""
    best, most = 0.0, -1.0
    for duration in DURATIONS:
        made = square = 0.0
        for k in range(len(since)):
            if since[k] < duration:
                course = _course(since[k], duration, duration)
                made += course * flank[k]
                square += course * course
        explained = max(made, 0.0) ** 2 / square
        if explained > most:
            best, most = duration, explained
    return best * (1 - VISIBLE)


@compiled("UniTuple(f8, 2)(f8[::1], f8[::1], i8)")
def fitted_feet(times: Floats, curve: Floats, apex: int) -> tuple[float, float]:
    """The same for a brief movement, by least squares: minimum-jerk rises and falls (Flash & Hogan, "The coordination
    of arm movements", J. Neuroscience 5(7), 1985) of several durations. Noise of single frames matters less to it."""
    since = times - times[apex]
    return (
        times[apex] - _fitted(-since[: apex + 1][::-1], curve[: apex + 1][::-1]),
        times[apex] + _fitted(since[apex:], curve[apex:]),
    )


@compiled("f8(f8[::1], f8[::1], i8, f8, f8)")
def fit(times: Floats, curve: Floats, apex: int, onset_s: float, offset_s: float) -> float:
    """How much of a curve's square a rise and a fall between those feet explain, up to 1; a little around them counts
    too."""
    rise, fall = (times[apex] - onset_s + 1e-3) / (1 - VISIBLE), (offset_s - times[apex] + 1e-3) / (1 - VISIBLE)
    made = square = whole = 0.0
    for k in range(len(times)):
        since = times[k] - times[apex]
        if -rise - MARGIN_S <= since <= fall + MARGIN_S:
            course = _course(since, rise, fall)
            made += course * curve[k]
            square += course * course
            whole += curve[k] * curve[k]
    return made * made / max(square * whole, 1e-12)


@compiled("f8[::1](f8[::1], f8, f8)")
def rise_and_fall(since: Floats, rise: float, fall: float) -> Floats:
    """A brief movement, 0 to 1, at times since its apex; rise, fall: how long either takes."""
    course = np.empty_like(since)
    for k in range(len(since)):
        course[k] = _course(since[k], rise, fall)
    return course


def _first(mask: NDArray[np.bool_]) -> int:
    """Position of the first True; one more than there are when there is none."""
    found = int(mask.argmax()) if len(mask) else 0
    return found if len(mask) and mask[found] else len(mask) + 1
