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

STEPS: Final = 3
NEAR: Final = 0.03
"""A point takes at most so many steps, or until one is shorter than this, pixels; more leave the error as it is."""

ASTRAY: Final = np.float32(0.2)
"""A point that moved otherwise than its neighbours (their median) by more, pixels, moved as they did."""

SMALLEST_PX: Final = 2 * BORDER
"""A picture is as large each way."""


class Flow:
    """From one picture to others."""

    def __init__(self, start: Image, around: Points | None = None, reach: float = 0) -> None:
        """start: [H, W] uint8; around: [N, 2] pixels. Where they are given, motion is followed within `reach` pixels of
        them, sideways and up or down, and told roughly or not at all elsewhere. Raises ValueError for a picture that is
        smaller than SMALLEST_PX."""
        if start.ndim != 2 or min(start.shape) < SMALLEST_PX:
            raise ValueError(f"flow needs a grey picture of {SMALLEST_PX} pixels or more, got {start.shape}")
        self._shape, near = start.shape, evenly_lit(start)
        far = half(near)
        if around is None:
            around, reach = np.zeros((1, 2), np.float32), max(start.shape)
        self._near = _Lattice(near, BORDER, around, reach + PITCH)
        # What is followed finely begins from the far scale, smoothed with its neighbours there.
        self._far = _Lattice(far, BORDER // 2, around / np.float32(2), reach / 2 + 2 * PITCH)

    def __call__(self, end: Image) -> Field:
        """Motion of each pixel of the first picture to `end`.

        end: [H, W] uint8, of the same shape. Returns [H, W, 2] float32, pixels; u to the right, v downwards. Raises
        ValueError when shapes differ.
        """
        if end.shape != self._shape:
            raise ValueError(f"flow needs two pictures of equal size, got {self._shape} and {end.shape}")
        near = evenly_lit(end)
        begun = 2 * self._far.moved(half(near), np.zeros(self._far.shape, np.float32))
        rows, columns, _ = self._near.shape
        field = self._near.moved(near, np.asarray(cv2.resize(begun, (columns, rows)), np.float32))
        whole = cv2.resize(field, (columns * PITCH, rows * PITCH))
        return np.ascontiguousarray(whole[: end.shape[0], : end.shape[1]])


class _Lattice:
    """Points PITCH apart, each in the middle of as many pixels, of a picture within its border."""

    def __init__(self, picture: Pixels, border: int, around: Points, reach: float) -> None:
        """around: [N, 2] pixels within the border; points within `reach` of any are followed."""
        y, x = (np.arange(PITCH // 2, size - 2 * border + PITCH // 2, PITCH) for size in picture.shape)
        beside, beneath = (np.abs(line - around[:, axis, None]) <= reach for axis, line in enumerate((x, y)))
        followed = (beneath.astype(np.float32).T @ beside.astype(np.float32)) > 0  # [rows, columns]
        self.shape = (*followed.shape, 2)
        self._followed = np.flatnonzero(followed)
        row, column = np.divmod(self._followed, len(x))
        self._skin = Skin(picture, np.column_stack([x[column], y[row]]).astype(np.float32) + np.float32(border), WINDOW)

    def moved(self, picture: Pixels, begun: Field) -> Field:
        """[rows, columns, 2]: how far each moved; begun: how far it may have, and did where it is not followed."""
        moved = begun.copy()
        each = moved.reshape(-1, 2)
        each[self._followed], _ = self._skin.find(picture, each.take(self._followed, 0), STEPS, NEAR, last_look=False)
        return _together(moved, np.asarray(cv2.medianBlur(moved, 3), np.float32))


@compiled("f4[:,:,::1](f4[:,:,::1], f4[:,:,::1])")
def _together(moved: Field, around: Field) -> Field:
    """The motion of points, or of those around where one went astray."""
    kept = moved.ravel()
    for k, usual in enumerate(around.ravel()):
        kept[k] = usual if abs(kept[k] - usual) > ASTRAY else kept[k]
    return moved


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
    height, width, _ = field.shape
    left, rows = np.empty_like(field), field.reshape(height, 2 * width)  # u and v in turns
    beside, beneath = np.empty(2 * width, np.float32), np.empty(2 * width, np.float32)
    for k in range(2 * width):
        beside[k], beneath[k] = moves[k % 2, 0] * np.float32(k // 2) + moves[k % 2, 2], moves[k % 2, 1]
    for y in range(height):
        row, kept = rows[y], left[y].ravel()
        for k in range(2 * width):
            kept[k] = row[k] - beside[k] - beneath[k] * np.float32(y)
    return left
