import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.analyze.curves import MotionCurves
from services.motion.rois import REGIONS

R = len(REGIONS)


def flat(value: float) -> np.ndarray:
    return np.full(R, value, np.float32)


def test_a_short_video_is_kept_as_it_is() -> None:
    curves = MotionCurves()
    for i in range(300):
        curves.add("a", i * 5_000, flat(i / 300))
    curve = curves.curves()["a"]
    assert np.allclose(curve.time_s, np.arange(300) * 0.005)
    assert np.allclose(curve.magnitude[:, 0], np.arange(300) / 300)


def test_a_day_at_200_frames_a_second_stays_small_and_keeps_its_one_peak() -> None:
    curves = MotionCurves(points=100)
    for i in range(20_000):
        curves.add("a", i * 4_320_000, flat(0.5 if i == 12_345 else 0.01))
    curve = curves.curves()["a"]
    assert len(curve.time_s) <= 100
    at = int(curve.magnitude[:, 3].argmax())
    assert curve.magnitude[at, 3] == np.float32(0.5)
    assert abs(curve.time_s[at] - 12_345 * 4.32) <= curves.slice_s


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10**9), st.floats(0, 1, width=32)), min_size=1),
    st.integers(3, 20),
)
def test_whatever_comes_time_ascends_and_the_largest_value_of_a_face_stays(
    samples: list[tuple[str, int, float]], points: int
) -> None:
    curves = MotionCurves(points)
    for track, time_us, value in samples:
        curves.add(track, time_us, flat(value))
    kept = curves.curves()
    assert sum(len(curve.time_s) for curve in kept.values()) <= max(points, 2 * len(kept))
    for track, curve in kept.items():
        assert (np.diff(curve.time_s) > 0).all()
        assert curve.magnitude.max() == max(np.float32(value) for name, _, value in samples if name == track)


def test_a_thousand_brief_faces_cost_a_point_or_two_each() -> None:
    curves = MotionCurves(points=50)
    for face in range(1000):
        for frame in range(5):
            curves.add(f"0.{face}.0", face * 10_000_000 + frame * 40_000, flat(0.1))
    assert sum(len(curve.time_s) for curve in curves.curves().values()) <= 2000
