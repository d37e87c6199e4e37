"""Even light is what it says, and points are found where a known shift put them."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.motion.flow import Flow, strain
from services.motion.follow import Skin
from services.motion.light import BORDER, BRIGHTEST, EVEN_PX, evenly_lit
from tests.unit.motion.textures import texture


def shifted(picture: NDArray[np.uint8], x: float, y: float) -> NDArray[np.uint8]:
    affine = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return np.asarray(
        cv2.warpAffine(picture, affine, picture.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    )


@pytest.mark.parametrize("shape", [(128, 128), (64, 90)])
def test_even_light_is_brightness_relative_to_the_mean_around(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    around = cv2.blur(picture.astype(np.float64), (EVEN_PX, EVEN_PX), borderType=cv2.BORDER_REFLECT_101)
    plain = np.minimum(100 * picture.astype(np.float64) / around, BRIGHTEST)
    bordered = cv2.copyMakeBorder(plain, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(evenly_lit(picture), bordered, rtol=1e-4, atol=1e-3)


def test_a_lamp_from_one_side_changes_little_and_black_stays_black() -> None:
    picture = texture()
    lamp = np.clip(picture * np.linspace(1, 1.25, 128), 0, 255).astype(np.uint8)
    assert np.abs(evenly_lit(lamp) - evenly_lit(picture)).mean() < 1
    assert not evenly_lit(np.zeros((64, 64), np.uint8)).any()


@settings(max_examples=30, deadline=None)
@given(x=st.floats(-1.5, 1.5), y=st.floats(-1.5, 1.5))
def test_points_are_found_where_they_went(x: float, y: float) -> None:
    points = np.random.default_rng(2).uniform(40, 110, (25, 2)).astype(np.float32)
    moved, misfit = Skin(evenly_lit(texture()), points).find(evenly_lit(shifted(texture(), x, y)))
    np.testing.assert_allclose(moved, np.broadcast_to([x, y], moved.shape), atol=0.1)
    assert misfit.max() < 3


def test_a_point_whose_skin_leaves_the_picture_moves_as_it_may_have() -> None:
    lit, points = evenly_lit(texture()), np.array([[17, 50], [50, 138]], np.float32)
    begun = np.array([[-20, 0], [0, 20]], np.float32)
    moved, misfit = Skin(lit, points).find(lit, begun)
    assert (moved == begun).all() and not misfit.any()


@pytest.mark.parametrize("shape", [(128, 128), (80, 100)])
def test_flow_covers_pictures_of_any_size(shape: tuple[int, int]) -> None:
    start = np.ascontiguousarray(texture()[: shape[0], : shape[1]])
    end = shifted(start, 0.6, -0.4)
    field = Flow(start)(end)
    assert field.shape == (*shape, 2)
    np.testing.assert_allclose(np.median(field[16:-16, 16:-16], axis=(0, 1)), [0.6, -0.4], atol=0.05)


def test_flow_around_points_is_what_it_is_everywhere() -> None:
    """But for what smoothing brings in from further away."""
    start, points, reach = texture(), np.array([[30, 40], [90, 70], [112, 108]], np.float32), 10
    end = shifted(start, 0.6, -0.4)
    whole, part = Flow(start)(end), Flow(start, points, reach)(end)
    for x, y in points.astype(int):
        there = np.s_[y - reach : y + reach + 1, x - reach : x + reach + 1]
        np.testing.assert_allclose(part[there], whole[there], atol=0.05)
    assert not part[100:120, 10:30].any()


def test_strain_takes_the_slopes_that_numpy_takes() -> None:
    field = np.random.default_rng(3).normal(size=(2, 9, 7, 2)).astype(np.float32)
    for each, found in zip(field, strain(field), strict=True):
        (u_y, u_x), (v_y, v_x) = np.gradient(each[..., 0]), np.gradient(each[..., 1])
        np.testing.assert_allclose(found, np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2), rtol=1e-4)
