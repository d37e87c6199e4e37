"""How an expression comes and goes: onset, apex, offset.

Durations follow the quantiles of real micro-expressions (DFME: 2,629 clips at 200 to 500 frames/s, so trustworthy to a
few milliseconds); macro-expressions rise more slowly and may last for seconds. The rise is smooth, with no jump in
acceleration; the fall is a little slower than it began."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["micro", "macro"]
Array = NDArray[np.float64]

_LEVELS: Final = (0.0, 0.05, 0.25, 0.50, 0.75, 0.95, 1.0)
RISE_S: Final = (0.067, 0.090, 0.146, 0.200, 0.243, 0.313, 0.340)
"""Onset to apex of micro-expressions at the quantiles of _LEVELS, seconds (the outermost are ours)."""
FALL_S: Final = (0.050, 0.060, 0.130, 0.180, 0.230, 0.300, 0.330)
"""Apex to offset, likewise."""
MICRO_S: Final = 0.5
"""A micro-expression lasts no longer."""
MACRO_RISE_S: Final = (0.25, 0.9)
MACRO_S: Final = (0.7, 4.0)
"""A macro-expression's rise and whole length, seconds, lowest and highest."""


@dataclass(frozen=True)
class Course:
    """Seconds: from onset to apex, held there, from there to offset. skew: over 1, the fall begins faster than it
    ends."""

    rise_s: float
    hold_s: float
    fall_s: float
    skew: float = 1.0

    @property
    def whole_s(self) -> float:
        """Onset to offset."""
        return self.rise_s + self.hold_s + self.fall_s

    def __call__(self, seconds: Array) -> Array:
        """How far the expression has come, 0 to 1, at times since its onset; 0 before and after."""
        up = smooth(seconds / self.rise_s)
        down = smooth(np.clip((seconds - self.rise_s - self.hold_s) / self.fall_s, 0, 1) ** (1 / self.skew))
        return np.asarray(up * (1 - down))


def smooth(t: Array) -> Array:
    """0 to 1 with speed and acceleration 0 at both ends (minimum jerk: Flash & Hogan, J. Neuroscience 5(7), 1985)."""
    t = np.clip(t, 0, 1)
    return np.asarray(t**3 * (10 - 15 * t + 6 * t * t))


def draw(rng: np.random.Generator, kind: Kind) -> Course:
    """The course of one expression."""
    skew = float(rng.uniform(1.0, 1.4))
    if kind == "micro":
        rise, fall = (float(np.interp(rng.random(), _LEVELS, values)) for values in (RISE_S, FALL_S))
        hold = float(rng.uniform(0, 0.06))
        scale = min(1.0, (MICRO_S - 0.02) / (rise + hold + fall))
        return Course(rise * scale, hold * scale, fall * scale, skew)
    whole = float(np.exp(rng.uniform(*np.log(MACRO_S))))
    rise = float(min(rng.uniform(*MACRO_RISE_S), 0.4 * whole))
    hold = float(rng.uniform(0.1, 0.5)) * (whole - rise)
    return Course(rise, hold, whole - rise - hold, skew)
