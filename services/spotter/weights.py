"""Numbers of the likelihood of a brief candidate, written by `python -m services.lab.spotter_weights`;
docs/results.md says on what.
"""

from typing import Final

BIAS: Final = 2.868

WEIGHTS: Final[dict[str, float]] = {
    "score": 1.808,
    "likeness": 0.07023,
    "amplitude": 0.4573,
    "fit": 1.242,
    "lasts_s": -8.212,
    "alone": -3.292,
    "restless": -0.0212,
    "foot": -1.778e-09,
    "drift": -0.7311,
    "crowded": -0.5716,
    "noise": -0.07265,
    "mouth": -0.254,
    "talking": -1.242,
    "lids": -6.008,
    "turn_deg": -0.5189,
    "turn_near_deg": 0,
    "shut": -2.027,
    "shut_near": 0,
    "misfit": 0,
    "light": -0.229,
    "jump": 0,
}

TYPICAL: Final[dict[str, float]] = {
    "score": 3.109,
    "likeness": 2.438,
    "amplitude": -4.119,
    "fit": 3.305,
    "lasts_s": 0.0602,
    "alone": 0,
    "restless": -2.363,
    "foot": 0.06044,
    "drift": 0.06253,
    "crowded": 0,
    "noise": 0.2606,
    "mouth": 0.6009,
    "talking": 0.6412,
    "lids": 0.01953,
    "turn_deg": 0.2666,
    "turn_near_deg": 0.793,
    "shut": 0.01955,
    "shut_near": 0.03344,
    "misfit": -0.2507,
    "light": -4.015,
    "jump": -5.884,
}
