"""From faces to positions: where every ROI of every frame lies relative to neutral, and how new that is.

    frame ── points followed from the reference ── head removed ── position of each ROI
                 ▲                                                  │ blinks taken out; against shortly before and
    median of typical frames of the last reference_s,               ▼ after; projected on the action units
    chosen anew on a grid of stream time                        novelty

When the reference changes, frames are followed from both for a moment, and positions of earlier rows are carried over
by how far the two are apart on these: a movement that straddles the change stays whole, without a step. No row rests
on more than `record_s` of the stream before it.
"""

from itertools import product
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled, inlined
from services.motion.displacement import Displacement, Tracker
from services.motion.flow import Image
from services.motion.light import evenly_lit
from services.motion.rois import REGIONS, ROI_INDEX, ROIS
from services.motion.templates import FLAT
from services.spotter.blink import LIDS, place_lids, take_out_blink
from services.spotter.calm import BASELINE_ROWS, calm, calmed
from services.spotter.constants import CONSTANTS as C
from services.spotter.curve import middle
from services.spotter.reading import Face
from services.spotter.rows import ROW, SECOND, SHUT, Kept, Rows, until

Span = tuple[float, float]

BEFORE: Final[Span] = (-0.5, -0.28)
JUST_BEFORE: Final[Span] = (-0.26, -0.18)
NOW: Final[Span] = (-0.034, 0.034)
AFTER: Final[Span] = (0.26, C.ahead_s)
JUST_AFTER: Final[Span] = (0.18, 0.26)
"""Seconds from a row to those that it is compared with. A micro-expression is over in half a second; another may
have ended just before it began, or begin just after it ended."""

_EDGES_US: Final = {
    around: (np.array([*around[0], *NOW, *around[1]]) * SECOND).astype(np.int64)
    for around in product((BEFORE, JUST_BEFORE), (AFTER, JUST_AFTER))
}

_WIDE_US: Final = _EDGES_US[BEFORE, AFTER]
_AHEAD_US: Final = int(C.ahead_s * SECOND)
_NOVELTY: Final = np.float32(C.novelty)
_TEMPLATES: Final = np.ascontiguousarray(FLAT.T, np.float32)
"""[R * 2, templates]."""

REGION_MEAN: Final = np.array(
    [[1 / len(names) if roi.name in names else 0 for roi in ROIS] for names in REGIONS.values()], np.float32
)
"""[regions, R] the mean over the ROIs of each region."""

assert all(name in ROI_INDEX for names in REGIONS.values() for name in names)


@inlined
def _mean(
    times: NDArray[np.int64], position: NDArray[np.float32], shut: NDArray[np.uint8], after_us: int, until_us: int
) -> tuple[NDArray[np.float32], int]:
    """[R, 2] of the rows with after <= time < until whose eyes are not shut, and how many those are."""
    mean, count = np.zeros(position.shape[1:], np.float32), 0
    for row in range(np.searchsorted(times, after_us), np.searchsorted(times, until_us)):
        if shut[row] != SHUT:
            for roi in range(len(mean)):  # adding all at once takes twice as long
                for axis in range(2):
                    mean[roi, axis] += position[row, roi, axis]
            count += 1
    return mean / np.float32(max(count, 1)), count


