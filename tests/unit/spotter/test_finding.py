"""What the detector finds and what it leaves: known movements in a real face, and what is no expression."""

import numpy as np
import pytest
from numpy.typing import NDArray

from microex.v1 import frame_pb2, window_pb2
from services.motion.rois import REGIONS, ROIS
from services.motion.tensor import unpack
from services.spotter.detector import DETECTOR_VERSION
from tests.unit.spotter.planting import FULL, Plant, bumps, warp
from tests.unit.spotter.streams import end, moved, planted, run, windows

FaceFrame = frame_pb2.FaceFrame


def overlap(window: window_pb2.ApexWindow, plant: Plant) -> float:
    """Intersection over union of two intervals, ends included."""
    shared = min(window.offset.index, plant.offset) - max(window.onset.index, plant.onset) + 1
    return shared / (max(window.offset.index, plant.offset) - min(window.onset.index, plant.onset) + 1)


def plants_at(fps: float, amplitude: float, actions: list[str]) -> list[Plant]:
    """One action every 1.8 s, each 0.3 s long."""
    length = round(0.3 * fps)
    starts = [round((1.2 + 1.8 * k) * fps) for k in range(len(actions))]
    return [Plant(a, s, s + length // 2, s + length - 1, amplitude) for a, s in zip(actions, starts, strict=True)]


@pytest.mark.parametrize("amplitude", [0.2, 0.4])
def test_finds_micro_expressions_of_every_action(neutral: FaceFrame, amplitude: float) -> None:
    plants = plants_at(30, amplitude, list(FULL))
    found = windows(run(planted(neutral, 14, 30, plants)))
    assert [w.kind for w in found] == [window_pb2.KIND_MICRO] * len(found)
    missed = [p.action for p in plants if not any(overlap(w, p) >= 0.5 for w in found)]
    assert not missed and len(found) == len(plants)
    off = [abs(w.apex.index - p.apex) for w, p in zip(found, plants, strict=True)]
    assert np.median(off) <= 1
    for edge in ("onset", "offset"):
        errors = [getattr(w, edge).index - getattr(p, edge) for w, p in zip(found, plants, strict=True)]
        assert np.abs(errors).mean() <= 1, f"{edge} is off by {errors} frames"


@pytest.mark.parametrize("fps", [25, 60, 200])
def test_no_frame_rate_needs_retuning(neutral: FaceFrame, fps: int) -> None:
    plants = plants_at(fps, 0.4, ["smile", "brow raise"])
    found = windows(run(planted(neutral, 5, fps, plants)))
    assert len(found) == 2
    for window, plant in zip(found, plants, strict=True):
        assert overlap(window, plant) >= 0.7
        assert window.fps == pytest.approx(fps, rel=0.01)


def test_decides_within_0_6_s_of_the_apex(neutral: FaceFrame) -> None:
    frames = planted(neutral, 5, 30, plants_at(30, 0.4, ["smile", "chin raise"]))
    for step in run(frames):
        for window in step.windows:
            assert step.time_us - window.apex.time_us <= 600_000


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [("smile", "frown", 3), ("frown", "smile", 3), ("smile", "smile", 5), ("brow raise", "brow raise", 5)],
)
def test_two_expressions_close_together_stay_two(neutral: FaceFrame, one: str, other: str, apart: int) -> None:
    """apart: neutral frames between them."""
    plants = [Plant(one, 40, 44, 49, 0.5), Plant(other, 50 + apart, 54 + apart, 59 + apart, 0.5)]
    found = windows(run(planted(neutral, 4, 30, plants)))
    assert len(found) == 2 and all(overlap(w, p) >= 0.5 for w, p in zip(found, plants, strict=True))


def test_a_long_expression_is_macro_and_one(neutral: FaceFrame) -> None:
    plant = Plant("smile", 40, 60, 80, 0.5)
    (window,) = windows(run(planted(neutral, 5, 30, [plant])))
    assert window.kind == window_pb2.KIND_MACRO and overlap(window, plant) >= 0.8


def test_the_window_says_what_moved_and_where(neutral: FaceFrame) -> None:
    plant = Plant("smirk left", 40, 45, 50, 0.5)
    frames = planted(neutral, 4, 30, [plant])
    (window,) = windows(run(frames))
    assert window.detector == DETECTOR_VERSION and window.onset.index < window.apex.index < window.offset.index
    peak = {curve.region: max(curve.magnitude) for curve in window.curves.curves}
    assert list(peak) == list(REGIONS) and max(peak, key=lambda name: peak[name]) == "mouth left"
    assert peak["mouth left"] == pytest.approx(0.5 * np.hypot(0.10, 0.14) * 0.8, rel=0.25)  # 0.8: mean over the square
    tensor = unpack(window.motion)
    corner = tensor.data[:, [roi.name for roi in ROIS].index("lip_corner_left")].astype(float)
    at_apex = int(np.abs(tensor.times).argmin())
    assert tensor.times[at_apex] == 0 and list(tensor.times) == sorted(set(tensor.times))
    assert corner[at_apex, 0].mean() > 0.02 and corner[at_apex, 1].mean() < -0.03, "to the left side and up"
    assert window.apex_jpeg == frames[window.apex.index].frame.crop_jpeg
    assert window.ByteSize() < 512 * 1024


def blinking(
    k: int, picture: NDArray[np.uint8], points: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Lids close for 0.2 s every 1.5 s; brows go along a little, as they do."""
    phase = (k % 45 - 20) / 6
    if not 0 <= phase <= 1:
        return picture, points
    shut, points, moves = np.sin(np.pi * phase), points.copy(), []
    for upper, lower, brow in (((159, 158, 160), (145, 153, 144), 65), ((386, 385, 387), (374, 380, 373), 295)):
        down = (points[list(lower)] - points[list(upper)]).mean(0) * 0.8 * shut
        moves += [(points[upper[0]], down, 4.0), (points[brow], np.array([0, 0.4 * shut]), 8.0)]
        points[list(upper)] += down
    return warp(picture, bumps(moves)), points


def test_blinks_are_no_expressions(neutral: FaceFrame) -> None:
    assert not windows(run(planted(neutral, 10, 30, [], blinking)))


def test_an_expression_beside_a_blink_is_found(neutral: FaceFrame) -> None:
    plant = Plant("smile", 60, 65, 71, 0.4)
    found = windows(run(planted(neutral, 4, 30, [plant], blinking)))
    assert len(found) == 1 and overlap(found[0], plant) >= 0.5


def swaying(
    k: int, picture: NDArray[np.uint8], points: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The head moves within the crop faster than alignment follows, and back."""
    bump = np.exp(-(((k % 50 - 25) / 4) ** 2))
    return moved(picture, points, np.array([2.5, -1.5]) * bump, 0.03 * bump, 1 + 0.02 * bump)


def lit(
    k: int, picture: NDArray[np.uint8], points: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A lamp from one side, on for a quarter of a second."""
    if not 20 <= k % 60 <= 27:
        return picture, points
    lamp = np.linspace(1.0, 1.4, picture.shape[1])
    return np.clip(picture * lamp, 0, 255).astype(np.uint8), points


@pytest.mark.parametrize("disturb", [None, swaying, lit])
def test_noise_head_and_light_are_no_expressions(neutral: FaceFrame, disturb: object) -> None:
    assert not windows(run(planted(neutral, 10, 30, [], disturb)))


@pytest.mark.parametrize("later", [10, 12, 16])
def test_a_smile_that_comes_in_two_steps_is_one(neutral: FaceFrame, later: int) -> None:
    """Its first peak belongs to the second, and does not speak for it."""
    steps = [Plant("smile", 90, 96, 130, 0.2), Plant("smile", 90 + later, 96 + later, 130 + later, 0.3)]
    [window] = windows(run(planted(neutral, 7, 30, steps)))
    assert window.kind == window_pb2.KIND_MACRO
    assert overlap(window, Plant("smile", 90, 96 + later, 130 + later, 0.5)) >= 0.5


def test_a_posture_that_stays_is_dismissed(neutral: FaceFrame) -> None:
    plant = Plant("smile", 40, 50, 1000, 0.5)
    steps = run(planted(neutral, 6, 30, [plant]))
    assert not windows(steps)
    assert "no_return" in [reason for step in steps for reason in step.dismissed]


def test_of_a_conversation_the_smile_is_found_and_the_talk_is_not(conversation: list[FaceFrame]) -> None:
    found = windows(run([*conversation, end(conversation)]))
    assert [w.kind for w in found] == [window_pb2.KIND_MACRO]
    assert found[0].onset.time_us < 1.2e6 and 3.6e6 < found[0].offset.time_us < 4.4e6


def test_laughter_is_found_and_a_hand_over_the_face_is_no_expression(laughter: list[FaceFrame]) -> None:
    found = windows(run([*laughter, end(laughter)]))
    assert [w.kind for w in found] == [window_pb2.KIND_MACRO] * 2
    brows_go_up, laughs = found
    assert 11e6 < brows_go_up.apex.time_us < 12e6
    assert 12.5e6 < laughs.apex.time_us < 14e6, "after the hand was gone, for the second time"


def test_the_end_judges_what_has_decayed_and_guesses_nothing(neutral: FaceFrame) -> None:
    plant = Plant("smile", 40, 44, 49, 0.4)
    frames = planted(neutral, 4, 30, [plant])
    assert len(windows(run([*frames[:54], end(frames[:54])]))) == 1, "decayed, though its half second is not over"
    assert not windows(run([*frames[:46], end(frames[:46])])), "at its apex nobody knows how it goes on"


def test_every_candidate_has_a_verdict_and_a_window_has_one_that_says_why(neutral: FaceFrame) -> None:
    steps = run(planted(neutral, 4, 30, [Plant("smile", 40, 44, 49, 0.4)]))
    verdicts = [verdict for step in steps for verdict in step.verdicts]
    found = [verdict for verdict in verdicts if verdict.found is not None]
    assert len(found) == len(windows(steps)) == 1
    (verdict,) = found
    assert verdict.reason is None and verdict.seen is not None and verdict.likelihood is not None
    assert len(verdict.seen.times) == len(verdict.seen.strength)
    assert verdict.seen.times[verdict.seen.apex] == pytest.approx((44 / 30) - verdict.apex_us / 1e6, abs=0.05)
    assert all(verdict.reason is not None for verdict in verdicts if verdict.found is None)
    assert [r for step in steps for r in step.dismissed] == [v.reason for v in verdicts if v.reason is not None]


def test_an_expression_is_published_once(neutral: FaceFrame) -> None:
    plants = plants_at(30, 0.5, list(FULL))
    spans = [(w.onset.index, w.offset.index) for w in windows(run(planted(neutral, 14, 30, plants)))]
    assert len(spans) >= len(plants) - 1
    assert all(a[1] < b[0] for a, b in zip(sorted(spans), sorted(spans)[1:], strict=False))
