"""The landmarker on real faces: the model is the known one, poses have the agreed signs, runs repeat bit for bit."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from microex.v1 import frame_pb2, stream_pb2
from services.common.errors import Fatal
from services.common.settings import LandmarkSettings
from services.ingest import landmarks
from services.ingest.core import Ingest
from services.ingest.landmarks import Landmarker, model_path, pose_of
from services.ingest.sources import Picture, open_video

MEDIA = stream_pb2.TIME_BASE_MEDIA


@pytest.fixture(scope="module")
def landmarker() -> Iterator[Landmarker]:
    made = Landmarker(LandmarkSettings())
    yield made
    made.close()


def pictures(path: Path, indices: tuple[int, ...]) -> list[Picture]:
    with open_video(path) as frames:
        return [c.picture for c in frames if c.index in indices]


def test_mirroring_a_face_turns_yaw_and_roll_and_keeps_pitch(landmarker: Landmarker, feat_media: Path) -> None:
    for number, picture in enumerate(pictures(feat_media / "WolfgangLanger_Pexels.mp4", (0, 312, 468))):
        time_us = number * 1_000_000
        (seen,) = landmarker(picture, time_us)
        (mirrored,) = landmarker(np.ascontiguousarray(picture[:, ::-1]), time_us + 500_000)
        assert mirrored.pose.yaw == pytest.approx(-seen.pose.yaw, abs=3)
        assert mirrored.pose.roll == pytest.approx(-seen.pose.roll, abs=3)
        assert mirrored.pose.pitch == pytest.approx(seen.pose.pitch, abs=3)


def test_the_signs_of_a_pose_on_a_real_face(landmarker: Landmarker, feat_media: Path, talking_face: Path) -> None:
    up, down = pictures(feat_media / "WolfgangLanger_Pexels.mp4", (312, 468))
    looks_up, looks_down = (landmarker(p, 10_000_000 + n)[0] for n, p in enumerate((up, down)))
    assert looks_up.pose.pitch > looks_down.pose.pitch + 10
    assert looks_down.pose.yaw < -10, "she turns to her own right, the picture's left"
    (tilted,) = landmarker(pictures(talking_face, (0,))[0], 12_000_000)
    right, left = tilted.points[33], tilted.points[263]
    assert right[0] < left[0] and left[1] < right[1], "his left eye is the higher one: tilted counter-clockwise"
    assert tilted.pose.roll == pytest.approx(-np.degrees(np.arctan2(right[1] - left[1], left[0] - right[0])), abs=3)


def test_poses_by_rule() -> None:
    for yaw, pitch in ((20.0, 0.0), (0.0, 15.0), (-30.0, -10.0)):
        nose = np.array([np.sin(np.radians(yaw)) * np.cos(np.radians(pitch)), np.sin(np.radians(pitch)),
                         np.cos(np.radians(yaw)) * np.cos(np.radians(pitch))])  # fmt: skip
        matrix = np.eye(4)
        matrix[:3, 2] = nose
        assert pose_of(matrix).yaw == pytest.approx(yaw) and pose_of(matrix).pitch == pytest.approx(pitch)


def test_a_model_that_is_missing_or_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fatal, match="MICROEX_LANDMARK_MODEL"):
        model_path(LandmarkSettings(landmark_model=tmp_path / "missing.task"))
    (tmp_path / "other.task").write_bytes(b"no model")
    with pytest.raises(Fatal, match="cannot be loaded"):
        Landmarker(LandmarkSettings(landmark_model=tmp_path / "other.task"))
    assert model_path(LandmarkSettings()).name == "face_landmarker.task"
    monkeypatch.setattr(landmarks, "MODEL_SHA256", "0" * 64)
    with pytest.raises(Fatal, match="not the one"):
        model_path(LandmarkSettings())
    monkeypatch.setattr(landmarks, "MODEL_PACKAGE", "no_such_package_here")
    with pytest.raises(Fatal, match="ogm-vision"):
        model_path(LandmarkSettings())


def ingest(path: Path, frames: int | None = None) -> tuple[list[bytes], Ingest]:
    made = Ingest("s", path.stem, 0, MEDIA, LandmarkSettings())
    with open_video(path) as source:
        messages = [m for c in source if frames is None or c.index < frames for m in made.step(c)]
    messages += made.finish(frame_pb2.End.REASON_SOURCE_END)
    made.close()
    return [message.SerializeToString(deterministic=True) for message in messages], made


def test_the_same_video_gives_the_same_bytes(talking_face: Path) -> None:
    assert ingest(talking_face, 30)[0] == ingest(talking_face, 30)[0]


def test_a_real_face_lies_where_the_convention_says(talking_face: Path) -> None:
    frames = [f.frame for f in map(frame_pb2.FaceFrame.FromString, ingest(talking_face, 60)[0]) if f.HasField("frame")]
    assert len(frames) == 60
    points = np.stack([np.frombuffer(frame.landmarks, "<f4").reshape(-1, 2) for frame in frames])
    assert np.median(points[:, 33], 0) == pytest.approx((32, 34), abs=2)
    assert np.median(points[:, 263], 0) == pytest.approx((96, 34), abs=2)
    for frame in frames[::20]:
        crop = cv2.imdecode(np.frombuffer(frame.crop_jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        again = Landmarker(LandmarkSettings())
        (found,) = again(cv2.cvtColor(cv2.resize(crop, None, fx=3, fy=3), cv2.COLOR_GRAY2BGR), 0)
        again.close()
        assert found.points[33] / 3 == pytest.approx((32, 34), abs=4), "the picture is where its landmarks are"


@pytest.mark.parametrize(("name", "began", "ended"), [("face_noface.mov", 0, 72), ("noface_face.mov", 96, 168)])
def test_a_face_that_leaves_or_enters(feat_media: Path, name: str, began: int, ended: int) -> None:
    found, made = ingest(feat_media / name)
    messages = [frame_pb2.FaceFrame.FromString(message) for message in found]
    ends = {m.stream.track: m.end for m in messages if m.HasField("end")}
    track, end = max(ends.items(), key=lambda item: item[1].published)
    assert abs(int(track.split(".")[1]) - began) <= 8
    assert abs(end.last_seen.index - ended) <= 8
    assert made.account.closes and made.account.captured == 169
    assert sum(end.published for end in ends.values()) == made.account.faces_published


def test_a_video_without_a_face_is_counted(feat_media: Path) -> None:
    found, made = ingest(feat_media / "no_face.mp4")
    assert found == []
    assert made.account.without_face == made.account.captured > 90


def test_two_faces_have_two_tracks_from_left_to_right(landmarker: Landmarker, feat_media: Path) -> None:
    picture = cv2.imread(str(feat_media / "multi_face.jpg"))
    faces = landmarker(picture, 20_000_000)
    assert len(faces) == 2
    assert faces[0].centre[0] < faces[1].centre[0]
