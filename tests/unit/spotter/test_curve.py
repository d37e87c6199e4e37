"""Feet, peaks and selection on curves whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.spotter.constants import DETECTOR_VERSION, LOOK_BACK_S, Constants
from services.spotter.curve import feet, fitted_feet, peak
from services.spotter.select import select


def bump(times: np.ndarray, start: float, top: float, stop: float) -> np.ndarray:
    """A raised cosine up and one down."""
    up = np.clip((times - start) / (top - start), 0, 1)
    down = np.clip((stop - times) / (stop - top), 0, 1)
    return (1 - np.cos(np.pi * np.minimum(up, down))) / 2


@given(start=st.floats(0.3, 0.6), rise=st.floats(0.1, 0.8), fall=st.floats(0.1, 0.8))
def test_feet_of_a_raised_cosine(start: float, rise: float, fall: float) -> None:
    times = np.arange(0, 3, 1 / 60)
    curve = bump(times, start, start + rise, start + rise + fall)
    begin, stop = feet(times, curve, int(curve.argmax()))
    assert begin == pytest.approx(start, abs=1.2 / 60 + 0.05 * rise)
    assert stop == pytest.approx(start + rise + fall, abs=1.2 / 60 + 0.05 * fall)


def test_the_foot_of_an_unfinished_fall_lies_ahead() -> None:
    times = np.arange(0, 0.8, 1 / 30)
    curve = bump(times, 0.1, 0.4, 1.2)
    assert curve[-1] > 0.4
    _, stop = feet(times, curve, int(curve.argmax()))
    assert 1.0 <= stop <= 1.3


def test_phases_of_a_peak() -> None:
    times = np.arange(0, 4, 1 / 30)
    one = bump(times, 0.5, 0.8, 1.1)
    top = int(one.argmax())
    assert peak(one, top).phase == "decayed"
    assert peak(one[: top + 2], top).phase == "open"
    assert peak(one[top - 2 :], 2).phase == "drift"
    larger = one + 2 * bump(times, 0.85, 1.3, 1.8)
    assert peak(larger, top).phase == "part"
    apart = one + 2 * bump(times, 1.3, 1.6, 1.9)
    assert peak(apart, top).phase == "decayed"


def test_fitted_feet_bear_noise() -> None:
    times, rng = np.arange(0, 1.5, 1 / 30), np.random.default_rng(0)
    for _ in range(20):
        curve = bump(times, 0.5, 0.7, 0.95) + rng.normal(0, 0.08, len(times))
        begin, stop = fitted_feet(times, curve, 21)
        assert begin == pytest.approx(0.52, abs=0.07) and stop == pytest.approx(0.93, abs=0.07)


@given(
    magnitude=st.lists(st.floats(0, 10), min_size=1, max_size=120).map(np.array),
    count=st.integers(2, 16),
)
def test_selection_is_ordered_distinct_and_holds_the_apex(magnitude: np.ndarray, count: int) -> None:
    apex = int(magnitude.argmax())
    chosen = select(magnitude, apex, count)
    assert chosen == sorted(set(chosen)) and apex in chosen
    assert len(chosen) == min(count, len(magnitude))


def test_selection_spreads_over_rise_and_fall() -> None:
    magnitude = bump(np.linspace(0, 1, 60), 0, 0.4, 1)
    chosen = np.array(select(magnitude, int(magnitude.argmax()), 8))
    assert (chosen < 20).sum() >= 2 and (chosen > 30).sum() >= 2


def test_constants_that_look_back_too_far_are_refused() -> None:
    with pytest.raises(ValueError, match="rest on"):
        Constants(wait_s=4.0)
    assert LOOK_BACK_S == 10 and DETECTOR_VERSION.startswith("4-")
