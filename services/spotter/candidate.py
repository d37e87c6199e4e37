"""Which frames may be the apex of an expression, and how the face moved towards and away from each.

A candidate's curve is the position of all ROIs projected on its own displacement at the apex: a matched filter whose
noise is that of one number, not of forty.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.motion.templates import FLAT, explained
from services.spotter.constants import CONSTANTS as C
from services.spotter.curve import Peak, feet, peak
from services.spotter.rows import SECOND, Rows
from services.spotter.signal import AFTER, BEFORE, JUST_BEFORE, Span, baseline, bump


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
        table = rows.table
        seconds = ((rows.times[window] - self.apex_us) / SECOND).astype(np.float32)
        neutral = table["position"][self.at(rows)] - self.lead + seconds[:, None, None] * self.drift
        return _saturated(table["position"][window] - neutral)

    def curve(self, rows: Rows, window: slice) -> NDArray[np.float64]:
        """[n]: displacement from neutral along `direction`, outer-eye distances (Euclidean over all ROIs)."""
        return np.tensordot(self.away(rows, window), self.direction, 2).astype(np.float64)

    def peak(self, rows: Rows) -> tuple[Peak, int]:
        """How far its curve has come in the rows, and the time at which its rise began."""
        window = rows.since(self.apex_us - int(C.rise_s * SECOND))
        found = peak(self.curve(rows, window), self.at(rows) - window.start)
        return found, int(rows.times[window][found.start])

    def decayed(self, rows: Rows) -> bool:
        """Whether the newest row is back."""
        moved = np.vdot(rows.table["position"][-1] - rows.table["position"][self.at(rows)], self.direction)
        size = np.vdot(self.lead, self.direction)
        return bool(size + moved <= C.decay * size)

    def lasts_s(self, rows: Rows) -> float:
        """From foot to foot, as far as is known, seconds."""
        window = rows.since(self.apex_us - int(C.rise_s * SECOND))
        times = (rows.times[window] - self.apex_us) / SECOND
        begin, end = feet(times, self.curve(rows, window), self.at(rows) - window.start)
        return end - begin


def due(rows: Rows, after_us: int, until_us: int) -> list[Candidate]:
    """Candidates whose novelty peaks at after < time <= until: it is the largest within `dominance_s` on both sides."""
    window, found = rows.since(after_us, until_us), []
    times, novelty = rows.times, rows.table["novelty"]
    reach = int(C.dominance_s * SECOND)
    for row in range(window.start, window.stop):
        if novelty[row] < C.novelty:
            continue
        around = rows.since(int(times[row]) - reach, int(times[row]) + reach)
        if around.start + int(novelty[around].argmax()) == row:
            found += _candidates(rows, row)
    return found


def _candidates(rows: Rows, row: int) -> list[Candidate]:
    """A brief one, measured from a line between before and after; and a long one, measured from the baseline, unless it
    is plain that the face is soon back where it came from."""
    time_us, position = int(rows.times[row]), rows.table["position"][row]
    usual, crowded = _brief(rows, time_us, BEFORE), _brief(rows, time_us, JUST_BEFORE)
    brief = crowded if _strays(usual) >= C.returns > _strays(crowded) else usual
    if _strays(brief) < C.returns and brief.lasts_s(rows) <= C.micro_s:
        return [brief]
    away = position - baseline(rows, time_us)
    return [brief, Candidate(time_us, False, False, away, np.zeros_like(away), _direction(away))]


def _brief(rows: Rows, time_us: int, before_s: Span) -> Candidate:
    away, drift = bump(rows, time_us, before_s)
    drift = drift / np.float32(sum(AFTER) / 2 - sum(before_s) / 2)
    return Candidate(time_us, True, before_s is not BEFORE, away, drift, _direction(away))


def _strays(candidate: Candidate) -> float:
    """How far neutral moves from before to after, as a share of the movement."""
    moved = float(np.vdot(candidate.drift, candidate.direction)) * (sum(AFTER) / 2 - sum(BEFORE) / 2)
    return abs(moved) / max(float(np.vdot(candidate.lead, candidate.direction)), 1e-9)


def _direction(away: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of what action units make of it, length 1."""
    part = explained(away.reshape(-1).astype(np.float64), FLAT).reshape(away.shape)
    return np.asarray(part / max(float(np.sqrt((part**2).sum())), 1e-9), np.float32)


def _saturated(away: NDArray[np.float32]) -> NDArray[np.float32]:
    """No ROI counts for more than `saturation`: teeth that appear send the flow anywhere. away: [n, R, 2]."""
    length = np.sqrt((away**2).sum(-1, keepdims=True))
    return np.asarray(away * np.minimum(1, C.saturation / np.maximum(length, 1e-9)), np.float32)
