"""Whether a candidate is an expression, and if so, when it began, peaked and ended.

First what the cheap records tell; what survives is measured again with fine flow from a neutral frame before it.
A judgement is a pure function of the rows: nothing is remembered of earlier ones.
"""

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.convention import CROP_PX
from services.motion.displacement import Sampler
from services.motion.flow import Field, Flow, Image
from services.motion.rois import ROIS
from services.spotter import curve as shape
from services.spotter.candidate import Candidate
from services.spotter.constants import CONSTANTS as C
from services.spotter.reading import decode
from services.spotter.rows import Kept, Rows, Table
from services.spotter.signal import LIDS, REGION_MEAN, SECOND

Reason = Literal[
    "noise", "gap", "light", "head", "speech", "blink", "drift", "no_return", "occlusion", "weak", "short", "shape"
]
"""Why a candidate is no expression.

noise: no larger than what went before. gap: frames are missing. light: brightness jumped. head: the head turned, or
bone moved as well. speech: only a talking mouth moved. blink: nothing moved but in step with the lids. drift: it came
too slowly. no_return: it did not go back to neutral. occlusion: something came before the face. weak: fine flow finds
too little. short: over sooner than a muscle can. shape: fine flow finds no peak there.
"""

TALKING: Final = np.array([roi.name.startswith(("lip_", "chin", "nasolabial")) for roi in ROIS])
"""[R] ROIs that speech moves."""

_FACE: Final = np.s_[8:120, 24:104]
"""Part of the crop that is skin on any face."""


@dataclass(frozen=True, eq=False)
class Expression:
    """What was found.

    onset_us, apex_us, offset_us: first frame that differs from neutral, largest movement, last frame that differs; the
    offset may lie ahead of the newest frame. times_us: [n] of the fine measurements; magnitude: [n, regions], outer-eye
    distances; strength: [n], the movement along the apex's own direction, outer-eye distances.
    """

    onset_us: int
    apex_us: int
    offset_us: int
    times_us: NDArray[np.int64]
    magnitude: NDArray[np.float32]
    strength: NDArray[np.float64]


def judge(rows: Rows, candidate: Candidate, fine: Flow) -> Expression | Reason:
    """rows end at the frame of the decision."""
    window = rows.since(candidate.apex_us - int(C.rise_s * SECOND))
    table, apex = rows.table[window], candidate.at(rows) - window.start
    times = (table["time_us"] - candidate.apex_us) / SECOND
    curve = candidate.curve(rows, window)
    foot = shape.peak(curve, curve, apex).start
    if curve[apex] < C.noise_factor * shape.spread(curve[: foot + 1]):
        return "noise"
    onset, offset = shape.feet(times, curve, apex)
    during = (times >= onset) & (times <= offset)
    if reason := _disturbed(table, times, during, foot, apex):
        return reason
    away = candidate.away(rows, window).astype(np.float64)
    counts = ~LIDS
    if _talks(away, times, onset, offset):
        counts = counts & ~TALKING
    moved, blinked = _own(away, table["opening"], during, counts)
    if _largest(moved[apex]) < C.novelty:
        return "blink" if blinked else "speech"
    return _measure(rows, window, fine, times, (onset, offset), apex, foot, counts)


def _disturbed(table: Table, times: shape.Floats, during: NDArray[np.bool_], foot: int, apex: int) -> Reason | None:
    around = np.flatnonzero(during)
    gaps = np.diff(times[max(around[0] - 1, 0) : around[-1] + 2])
    if len(gaps) and gaps.max() > C.longest_gap_s:
        return "gap"
    bright = table["brightness"][during].astype(np.float64)
    if np.ptp(bright) > C.brightness * bright.mean():
        return "light"
    if np.ptp(table["turn"][foot : apex + 1], axis=0).max() > C.head_turn_deg:
        return "head"
    return None


def _talks(away: NDArray[np.float64], times: shape.Floats, onset: float, offset: float) -> bool:
    """Whether the mouth is busy around the candidate, itself left out."""
    apart = (times < onset - C.margin_s) | (times > offset + C.margin_s)
    if apart.sum() < 5:
        return False
    mouth = np.sqrt((away[apart][:, TALKING] ** 2).sum(2)).max(1)
    return bool((np.abs(mouth - np.median(mouth)) > C.amplitude).mean() > C.speech_share)


def _own(
    away: NDArray[np.float64], opening: NDArray[np.float32], during: NDArray[np.bool_], counts: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], bool]:
    """Displacement of the ROIs that count, [n, R, 2], less what goes in step with the lids if they close meanwhile."""
    moved = np.where(counts[None, :, None], away, 0.0)
    eyes = opening.astype(np.float64).mean(1)
    level = max(float(np.median(eyes)), 1e-6)
    closure = (level - eyes) / level
    if closure[during].max() < C.closure:
        return moved, False
    upper = counts & ~TALKING
    share = np.tensordot(closure[during], moved[during][:, upper], 1) / (closure[during] @ closure[during])
    moved[:, upper] -= closure[:, None, None] * share
    return moved, True


