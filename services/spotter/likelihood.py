"""How likely a candidate is an expression, by all that was measured on it, and what spoke most against it.

Boosted trees (`trees.py`) weigh every measure of it together, and the curve and the pattern of motion of a brief one.
They may only rise with measures that speak for an expression and fall with the others, so that each can be explained.
Others read the feet of brief ones off the same measures and the curve. All were fitted on generated videos of training
identities and motion style.
"""

from dataclasses import fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled
from services.motion.rois import ROIS
from services.spotter.measures import Measures, Seen
from services.spotter.reason import Reason
from services.spotter.trees import TREES, Expression

Floats = NDArray[np.float64]

_LEAST: Final = {
    "score": 0.0, "amplitude": 1e-4, "restless": 0.01, "noise": 0.0, "mouth": 0.0, "light": 5e-3, "jump": 5e-4,
    "turn_deg": 0.3, "turn_near_deg": 0.3, "filtered_score": 1e-3, "filtered_noise": 1e-3,
}  # fmt: skip
"""Measures of which multiples matter: their logarithms are weighed, after this is added, since less is noise."""

_SHORT_OF_ONE: Final = {"likeness": 0.02, "fit": 0.01, "filtered_likeness": 0.02}
"""Those of which what is missing from 1 matters, likewise."""

FOR: Final = ("score", "likeness", "amplitude", "fit", "filtered_score", "filtered_likeness")
"""The larger these, the likelier an expression; the other way round with all other measures."""

HIGHEST_SCORE: Final = 33.0
"""What is larger is not more of an expression."""
USUAL_S: Final = 0.38
"""How long a micro-expression lasts: what counts is how far from it."""
FREE: Final = ("curve ", "pattern ", "rise_s", "fall_s")
"""What begins so may speak either way, …"""
LASTING_FREE: Final = (*FREE, "talking", "lids")
"""… of one that lasts, these too: a smile lies where speech does."""
MISFIT: Final = (-1.0, 3.0)
"""Between these, misfit tells something."""
CURVE_S: Final = np.arange(-20, 16) / 30
"""Times since the apex at which the curve is weighed, seconds."""
STEEPEST: Final = 1.5
"""The curve counts up to this many times its apex."""

_AGAINST: Final[dict[str, Reason]] = {
    "score": "noise", "likeness": "shape", "amplitude": "weak", "fit": "shape", "lasts_s": "shape", "alone": "noise",
    "rise_s": "shape", "fall_s": "shape",
    "restless": "noise", "foot": "shape", "drift": "drift", "crowded": "shape", "noise": "noise", "mouth": "speech",
    "talking": "speech", "lids": "blink", "turn_deg": "head", "turn_near_deg": "head", "shut": "blink",
    "shut_near": "blink", "misfit": "occlusion", "light": "light", "jump": "jump", "filtered_score": "noise",
    "filtered_likeness": "shape", "filtered_chance": "noise", "filtered_noise": "noise", "curve": "shape",
    "pattern": "shape",
}  # fmt: skip
"""What a candidate is taken for when this speaks most against it."""


_MEASURES: Final = (
    *(field.name for field in fields(Measures)), "filtered_score", "filtered_likeness", "filtered_chance",
    "filtered_noise", "lasts_s",
)  # fmt: skip
_SCORE, _MISFIT = _MEASURES.index("score"), _MEASURES.index("misfit")
_MULTIPLE: Final = np.array([name in _LEAST for name in _MEASURES])
_SHORT: Final = np.array([name in _SHORT_OF_ONE for name in _MEASURES])
_ADDED: Final = np.array([(_LEAST | _SHORT_OF_ONE).get(name, 0) for name in _MEASURES], np.float64)

NAMES: Final = (
    *_MEASURES,
    *(f"curve {k}" for k in range(len(CURVE_S))),
    *(f"pattern {roi.name} {axis}" for roi in ROIS for axis in "xy"),
)
"""[F] all that is weighed; names of the curve and of the pattern begin with these words."""

LASTING: Final = len(fields(Measures))
"""So many of them, the first ones, are weighed of a candidate that lasts."""


def row_of(seen: Seen) -> Floats:
    """[1, F]: all that is weighed of a brief candidate, in the order of NAMES; [1, LASTING] of one that lasts."""
    found, by = seen.measures, seen.matched
    if by is None:
        return _weighed(np.array([*vars(found).values()])).reshape(1, -1)
    lasts_s = abs(found.rise_s + found.fall_s - USUAL_S)
    measured = np.array([*vars(found).values(), *by.measures().values(), lasts_s])
    return _row(measured, seen.times, seen.strength, seen.apex, by.pattern)


@compiled("f8[::1](f8[::1])")
def _weighed(measured: Floats) -> Floats:
    """Logarithms where multiples count. measured: in the order of _MEASURES, the first LASTING of them at least."""
    weighed = measured.copy()
    weighed[_SCORE] = min(measured[_SCORE], HIGHEST_SCORE)
    weighed[_MISFIT] = min(max(measured[_MISFIT], MISFIT[0]), MISFIT[1])
    for k in range(len(measured)):
        if _MULTIPLE[k]:
            weighed[k] = np.log(max(weighed[k] + _ADDED[k], 1e-9))
        elif _SHORT[k]:
            weighed[k] = -np.log(max(1 - weighed[k], 0) + _ADDED[k])
    return weighed


@compiled("f8[:,::1](f8[::1], f8[::1], f8[::1], i8, f8[:,::1])")
def _row(measured: Floats, times: Floats, strength: Floats, apex: int, pattern: Floats) -> Floats:
    """measured: in the order of _MEASURES; the others as in `Seen`."""
    at = times[apex] + CURVE_S
    curve = np.interp(at, times, strength / max(strength[apex], 1e-9))
    curve[(at < times[0]) | (at > times[-1])] = 0
    evidence = np.sign(pattern) * np.log1p(np.abs(pattern))
    return np.concatenate((_weighed(measured), curve.clip(-STEEPEST, STEEPEST), evidence.ravel())).reshape(1, -1)


def likelihood(row: Floats) -> float:
    """0 to 1. row: as `row_of` makes it."""
    return float(1 / (1 + np.exp(-_told_by(row).odds(row)[0])))


def _told_by(row: Floats) -> Expression:
    return TREES.brief if row.shape[1] > LASTING else TREES.lasting


def feet(row: Floats) -> tuple[float, float]:
    """How long before the apex an expression begins, and how long after it ends, seconds."""
    return max(float(TREES.rise(row)[0]), 0.0), max(float(TREES.fall(row)[0]), 0.0)


def spoke_against(row: Floats) -> Reason:
    """What it is, if it is no expression: what it would be likeliest to be one without."""
    known, (odds, typical) = row.shape[1], _told_by(row)
    instead = np.where(_GROUPS[_GROUPS[:, :known].any(1), :known], typical, row)
    return _AGAINST[_GROUP_NAMES[int(odds(instead).argmax())]]


_GROUP_NAMES: Final = tuple(dict.fromkeys(name.partition(" ")[0] for name in NAMES))
_GROUPS: Final = np.array([[name.partition(" ")[0] == group for name in NAMES] for group in _GROUP_NAMES])
"""[groups, F]: the features that each stands for: curve and pattern have many."""
