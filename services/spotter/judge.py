"""Whether a candidate is an expression, and if so, when it began, peaked and ended.

A judgement is a pure function of the rows: nothing is remembered of earlier ones. Every channel (a ROI's motion along x
or y) counts in units of its own noise in this stream, so a mouth that talks, a badly lit cheek or a restless head ask
more of a candidate where they disturb, and nowhere else.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.motion.rois import ROIS
from services.motion.templates import FLAT, explained
from services.spotter import curve as shape
from services.spotter.blink import LIDS, closure
from services.spotter.candidate import Candidate
from services.spotter.constants import CONSTANTS as C
from services.spotter.rows import SECOND, TAKEN_OUT, Rows, Table
from services.spotter.signal import REGION_MEAN

Reason = Literal["noise", "gap", "head", "speech", "blink", "drift", "no_return", "occlusion", "weak", "short", "shape"]
"""Why a candidate is no expression.

noise: no larger than what its channels do anyway. gap: frames are missing. head: the head
turned. speech: a talking mouth moved. blink: nothing moved but in step with the lids. drift: it came too slowly.
no_return: it did not go back to neutral. occlusion: something came before the face. weak: too little moved. short: over
sooner than a muscle can. shape: no action unit moves a face like that, or not in one rise and fall.
"""

TALKING: Final = np.array([roi.name.startswith(("lip_", "chin", "nasolabial")) for roi in ROIS])
"""[R] ROIs that speech moves."""


IGNORED: Final = 1e3
"""Noise of a channel that does not count."""


@dataclass(frozen=True, eq=False)
class Expression:
    """What was found.

    onset_us, apex_us, offset_us: first frame that differs from neutral, largest movement, last frame that differs; the
    offset may lie ahead of the newest frame. times_us: [n] of the measurements around it; magnitude: [n, regions],
    outer-eye distances; strength: [n], the movement along the apex's own direction, outer-eye distances.
    """

    onset_us: int
    apex_us: int
    offset_us: int
    times_us: NDArray[np.int64]
    magnitude: NDArray[np.float32]
    strength: NDArray[np.float64]


def judge(rows: Rows, candidate: Candidate) -> Expression | Reason:
    """rows end at the frame of the decision."""
    window = rows.since(candidate.apex_us - int(C.rise_s * SECOND))
    table, apex = rows.table[window], candidate.at(rows) - window.start
    times = (table["time_us"] - candidate.apex_us) / SECOND
    curve = candidate.curve(rows, window)
    if curve[apex] <= 0:
        return "noise"
    begin, end = shape.feet(times, curve, apex)
    during = (times >= begin) & (times <= end)
    if reason := _disturbed(table, times, during):
        return reason
    away = candidate.away(rows, window).astype(np.float64)
    apart = (times < begin - C.margin_s) | (times > end + C.margin_s)
    shut = closure(table["opening"])
    apart &= shut < C.closure
    hidden = _hidden(table["misfit"], during, apart)
    blinked = bool(shut[during].max() > C.closure)
    lowered = bool((shut[during & (table["shut"] != TAKEN_OUT)] > C.closure).any())
    ignored = hidden | (LIDS & blinked) | (~TALKING & lowered)
    moved = np.where(ignored[None, :, None], 0.0, away)
    steady = _steady(moved, times)
    lead, noise = steady[apex], _noise(steady, times, apart)
    noise[ignored] = IGNORED
    score, likeness = match(lead, noise)
    doubt: Reason = "blink" if blinked else "occlusion" if hidden.any() else "noise"
    if score < candidate.asks:
        return doubt
    if likeness < C.likeness:
        return doubt if doubt != "noise" else "shape"
    if np.sqrt((lead**2).sum(1)).max() < (C.amplitude if candidate.brief else C.long_amplitude):
        return "weak"
    weight = lead / noise**2
    strength = np.tensordot(moved, weight, 2) * (np.sqrt((lead**2).sum()) / (lead * weight).sum())
    talking = (lead * weight)[TALKING].sum() > (lead * weight).sum() / 2
    around = apart & (times > begin - C.alone_s) & (times < end + C.alone_s)
    if candidate.brief and around.any():
        strength -= np.median(strength[around])
    share = strength / max(strength[apex], 1e-9)
    if (share[around] > C.alone).sum() > C.alone_share * around.sum():
        return "speech" if talking else "noise"
    for low, high in ((begin - C.margin_s, begin), (end, end + C.margin_s)):
        beside = (times > low) & (times < high)
        if beside.any() and abs(share[beside].mean()) > C.alone:
            return "shape"
    return _placed(table, times, strength, away, apex, candidate.brief)


def match(lead: NDArray[np.float64], noise: NDArray[np.float64]) -> tuple[float, float]:
    """How well action units explain a motion: in standard deviations of the noise, and as a share (a cosine) of what is
    more than noise.

    lead, noise: [R, 2].
    """
    unit = FLAT / noise.reshape(-1)
    unit /= np.sqrt((unit**2).sum(1, keepdims=True))
    whole = (lead / noise).reshape(-1)
    part = explained(whole, unit)
    excess = max(float(((whole - part) ** 2).sum()) - len(whole), 0)  # noise alone leaves one for each channel
    made = max(float((part**2).sum()), 1e-9)
    return float(np.sqrt(made)), float(np.sqrt(made / (made + excess)))


def _disturbed(table: Table, times: shape.Floats, during: NDArray[np.bool_]) -> Reason | None:
    around = np.flatnonzero(during)
    gaps = np.diff(times[max(around[0] - 1, 0) : around[-1] + 2])
    if len(gaps) and gaps.max() > C.longest_gap_s:
        return "gap"
    if np.ptp(table["turn"][during], axis=0).max() > C.head_turn_deg:
        return "head"
    return None


def _steady(moved: NDArray[np.float64], times: shape.Floats) -> NDArray[np.float64]:
    """Averaged over `steady_s`, centred."""
    half = round(C.steady_s / 2 / float(np.median(np.diff(times))))
    padded = np.concatenate([moved[:1].repeat(half + 1, 0), moved, moved[-1:].repeat(half, 0)]).cumsum(0)
    return np.asarray((padded[2 * half + 1 :] - padded[: -2 * half - 1]) / (2 * half + 1))


def _noise(away: NDArray[np.float64], times: shape.Floats, apart: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[R, 2]: what each channel does in the time of a micro-expression, the candidate itself left out."""
    later = np.searchsorted(times, times + C.noise_lag_s)
    pairs = np.flatnonzero((later < len(times)) & apart)
    pairs = pairs[apart[later[pairs]]]
    if len(pairs) < 5:
        return np.full(away.shape[1:], C.noise_floor)
    steps = np.abs(away[later[pairs]] - away[pairs])
    return np.asarray(np.maximum(shape.TO_SIGMA / np.sqrt(2) * np.median(steps, axis=0), C.noise_floor))