def _largest(moved: NDArray[np.float64]) -> float:
    """Largest displacement of a ROI, [R, 2]."""
    return float(np.sqrt((moved**2).sum(-1)).max())


def _measure(
    rows: Rows,
    window: slice,
    fine: Flow,
    times: shape.Floats,
    span: tuple[float, float],
    apex: int,
    foot: int,
    counts: NDArray[np.bool_],
) -> Expression | Reason:
    """The same with fine flow, on the frames of the movement alone."""
    table, kept = rows.table[window], rows.kept[window]
    near = np.flatnonzero((times >= span[0] - C.margin_s) & (times <= span[1] + C.margin_s))
    step = max(1, round(len(near) / (C.fine_fps * max(times[near[-1]] - times[near[0]], 1e-6))))
    near = np.array([i for i in near if (i - apex) % step == 0])
    neutral = _neutral(table, times, span[0], foot)
    moves = [_Move.between(kept[neutral], kept[i], fine) for i in near]
    at = int(np.flatnonzero(near == apex)[0])
    rois, blinked = _own(
        np.array([move.rois for move in moves]), table["opening"][near], np.ones(len(near), bool), counts
    )
    peak = rois[max(at - 1, 0) : at + 2].mean(0)
    strength = np.tensordot(rois, peak / max(float(np.sqrt((peak**2).sum())), 1e-9), 2)
    quiet = times[near] < span[0]
    strength -= np.median(strength[quiet]) if quiet.any() else 0.0
    inside = (times[near] >= span[0]) & (times[near] <= span[1])
    at = int(np.where(inside, strength, -np.inf).argmax())
    if _largest(rois[at]) < C.amplitude:
        return "blink" if blinked else "weak"
    if moves[at].stable > C.stable_share * _largest(rois[at]):
        return "head"
    if moves[at].unexplained > C.occlusion:
        return "occlusion"
    if shape.peak(strength, strength, at).phase not in ("decayed", "open"):
        return "shape"
    if strength[at:].min() > C.undecided * strength[at]:
        return "no_return"
    begin, end = shape.feet(times[near], strength, at)
    frame_s = float(np.median(np.diff(times)))
    first = int(np.searchsorted(times, begin + frame_s / 2))
    onset_us = int(table["time_us"][min(first, near[at])])
    end -= frame_s / 2
    last = int(np.searchsorted(times, end, "right")) - 1
    ahead = end - times[-1]
    offset_us = int(table["time_us"][max(last, near[at])])
    if ahead > frame_s:
        offset_us += int(ahead * SECOND)
    if (offset_us - onset_us) / SECOND < C.shortest_s - frame_s:
        return "short"
    lengths = np.sqrt((np.array([m.rois for m in moves]) ** 2).sum(2))  # [n, R]
    return Expression(
        onset_us,
        int(table["time_us"][near[at]]),
        offset_us,
        table["time_us"][near].copy(),
        (lengths @ REGION_MEAN.T).astype(np.float32),
        strength,
    )


def _neutral(table: Table, times: shape.Floats, onset: float, foot: int) -> int:
    """The most typical row shortly before the onset, lids included; the foot itself at the start of a stream."""
    before = np.flatnonzero((times <= onset) & (times > onset - C.neutral_s))
    if not len(before):
        return foot
    position = table["position"][before]
    return int(before[np.abs(position - np.median(position, axis=0)).sum((1, 2)).argmin()])


@dataclass(frozen=True, eq=False)
class _Move:
    """One fine measurement: [R, 2] ROIs, mean motion at the stable points, share of the picture left unexplained."""

    rois: NDArray[np.float64]
    stable: float
    unexplained: float

    @classmethod
    def between(cls, start: Kept, end: Kept, fine: Flow) -> "_Move":
        first, second = decode(start.jpeg), decode(end.jpeg)
        assert first is not None and second is not None, "were read before"
        field = fine(first, second)
        moved = Sampler(start.landmarks)(field)
        return cls(
            moved.rois.astype(np.float64),
            float(np.sqrt((moved.stable**2).sum(1)).mean()),
            _unexplained(first, second, field),
        )


_PIXELS: Final = np.stack(np.meshgrid(np.arange(CROP_PX), np.arange(CROP_PX)), -1).astype(np.float32)


def _unexplained(first: Image, second: Image, field: Field) -> float:
    """Share of the variance of `first` that `second`, moved back, does not explain; 0 when it explains everything."""
    source = _PIXELS + field
    back = cv2.remap(second, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    a, b = first[_FACE].astype(np.float64), back[_FACE].astype(np.float64)
    return float(1 - np.corrcoef(a.ravel(), b.ravel())[0, 1] ** 2)
