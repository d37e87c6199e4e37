"""Which frames may be the apex of an expression, and how the face moved towards and away from each.

A candidate's curve is the position of all ROIs projected on its own displacement at the apex: a matched filter whose
noise is that of one number, not of forty. Lids are left out: they blink.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.spotter.constants import CONSTANTS as C
from services.spotter.curve import Peak, peak
from services.spotter.rows import Rows
from services.spotter.signal import LIDS, SECOND, baseline


@dataclass(frozen=True, eq=False)
class Candidate:
    """A possible apex.

    apex_us: its time. lead: [R, 2] position at the apex less neutral; direction: [R, 2] of length 1, 0 at the lids.
    """

    apex_us: int
    lead: NDArray[np.float32]
    direction: NDArray[np.float32]

    def at(self, rows: Rows) -> int:
        """The apex in `rows.table`."""
        return int(np.searchsorted(rows.table["time_us"], self.apex_us))

    def away(self, rows: Rows, window: slice) -> NDArray[np.float32]:
        """[n, R, 2]: displacement from neutral in those rows. The reference may have changed meanwhile: neutral is
        found again from the apex."""
        position = rows.table["position"]
        return _saturated(position[window] - (position[self.at(rows)] - self.lead))

    def curve(self, rows: Rows, window: slice) -> NDArray[np.float64]:
        """[n]: displacement from neutral along `direction`, outer-eye distances (Euclidean over all ROIs)."""
        return np.tensordot(self.away(rows, window), self.direction, 2).astype(np.float64)

    def size(self, rows: Rows, window: slice) -> NDArray[np.float64]:
        """[n]: displacement from neutral in whatever direction, Euclidean over all ROIs but the lids."""
        away = self.away(rows, window)[:, ~LIDS].astype(np.float64)
        return np.asarray(np.sqrt((away**2).sum((1, 2))))

    def peak(self, rows: Rows) -> tuple[Peak, int]:
        """How far its curve has come in the rows, and the time at which its rise began."""
        window = rows.since(self.apex_us - int(C.rise_s * SECOND))
        found = peak(self.curve(rows, window), self.size(rows, window), self.at(rows) - window.start)
        return found, int(rows.table["time_us"][window][found.start])


def due(rows: Rows, after_us: int, until_us: int) -> list[Candidate]:
    """Candidates whose novelty peaks at after < time <= until: it is the largest within `dominance_s` on both sides."""
    window, found = rows.since(after_us, until_us), []
    times, novelty = rows.table["time_us"], rows.table["novelty"]
    reach = int(C.dominance_s * SECOND)
    for row in range(window.start, window.stop):
        if novelty[row] < C.novelty:
            continue
        around = rows.since(int(times[row]) - reach, int(times[row]) + reach)
        if around.start + int(novelty[around].argmax()) == row:
            found.append(_candidate(rows, row))
    return found


def _candidate(rows: Rows, row: int) -> Candidate:
    """Novelty is averaged over the past and lags: the apex is the row nearby that lies furthest from neutral. Peaks are
    more than `dominance_s` apart, so two never share one."""
    time_us = int(rows.table["time_us"][row])
    neutral = baseline(rows, time_us)
    around = rows.since(time_us - int(C.dominance_s * SECOND) // 2, time_us + int(C.dominance_s * SECOND) // 2)
    away = np.where(LIDS[:, None], np.float32(0), _saturated(rows.table["position"][around] - neutral))
    apex = around.start + int((away**2).sum((1, 2)).argmax())
    mean = away.mean(0)
    direction = mean / max(float(np.sqrt((mean**2).sum())), 1e-9)
    lead = rows.table["position"][apex] - neutral
    return Candidate(int(rows.table["time_us"][apex]), lead, np.asarray(direction, np.float32))


def _saturated(away: NDArray[np.float32]) -> NDArray[np.float32]:
    """No ROI counts for more than `saturation`: teeth that appear send the flow anywhere. away: [n, R, 2]."""
    length = np.sqrt((away**2).sum(-1, keepdims=True))
    return np.asarray(away * np.minimum(1, C.saturation / np.maximum(length, 1e-9)), np.float32)
