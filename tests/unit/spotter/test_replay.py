"""A detector's state is a pure function of the last 10 s of its stream: whoever replays them emits the same windows."""

import numpy as np
import pytest
from numpy.typing import NDArray

from microex.v1 import frame_pb2
from services.spotter import detector as detector_module
from services.spotter.candidate import Candidate, due
from services.spotter.detector import LOOK_BACK_S, Detector, Step
from services.spotter.rows import Rows
from tests.unit.spotter.planting import FULL, Plant, action_field, warp
from tests.unit.spotter.streams import end, landmarks_of, looped, message, picture_of, run, windows


def calm(frames: list[frame_pb2.FaceFrame]) -> list[frame_pb2.FaceFrame]:
    """Two seconds in which little happens, forth and back so that they can be looped; real landmarks, real noise."""
    return [*frames[105:133], *frames[132:104:-1]]


def with_expressions(frames: list[frame_pb2.FaceFrame]) -> list[frame_pb2.FaceFrame]:
    """A planted expression every 1.7 s, some across the grid lines at which the reference changes."""
    plants = [
        Plant(list(FULL)[k % len(FULL)], start, start + 4, start + 9, 0.5)
        for k, start in enumerate(range(20, len(frames) - 20, 51))
    ]
    out = []
    for k, frame in enumerate(frames):
        picture, landmarks = picture_of(frame), landmarks_of(frame)
        for plant in plants:
            if plant.onset <= k <= plant.offset:
                picture = warp(picture, action_field(plant.action, landmarks, plant.course(k)))
        out.append(message(k, frame.frame.moment.time_us, picture, landmarks))
    return out


def run_with_magnitudes(
    frames: list[frame_pb2.FaceFrame], whole: bool = True
) -> tuple[list[Step], list[NDArray[np.float32]]]:
    detector, steps, magnitudes = Detector(whole), list[Step](), list[NDArray[np.float32]]()
    for frame in frames:
        steps.append(detector.step(frame))
        magnitudes.append(detector.magnitudes())
    return steps, magnitudes


def test_a_replay_from_anywhere_emits_the_same_windows_from_ten_seconds_on(
    conversation: list[frame_pb2.FaceFrame],
) -> None:
    frames = with_expressions(looped(calm(conversation), 10))
    undisturbed, curves = run_with_magnitudes(frames)
    assert len(windows(undisturbed[330:])) >= 3, "too few windows to compare anything"
    for start in (7, 64, 101, 173):
        replayed, again = run_with_magnitudes(frames[start:], whole=False)
        safe_us = frames[start].frame.moment.time_us + int(LOOK_BACK_S * 1e6)
        for expected, got, drawn, redrawn in zip(undisturbed[start:], replayed, curves[start:], again, strict=True):
            if got.time_us < safe_us:
                assert not got.windows, f"emitted before the look-back was replayed from frame {start}"
            else:
                assert got.dismissed == expected.dismissed
                assert [w.SerializeToString(deterministic=True) for w in got.windows] == [
                    w.SerializeToString(deterministic=True) for w in expected.windows
                ], f"replayed from frame {start}, another answer at {got.time_us} us"
                assert (redrawn == drawn).all()


def parted(frames: list[frame_pb2.FaceFrame], first: int, seconds: float) -> list[frame_pb2.FaceFrame]:
    """The same stream with a gap before the frame `first`."""
    moved = looped(frames, 1)
    for frame in moved[first:]:
        frame.frame.moment.index += round(30 * seconds)
        frame.frame.moment.time_us += round(seconds * 1e6)
    return moved


@pytest.mark.parametrize("gap_s", [0.5, 3.0, 7.5, 9.0])
def test_a_gap_is_no_way_back_beyond_ten_seconds(conversation: list[frame_pb2.FaceFrame], gap_s: float) -> None:
    frames = parted(with_expressions(looped(calm(conversation), 7)), 195, gap_s)
    undisturbed, curves = run_with_magnitudes(frames)
    for start in (165, 205, 215):
        replayed, again = run_with_magnitudes(frames[start:], whole=False)
        safe_us = frames[start].frame.moment.time_us + int(LOOK_BACK_S * 1e6)
        for expected, got, drawn, redrawn in zip(undisturbed[start:], replayed, curves[start:], again, strict=True):
            if got.time_us >= safe_us:
                assert [w.window_id for w in got.windows] == [w.window_id for w in expected.windows]
                assert got.dismissed == expected.dismissed and (redrawn == drawn).all()


def test_an_expression_before_a_gap_is_found_and_one_across_it_is_none(
    conversation: list[frame_pb2.FaceFrame],
) -> None:
    frames = with_expressions(looped(calm(conversation), 2))
    whole = windows(run(frames))[0]
    assert whole.offset.index < 36, "another base for this test"
    for gap_s in (0.6, 3.0, 11.0):
        assert windows(run(parted(frames, 36, gap_s)))[0].apex.index == whole.apex.index
        assert whole.apex.index not in [w.apex.index for w in windows(run(parted(frames, whole.apex.index + 1, gap_s)))]


def test_whatever_was_a_candidate_is_told_of(
    conversation: list[frame_pb2.FaceFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list[Candidate]()

    def noted(rows: Rows, after_us: int, until_us: int) -> list[Candidate]:
        found.extend(new := due(rows, after_us, until_us))
        return new

    monkeypatch.setattr(detector_module, "due", noted)
    verdicts = [verdict for step in run([*conversation, end(conversation)]) for verdict in step.verdicts]
    assert sorted((v.apex_us, v.brief) for v in verdicts) == sorted((c.apex_us, c.brief) for c in found) != []
    assert all(verdict.seen is not None or verdict.course is not None for verdict in verdicts)


def test_frames_read_again_change_nothing(conversation: list[frame_pb2.FaceFrame]) -> None:
    frames = with_expressions(looped(calm(conversation), 4))
    again = [frame for k in range(0, len(frames), 30) for frame in (*frames[max(k - 30, 0) : k], *frames[k : k + 30])]
    steps = run(again)
    assert [s.outcome for s in steps].count("analysed") == len(frames)
    assert [s.outcome for s in steps].count("repeat") == len(again) - len(frames)
    assert [w.window_id for w in windows(steps)] == [w.window_id for w in windows(run(frames))]