def _hidden(misfit: NDArray[np.float32], during: NDArray[np.bool_], apart: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[R]: whose skin is not found again during the candidate, as it is at other times."""
    usual = np.median(misfit[apart], axis=0) if apart.sum() > 5 else misfit.min(0)
    return np.asarray((misfit[during].max(0) > C.misfit_factor * usual + C.misfit) & ~LIDS)


def _placed(
    table: Table,
    times: shape.Floats,
    strength: shape.Floats,
    away: NDArray[np.float64],
    apex: int,
    brief: bool,
) -> Expression | Reason:
    """Its moments, from the curve along its own direction."""
    begin, end = shape.feet(times, strength, apex)
    near = np.flatnonzero((times >= begin - C.margin_s) & (times <= end + C.margin_s))
    inside = np.abs(times) <= C.dominance_s
    apex = int(np.where(inside, strength, -np.inf).argmax())
    if shape.peak(strength, apex).phase not in ("decayed", "open"):
        return "shape"
    begin, end = (shape.fitted_feet if brief else shape.feet)(times, strength, apex)
    frame_s = float(np.median(np.diff(times)))
    first = int(np.searchsorted(times, begin + frame_s / 2))
    onset_us = int(table["time_us"][min(first, apex)])
    end -= frame_s / 2
    last = int(np.searchsorted(times, end, "right")) - 1
    ahead = end - times[-1]
    offset_us = int(table["time_us"][max(last, apex)])
    if ahead > frame_s:
        offset_us += int(ahead * SECOND)
    lasts_s = (offset_us - onset_us) / SECOND
    if lasts_s < C.shortest_s - frame_s:
        return "short"
    at_edge = int(table["time_us"][apex]) in (onset_us, offset_us)
    if at_edge or (lasts_s <= C.micro_s and not brief):
        return "shape"
    lengths = np.sqrt((away[near] ** 2).sum(2))  # [n, R]
    return Expression(
        onset_us,
        int(table["time_us"][apex]),
        offset_us,
        table["time_us"][near].copy(),
        (lengths @ REGION_MEAN.T).astype(np.float32),
        strength[near],
    )
