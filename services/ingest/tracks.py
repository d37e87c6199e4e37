"""Which face is whose: tracks over time, by place and size and how both move. Stream time only.

A face that is gone for less than LOST_AFTER_US keeps its track; a track that ended never comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.common.ids import track_id
from services.ingest.landmarks import Face

LOST_AFTER_US: Final = 1_000_000

GATE: Final = 1.2
"""How far, in spreads of the face (about 0.7 outer-eye distances), a face may be from where its track is expected."""
GATE_GROWTH: Final = 2.0
"""How much further for each second that it was not seen."""
SIZE_WEIGHT: Final = 2.0
"""What a change in size by a factor of e counts for, in spreads."""
VELOCITY_TAU_S: Final = 0.15
"""Time constant over which velocity is averaged."""
COASTING_S: Final = 0.5
"""An unseen face is expected to move on for this long, then to stay."""


@dataclass
class Track:
    """One face over time.

    id: as in StreamKey.track; last_index, last_us: when it was last seen.
    """

    id: str
    last_index: int
    last_us: int
    centre: NDArray[np.float64]
    spread: float
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))  # pixels a second

    def expected(self, time_us: int) -> NDArray[np.float64]:
        """Where the face should be at that time, [2] pixels."""
        return self.centre + self.velocity * min((time_us - self.last_us) / 1e6, COASTING_S)

    def cost(self, face: Face, time_us: int) -> float:
        """How badly this face fits, in spreads; infinite when it cannot be the same."""
        unseen_s = (time_us - self.last_us) / 1e6
        off = float(np.linalg.norm(face.centre - self.expected(time_us))) / self.spread
        cost = off + SIZE_WEIGHT * abs(float(np.log(face.spread / self.spread)))
        return cost if cost < GATE + GATE_GROWTH * unseen_s else float("inf")

    def see(self, face: Face, index: int, time_us: int) -> None:
        """The face was found here."""
        seconds = (time_us - self.last_us) / 1e6
        share = 1 - np.exp(-seconds / VELOCITY_TAU_S)
        self.velocity += share * ((face.centre - self.centre) / seconds - self.velocity)
        self.centre, self.spread = face.centre, face.spread
        self.last_index, self.last_us = index, time_us


class Tracker:
    """The tracks of one run. epoch_ms: of the run, part of every id."""

    def __init__(self, epoch_ms: int) -> None:
        self._epoch_ms = epoch_ms
        self._open: list[Track] = []

    def step(self, index: int, time_us: int, faces: Sequence[Face]) -> list[tuple[Track, Face]]:
        """Gives each face its track, old or new, older tracks first. Times must ascend; call `lost` before."""
        found = assign([[track.cost(face, time_us) for face in faces] for track in self._open], len(faces))
        for track, which in zip(self._open, found, strict=True):
            if which is not None:
                track.see(faces[which], index, time_us)
        pairs = [(t, faces[which]) for t, which in zip(self._open, found, strict=True) if which is not None]
        strangers = [face for which, face in enumerate(faces) if which not in found]
        for ordinal, face in enumerate(sorted(strangers, key=lambda face: float(face.centre[0]))):
            name = track_id(self._epoch_ms, index, ordinal)
            track = Track(name, index, time_us, face.centre, face.spread)
            self._open.append(track)
            pairs.append((track, face))
        return pairs

    def lost(self, time_us: int) -> list[Track]:
        """Closes and returns the tracks that were not seen for LOST_AFTER_US."""
        gone = [track for track in self._open if time_us - track.last_us >= LOST_AFTER_US]
        self._open = [track for track in self._open if time_us - track.last_us < LOST_AFTER_US]
        return gone

    def finish(self) -> list[Track]:
        """Closes and returns all tracks."""
        gone, self._open = self._open, []
        return gone


def assign(costs: Sequence[Sequence[float]], columns: int) -> list[int | None]:
    """For each row its column, or None, so that as many as can be are matched and their cost is least.

    costs: a row a track, `columns` values each; infinite where a match is impossible. Exact, by dynamic programming
    over the set of taken columns; meant for a handful of them.
    """
    # set of taken columns -> (matches still missing, cost, column of each row so far)
    best: dict[int, tuple[int, float, tuple[int | None, ...]]] = {0: (0, 0.0, ())}
    for row in costs:
        following: dict[int, tuple[int, float, tuple[int | None, ...]]] = {}
        for taken, (missing, total, chosen) in best.items():
            options: list[tuple[int, tuple[int, float, tuple[int | None, ...]]]]
            options = [(taken, (missing + 1, total, (*chosen, None)))]
            for column in range(columns):
                if not taken >> column & 1 and row[column] != float("inf"):
                    options.append((taken | 1 << column, (missing, total + row[column], (*chosen, column))))
            for key, option in options:
                if key not in following or option[:2] < following[key][:2]:
                    following[key] = option
        best = following
    return list(min(best.values(), key=lambda option: option[:2])[2])
