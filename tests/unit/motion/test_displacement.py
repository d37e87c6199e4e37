"""Known warps of a textured picture come back: the head is taken out, what a muscle moves stays."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.motion.convention import CROP_PX, EYE_CENTRE, EYE_DISTANCE_PX, LANDMARKS
from services.motion.displacement import DEPTH, Sampler, fitted_head
from services.motion.flow import Flow, remove_head_motion, strain
from services.motion.patches import cut_patches
from services.motion.rois import ROI_INDEX, ROIS, mirrored, roi_centres
from tests.unit.motion.textures import texture

PIXELS = np.stack(np.meshgrid(np.arange(CROP_PX), np.arange(CROP_PX)), -1).astype(np.float32)


@pytest.fixture(scope="module")
def landmarks() -> NDArray[np.float32]:
    """Points of a face-like spread: every ROI and stable point somewhere else within the crop."""
    rng = np.random.default_rng(3)
    return rng.uniform(20, 108, (LANDMARKS, 2)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(zoom=st.floats(-0.03, 0.03), turn=st.floats(-0.05, 0.05), shift=st.tuples(st.floats(-3, 3), st.floats(-3, 3)))
def test_a_head_that_shifts_turns_and_zooms_moves_no_roi(
    landmarks: NDArray[np.float32], zoom: float, turn: float, shift: tuple[float, float]
) -> None:
    linear = np.array([[zoom, -turn], [turn, zoom]])
    field = ((PIXELS - EYE_CENTRE) @ linear.T + shift).astype(np.float32)
    moved = Sampler(landmarks)(field)
    assert np.abs(moved.rois).max() < 0.002 and np.abs(moved.stable).max() < 0.002
    assert np.abs(remove_head_motion(field, moved.similarity())).max() < 0.25


def test_a_roi_that_moves_on_its_own_keeps_its_motion(landmarks: NDArray[np.float32]) -> None:
    centre = roi_centres(landmarks)[ROI_INDEX["lip_corner_left"]]
    near = np.exp(-((PIXELS - centre) ** 2).sum(-1) / (2 * 5.0**2))[..., None]
    field = (near * [2.0, -3.0] + [1.5, 0.5]).astype(np.float32)
    moved = Sampler(landmarks)(field).rois * EYE_DISTANCE_PX
    found = moved[ROI_INDEX["lip_corner_left"]]
    assert found == pytest.approx([2.0 * 0.56, -3.0 * 0.56], abs=0.25), "0.56: mean of the bump over the ROI's square"


def test_small_turns_of_the_head_are_told_from_expressions(landmarks: NDArray[np.float32]) -> None:
    sampler, yaw = Sampler(landmarks), 0.02
    moved = np.column_stack([DEPTH * yaw, np.zeros(len(DEPTH))])
    head, left = fitted_head(sampler._design, moved)
    assert 0.5 * yaw < head[4] < 1.1 * yaw, "held back, so that it soaks up no expression"
    assert np.abs(left).max() < np.abs(moved).max() / 2


@pytest.mark.parametrize("shift", [0.3, 0.8, 2.0])
def test_flow_returns_sub_pixel_motion(shift: float) -> None:
    start = texture()
    affine = np.array([[1, 0, shift], [0, 1, -shift / 2]], np.float32)
    end = cv2.warpAffine(start, affine, (CROP_PX, CROP_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    inside = Flow(start)(end)[24:104, 24:104]
    for channel, true in ((0, shift), (1, -shift / 2)):
        assert inside[..., channel].mean() == pytest.approx(true, rel=0.15, abs=0.08)


def test_flow_needs_two_pictures_of_one_size() -> None:
    with pytest.raises(ValueError, match="equal size"):
        Flow(np.zeros((128, 128), np.uint8))(np.zeros((64, 64), np.uint8))


def test_flow_repeats_bit_for_bit() -> None:
    start, end = texture(), np.roll(texture(), 1, axis=1)
    assert (Flow(start)(end) == Flow(start)(end)).all()


def test_strain_of_a_stretch_is_its_rate() -> None:
    field = np.zeros((32, 32, 2), np.float32)
    field[..., 0] = 0.1 * np.arange(32)
    assert strain(field)[8:24, 8:24] == pytest.approx(0.1)
    turning = np.stack(np.meshgrid(np.arange(32), np.arange(32)), -1)[..., ::-1] * [-0.1, 0.1]
    assert strain(turning.astype(np.float32)) == pytest.approx(0, abs=1e-6), "a rotation strains nothing"


def test_patches_are_in_eye_distances_wherever_they_lie() -> None:
    field = np.tile(np.float32([6.4, -3.2]), (CROP_PX, CROP_PX, 1))
    centres = np.array([[64, 64], [-5, 3]], np.float32)
    patches = cut_patches(field, centres, EYE_DISTANCE_PX)
    assert patches.shape == (2, 3, 8, 8)
    for channel, value in enumerate((0.1, -0.05, 0.0)):
        assert patches[:, channel].astype(float) == pytest.approx(value, abs=1e-3)


def test_the_roi_table_mirrors_onto_itself() -> None:
    twins = mirrored()
    assert sorted(twins) == list(range(len(ROIS))) and [twins[t] for t in twins] == list(range(len(ROIS)))
    for roi, twin in zip(ROIS, twins, strict=True):
        assert (roi.depth, roi.trust) == (ROIS[twin].depth, ROIS[twin].trust)
