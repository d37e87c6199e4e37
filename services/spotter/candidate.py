"""Which frames may be the apex of an expression, and how the face moved towards and away from each.

A candidate's curve is the position of all ROIs projected on its own displacement at the apex: a matched filter whose noise
is that of one number, not of forty. Lids are left out: they blink.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.spotter.constants import CONSTANTS as C
from services.spotter.rows import Rows
from services.spotter.signal import LIDS, SECOND, baseline, smooth


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
        return np.asarray(position[window] - (position[self.at(rows)] - self.lead))

    def curve(self, rows: Rows, window: slice) -> NDArray[np.float64]:
        """[n]: displacement from neutral along `direction`, outer-eye distances (Euclidean over all ROIs)."""
        return np.tensordot(self.away(rows, window), self.direction, 2).astype(np.float64)


def due(rows: Rows, after_us: int, until_us: int) -> list[Candidate]:
    """Candidates among the rows with after < time <= until: those that `dominance_s` on both sides does not exceed."""
    window, found = rows.since(after_us, until_us), []
    times, novelty = rows.table["time_us"], rows.table["novelty"]
    reach = int(C.dominance_s * SECOND)
    for apex in range(window.start, window.stop):
        if novelty[apex] < C.novelty:
            continue
        around = rows.since(int(times[apex]) - reach, int(times[apex]) + reach)
        if around.start + int(novelty[around].argmax()) == apex:
            found.append(_candidate(rows, apex))
    return found


def _candidate(rows: Rows, apex: int) -> Candidate:
    time_us = int(rows.table["time_us"][apex])
    neutral = baseline(rows, time_us)
    away = np.where(LIDS[:, None], np.float32(0), smooth(rows, time_us) - neutral)
    length = max(float(np.sqrt((away * away).sum())), 1e-9)
    return Candidate(time_us, rows.table["position"][apex] - neutral, np.asarray(away / length, np.float32))
