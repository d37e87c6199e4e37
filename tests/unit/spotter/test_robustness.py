"""Whatever comes in, in whatever order: no crash, no negative interval, and every frame accounted for."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microex.v1 import frame_pb2, stream_pb2
from services.common.errors import Poison
from services.motion.convention import CROP_PX
from services.spotter.constants import CONSTANTS, LOOK_BACK_S
from services.spotter.core import Spotter
from services.spotter.detector import Detector
from tests.unit.spotter.planting import Plant
from tests.unit.spotter.streams import end, landmarks_of, looped, message, planted, run, windows

FaceFrame = frame_pb2.FaceFrame


def at(frame: FaceFrame, index: int, time_us: int) -> FaceFrame:
    copy = FaceFrame()
    copy.CopyFrom(frame)
    copy.sequence = copy.frame.moment.index = index
    copy.frame.moment.time_us = time_us
    return copy


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moments=st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1) | st.integers(0, 200),
            st.integers(-(2**63), 2**63 - 1) | st.integers(0, 7_000_000),
        ),
        min_size=2,
        max_size=40,
    ),
    whole=st.booleans(),
)
def test_no_order_duplicate_gap_or_jump_breaks_it(
    conversation: list[FaceFrame], moments: list[tuple[int, int]], whole: bool
) -> None:
    steps = run([at(conversation[k], *moment) for k, moment in enumerate(moments)], whole)
    assert {step.outcome for step in steps} <= {"analysed", "rejected", "repeat"}
    for window in windows(steps):
        assert window.onset.index <= window.apex.index <= window.offset.index
        assert window.onset.time_us <= window.apex.time_us <= window.offset.time_us


def test_frames_lost_and_jittered_in_time_leave_intervals_sound(conversation: list[FaceFrame]) -> None:
    rng = np.random.default_rng(5)
    kept = [f for f in looped(conversation, 2) if rng.random() > 0.2]
    moved = [at(f, f.frame.moment.index, f.frame.moment.time_us + int(rng.integers(0, 30_000))) for f in kept]
    for window in windows(run(moved)):
        assert window.onset.index <= window.apex.index <= window.offset.index
        assert window.onset.time_us <= window.apex.time_us <= window.offset.time_us


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_constant_crop_is_rejected_and_forgotten(neutral: FaceFrame, grey: int) -> None:
    detector = Detector(whole=True)
    blank = message(0, 0, np.full((CROP_PX, CROP_PX), grey, np.uint8), landmarks_of(neutral))
    step = detector.step(blank)
    assert (step.outcome, step.reason) == ("rejected", "blank")
    assert detector.step(at(neutral, 1, 33_333)).outcome == "analysed"


def test_a_face_that_is_none_is_rejected(neutral: FaceFrame) -> None:
    flat = at(neutral, 0, 0)
    flat.frame.landmarks = np.zeros((478, 2), "<f4").tobytes()
    assert Detector(whole=True).step(flat).reason == "geometry"
    far = at(neutral, 0, 0)
    far.frame.landmarks = (1e20 * np.frombuffer(neutral.frame.landmarks, "<f4")).astype("<f4").tobytes()
    assert Detector(whole=True).step(far).reason == "geometry"


def spoil_crop(m: FaceFrame) -> None:
    m.frame.crop_jpeg = b"\xff\xd8 no picture"


def spoil_empty(m: FaceFrame) -> None:
    m.frame.crop_jpeg = b""


def spoil_size(m: FaceFrame) -> None:
    m.frame.crop_px = 224


def spoil_length(m: FaceFrame) -> None:
    m.frame.landmarks = m.frame.landmarks[:-4]


def spoil_nan(m: FaceFrame) -> None:
    m.frame.landmarks = np.full(956, np.nan, "<f4").tobytes()


def spoil_body(m: FaceFrame) -> None:
    m.ClearField("frame")


def spoil_key(m: FaceFrame) -> None:
    m.stream.track = ""


def spoil_time(m: FaceFrame) -> None:
    m.frame.time_base = stream_pb2.TIME_BASE_UNSPECIFIED


@pytest.mark.parametrize(
    "spoil", [spoil_crop, spoil_empty, spoil_size, spoil_length, spoil_nan, spoil_body, spoil_key, spoil_time]
)
def test_what_cannot_be_read_is_poison_and_changes_nothing(
    neutral: FaceFrame, spoil: Callable[[FaceFrame], None]
) -> None:
    frames = planted(neutral, 3, 30, [Plant("smile", 40, 44, 49, 0.4)])
    expected = [w.window_id for w in windows(run(frames))]
    spotter, found = Spotter(), []
    for frame in frames:
        bad = FaceFrame()
        bad.CopyFrom(frame)
        spoil(bad)
        with pytest.raises(Poison):
            spotter.step(bad)
        found += [w.window_id for w in spotter.step(frame).windows]
    assert found == expected and expected


def test_a_gap_longer_than_the_look_back_starts_afresh(neutral: FaceFrame) -> None:
    plant = Plant("smile", 40, 44, 49, 0.4)
    before = planted(neutral, 3, 30, [plant])
    gap_us = int((LOOK_BACK_S + 1) * 1e6)
    after = [at(f, f.frame.moment.index + 1000, f.frame.moment.time_us + 3_000_000 + gap_us) for f in before]
    detector = Detector(whole=True)
    steps = [detector.step(frame) for frame in [*before, after[0]]]
    assert (detector.magnitudes() == 0).all(), "the first frame after the gap is its own reference"
    steps += [detector.step(frame) for frame in after[1:]]
    fresh = windows(run(after))
    assert [w.window_id for w in windows(steps)[1:]] == [w.window_id for w in fresh] and len(fresh) == 1


def test_a_hole_in_an_expression_is_no_expression(neutral: FaceFrame) -> None:
    frames = planted(neutral, 4, 30, [Plant("smile", 40, 44, 53, 0.5)])
    steps = run([*frames[:45], *frames[51:]])
    assert not windows(steps) and "gap" in [reason for step in steps for reason in step.dismissed]


def test_repeats_late_ones_and_equal_times_are_told_apart(neutral: FaceFrame) -> None:
    detector = Detector(whole=True)
    for index, time_us in ((0, 0), (1, 33_000), (3, 99_000)):
        assert detector.step(at(neutral, index, time_us)).outcome == "analysed"
    assert detector.step(at(neutral, 1, 33_000)).outcome == "repeat"
    assert detector.step(at(neutral, 2, 66_000)).reason == "late"
    assert detector.step(at(neutral, 4, 99_000)).reason == "time"
    assert detector.step(at(neutral, 5, 99_001)).reason == "time", "nothing can be seen to move in a microsecond"


def test_streams_do_not_mix(neutral: FaceFrame) -> None:
    frames = planted(neutral, 3, 30, [Plant("smile", 40, 44, 49, 0.4)])
    others = planted(neutral, 3, 30, [Plant("brow raise", 50, 54, 60, 0.4)], seed=1)
    for frame in others:
        frame.stream.track = "0.0.1"
    spotter, found = Spotter(), {"0.0.0": [], "0.0.1": []}
    for pair in zip(frames, others, strict=True):
        for frame in pair:
            found[frame.stream.track] += [w.onset.index for w in spotter.step(frame).windows]
    assert found["0.0.0"] == [w.onset.index for w in windows(run(frames))] != []
    assert found["0.0.1"] == [w.onset.index for w in windows(run(others))] != []


def test_memory_is_bounded_by_the_look_back(neutral: FaceFrame) -> None:
    detector = Detector(whole=True)
    for k in range(int(30 * 2 * LOOK_BACK_S)):
        detector.step(at(neutral, k, k * 33_333))
    assert len(detector._rows) == len(detector._rows.kept) <= 30 * CONSTANTS.rows_s + 1


def test_an_end_without_frames_is_an_end(neutral: FaceFrame) -> None:
    assert Detector(whole=True).step(end([neutral])).outcome == "end"
