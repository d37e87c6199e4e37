"""A candidate through a filter of its own shape: all of its rise and fall speak, not the apex alone.

A matched filter (Turin, "An introduction to matched filters", IRE Trans. Information Theory 6(3), 1960): noise of
single frames averages out over the whole movement, and what stays constant meanwhile does not count.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled
from services.motion.templates import FLAT, explained
from services.spotter.candidate import along
from services.spotter.constants import CONSTANTS as C
from services.spotter.curve import TO_SIGMA, VISIBLE, middle, rise_and_fall

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
    feet: when it begins and ends; shut: [n] frames with shut eyes, which say nothing of noise; ignored: [R] or [R, 2]
    what does not count."""
    frame_s = float(middle(np.diff(times)))
    rise, fall = (max(s, frame_s) / (1 - VISIBLE) for s in (times[apex] - feet[0], feet[1] - times[apex]))
    apart = ((times < feet[0] - C.margin_s - fall) | (times > feet[1] + C.margin_s + rise)) & ~shut
    if apart.sum() < FEWEST:
        apart = (times < feet[0] - C.margin_s) | (times > feet[1] + C.margin_s)
    elsewhere = np.flatnonzero(apart)
    elsewhere = elsewhere[:: max(1, len(elsewhere) // MOST)]
    kernel, before = _kernel(rise, fall, frame_s), _frames(rise, frame_s)
    answers = _filtered(away, kernel, before, np.append(elsewhere, apex))
    lead, rest = answers[-1], answers[:-1]
    noise = np.full(away.shape[1:], C.noise_floor)
    if len(rest) >= FEWEST:
        noise = TO_SIGMA * middle(np.abs(rest - middle(rest)))
    noise = np.maximum(noise, FLOOR * C.noise_floor)
    noise[ignored] = IGNORED
    weight = lead / noise**2
    others = along(rest, weight) / max(float((lead * weight).sum()), 1e-12)
    counted = noise < IGNORED
    score, likeness = match(lead, noise)
    return Matched(
        score,
        likeness,
        chance=float(np.sort(np.abs(others))[-3:].mean()) if len(others) else 0.0,
        noise=float(middle(noise[counted]) / C.noise_floor) if counted.any() else IGNORED,
        pattern=np.where(counted, lead / noise, 0),
    )


@compiled("UniTuple(f8, 2)(f8[:,::1], f8[:,::1])")
def match(lead: Floats, noise: Floats) -> tuple[float, float]:
    """How well action units explain a motion: in standard deviations of the noise, and as a share (a cosine) of what is
    more than noise.

    lead, noise: [R, 2].
    """
    whole, units = (lead / noise).ravel(), FLAT / noise.ravel()
    for unit in units:
        unit /= np.sqrt((unit * unit).sum())
    part = explained(whole, units)
    excess = max(((whole - part) ** 2).sum() - len(whole), 0.0)  # noise alone leaves one for each channel
    made = max((part**2).sum(), 1e-9)
    return np.sqrt(made), np.sqrt(made / (made + excess))


def _kernel(rise: float, fall: float, frame_s: float) -> Floats:
    """[frames] whose answer to the shape itself is 1, and to what is constant 0."""
    before, after = _frames(rise, frame_s), _frames(fall, frame_s)
    since: Floats = np.arange(-before, after + 1, dtype=np.float64) * frame_s
    shape = rise_and_fall(since, rise, fall)
    even = shape - shape.mean()
    return np.asarray(even / (even @ shape))


def _frames(flank: float, frame_s: float) -> int:
    """Of the shape, on one side of its apex."""
    return int(np.ceil((flank + AROUND_S) / frame_s))


@compiled("f8[:,:,::1](f8[:,:,::1], f8[::1], i8, i8[::1])")
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
