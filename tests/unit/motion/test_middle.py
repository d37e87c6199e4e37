"""The compiled median is the larger of the two in the middle, as everywhere here."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.motion.compiled import compiled
from services.motion.middle import middle


@compiled("f8(f8[::1])")
def compiled_middle(values: np.ndarray) -> float:
    return middle(values)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("inf")) | st.integers(0, 2).map(float), min_size=1, max_size=60))
def test_it_is_what_sorting_finds(values: list[float]) -> None:
    assert compiled_middle(np.array(values)) == sorted(values)[len(values) // 2]


def test_what_is_no_number_does_not_hang_it() -> None:
    compiled_middle(np.array([1.0, np.nan, 3.0, np.nan, 2.0]))
