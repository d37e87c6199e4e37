"""What is measured on a candidate before it is judged: how strong, how well explained, how alone, what else happened.

Every channel (a ROI's motion along x or y) counts in units of its own noise in this stream, so a mouth that talks, a
badly lit cheek or a restless head ask more of a candidate where they disturb, and nowhere else. All of it is a pure
function of the rows.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.rois import ROIS
from services.spotter import curve as shape
from services.spotter.blink import LIDS, closure
from services.spotter.candidate import Candidate
from services.spotter.constants import CONSTANTS as C
from services.spotter.matched import IGNORED, Matched, match, matched
from services.spotter.rows import SECOND, TAKEN_OUT, Rows, Table

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

TALKING: Final = np.array([roi.name.startswith(("lip_", "chin", "nasolabial")) for roi in ROIS])
"""[R] ROIs that speech moves."""

BESIDE_S: Final = 1.5
"""How far from a candidate its surroundings reach, seconds."""


@dataclass(frozen=True)
class Measures:
    """Of one candidate.

    score: length of the motion that action units explain, standard deviations of noise. likeness: its share of what
    exceeds noise (a cosine). amplitude: largest motion of a ROI, outer-eye distances. fit: share of the curve's
    square that one rise and fall explains. rise_s, fall_s: from the apex to either foot. alone: share of the time
    just around in which the same direction is moved along. restless: what is moved along it within BESIDE_S, root
    mean square, as a share of the apex. foot: what is left just outside the feet, likewise. drift: how far neutral
    moved meanwhile, likewise. crowded: 1 when another movement had ended only just before. noise, mouth: noise of
    all channels and of those that speech moves, times its floor. talking, lids: share of the evidence that lies
    where speech moves, and in the lids. turn_deg, turn_near_deg: of the head during it, and within half a second.
    shut, shut_near: how far the eyes were shut, 0 to 1, likewise. misfit: how much worse than usual skin was found
    again, a ratio. light: change of brightness, a ratio. jump: largest step of the head between two frames,
    outer-eye distances.
    """

    score: float
    likeness: float
    amplitude: float
    fit: float
    rise_s: float
    fall_s: float
    alone: float
    restless: float
    foot: float
    drift: float
    crowded: float
    noise: float
    mouth: float
    talking: float
    lids: float
    turn_deg: float
    turn_near_deg: float
    shut: float
    shut_near: float
    misfit: float
    light: float
    jump: float


@dataclass(frozen=True, eq=False)
class Seen:
    """A candidate as it was measured.

    table: [n] rows around it; times: [n] seconds from the candidate; apex, onset_s, offset_s: the largest movement as
    a position in them, and where the feet stand; moved: [n, R, 2] away from neutral, outer-eye distances; strength:
    [n], the movement along the apex's own direction, outer-eye distances. hidden, blinked: whether skin was not found
    again, or lids were shut. matched: what a filter of its shape says, of a brief one.
    """

    table: Table
    times: Floats
    apex: int
    onset_s: float
    offset_s: float
    moved: Floats
    strength: Floats
    hidden: bool
    blinked: bool
    measures: Measures
    matched: Matched | None = None


def measure(rows: Rows, candidate: Candidate) -> Seen | Literal["noise", "gap", "occlusion"]:
    """rows end at the frame of the decision. "noise": it does not move along its own direction; "gap": frames are
    missing in it; "occlusion": nothing of what moves was seen."""
    window = rows.since(candidate.apex_us - int(C.rise_s * SECOND))
    table, apex = rows.table[window], candidate.at(rows) - window.start
    times = (table["time_us"] - candidate.apex_us) / SECOND
    away = candidate.away(rows, window).astype(np.float64)
    curve = _along(away, candidate.direction)
    if curve[apex] <= 0:
        return "noise"
    begin, end = shape.feet(times, curve, apex)
    inside = np.flatnonzero((times >= begin) & (times <= end))
    if np.diff(times[max(inside[0] - 1, 0) : inside[-1] + 2]).max(initial=0) > C.longest_gap_s:
        return "gap"
    during, near = (times >= begin) & (times <= end), np.abs(times) <= 0.5
    shut = closure(table["opening"])
    apart = ((times < begin - C.margin_s) | (times > end + C.margin_s)) & (shut < C.closure)
    misfit = _misfit(table["misfit"], during, apart)
    hidden = misfit > C.misfit_factor
    blinked = bool(shut[during].max() > C.closure)
    lowered = bool((shut[during & (table["shut"] != TAKEN_OUT)] > C.closure).any())
    ignored = hidden | (LIDS & blinked) | (~TALKING & lowered)
    away[:, ignored] = 0
    steady = _steady(away, times)
    lead, noise = steady[apex], _noise(steady, times, apart)
    noise[ignored] = IGNORED
    score, likeness = match(lead, noise)
    weight = lead / noise**2
    evidence = max(float((lead * weight).sum()), 1e-12)
    strength = _along(away, weight) * (np.sqrt((lead**2).sum()) / evidence)
    around = apart & (times > begin - C.alone_s) & (times < end + C.alone_s)
    if candidate.brief and around.any():
        strength -= shape.middle(strength[around])
    apex = int(np.where(np.abs(times) <= C.dominance_s, strength, -np.inf).argmax())
    if strength[apex] <= 0:  # all that moved is left out
        return "occlusion" if hidden.any() else "noise"
    onset_s, offset_s = (shape.fitted_feet if candidate.brief else shape.feet)(times, strength, apex)
    share = strength / max(strength[apex], 1e-9)
    beside = apart & (np.abs(times) < BESIDE_S)
    counted = noise < IGNORED
    measures = Measures(
        score=score,
        likeness=likeness,
        amplitude=float(np.sqrt((lead**2).sum(1)).max()),
        fit=shape.fit(times, strength, apex, onset_s, offset_s),
        rise_s=float(times[apex]) - onset_s,
        fall_s=offset_s - float(times[apex]),
        alone=_mean(share[around] > C.alone),
        restless=float(np.sqrt(_mean(share[beside] ** 2))),
        foot=max(abs(_mean(share[(times > low) & (times < low + C.margin_s)])) for low in (begin - C.margin_s, end)),
        drift=_drift(candidate),
        crowded=float(candidate.crowded),
        noise=float(shape.middle(noise[counted]) / C.noise_floor) if counted.any() else IGNORED,
        mouth=float(np.minimum(noise[TALKING], 1).mean() / C.noise_floor),
        talking=float((lead * weight)[TALKING].sum() / evidence),
        lids=float((lead * weight)[LIDS].sum() / evidence),
        turn_deg=float(np.ptp(table["turn"][during], axis=0).max()),
        turn_near_deg=float(np.ptp(table["turn"][near], axis=0).max()),
        shut=float(shut[during].max()),
        shut_near=float(shut[near].max()),
        misfit=float(np.partition(misfit[~LIDS], -3)[-3]),
        light=float(np.ptp(table["brightness"][during]) / table["brightness"][apex]),
        jump=float(np.abs(np.diff(table["shift"][during], axis=0)).max(initial=0)),
    )
    by = None
    if candidate.brief:
        by = matched(times, away, apex, (onset_s, offset_s), shut >= C.closure, noise >= IGNORED)
    return Seen(table, times, apex, onset_s, offset_s, away, strength, bool(hidden.any()), blinked, measures, by)


def _along(away: Floats, direction: NDArray[np.floating]) -> Floats:
    """[n]: the part of a motion, [n, R, 2], that goes along a direction, [R, 2]."""
    return np.asarray(away.reshape(len(away), -1) @ direction.ravel().astype(np.float64))


def _steady(away: Floats, times: Floats) -> Floats:
    """Averaged over `steady_s`, centred."""
    half = round(C.steady_s / 2 / float(shape.middle(np.diff(times))))
    flat = away.reshape(len(away), -1)
    steady = cv2.blur(flat, (1, 2 * half + 1), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(steady, np.float64).reshape(away.shape)


def _noise(away: Floats, times: Floats, apart: Mask) -> Floats:
    """[R, 2]: what each channel does in the time of a micro-expression, the candidate itself left out."""
    later = np.searchsorted(times, times + C.noise_lag_s)
    pairs = np.flatnonzero((later < len(times)) & apart)
    pairs = pairs[apart[later[pairs]]]
    if len(pairs) < 5:
        return np.full(away.shape[1:], C.noise_floor)
    steps = np.abs(away[later[pairs]] - away[pairs])
    return np.asarray(np.maximum(shape.TO_SIGMA / np.sqrt(2) * shape.middle(steps), C.noise_floor))


def _misfit(misfit: NDArray[np.float32], during: Mask, apart: Mask) -> Floats:
    """[R]: how much worse skin is found again during the candidate than at other times; 0 for lids."""
    usual = shape.middle(misfit[apart]) if apart.sum() > 5 else misfit.min(0)
    worse = (misfit[during].max(0) - C.misfit) / np.maximum(usual, 0.5)
    return np.where(LIDS, 0, worse).astype(np.float64)


def _drift(candidate: Candidate) -> float:
    moved = float(np.vdot(candidate.drift, candidate.direction))
    return abs(moved) * 2 * C.ahead_s / max(float(np.vdot(candidate.lead, candidate.direction)), 1e-9)


def _mean(values: NDArray[Any]) -> float:
    return float(np.mean(values)) if len(values) else 0.0
