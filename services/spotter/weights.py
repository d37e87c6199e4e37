"""Numbers of the likelihood of a brief candidate, written by `python -m services.lab.spotter_weights`;
docs/results.md says on what.
"""

from typing import Final

BIAS: Final = 2.24

WEIGHTS: Final[dict[str, float]] = {
    "score": 1.475,
    "likeness": 0.3026,
    "amplitude": 0.4673,
    "fit": 1.129,
    "lasts_s": -6.888,
    "alone": -5.505,
    "restless": -0.2168,
    "foot": 0,
    "drift": -0.1756,
    "crowded": -0.7059,
    "noise": -0.4809,
    "mouth": 0,
    "talking": -0.1999,
    "lids": -4.136,
    "turn_deg": -0.0102,
    "turn_near_deg": 0,
    "shut": 0,
    "shut_near": 0,
    "misfit": 0,
    "light": -0.2051,
    "jump": 0,
}

TYPICAL: Final[dict[str, float]] = {
    "score": 3.082,
    "likeness": 2.636,
    "amplitude": -4.01,
    "fit": 3.259,
    "lasts_s": 0.0602,
    "alone": 0,
    "restless": -2.353,
    "foot": 0.07084,
    "drift": 0.09916,
    "crowded": 0,
    "noise": 0.3266,
    "mouth": 0.6773,
    "talking": 0.6445,
    "lids": 0.02031,
    "turn_deg": 0.232,
    "turn_near_deg": 0.8076,
    "shut": 0.02199,
    "shut_near": 0.03344,
    "misfit": -0.1767,
    "light": -3.968,
    "jump": -5.866,
}
