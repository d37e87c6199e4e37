"""Optical flow on aligned crops, what the head adds to it, and strain.

On every frame a few points are followed (`displacement.Tracker`). Flow is for the frames that matter: points everywhere
are followed, each with less skin around it, first on a scale of two pixels.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled
from services.motion.follow import Pixels, Points, Skin, half
from services.motion.light import BORDER, evenly_lit

Image = NDArray[np.uint8]
Field = NDArray[np.float32]

PITCH: Final = 3
"""Pixels between points."""

WINDOW: Final = 7
"""Pixels along a side of the square of skin around a point."""

ASTRAY: Final = 0.2
"""A point that moved otherwise than its neighbours (their median) by more, pixels, moved as they did."""

SMALLEST_PX: Final = 2 * BORDER
"""A picture is as large each way."""


class Flow:
    """From one picture to others."""

    def __init__(self, start: Image) -> None:
        """start: [H, W] uint8. Raises ValueError for one that is smaller than SMALLEST_PX."""
        if start.ndim != 2 or min(start.shape) < SMALLEST_PX:
            raise ValueError(f"flow needs a grey picture of {SMALLEST_PX} pixels or more, got {start.shape}")
        self._shape, near = start.shape, evenly_lit(start)
        far = half(near)
        self._near, self._far = _lattice(near, BORDER), _lattice(far, BORDER // 2)
        self._skin, self._far_skin = Skin(near, _listed(self._near), WINDOW), Skin(far, _listed(self._far), WINDOW)

    def __call__(self, end: Image) -> Field:
        """Motion of each pixel of the first picture to `end`.

        end: [H, W] uint8, of the same shape. Returns [H, W, 2] float32, pixels; u to the right, v downwards. Raises
        ValueError when shapes differ.
        """
        if end.shape != self._shape:
            raise ValueError(f"flow needs two pictures of equal size, got {self._shape} and {end.shape}")
        near, (rows, columns) = evenly_lit(end), self._near.shape[:2]
        begun = 2 * _moved(self._far_skin, half(near), self._far, np.zeros_like(self._far))
        field = _moved(self._skin, near, self._near, np.asarray(cv2.resize(begun, (columns, rows)), np.float32))
        return np.asarray(cv2.resize(field, (columns * PITCH, rows * PITCH))[: end.shape[0], : end.shape[1]])


def _lattice(picture: Pixels, border: int) -> Points:
    """[rows, columns, 2]: points PITCH apart, each in the middle of as many pixels, from border to border."""
    y, x = (np.arange(border + PITCH // 2, size - border + PITCH // 2, PITCH) for size in picture.shape)
    return np.stack(np.meshgrid(x, y), -1).astype(np.float32)


def _listed(points: Points) -> Points:
    return points.reshape(-1, 2)


def _moved(skin: Skin, picture: Pixels, points: Points, begun: Field) -> Field:
    """How far the points of a lattice moved; begun: how far they may have."""
    to, _ = skin.find(picture, _listed(points + begun))
    moved = to.reshape(points.shape) - points
    around = np.stack([cv2.medianBlur(np.ascontiguousarray(moved[..., axis]), 3) for axis in range(2)], -1)
    return np.where(np.abs(moved - around) > ASTRAY, around, moved)


def strain(field: Field) -> Field:
    """Magnitude of the strain tensor: sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2).

    field: [..., H, W, 2]; returns [..., H, W] float32, a ratio (pixels per pixel), whatever the unit of length, given
    that the field is in pixels. Slopes are central differences, one-sided at the borders. Shreve et al., "Macro- and
    micro-expression spotting in long videos using spatio-temporal strain", FG 2011.
    """
    flat = np.ascontiguousarray(field, np.float32).reshape(-1, *field.shape[-3:])
    return np.stack([_strain(each) for each in flat]).reshape(field.shape[:-1])


@compiled("f4[:,::1](f4[:,:,::1])")
def _strain(field: Field) -> Field:
    height, width, _ = field.shape
    made, rows = np.empty((height, width), np.float32), field.reshape(height, 2 * width)  # u and v in turns
    along_x, along_y = np.empty(2 * width, np.float32), np.empty(2 * width, np.float32)
    for y in range(height):
        row, left, right = rows[y], rows[y, :-4], rows[y, 4:]
        for k in range(len(right)):
            along_x[2 + k] = (right[k] - left[k]) * np.float32(0.5)
        for k in range(2):
            along_x[k], along_x[k - 2] = row[k + 2] - row[k], row[k - 2] - row[k - 4]
        above, below = rows[max(y - 1, 0)], rows[min(y + 1, height - 1)]
        share = np.float32(0.5 if 0 < y < height - 1 else 1)
        for k in range(2 * width):
            along_y[k] = (below[k] - above[k]) * share
        for x in range(width):
            shear = along_y[2 * x] + along_x[2 * x + 1]
            stretch = along_x[2 * x] * along_x[2 * x] + along_y[2 * x + 1] * along_y[2 * x + 1]
            made[y, x] = np.sqrt(stretch + np.float32(0.5) * shear * shear)
    return made


def remove_head_motion(field: Field, head: NDArray[np.float64]) -> Field:
    """The field less the motion of the head. field: [H, W, 2] pixels; head: [2, 3] affine."""
    return _less(np.ascontiguousarray(field, np.float32), (head - np.eye(2, 3)).astype(np.float32))


@compiled("f4[:,:,::1](f4[:,:,::1], f4[:,::1])")
def _less(field: Field, moves: NDArray[np.float32]) -> Field:
    left = np.empty_like(field)
    for y in range(field.shape[0]):
        u, v = moves[0, 1] * np.float32(y) + moves[0, 2], moves[1, 1] * np.float32(y) + moves[1, 2]
        for x in range(field.shape[1]):
            left[y, x, 0] = field[y, x, 0] - moves[0, 0] * np.float32(x) - u
            left[y, x, 1] = field[y, x, 1] - moves[1, 0] * np.float32(x) - v
    return left
