"""What is measured on a candidate before it is judged: how strong, how well explained, how alone, what else happened.

Every channel (a ROI's motion along x or y) counts in units of its own noise in this stream, so a mouth that talks, a
badly lit cheek or a restless head ask more of a candidate where they disturb, and nowhere else. All of it is a pure
function of the rows.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled
from services.motion.middle import middle
from services.motion.rois import ROIS
from services.spotter import curve as shape
from services.spotter.blink import LIDS, closure
from services.spotter.calm import FEWEST_PAIRS, LEAST_MISFIT, lagged
from services.spotter.candidate import Candidate, along
from services.spotter.constants import CONSTANTS as C
from services.spotter.matched import IGNORED, Matched, match, matched, middle_noise
from services.spotter.rows import SECOND, TAKEN_OUT, Rows, Table

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

TALKING: Final = np.array([roi.name.startswith(("lip_", "chin", "nasolabial")) for roi in ROIS])
"""[R] ROIs that speech moves."""

BESIDE_S: Final = 1.5
"""How far from a candidate its surroundings reach, seconds."""

NEAR_S: Final = 0.5
"""What else happened within this long of it may have made it."""

# What compiled functions use of the constants.
_ALONE: Final = C.alone
_ALONE_S: Final = C.alone_s
_MISFIT: Final = C.misfit
_NOISE_FLOOR: Final = C.noise_floor
_NOISE_LAG_S: Final = C.noise_lag_s


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
    times = (rows.times[window] - candidate.apex_us) / SECOND
    away = candidate.away(rows, window).astype(np.float64)
    curve = along(away, candidate.direction.astype(np.float64))
    if curve[apex] <= 0:
        return "noise"
    begin, end = shape.feet(times, curve, apex)
    if _longest_gap(times, begin, end) > C.longest_gap_s:
        return "gap"
    during, shut = (times >= begin) & (times <= end), closure(table["opening"])
    apart = ((times < begin - C.margin_s) | (times > end + C.margin_s)) & (shut < C.closure)
    misfit = _misfit(table["misfit"], during, apart)
    hidden = misfit > C.misfit_factor
    shut_now = shut[during]
    blinked = bool(shut_now.max() > C.closure)
    lowered = bool((shut_now[table["shut"][during] != TAKEN_OUT] > C.closure).any())
    ignored = hidden | (LIDS & blinked) | (~TALKING & lowered)
    half = round(C.steady_s / 2 / float(shape.middle(np.diff(times))))
    lead, noise = _lead_and_noise(away, times, apart, apex, half, ignored)
    score, likeness = match(lead, noise)
    strength, (amplitude, usual_noise, mouth, talking, lids) = _weighed(away, lead, noise)
    around = apart & (times > begin - C.alone_s) & (times < end + C.alone_s)
    if candidate.brief and around.any():
        strength -= shape.middle(strength[around])
    apex = int(np.where(np.abs(times) <= C.dominance_s, strength, -np.inf).argmax())
    if strength[apex] <= 0:  # all that moved is left out
        return "occlusion" if hidden.any() else "noise"
    onset_s, offset_s = (shape.fitted_feet if candidate.brief else shape.feet)(times, strength, apex)
    alone, restless, foot = _beside(times, strength / max(strength[apex], 1e-9), apart, begin, end)
    light, jump, turn_deg, turn_near_deg, shut_near = _meanwhile(
        times, during, table["brightness"], table["shift"], table["turn"], shut
    )
    measures = Measures(
        score=score,
        likeness=likeness,
        amplitude=amplitude,
        fit=shape.fit(times, strength, apex, onset_s, offset_s),
        rise_s=float(times[apex]) - onset_s,
        fall_s=offset_s - float(times[apex]),
        alone=alone,
        restless=restless,
        foot=foot,
        drift=_drift(candidate),
        crowded=float(candidate.crowded),
        noise=usual_noise,
        mouth=mouth,
        talking=talking,
        lids=lids,
        turn_deg=turn_deg,
        turn_near_deg=turn_near_deg,
        shut=float(shut_now.max()),
        shut_near=shut_near,
        misfit=float(np.partition(misfit[~LIDS], -3)[-3]),
        light=light / float(table["brightness"][apex]),
        jump=jump,
    )
    by = None
    if candidate.brief:
        by = matched(times, away, apex, (onset_s, offset_s), shut >= C.closure, noise >= IGNORED)
    return Seen(table, times, apex, onset_s, offset_s, away, strength, bool(hidden.any()), blinked, measures, by)


def _drift(candidate: Candidate) -> float:
    moved = float(np.vdot(candidate.drift, candidate.direction))
    return abs(moved) * 2 * C.ahead_s / max(float(np.vdot(candidate.lead, candidate.direction)), 1e-9)


@compiled("f8(f8[::1], f8, f8)")
def _longest_gap(times: Floats, begin: float, end: float) -> float:
    """Between two frames from begin to end, or there and just beside it."""
    longest = 0.0
    for k in range(1, len(times)):
        if times[k] >= begin and times[k - 1] <= end:
            longest = max(longest, times[k] - times[k - 1])
    return longest


@compiled("f8[::1](f4[:,:], b1[::1], b1[::1])")
def _misfit(misfit: NDArray[np.float32], during: Mask, apart: Mask) -> Floats:
    """[R]: how much worse skin is found again during the candidate than at other times; 0 for lids."""
    worse, others = np.zeros(misfit.shape[1]), np.empty(len(misfit))
    for roi in range(len(worse)):
        if not LIDS[roi]:
            count, least, most = 0, np.inf, -np.inf
            for row in range(len(misfit)):
                least = min(least, misfit[row, roi])
                if during[row]:
                    most = max(most, misfit[row, roi])
                if apart[row]:
                    others[count] = misfit[row, roi]
                    count += 1
            usual = middle(others[:count]) if count > FEWEST_PAIRS else least
            worse[roi] = (most - _MISFIT) / max(usual, LEAST_MISFIT)
    return worse


@compiled("Tuple((f8[:,::1], f8[:,::1]))(f8[:,:,::1], f8[::1], b1[::1], i8, i8, b1[::1])")
def _lead_and_noise(
    away: Floats, times: Floats, apart: Mask, apex: int, half: int, ignored: Mask
) -> tuple[Floats, Floats]:
    """[R, 2] each: the motion at the apex, and what each channel does in the time of a micro-expression, the candidate
    itself left out. Both are of `away` averaged over `half` frames before and after. Ignored ROIs, [R], are made to
    stand still."""
    last, flat = len(away) - 1, away.reshape(len(away), -1)
    for roi in range(len(ignored)):
        if ignored[roi]:
            away[:, roi] = 0
    steady = np.zeros_like(flat)
    for k in range(len(flat)):
        for other in range(k - half, k + half + 1):
            row = min(max(other, 0), last)
            for channel in range(flat.shape[1]):
                steady[k, channel] += flat[row, channel] / (2 * half + 1)
    pairs = lagged(times, apart, _NOISE_LAG_S, 1)
    count = len(pairs)
    noise, steps = np.full(flat.shape[1], _NOISE_FLOOR), np.empty(count)
    if count >= FEWEST_PAIRS:
        for channel in range(len(noise)):
            for k in range(count):
                steps[k] = abs(steady[pairs[k, 1], channel] - steady[pairs[k, 0], channel])
            noise[channel] = max(shape.TO_SIGMA / np.sqrt(2) * middle(steps), _NOISE_FLOOR)
    for roi in range(len(ignored)):
        if ignored[roi]:
            noise[2 * roi] = noise[2 * roi + 1] = IGNORED
    return steady[apex].copy().reshape(-1, 2), noise.reshape(-1, 2)


@compiled("Tuple((f8[::1], UniTuple(f8, 5)))(f8[:,:,::1], f8[:,::1], f8[:,::1])")
def _weighed(away: Floats, lead: Floats, noise: Floats) -> tuple[Floats, tuple[float, float, float, float, float]]:
    """[n]: movement along the lead, each channel by its evidence, as long as the lead at the apex; and amplitude,
    noise, mouth, talking and lids of `Measures`."""
    strength, weight = np.zeros(len(away)), np.empty_like(lead)
    evidence = talking = lids = square = amplitude = mouth = 0.0
    for roi in range(len(lead)):
        amplitude = max(amplitude, np.sqrt(lead[roi, 0] ** 2 + lead[roi, 1] ** 2))
        for axis in range(2):
            weight[roi, axis] = lead[roi, axis] / noise[roi, axis] ** 2
            speaks = lead[roi, axis] * weight[roi, axis]
            evidence += speaks
            square += lead[roi, axis] ** 2
            talking += speaks * TALKING[roi]
            lids += speaks * LIDS[roi]
            mouth += min(noise[roi, axis], 1.0) * TALKING[roi]
    evidence = max(evidence, 1e-12)
    for n in range(len(away)):
        strength[n] = (away[n] * weight).sum() * np.sqrt(square) / evidence
    mouth /= 2 * TALKING.sum() * _NOISE_FLOOR
    return strength, (amplitude, middle_noise(noise), mouth, talking / evidence, lids / evidence)


@compiled("UniTuple(f8, 3)(f8[::1], f8[::1], b1[::1], f8, f8)")
def _beside(times: Floats, share: Floats, apart: Mask, begin: float, end: float) -> tuple[float, float, float]:
    """alone, restless and foot of `Measures`; share: [n] of the movement at the apex; begin, end: of the candidate."""
    around = above = beside = 0
    squares, sums, counts = 0.0, np.zeros(2), np.zeros(2)
    for time, size, far in zip(times, share, apart):  # noqa: B905  # as it is compiled
        if far and begin - _ALONE_S < time < end + _ALONE_S:
            around += 1
            above += size > _ALONE
        if far and abs(time) < BESIDE_S:
            beside += 1
            squares += size * size
        for side, low in enumerate((begin - shape.MARGIN_S, end)):
            if low < time < low + shape.MARGIN_S:
                counts[side] += 1
                sums[side] += size
    foot = np.abs(sums / np.maximum(counts, 1)).max()
    return above / max(around, 1), np.sqrt(squares / max(beside, 1)), foot


@compiled("UniTuple(f8, 5)(f8[::1], b1[::1], f4[:], f4[:,:], f4[:,:], f8[::1])")
def _meanwhile(
    times: Floats,
    during: Mask,
    brightness: NDArray[np.float32],
    shift: NDArray[np.float32],
    turn: NDArray[np.float32],
    shut: Floats,
) -> tuple[float, float, float, float, float]:
    """Change of brightness (grey levels), jump, turn_deg, turn_near_deg and shut_near of `Measures`."""
    near = np.abs(times) <= NEAR_S
    jump, before = 0.0, -1
    for k in range(len(times)):
        if during[k]:
            if before >= 0:
                jump = max(jump, np.abs(shift[k] - shift[before]).max())
            before = k
    turns = [max([np.ptp(turn[:, axis][when]) for axis in range(3)]) for when in (during, near)]
    return float(np.ptp(brightness[during])), float(jump), float(turns[0]), float(turns[1]), float(shut[near].max())
