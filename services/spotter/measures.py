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
from services.motion.dot import dot
from services.motion.middle import middle
from services.motion.rois import ROIS
from services.spotter import curve as shape
from services.spotter.blink import LIDS, closure
from services.spotter.calm import FEWEST_PAIRS, LEAST_MISFIT, lagged
from services.spotter.candidate import Candidate, along
from services.spotter.constants import CONSTANTS as C
from services.spotter.matched import IGNORED, Matched, match, middle_noise
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
_CLOSURE: Final = C.closure
_DOMINANCE_S: Final = C.dominance_s
_MISFIT: Final = C.misfit
_MISFIT_FACTOR: Final = C.misfit_factor
_NOISE_FLOOR: Final = C.noise_floor
_NOISE_LAG_S: Final = C.noise_lag_s
_STEADY_S: Final = C.steady_s


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
    [n], the movement along the apex's own direction, outer-eye distances. shut: [n] frames with shut eyes; ignored:
    [R, 2] channels that do not count. hidden, blinked: whether skin was not found again, or lids were shut. matched:
    what a filter of its shape says, of a brief one that was judged by it.
    """

    table: Table
    times: Floats
    apex: int
    onset_s: float
    offset_s: float
    moved: Floats
    strength: Floats
    shut: Mask
    ignored: Mask
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
    shut = closure(table["opening"])
    during, apart, most_shut, lowered = _when(times, shut, table["shut"], begin, end)
    misfit, seen_worse, hidden = _misfit(table["misfit"], during, apart)
    blinked = most_shut > C.closure
    lead, noise = _lead_and_noise(away, times, apart, apex, misfit > C.misfit_factor, blinked, lowered)
    score, likeness = match(lead, noise)
    strength, (amplitude, usual_noise, mouth, talking, lids) = _weighed(away, lead, noise)
    if candidate.brief:
        _level(strength, times, apart, begin, end)
    apex = _largest(strength, times)
    if strength[apex] <= 0:  # all that moved is left out
        return "occlusion" if hidden else "noise"
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
        drift=candidate.strays(2 * C.ahead_s),
        crowded=float(candidate.crowded),
        noise=usual_noise,
        mouth=mouth,
        talking=talking,
        lids=lids,
        turn_deg=turn_deg,
        turn_near_deg=turn_near_deg,
        shut=most_shut,
        shut_near=shut_near,
        misfit=seen_worse,
        light=light / float(table["brightness"][apex]),
        jump=jump,
    )
    return Seen(
        table=table,
        times=times,
        apex=apex,
        onset_s=onset_s,
        offset_s=offset_s,
        moved=away,
        strength=strength,
        shut=shut >= C.closure,
        ignored=noise >= IGNORED,
        hidden=hidden,
        blinked=blinked,
        measures=measures,
    )


@compiled("f8(f8[::1], f8, f8)")
def _longest_gap(times: Floats, begin: float, end: float) -> float:
    """Between two frames from begin to end, or there and just beside it."""
    longest = 0.0
    for k in range(1, len(times)):
        if times[k] >= begin and times[k - 1] <= end:
            longest = max(longest, times[k] - times[k - 1])
    return longest


@compiled("Tuple((b1[::1], b1[::1], f8, b1))(f8[::1], f8[::1], u1[:], f8, f8)")
def _when(
    times: Floats, shut: Floats, state: NDArray[np.uint8], begin: float, end: float
) -> tuple[Mask, Mask, float, bool]:
    """[n] each: which frames lie between begin and end, and which lie clear of them with open eyes; how far the eyes
    were shut at most in between, and whether they were so while nobody blinked. shut: [n] 0 to 1; state: [n] as in
    `ROW`."""
    during, apart = np.empty(len(times), np.bool_), np.empty(len(times), np.bool_)
    most, lowered = -np.inf, False
    for k in range(len(times)):
        during[k] = begin <= times[k] <= end
        apart[k] = (times[k] < begin - shape.MARGIN_S or times[k] > end + shape.MARGIN_S) and shut[k] < _CLOSURE
        if during[k]:
            most = max(most, shut[k])
            lowered |= shut[k] > _CLOSURE and state[k] != TAKEN_OUT
    return during, apart, most, lowered


@compiled("void(f8[::1], f8[::1], b1[::1], f8, f8)")
def _level(strength: Floats, times: Floats, apart: Mask, begin: float, end: float) -> None:
    """Puts zero where it is just before and after."""
    around = strength[apart & (times > begin - _ALONE_S) & (times < end + _ALONE_S)]
    if len(around):
        strength -= middle(around)


@compiled("i8(f8[::1], f8[::1])")
def _largest(strength: Floats, times: Floats) -> int:
    """Position of the largest near the candidate's own."""
    largest = -1
    for k in range(len(times)):
        if abs(times[k]) <= _DOMINANCE_S and (largest < 0 or strength[k] > strength[largest]):
            largest = k
    return largest


@compiled("Tuple((f8[::1], f8, b1))(f4[:,:], b1[::1], b1[::1])")
def _misfit(misfit: NDArray[np.float32], during: Mask, apart: Mask) -> tuple[Floats, float, bool]:
    """[R]: how much worse skin is found again during the candidate than at other times, 0 for lids; the third largest
    of them; whether any is hidden."""
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
    return worse, np.sort(worse[~LIDS])[-3], worse.max() > _MISFIT_FACTOR


@compiled("Tuple((f8[:,::1], f8[:,::1]))(f8[:,:,::1], f8[::1], b1[::1], i8, b1[::1], b1, b1)")
def _lead_and_noise(
    away: Floats, times: Floats, apart: Mask, apex: int, hidden: Mask, blinked: bool, lowered: bool
) -> tuple[Floats, Floats]:
    """[R, 2] each: the motion at the apex, and what each channel does in the time of a micro-expression, the candidate
    itself left out. Both are of `away` averaged over STEADY_S. ROIs that are hidden, [R], or that lids drag along, are
    ignored: made to stand still."""
    last, flat = len(away) - 1, away.reshape(len(away), -1)
    ignored, half = hidden | (LIDS & blinked) | (~TALKING & lowered), round(_STEADY_S / 2 / middle(np.diff(times)))
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
    heard = 0
    for roi in range(len(lead)):
        amplitude = max(amplitude, np.sqrt(lead[roi, 0] ** 2 + lead[roi, 1] ** 2))
        for axis in range(2):
            weight[roi, axis] = lead[roi, axis] / noise[roi, axis] ** 2
            speaks = lead[roi, axis] * weight[roi, axis]
            evidence += speaks
            square += lead[roi, axis] ** 2
            talking += speaks * TALKING[roi]
            lids += speaks * LIDS[roi]
            if TALKING[roi] and noise[roi, axis] < IGNORED:
                mouth += noise[roi, axis] / _NOISE_FLOOR
                heard += 1
    evidence = max(evidence, 1e-12)
    flat, each = away.reshape(len(away), -1), weight.ravel()
    for n in range(len(away)):
        strength[n] = dot(flat[n], each) * np.sqrt(square) / evidence
    mouth = mouth / heard if heard else 1.0
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
