"""A candidate through a filter of its own shape: all of its rise and fall speak, not the apex alone.

A matched filter (Turin, "An introduction to matched filters", IRE Trans. Information Theory 6(3), 1960): noise of
single frames averages out over the whole movement, and what stays constant meanwhile does not count.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled, inlined
from services.motion.dot import dot
from services.motion.middle import middle
from services.motion.templates import FLAT, explained
from services.spotter.constants import CONSTANTS as C
from services.spotter.curve import MARGIN_S, TO_SIGMA, VISIBLE, rise_and_fall

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

AROUND_S: Final = 0.15
"""So much of neutral on either side belongs to the shape, seconds."""
FLOOR: Final = 0.6
"""No channel is quieter through the filter, times the noise floor."""
FEWEST: Final = 8
"""So many frames outside of the movement are needed to tell noise;"""
MOST: Final = 120
"""so many are enough, spread over all."""
IGNORED: Final = 1e3
"""Noise of a channel that does not count."""

_NOISE_FLOOR: Final = C.noise_floor


@dataclass(frozen=True, eq=False)
class Matched:
    """What the filter answers.

    score, likeness: see `match`. chance: mean of its three largest answers elsewhere along the same direction, as a
    share of that to the candidate. noise: of all channels, times its floor. pattern: [R, 2] its answer in standard
    deviations of noise, 0 where a channel does not count.
    """

    score: float
    likeness: float
    chance: float
    noise: float
    pattern: Floats

    def measures(self) -> dict[str, float]:
        """All but the pattern, as they are called beside what is measured without the filter."""
        return {f"filtered_{name}": getattr(self, name) for name in ("score", "likeness", "chance", "noise")}


def matched(times: Floats, away: Floats, apex: int, feet: tuple[float, float], shut: Mask, ignored: Mask) -> Matched:
    """times: [n] seconds; away: [n, R, 2] outer-eye distances from neutral; apex: position of the largest movement;
    feet: when it begins and ends; shut: [n] frames with shut eyes, which say nothing of noise; ignored: [R, 2] what
    does not count."""
    return Matched(*_matched(times, away, apex, *feet, shut, ignored))


@compiled("UniTuple(f8, 2)(f8[:,::1], f8[:,::1])")
def match(lead: Floats, noise: Floats) -> tuple[float, float]:
    """How well action units explain a motion: in standard deviations of the noise, and as a share (a cosine) of what is
    more than noise.

    lead, noise: [R, 2].
    """
    whole, units = (lead / noise).ravel(), FLAT / noise.ravel()
    for unit in units:
        unit /= np.sqrt(dot(unit, unit))
    part = explained(whole, units)
    excess = max(((whole - part) ** 2).sum() - len(whole), 0.0)  # noise alone leaves one for each channel
    made = max(dot(part, part), 1e-9)
    return np.sqrt(made), np.sqrt(made / (made + excess))


@inlined
def _elsewhere(times: Floats, shut: Mask, before: float, after: float) -> NDArray[np.int64]:
    """Rows before the one time or after the other whose eyes are not shut."""
    return np.flatnonzero(((times < before) | (times > after)) & ~shut)


@inlined
def _noise(rest: Floats) -> Floats:
    """[channels]: of the answers elsewhere, [m, channels]."""
    noise, values = np.full(rest.shape[1], _NOISE_FLOOR), np.empty(len(rest))
    if len(rest) >= FEWEST:
        for channel in range(len(noise)):
            values[:] = rest[:, channel]
            centre = middle(values)
            for n in range(len(rest)):
                values[n] = abs(values[n] - centre)
            noise[channel] = max(TO_SIGMA * middle(values), FLOOR * _NOISE_FLOOR)
    return noise


@inlined
def middle_noise(noise: Floats) -> float:
    """The middle one of all channels that count, times the noise floor; IGNORED without any."""
    counted = noise.ravel()[noise.ravel() < IGNORED]
    return middle(counted) / _NOISE_FLOOR if len(counted) else IGNORED


@inlined
def _largest(rest: Floats, weight: Floats) -> float:
    """Mean of the three largest answers along a direction, whatever their sign; 0 without any."""
    three = np.zeros(3)
    for n in range(len(rest)):
        size = abs(dot(rest[n], weight))
        least = three.argmin()
        three[least] = max(three[least], size)
    return float(three.sum() / max(min(len(rest), 3), 1))


@inlined
def _kernel(rise: float, fall: float, frame_s: float) -> Floats:
    """[frames] whose answer to the shape itself is 1, and to what is constant 0."""
    since = np.arange(-_frames(rise, frame_s), _frames(fall, frame_s) + 1).astype(np.float64) * frame_s
    shape = rise_and_fall(since, rise, fall)
    even = shape - shape.mean()
    return np.asarray(even / dot(even, shape))


@inlined
def _frames(flank: float, frame_s: float) -> int:
    """Of the shape, on one side of its apex."""
    return int(np.ceil((flank + AROUND_S) / frame_s))


@inlined
def _filtered(away: Floats, kernel: Floats, before: int, rows: NDArray[np.int64]) -> Floats:
    """[m, R, 2]: its answer at those rows; beyond the ends the face stays where it is."""
    flat = away.reshape(len(away), -1)
    answers = np.zeros((len(rows), flat.shape[1]))
    for n in range(len(rows)):
        for k in range(len(kernel)):
            row = min(max(rows[n] + k - before, 0), len(away) - 1)
            for channel in range(flat.shape[1]):
                answers[n, channel] += kernel[k] * flat[row, channel]
    return answers.reshape(len(rows), away.shape[1], 2)


@compiled("Tuple((f8, f8, f8, f8, f8[:,::1]))(f8[::1], f8[:,:,::1], i8, f8, f8, b1[::1], b1[:,::1])")
def _matched(
    times: Floats, away: Floats, apex: int, onset_s: float, offset_s: float, shut: Mask, ignored: Mask
) -> tuple[float, float, float, float, Floats]:
    """All of `Matched`, in its order."""
    frame_s = middle(np.diff(times))
    rise = max(times[apex] - onset_s, frame_s) / (1 - VISIBLE)
    fall = max(offset_s - times[apex], frame_s) / (1 - VISIBLE)
    elsewhere = _elsewhere(times, shut, onset_s - MARGIN_S - fall, offset_s + MARGIN_S + rise)
    if len(elsewhere) < FEWEST:
        elsewhere = _elsewhere(times, np.zeros_like(shut), onset_s - MARGIN_S, offset_s + MARGIN_S)
    rows = np.append(elsewhere[:: max(1, len(elsewhere) // MOST)], apex)
    answers = _filtered(away, _kernel(rise, fall, frame_s), _frames(rise, frame_s), rows)
    lead, rest = answers[-1], answers[:-1].copy().reshape(len(rows) - 1, 2 * away.shape[1])
    noise = np.where(ignored, IGNORED, _noise(rest).reshape(lead.shape))
    weight = (lead / noise**2).ravel()
    score, likeness = match(lead, noise)
    chance = _largest(rest, weight) / max(dot(lead.ravel(), weight), 1e-12)
    return score, likeness, chance, middle_noise(noise), np.where(ignored, 0.0, lead / noise)
