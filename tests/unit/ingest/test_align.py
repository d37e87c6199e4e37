"""The crop lies where the convention says, is held steady, and shows what the picture shows."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.align import Placement, Smoother, cut, place, to_crop
from services.motion.convention import CROP_PX, LANDMARKS, LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from tests.unit.ingest.fakes import face, textured

FRAME_US = 33_333


@given(st.floats(0, 2000), st.floats(0, 2000), st.floats(20, 600), st.floats(-3, 3))
def test_eyes_come_to_lie_where_the_convention_says(x: float, y: float, eye: float, angle: float) -> None:
    found = face(x, y, eye, angle=angle)
    points = to_crop(found.points, place(found.points).to_picture())
    assert points[RIGHT_EYE_OUTER] == pytest.approx((32, 34), abs=0.05), (
        "the subject's right eye, at the picture's left"
    )
    assert points[LEFT_EYE_OUTER] == pytest.approx((96, 34), abs=0.05)


def test_crop_and_landmarks_agree_when_the_face_is_large_turned_and_far_out() -> None:
    dots = {4: (64.0, 70.0), 61: (45.0, 95.0), 291: (83.0, 95.0)}
    for eye, angle in ((64, 0.0), (260, 0.3), (500, -0.5)):
        found = face(700, 500, eye, angle=angle)
        to_picture = place(found.points).to_picture()
        for point in dots.values():
            picture = np.full((1400, 1600, 3), 255, np.uint8)
            centre = to_picture @ [*point, 1]
            cv2.circle(picture, tuple(round(v * 16) for v in centre), int(2 * eye / 64 * 16), (0, 0, 0), -1,
                       cv2.LINE_AA, 4)  # fmt: skip
            dark = 255.0 - cut(picture, to_picture)
            rows, columns = np.mgrid[:CROP_PX, :CROP_PX]
            middle = ((dark * columns).sum() / dark.sum(), (dark * rows).sum() / dark.sum())
            assert middle == pytest.approx(point, abs=0.1)


def test_shrinking_does_not_alias() -> None:
    """A face eight times as large as the crop, one picture pixel further on: the fine grain must not flicker."""
    picture = textured(1400, 1400)
    first = Placement(700, 500, 0, np.log(8)).to_picture()
    second = Placement(701, 501, 0, np.log(8)).to_picture()
    change = cut(picture, first).astype(float) - cut(picture, second)
    grey, flags = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    plain = [cv2.warpAffine(grey, m, (CROP_PX, CROP_PX), flags=flags).astype(float) for m in (first, second)]
    assert change.std() < 0.1 * (plain[0] - plain[1]).std()


def test_a_crop_that_reaches_beyond_the_picture_repeats_its_border() -> None:
    picture = np.full((100, 120, 3), 77, np.uint8)
    for x, y in ((0, 0), (119, 99), (-500, -500), (900, 20)):
        crop = cut(picture, Placement(x, y, 0.2, 0.5).to_picture())
        assert crop.shape == (CROP_PX, CROP_PX)
        assert (crop == 77).all()


def off(found: Placement, truth: Placement) -> np.ndarray:
    """How far the crop's corners lie from where they belong, crop pixels, [8]."""
    corners = np.array([[0, CROP_PX, 0, CROP_PX], [0, 0, CROP_PX, CROP_PX], [1, 1, 1, 1]])
    inverse = cv2.invertAffineTransform(truth.to_picture())
    seen = inverse[:, :2] @ (found.to_picture() @ corners) + inverse[:, 2:]
    return (seen - corners[:2]).ravel()


@pytest.mark.parametrize(("sway", "hertz", "limit"), [(0.0, 0.0, 0.5), (0.1, 0.5, 0.9), (0.2, 2.0, 0.9)])
def test_smoothing_removes_more_jitter_than_it_adds(sway: float, hertz: float, limit: float) -> None:
    """Landmarks with about the noise of a real landmarker (0.2 px at 140 px eye distance), a head that sways by a part
    of the eye distance: less jitter than unsmoothed, and no more error than noise and half a crop pixel of lag."""
    random, smoother = np.random.default_rng(3), Smoother()
    raw, smooth = [], []
    for index in range(240):
        x = 400 + 140 * sway * np.sin(2 * np.pi * hertz * index * FRAME_US / 1e6)
        clean = face(x, 300, 140)
        noisy = place(clean.points + random.normal(0, 0.2, (LANDMARKS, 2)).astype(np.float32))
        truth = place(clean.points)
        raw.append(off(noisy, truth))
        smooth.append(off(smoother(noisy, index * FRAME_US), truth))
    jitter, left = (np.diff(np.array(errors), axis=0).std() for errors in (raw, smooth))
    assert left < limit * jitter, f"jitter {left:.3f} of {jitter:.3f} crop pixels"
    assert np.abs(smooth[10:]).mean() < np.abs(raw).mean() + 0.5


def test_smoothing_begins_anew_after_a_gap() -> None:
    smoother = Smoother()
    for index in range(30):
        smoother(Placement(100, 100, 0, 0), index * FRAME_US)
    there = Placement(300, 50, 1, 0.7)
    assert smoother(there, 3_000_000) == there


def test_turning_past_the_back_takes_the_short_way() -> None:
    smoother = Smoother()
    smoother(Placement(0, 0, np.pi - 0.01, 0), 0)
    angle = smoother(Placement(0, 0, -np.pi + 0.01, 0), FRAME_US).angle
    assert np.cos(angle) < -0.99


def test_smoothing_depends_on_time_not_on_the_number_of_frames() -> None:
    """The same slow motion at 25 and at 200 frames a second ends at the same place."""

    def end(fps: int) -> float:
        smoother, placed = Smoother(), Placement(0, 0, 0, 0)
        for index in range(2 * fps + 1):
            placed = smoother(Placement(3 * index / fps, 0, 0, 0), round(index * 1e6 / fps))
        return placed.x

    assert end(25) == pytest.approx(end(200), abs=0.2)
