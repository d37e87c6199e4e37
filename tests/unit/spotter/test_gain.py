"""How much of a known sub-pixel motion of real skin is measured, region by region."""

import cv2
import numpy as np
import pytest

from microex.v1 import frame_pb2
from services.motion.convention import EYE_DISTANCE_PX, JPEG_QUALITY
from services.motion.displacement import Tracker
from services.motion.flow import Flow
from services.motion.light import evenly_lit
from services.motion.patches import sample_patches
from services.motion.rois import PATCH_SIDE, REGIONS, ROI_INDEX, roi_centres
from tests.unit.spotter.planting import bumps, warp
from tests.unit.spotter.streams import landmarks_of, picture_of

SHIFTS = [
    np.array([size * np.cos(angle), size * np.sin(angle)]) for size in (0.4, 0.8) for angle in (0.3, 1.9, 3.5, 5.1)
]
"""Pixels."""


def stored(picture: np.ndarray) -> np.ndarray:
    """With a sensor's noise, as JPEG."""
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 1, picture.shape), 0, 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1], cv2.IMREAD_GRAYSCALE)


def patch(field: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """[2, P, P], pixels: the part of the tensor that a ROI at that centre gets."""
    layers = np.dstack([field, np.zeros_like(field[..., :1])])
    return sample_patches(layers, centre[None], PATCH_SIDE * EYE_DISTANCE_PX)[0, :2].astype(float)


@pytest.mark.parametrize("region", list(REGIONS))
def test_the_tensor_shows_the_true_size_of_small_motions(neutral: frame_pb2.FaceFrame, region: str) -> None:
    picture = picture_of(neutral)
    flow = Flow(picture)
    centre = roi_centres(landmarks_of(neutral))[ROI_INDEX[REGIONS[region][0]]]
    gains = []
    for shift in SHIFTS:
        field = bumps([(centre, shift.astype(np.float32), 10.0)])
        true, got = patch(field, centre), patch(flow(stored(warp(picture, field))), centre)
        gains.append((got * true).sum() / (true * true).sum())
    assert 0.85 <= np.median(gains) <= 1.1, f"gain of each shift: {np.round(gains, 2)}"


@pytest.mark.parametrize("region", [name for name in REGIONS if not name.startswith(("eye", "nose"))])
def test_points_follow_most_of_small_motions(neutral: frame_pb2.FaceFrame, region: str) -> None:
    """Lids are told by landmarks instead; the root of the nose tells how the head moved."""
    picture, roi = evenly_lit(picture_of(neutral)), ROI_INDEX[REGIONS[region][0]]
    tracker = Tracker(picture, landmarks_of(neutral))
    gains = []
    for shift in SHIFTS:
        moved = warp(picture_of(neutral), bumps([(tracker.points[roi], shift.astype(np.float32), 10.0)]))
        gains.append(float(tracker(evenly_lit(stored(moved))).rois[roi] @ shift * EYE_DISTANCE_PX / (shift @ shift)))
    assert 0.5 <= np.median(gains) <= 1.1, f"gain of each shift: {np.round(gains, 2)}"