@compiled("Tuple((f4[:,::1], f4[:,::1]))(i8[::1], f4[:,:,:], u1[:], i8[::1])")
def _bump(
    times: NDArray[np.int64], position: NDArray[np.float32], shut: NDArray[np.uint8], edges: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """edges: from and until when is before, now and after, microseconds."""
    before, some_before = _mean(times, position, shut, edges[0], edges[1])
    now, some_now = _mean(times, position, shut, edges[2], edges[3])
    after, some_after = _mean(times, position, shut, edges[4], edges[5])
    if some_before and some_now and some_after:
        return now - (before + after) / np.float32(2), after - before
    return np.zeros_like(now), np.zeros_like(now)


@inlined
def _largest(motion: NDArray[np.float32]) -> float:
    """The most that any action unit makes of it."""
    flat, made = motion.ravel(), np.zeros(_TEMPLATES.shape[1], np.float32)
    for channel in range(len(flat)):
        for template in range(len(made)):  # innermost, so that processors take many at once
            made[template] += flat[channel] * _TEMPLATES[channel, template]
    return float(made.max())


@compiled("void(i8[::1], f4[:,:,:], f4[:,:], u1[:], i8, i8, f4[:])")
def _settle(
    times: NDArray[np.int64],
    position: NDArray[np.float32],
    misfit: NDArray[np.float32],
    shut: NDArray[np.uint8],
    after_us: int,
    until_us: int,
    novelty: NDArray[np.float32],
) -> None:
    """Fills in the novelty of rows with after < time <= until; where it is too little even if all channels count, they
    do."""
    for row in range(until(times, after_us), until(times, until_us)):
        moved = _bump(times, position, shut, times[row] + _WIDE_US)[0]
        novelty[row] = _largest(moved)
        if novelty[row] >= _NOVELTY:
            novelty[row] = _largest(calmed(moved, calm(times, position, misfit, row)))


Carried = tuple[NDArray[np.float32], NDArray[np.float32]]
"""How far positions, [R, 2], and shifts, [2], move when the reference changes."""


class Sight(NamedTuple):
    """What was measured on one frame. row: of ROW, as far as it is known at once; kept: to measure it again; carried:
    when the reference changed just before it, how far those of earlier rows move with that."""

    row: Any
    kept: Kept
    carried: Carried | None


class Successor:
    """Of the reference: frames are followed from both until it is known how far the two are apart."""

    def __init__(self, tracker: Tracker, since_us: int) -> None:
        self.tracker, self.since_us = tracker, since_us
        self._rois, self._shifts = list[NDArray[np.float32]](), list[NDArray[np.float64]]()

    def compare(self, own: Displacement, moved: Displacement) -> None:
        """own, moved: how it and the reference saw the same frame."""
        self._rois.append(own.rois - moved.rois)
        self._shifts.append(own.head[2:4] - moved.head[2:4])

    def carried(self) -> Carried:
        """Of what the reference saw, to how this one would have. At least one frame must have been compared."""
        rois = np.mean(self._rois, axis=0)
        return np.where(LIDS[:, None], 0, rois), np.mean(self._shifts, axis=0).astype(np.float32)


class Signal:
    """Fills rows. Its state is the reference; everything else lies in the rows."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._reference: Tracker | None = None
        self._next: Successor | None = None

    def see(self, face: Face) -> Sight:
        """Measures one more frame, later than all before it."""
        carried = self._change_reference(face)
        assert self._reference is not None
        lit = evenly_lit(face.picture)
        moved = self._reference.follow(lit)
        if self._next is not None:
            self._next.compare(self._next.tracker.follow(lit), moved)
        row = np.zeros((), ROW)
        row["time_us"], row["index"] = face.time_us, face.index
        place_lids(moved.rois, face.landmarks)
        row["position"], row["misfit"] = moved.rois, moved.misfit
        row["opening"], row["turn"] = face.opening, face.turn
        row["brightness"], row["shift"] = face.brightness, moved.head[2:4]
        return Sight(row, Kept(face.jpeg, face.landmarks, face.picture), carried)

    def take(self, sight: Sight) -> None:
        """Puts what was measured into the rows."""
        rows, time_us = self._rows, int(sight.row["time_us"])
        if sight.carried is not None:
            rows.table["position"] += sight.carried[0]
            rows.table["shift"] += sight.carried[1]
        rows.append(sight.row, sight.kept)
        take_out_blink(rows)
        self._settle(int(rows.times[-2]) if len(rows) > 1 else time_us, time_us)

    def magnitudes(self) -> NDArray[np.float32]:
        """[regions]: how far each region of the newest frame is from its baseline, outer-eye distances."""
        away = self._rows.table["position"][-1] - baseline(self._rows, int(self._rows.times[-1]))
        return np.asarray(REGION_MEAN @ np.sqrt((away * away).sum(1)), np.float32)

    def _settle(self, after_us: int, until_us: int) -> None:
        """Novelty of the rows for which those two times have just come into sight."""
        table, since_us, until_us = self._rows.table, after_us - _AHEAD_US, until_us - _AHEAD_US
        position, misfit, shut = table["position"], table["misfit"], table["shut"]
        _settle(self._rows.times, position, misfit, shut, since_us, until_us, table["novelty"])

    def finish(self) -> None:
        """The stream is over: novelty of the last rows, from what there is."""
        if len(self._rows):
            newest = int(self._rows.times[-1])
            self._settle(newest, newest + _AHEAD_US)

    def _change_reference(self, face: Face) -> Carried | None:
        """Chooses a new one at a grid line, and `overlap_s` later changes to it; then returns what that moves."""
        if self._reference is None:
            self._reference = self._chosen(face)
            return None
        if face.time_us - int(self._rows.times[-1]) > _BREAK_US:
            return self._begin_anew(face)
        carried, line = None, face.time_us // _GRID_US != int(self._rows.times[-1]) // _GRID_US
        if self._next is not None and (line or face.time_us - self._next.since_us > _OVERLAP_US):
            carried, self._reference, self._next = self._next.carried(), self._next.tracker, None
        if line:
            self._next = Successor(self._chosen(face), face.time_us)
        return carried

    def _begin_anew(self, face: Face) -> Carried:
        """Changes to a new one at once, which sees the last frame before it too."""
        assert self._reference is not None
        last, successor = evenly_lit(self._rows.kept[-1].picture), Successor(self._chosen(face), face.time_us)
        successor.compare(successor.tracker(last), self._reference.follow(last))
        self._reference, self._next = successor.tracker, None
        return successor.carried()

    def _chosen(self, face: Face) -> Tracker:
        """Follows from the median of the most typical frames of the last `reference_s` before the grid line: those
        whose thumbnails are nearest to the median of all. A movement that fills less than half of it is never
        typical."""
        grid_us = face.time_us // _GRID_US * _GRID_US
        window = self._rows.since(grid_us - _REFERENCE_US, grid_us)
        picture, landmarks = face.picture, face.landmarks
        if window.start < window.stop:
            kept = _typical(self._rows.kept[window])
            landmarks = kept[0].landmarks
            picture = _median([each.picture for each in kept], landmarks)
            self._rows.stale(grid_us + _GRID_US - _REFERENCE_US)
        return Tracker(evenly_lit(picture), landmarks)


def bump(
    rows: Rows, time_us: int, around: tuple[Span, Span] = (BEFORE, AFTER)
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How far the face is from where it was shortly before and will be shortly after, and how far those two are apart.

    Returns [R, 2] each, outer-eye distances; both are 0 where one of them is not known.
    """
    table = rows.table
    return _bump(rows.times, table["position"], table["shut"], time_us + _EDGES_US[around])


def baseline(rows: Rows, time_us: int) -> NDArray[np.float32]:
    """[R, 2]: the median position over the last `baseline_s`, of at most BASELINE_ROWS rows spread over them."""
    window = rows.since(time_us - int(C.baseline_s * SECOND), time_us)
    picked = rows.table["position"][window][:: max(1, (window.stop - window.start) // BASELINE_ROWS)]
    return np.asarray(middle(picked), np.float32)


def _typical(kept: list[Kept]) -> list[Kept]:
    """Three of them, the most typical first; fewer when there are fewer."""
    kept = kept[:: max(1, len(kept) // BASELINE_ROWS)]
    thumbs = np.array([each.picture[4::8, 4::8] for each in kept], np.int16).reshape(len(kept), -1)
    return [kept[at] for at in np.abs(thumbs - middle(thumbs)).sum(1).argsort(kind="stable")[:3]]


def _median(pictures: list[Image], landmarks: NDArray[np.float32]) -> Image:
    """The median of three pictures, aligned to the first; of fewer, the first."""
    if len(pictures) < 3:
        return pictures[0]
    first, tracker = pictures[0], Tracker(evenly_lit(pictures[0]), landmarks)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    second, third = (
        cv2.warpAffine(
            each, tracker(evenly_lit(each)).similarity(), each.shape[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE
        )
        for each in pictures[1:]
    )
    return np.maximum(np.minimum(first, second), np.minimum(np.maximum(first, second), third))


_GRID_US: Final = int(C.grid_s * SECOND)
_OVERLAP_US: Final = int(C.overlap_s * SECOND)
_BREAK_US: Final = int(C.break_s * SECOND)
_REFERENCE_US: Final = int(C.reference_s * SECOND)
