"""Which frames may be the apex of an expression, and how the face moved towards and away from each.

A candidate's curve is the position of all ROIs projected on its own displacement at the apex: a matched filter whose
noise is that of one number, not of forty.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled
from services.motion.dot import dot
from services.motion.templates import FLAT, explained
from services.spotter.calm import calm, calmed, counted
from services.spotter.constants import CONSTANTS as C
from services.spotter.curve import Peak, feet, peak
from services.spotter.rows import SECOND, Rows, until
from services.spotter.signal import AFTER, BEFORE, JUST_AFTER, JUST_BEFORE, Span, baseline, bump

_DECAY: Final = np.float32(C.decay)
_SATURATION: Final = np.float32(C.saturation)
_NOVELTY: Final = np.float32(C.novelty)
_REACH_US: Final = int(C.dominance_s * SECOND)
AROUND: Final = ((BEFORE, AFTER), (JUST_BEFORE, AFTER), (BEFORE, JUST_AFTER), (JUST_BEFORE, JUST_AFTER))
"""Where neutral is looked for, the surest first."""

_APART_S: Final = sum(AFTER) / 2 - sum(BEFORE) / 2
_STANDS_OUT: Final = C.stands_out
_RISE_US: Final = int(C.rise_s * SECOND)
_USUAL_US: Final = int(C.usual_s * SECOND)
_RISING_US: Final = int(C.rising_s * SECOND)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A possible apex.

    apex_us: its time. brief: soon back where it came from. crowded: what is asked where that was, is the last quarter
    of a second, because another movement had not ended before. lead: [R, 2] position at the apex less neutral; drift:
    [R, 2] how neutral itself moves, a second; direction: [R, 2] of length 1.
    """

    apex_us: int
    brief: bool
    crowded: bool
    lead: NDArray[np.float32]
    drift: NDArray[np.float32]
    direction: NDArray[np.float32]

    def at(self, rows: Rows) -> int:
        """The apex in `rows.table`."""
        return int(rows.times.searchsorted(self.apex_us))

    def away(self, rows: Rows, window: slice) -> NDArray[np.float32]:
        """[n, R, 2]: displacement from neutral in those rows. The reference may have changed meanwhile: neutral is
        found again from the apex."""
        position = rows.table["position"]
        seconds = ((rows.times[window] - self.apex_us) / SECOND).astype(np.float32)
        return _away(position[window], position[self.at(rows)] - self.lead, self.drift, seconds)

    def course(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """[n] seconds from the apex, and [n] displacement from neutral along `direction`, outer-eye distances
        (Euclidean over all ROIs), from where it may have begun to the newest row."""
        window = rows.since(self.apex_us - _RISE_US)
        curve = along(self.away(rows, window), self.direction).astype(np.float64)
        return (rows.times[window] - self.apex_us) / SECOND, curve

    def peak(self, rows: Rows) -> tuple[Peak, int]:
        """How far its curve has come in the rows, and the time at which its rise began."""
        times, curve = self.course(rows)
        found = peak(curve, int(times.searchsorted(0)))
        return found, self.apex_us + round(times[found.start] * SECOND)

    def is_back(self, times: NDArray[np.int64], position: NDArray[np.float32]) -> bool:
        """Whether the newest row is. times, position: of the rows."""
        return _is_back(times, position, self.apex_us, self.lead, self.direction)

    def strays(self, seconds: float) -> float:
        """How far neutral moves in so long, as a share of the movement."""
        return _drifted(self.lead, self.drift, self.direction) * seconds

    def lasts_s(self, rows: Rows) -> float:
        """From foot to foot, as far as is known, seconds."""
        times, curve = self.course(rows)
        begin, end = feet(times, curve, int(times.searchsorted(0)))
        return end - begin


def along(motion: NDArray[Any], direction: NDArray[Any]) -> NDArray[Any]:
    """[n]: the part of a motion, [n, R, 2], that goes along a direction, [R, 2]."""
    return np.asarray(motion.reshape(-1, direction.size) @ direction.ravel())


def due(rows: Rows, after_us: int, until_us: int) -> list[Candidate]:
    """Candidates whose novelty peaks at after < time <= until: it is the largest within `dominance_s` on both sides."""
    found: list[Candidate] = []
    for row in _peaks(rows.times, rows.table["novelty"], after_us, until_us):
        found += _candidates(rows, row)
    return found


@compiled("List(i8)(i8[::1], f4[:], i8, i8)")
def _peaks(times: NDArray[np.int64], novelty: NDArray[np.float32], after_us: int, until_us: int) -> list[int]:
    found = list(range(0))  # so that its type is known
    for row in range(until(times, after_us), until(times, until_us)):
        first, end = until(times, times[row] - _REACH_US), until(times, times[row] + _REACH_US)
        if novelty[row] >= _NOVELTY and first + novelty[first:end].argmax() == row:
            found.append(row)
    return found


def _candidates(rows: Rows, row: int) -> list[Candidate]:
    """A brief one, measured from a line between before and after, where it stands out; and a long one, measured from
    the baseline, unless it is plain that the face is soon back where it came from."""
    time_us, position = int(rows.times[row]), rows.table["position"][row]
    weight = calm(rows.times, rows.table["position"], rows.table["misfit"], row)
    tried = (_brief(rows, time_us, around, weight) for around in AROUND)
    wide = next(tried)
    brief = next((each for each in chain((wide,), tried) if each.strays(_APART_S) < C.returns), None)
    found = [brief or wide] if _stands_out(rows.times, rows.table["novelty"], row) else []
    if brief is None or brief.lasts_s(rows) > C.micro_s:
        away = position - baseline(rows, time_us)
        found.append(Candidate(time_us, False, False, away, np.zeros_like(away), _direction(away, weight)))
    return found


@compiled("b1(i8[::1], f4[:], i8)")
def _stands_out(times: NDArray[np.int64], novelty: NDArray[np.float32], row: int) -> bool:
    """Whether it is more than the usual, by the factor that is asked of a brief one. The usual is an order statistic,
    so that other expressions nearby do not raise it (Rohling, "Radar CFAR thresholding in clutter and multiple target
    situations", IEEE Trans. Aerospace and Electronic Systems 19(4), 1983)."""
    before = novelty[until(times, times[row] - _USUAL_US) : until(times, times[row] - _RISING_US)]
    return len(before) == 0 or novelty[row] >= _STANDS_OUT * np.sort(before)[len(before) // 3]


def _brief(rows: Rows, time_us: int, around: tuple[Span, Span], weight: NDArray[np.float32]) -> Candidate:
    away, drift = bump(rows, time_us, around)
    before, after = around
    drift = drift / np.float32(sum(after) / 2 - sum(before) / 2)
    return Candidate(time_us, True, around is not AROUND[0], away, drift, _direction(away, weight))


@compiled("f8(f4[:,::1], f4[:,::1], f4[:,::1])")
def _drifted(lead: NDArray[np.float32], drift: NDArray[np.float32], direction: NDArray[np.float32]) -> float:
    """How far neutral moves in a second, as a share of the movement; all as in `Candidate`."""
    flat = direction.ravel()
    return float(abs(dot(drift.ravel(), flat)) / max(dot(lead.ravel(), flat), 1e-9))


@compiled("f4[:,::1](f4[:,::1], f4[:,::1])")
def _direction(away: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of what action units make of a motion, length 1; each channel counts by its weight."""
    part = explained(calmed(away, weight).ravel().astype(np.float64), FLAT)
    return np.asarray(part / max(np.sqrt(dot(part, part)), 1e-9)).astype(np.float32).reshape(away.shape)


@compiled("b1(i8[::1], f4[:,:,:], i8, f4[:,::1], f4[:,::1])")
def _is_back(
    times: NDArray[np.int64],
    position: NDArray[np.float32],
    apex_us: int,
    lead: NDArray[np.float32],
    direction: NDArray[np.float32],
) -> bool:
    """Whether the newest position of [n, R, 2] is; the others as in `Candidate`."""
    apex = until(times, apex_us) - 1
    size = moved = np.float32(0)
    for roi in range(len(lead)):
        for axis in range(2):
            size += lead[roi, axis] * direction[roi, axis]
            moved += (position[-1, roi, axis] - position[apex, roi, axis]) * direction[roi, axis]
    return bool(size + moved <= _DECAY * size)


@compiled("f4[:,:,::1](f4[:,:,:], f4[:,::1], f4[:,::1], f4[::1])")
def _away(
    position: NDArray[np.float32],
    neutral: NDArray[np.float32],
    drift: NDArray[np.float32],
    seconds: NDArray[np.float32],
) -> NDArray[np.float32]:
    """[n, R, 2]: positions less neutral, which drifts. No ROI counts for more than `saturation`: teeth that appear send
    it anywhere. neutral, drift: [R, 2]; seconds: [n] from when neutral is as given."""
    away = np.empty(position.shape, np.float32)
    for n in range(len(position)):
        for roi in range(len(neutral)):
            x = position[n, roi, 0] - neutral[roi, 0] - seconds[n] * drift[roi, 0]
            y = position[n, roi, 1] - neutral[roi, 1] - seconds[n] * drift[roi, 1]
            share = counted(x, y, _SATURATION)
            away[n, roi, 0], away[n, roi, 1] = share * x, share * y
    return away
