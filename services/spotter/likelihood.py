"""How likely a brief candidate is an expression, by all its measures together, and which of them spoke most against it.

A logistic regression: every measure adds its weight times its distance from that of a typical expression, so each says
how much it speaks for or against. The numbers in `weights.py` were fitted on generated videos of training identities
and training motion style.
"""

import math
from dataclasses import asdict
from typing import Final

from services.spotter.measures import Measures
from services.spotter.reason import Reason
from services.spotter.weights import BIAS, TYPICAL, WEIGHTS

_LEAST: Final = {
    "score": 0.0, "amplitude": 1e-4, "restless": 0.01, "noise": 0.0, "mouth": 0.0, "light": 5e-3, "jump": 5e-4,
    "turn_deg": 0.3, "turn_near_deg": 0.3,
}  # fmt: skip
"""Measures of which multiples matter: their logarithms are weighed, after this is added, since less is noise."""

_SHORT_OF_ONE: Final = {"likeness": 0.02, "fit": 0.01}
"""Those of which what is missing from 1 matters, likewise."""

FOR: Final = ("score", "likeness", "amplitude", "fit")
"""The larger these, the likelier an expression; the other way round with all others."""

HIGHEST_SCORE: Final = 33.0
"""What is larger is not more of an expression."""
USUAL_S: Final = 0.38
"""How long a micro-expression lasts: what counts is how far from it."""
MISFIT: Final = (-1.0, 3.0)
"""Between these, misfit tells something."""

_AGAINST: Final[dict[str, Reason]] = {
    "score": "noise", "likeness": "shape", "amplitude": "weak", "fit": "shape", "lasts_s": "shape", "alone": "noise",
    "restless": "noise", "foot": "shape", "drift": "drift", "crowded": "shape", "noise": "noise", "mouth": "speech",
    "talking": "speech", "lids": "blink", "turn_deg": "head", "turn_near_deg": "head", "shut": "blink",
    "shut_near": "blink", "misfit": "occlusion", "light": "light", "jump": "jump",
}  # fmt: skip
"""What a candidate is taken for when this measure speaks most against it."""


def features(measures: Measures) -> dict[str, float]:
    """What is weighed."""
    found = asdict(measures)
    found["score"] = min(found["score"], HIGHEST_SCORE)
    found["lasts_s"] = abs(found["lasts_s"] - USUAL_S)
    found["misfit"] = min(max(found["misfit"], MISFIT[0]), MISFIT[1])
    logs = {name: math.log(max(found[name] + least, 1e-9)) for name, least in _LEAST.items()}
    short = {name: -math.log(max(1 - found[name], 0) + least) for name, least in _SHORT_OF_ONE.items()}
    return {name: float(value) for name, value in (found | logs | short).items()}


def likelihood(measures: Measures) -> float:
    """0 to 1."""
    return 1 / (1 + math.exp(min(-BIAS - sum(_votes(measures).values()), 500)))


def spoke_against(measures: Measures) -> Reason:
    """What it is, if it is no expression."""
    votes = _votes(measures)
    return _AGAINST[min(votes, key=lambda name: votes[name])]


def _votes(measures: Measures) -> dict[str, float]:
    found = features(measures)
    return {name: weight * (found[name] - TYPICAL[name]) for name, weight in WEIGHTS.items()}
