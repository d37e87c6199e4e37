"""The last seconds of one stream: one row a frame, in numpy columns, the oldest let go as time passes."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled
from services.motion.rois import ROIS
from services.spotter.reading import decoded

SECOND: Final = 1_000_000
"""Microseconds."""

OPEN, SHUT, TAKEN_OUT = range(3)
"""Eyes open; in a blink; in a blink that has ended and whose motion has been taken out of the positions."""

ROW: Final = np.dtype(
    [
        ("time_us", "i8"),
        ("index", "u8"),
        ("position", "f4", (len(ROIS), 2)),  # of each ROI since the present reference, outer-eye distances
        ("misfit", "f4", (len(ROIS),)),  # how badly its skin was found again, see Displacement
        (
            "novelty",
            "f4",
        ),  # against before and after, along the action unit that explains it best; known `ahead_s` later
        ("shut", "u1"),  # OPEN, SHUT or TAKEN_OUT
        ("opening", "f4", (2,)),
        ("turn", "f4", (3,)),
        ("brightness", "f4"),
        ("shift", "f4", (2,)),  # of the head within the crop since the present reference, outer-eye distances
    ],
    align=True,
)

Table = NDArray[Any]
"""Structured array of ROW, a view."""


class Kept(NamedTuple):
    """What is kept of a frame beside its row, to measure it again: crop and landmarks, and as long as the next
    reference may be made of it, the crop as it was decoded."""

    jpeg: bytes
    landmarks: NDArray[np.float32]
    fresh: NDArray[np.uint8] | None

    @property
    def picture(self) -> NDArray[np.uint8]:
        """[128, 128]."""
        return decoded(self.jpeg) if self.fresh is None else self.fresh


@compiled("i8(i8[::1], i8)")
def until(times: NDArray[np.int64], until_us: int) -> int:
    """How many are not later; most often those asked for are recent."""
    for row in range(len(times) - 1, -1, -1):
        if times[row] <= until_us:
            return row + 1
    return 0


class Rows:
    """Rows in time order.

    table: [n] of ROW, oldest first; times: [n] theirs, microseconds; both are views, valid until the next append. kept:
    what else is kept of each.
    """

    def __init__(self, keep_us: int) -> None:
        self._keep_us = keep_us
        self._buffer, self._buffered = np.zeros(256, ROW), np.zeros(256, np.int64)
        self._start = self._stop = 0
        self.kept: list[Kept] = []
        self._show()

    def __len__(self) -> int:
        return self._stop - self._start

    def since(self, after_us: int, until_us: int | None = None) -> slice:
        """Rows with after < time <= until, as positions in `table`."""
        if until_us is None:
            return slice(until(self.times, after_us), len(self))
        return slice(until(self.times, after_us), until(self.times, until_us))

    def append(self, row: Any, kept: Kept) -> None:
        """Takes a row and lets old ones go."""
        time_us = int(row["time_us"])
        gone = self.since(time_us - self._keep_us).start
        self._start += gone
        del self.kept[:gone]
        if self._stop == len(self._buffer):
            self._make_room()
        self._buffer[self._stop], self._buffered[self._stop] = row, time_us
        self._stop += 1
        self.kept.append(kept)
        self._show()

    def _show(self) -> None:
        held = slice(self._start, self._stop)
        self.table: Table = self._buffer[held]
        self.times: NDArray[np.int64] = self._buffered[held]

    def stale(self, until_us: int) -> None:
        """Of rows with time <= until, the crop is kept as it came alone."""
        for at in range(self.since(until_us).start - 1, -1, -1):
            jpeg, landmarks, fresh = self.kept[at]
            if fresh is None:
                break
            self.kept[at] = Kept(jpeg, landmarks, None)

    def _make_room(self) -> None:
        # Twice what is held, so that rows move once in as many frames.
        table, times = self._buffer[self._start : self._stop].copy(), self._buffered[self._start : self._stop].copy()
        size = max(256, 2 * len(table))
        self._buffer, self._buffered = np.zeros(size, ROW), np.zeros(size, np.int64)
        self._buffer[: len(table)], self._buffered[: len(times)] = table, times
        self._start, self._stop = 0, len(table)
