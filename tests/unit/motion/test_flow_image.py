"""Flow images are read as what they show, wherever the face lies in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lab.synth.mesh import canonical
from services.motion.flow_image import _CENTRES, BORDERS, LOOSEST, TIGHTEST, Borders, restore, tensor_of
from services.motion.rois import ROI_INDEX, ROIS, mirrored, roi_centres


def image(seed: int = 0, size: int = 28) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


def test_the_table_is_that_of_the_canonical_face() -> None:
    centres = roi_centres(canonical()[:, :2].astype(np.float32))
    assert np.abs(centres - _CENTRES).max() < 0.001


def test_median_becomes_zero_and_rms_one() -> None:
    layers = restore(image())
    assert np.median(layers, axis=(0, 1)) == pytest.approx(0, abs=0.01)
    assert np.sqrt((layers**2).mean((0, 1))) == pytest.approx(1, abs=1e-4)


@given(st.integers(0, 200), st.integers(1, 55))
def test_neither_offset_nor_gain_of_a_channel_matters(offset: int, gain: int) -> None:
    pattern = np.random.default_rng(0).integers(0, 2, (28, 28, 3)).astype(np.uint8)
    assert restore(pattern * np.uint8(gain) + np.uint8(offset)) == pytest.approx(restore(pattern), abs=1e-3)


def test_a_flat_channel_says_nothing() -> None:
    flat = image()
    flat[:, :, 2] = 17
    assert not restore(flat)[:, :, 2].any()
    assert np.isfinite(tensor_of(flat).data).all()


def test_one_frame_at_time_zero_without_magnitude() -> None:
    tensor = tensor_of(image())
    assert tensor.data.shape == (1, len(ROIS), 3, 8, 8)
    assert tensor.times.tolist() == [0]
    assert tensor.seen.all()
    assert not tensor.magnitude_known


@pytest.mark.parametrize("size", [28, 112])
def test_what_moves_at_a_lip_corner_is_found_at_that_lip_corner(size: int) -> None:
    still = np.full((size, size, 3), 100, np.uint8)
    x, y = (_CENTRES[ROI_INDEX["lip_corner_left"]] + (BORDERS.right, BORDERS.top)) * size
    column, row = int(x / (BORDERS.right + BORDERS.left)), int(y / (BORDERS.top + BORDERS.bottom))
    reach = size // 14
    still[row - reach : row + reach, column - reach : column + reach, 1] = 20
    upward = -tensor_of(still).data[0, :, 1].astype(float).sum((1, 2))
    assert ROIS[int(upward.argmax())].name == "lip_corner_left"
    assert upward[ROI_INDEX["lip_corner_right"]] == 0


def test_a_mirrored_picture_is_the_mirrored_tensor() -> None:
    picture = image()
    other = tensor_of(np.ascontiguousarray(picture[:, ::-1])).data.astype(np.float32)
    assert other[:, list(mirrored())][..., ::-1] == pytest.approx(tensor_of(picture).data.astype(np.float32), abs=0.01)


def test_borders_of_another_crop_move_the_table_along() -> None:
    """The same face cropped to other borders gives the same patches."""
    ramp = np.linspace(0, 255, 400)
    face = np.stack([np.tile(ramp, (400, 1)), np.tile(ramp[:, None], (1, 400)), np.zeros((400, 400))], 2)
    whole = Borders(1, 1.5, 1.25, 1.25)
    inner = face[40:360, 60:380].astype(np.uint8)
    cropped = Borders(whole.top - 40 / 160, whole.bottom - 40 / 160, whole.right - 60 / 160, whole.left - 20 / 160)
    one, two = tensor_of(face.astype(np.uint8), whole), tensor_of(inner, cropped)
    assert two.seen.all()
    for channel in (0, 1):
        pair = np.corrcoef(one.data[0, :, channel].mean((1, 2)), two.data[0, :, channel].mean((1, 2)))
        assert pair[0, 1] > 0.999


def test_rois_outside_the_picture_are_not_seen() -> None:
    tensor = tensor_of(image(), Borders(top=-0.1, bottom=1.2, right=0.8, left=0.8))
    unseen = {ROIS[i].name for i in np.flatnonzero(~tensor.seen[0])}
    assert "glabella" in unseen
    assert "lip_upper" not in unseen
    assert not tensor.data[:, ~tensor.seen[0]].any()


def test_even_the_tightest_crop_shows_the_rois_that_it_must() -> None:
    unseen = {ROIS[i].name for i in np.flatnonzero(~tensor_of(image(), TIGHTEST).seen[0])}
    assert unseen == {"brow_outer_right", "brow_outer_left", "chin", "chin_right", "chin_left"}
    assert tensor_of(image(), LOOSEST).seen.all()


@pytest.mark.parametrize("wrong", [np.zeros((28, 28), np.uint8), np.zeros((28, 28, 3), np.float32)])
def test_another_shape_is_refused(wrong: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    with pytest.raises(ValueError, match="flow image"):
        restore(wrong)
