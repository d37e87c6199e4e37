"""The core: what is published, in which order, and that every frame and face is accounted for."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microex.v1 import frame_pb2, stream_pb2
from services.common.settings import LandmarkSettings
from services.ingest.core import Captured, Ingest
from services.ingest.landmarks import Face
from services.motion.convention import CROP_PX, LANDMARKS
from tests.unit.ingest.fakes import face, textured

End = frame_pb2.End
FRAME_US = 40_000
PICTURE = textured()


class Scene:
    """Finds what it was told to find next."""

    def __init__(self) -> None:
        self.faces: list[Face] = []

    def __call__(self, _picture: object, _time_us: int) -> list[Face]:
        return self.faces


def make(scene: Scene, base: "stream_pb2.TimeBase.ValueType" = stream_pb2.TIME_BASE_MEDIA, epoch: int = 0) -> Ingest:
    return Ingest("s", "c", epoch, base, LandmarkSettings(), scene)


def step(ingest: Ingest, scene: Scene, index: int, faces: list[Face], time_us: int | None = None):  # type: ignore[no-untyped-def]
    scene.faces = faces
    return ingest.step(Captured(index, index * FRAME_US if time_us is None else time_us, PICTURE))


def test_a_frame_carries_all_that_the_spotter_needs() -> None:
    scene = Scene()
    (message,) = step(make(scene), scene, 0, [face(300)])
    assert message.stream == stream_pb2.StreamKey(session="s", camera="c", track="0.0.0")
    frame = message.frame
    assert frame.moment == stream_pb2.Moment(index=0, time_us=0)
    assert frame.time_base == stream_pb2.TIME_BASE_MEDIA
    assert message.stages.captured_us == 0, "a file is not captured at any time"
    crop = cv2.imdecode(np.frombuffer(frame.crop_jpeg, np.uint8), cv2.IMREAD_UNCHANGED)
    assert crop.shape == (CROP_PX, CROP_PX) and frame.crop_px == CROP_PX
    points = np.frombuffer(frame.landmarks, "<f4").reshape(LANDMARKS, 2)
    back = points @ np.array(frame.crop_to_picture).reshape(2, 3)[:, :2].T + np.array(frame.crop_to_picture)[[2, 5]]
    assert np.allclose(back, face(300).points, atol=0.01), "the affine leads back to the picture"
    assert frame.quality.eye_distance_px == pytest.approx(100)


def test_live_frames_tell_when_they_were_captured() -> None:
    scene = Scene()
    (message,) = step(make(scene, stream_pb2.TIME_BASE_UTC, 1700), scene, 0, [face(300)], 1_700_000)
    assert message.stages.captured_us == 1_700_000
    assert message.stream.track == "1700.0.0"


def test_sequence_runs_over_published_messages_and_the_end_counts_them() -> None:
    scene = Scene()
    ingest = make(scene)
    messages = []
    for index in range(6):
        messages += step(ingest, scene, index, [face(300, eye=20 if index in (2, 3) else 100)])
        scene.faces = []
    messages += ingest.finish(End.REASON_SOURCE_END)
    # A face that shrinks at once to a fifth is another one: two tracks, the second without a published frame.
    first = [m for m in messages if m.stream.track == "0.0.0"]
    assert [m.sequence for m in first] == list(range(len(first)))
    last = first[-1].end
    assert (last.reason, last.published, last.last_seen.index) == (End.REASON_SOURCE_END, 4, 5)
    small = [m.end for m in messages if m.stream.track == "0.2.0"]
    assert [(end.published, dict(end.dropped)) for end in small] == [(0, {"small": 2})]


@pytest.mark.parametrize(
    ("found", "reason"),
    [(face(300, eye=39), "small"), (face(300, yaw=-36), "pose"), (face(300, yaw=36), "pose"), (face(300), None)],
)
def test_faces_below_the_limits_are_dropped_with_a_reason(found: Face, reason: str | None) -> None:
    scene = Scene()
    ingest = make(scene)
    messages = step(ingest, scene, 0, [found])
    assert len(messages) == (reason is None)
    assert dict(ingest.account.faces_dropped) == ({reason: 1} if reason else {})
    assert ingest.account.closes


def test_a_blurred_face_is_dropped() -> None:
    scene = Scene()
    scene.faces = [face(300)]
    ingest = make(scene)
    blurred = cv2.GaussianBlur(PICTURE.astype(np.float32), (0, 0), 16)
    picture = cv2.normalize(blurred, np.zeros_like(blurred), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    assert ingest.step(Captured(0, 0, picture)) == []
    assert dict(ingest.account.faces_dropped) == {"blur": 1}


def test_a_lost_track_ends_after_a_second_of_stream_time() -> None:
    scene = Scene()
    ingest = make(scene)
    step(ingest, scene, 0, [face(300)])
    assert step(ingest, scene, 24, []) == []
    (message,) = step(ingest, scene, 25, [])
    assert message.end.reason == End.REASON_LOST
    assert message.end.last_seen.index == 0
    assert ingest.finish(End.REASON_SOURCE_END) == []


def test_gaps_in_the_index_and_times_that_stand_still_are_counted() -> None:
    scene = Scene()
    ingest = make(scene)
    step(ingest, scene, 2, [])
    step(ingest, scene, 3, [], time_us=2 * FRAME_US)
    ingest.drop("behind", 4)
    step(ingest, scene, 8, [])
    assert dict(ingest.account.dropped) == {"undecodable": 2, "time": 1, "behind": 4}
    assert ingest.account.captured == 9
    assert ingest.account.closes


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(
    st.integers(1, 3), st.sampled_from([0, 1, 40_000, 400_000, 1_200_000]),
    st.lists(st.tuples(st.sampled_from([100.0, 320.0, 540.0]), st.sampled_from([30.0, 90.0]), st.sampled_from([0, 60])),
             max_size=3)), max_size=12))  # fmt: skip
def test_both_sums_close_and_every_stream_counts_from_0_to_its_one_end(
    frames: list[tuple[int, int, list[tuple[float, float, int]]]],
) -> None:
    scene = Scene()
    ingest = make(scene)
    messages, index, time_us = [], -1, 0
    for skip, gap_us, faces in frames:
        index, time_us = index + skip, time_us + gap_us
        messages += step(ingest, scene, index, [face(x, eye=eye, yaw=yaw) for x, eye, yaw in sorted(faces)], time_us)
        assert ingest.account.closes
    messages += ingest.finish(End.REASON_SOURCE_END)
    assert ingest.account.captured == index + 1
    streams: dict[str, list[frame_pb2.FaceFrame]] = {}
    for message in messages:
        streams.setdefault(message.stream.track, []).append(message)
    for stream in streams.values():
        assert [m.sequence for m in stream] == list(range(len(stream)))
        assert [m.WhichOneof("body") for m in stream] == ["frame"] * (len(stream) - 1) + ["end"]
        assert stream[-1].end.published == len(stream) - 1
    ends = [stream[-1].end for stream in streams.values()]
    assert sum(end.published for end in ends) == ingest.account.faces_published
    assert sum(sum(end.dropped.values()) for end in ends) == ingest.account.faces_dropped.total()
