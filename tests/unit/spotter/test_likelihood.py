"""What speaks for a brief candidate and against it, and how the numbers for that are fitted."""

from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from services.lab.spotter_weights import fit, source
from services.spotter.constants import CONSTANTS
from services.spotter.likelihood import FOR, features, likelihood, spoke_against
from services.spotter.measures import Measures
from services.spotter.weights import TYPICAL, WEIGHTS

NAMES = [field.name for field in fields(Measures)]
USUAL = Measures(
    score=20, likeness=0.9, amplitude=0.02, fit=0.97, lasts_s=0.38, alone=0, restless=0.08, foot=0.05, drift=0.1,
    crowded=0, noise=1.4, mouth=1.8, talking=0.5, lids=0.02, turn_deg=1, turn_near_deg=2, shut=0.02, shut_near=0.03,
    misfit=0, light=0.01, jump=0.002,
)  # fmt: skip
"""What an expression measures that is easy to see."""


def test_every_measure_is_weighed() -> None:
    assert set(WEIGHTS) == set(TYPICAL) == set(NAMES)
    assert set(features(USUAL)) == set(NAMES) and all(np.isfinite(list(features(USUAL).values())))


def test_a_plain_expression_is_likely_and_a_faint_or_restless_one_less_so() -> None:
    usual = likelihood(USUAL)
    assert usual > 0.8
    assert likelihood(replace(USUAL, score=3.0)) < usual
    assert likelihood(replace(USUAL, fit=0.0, restless=1.0, alone=0.3)) < CONSTANTS.likely < usual


def test_what_spoke_against_it_is_named() -> None:
    assert spoke_against(replace(USUAL, score=0.01)) == "noise"
    assert spoke_against(replace(USUAL, fit=-99.0)) == "shape"


def test_every_weight_speaks_as_its_measure_should() -> None:
    assert all(weight >= 0 if name in FOR else weight <= 0 for name, weight in WEIGHTS.items())


def test_the_fit_finds_what_tells_expressions_apart() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3))
    right = (rows[:, 0] - 0.5 * rows[:, 1] + rng.normal(0, 0.2, 400) > 0).astype(float)
    bias, weights, middle = fit(rows, right, np.array([1.0, -1.0, 1.0]))
    said = bias + (rows - middle) @ weights > 0
    assert (said == right).mean() > 0.9
    assert weights[0] > 0 > weights[1] and abs(weights[2]) < abs(weights[1]) / 3
    assert fit(rows, right, np.array([-1.0, -1.0, 1.0]))[1][0] == 0, "speaks against its sign"


def test_what_is_written_is_what_is_read() -> None:
    names, space = list(asdict(USUAL)), dict[str, object]()
    exec(source(0.25, names, np.arange(len(names)) / 3, np.ones(len(names))), space)
    assert space["BIAS"] == 0.25
    assert space["WEIGHTS"] == pytest.approx({name: k / 3 for k, name in enumerate(names)}, rel=1e-3)
