"""Optical flow on aligned crops, what the head adds to it, and strain.

Dense inverse search (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016). OpenCV's presets stop
at a scale of four pixels and return 20 to 55 % of a local sub-pixel motion. Here the first pass goes on to two pixels
(40 to 75 %), and what it leaves is measured to one pixel, on the picture moved back by it: together 90 to 104 % of the
motion in every region of a face. This is for the frames that matter; on every frame, points are followed
(`displacement.Tracker`).
"""

from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Field = NDArray[np.float32]

_PASSES: Final = ((1, 8, 8), (0, 16, 6))
"""Finest scale (a power of two, pixels), steps of descent, and pixels between patches, of each pass."""


class Flow:
    """The algorithm with its buffers; not shared between threads."""

    def __init__(self) -> None:
        cv2.setNumThreads(1)  # the search goes by stripes, one a thread: more threads, other numbers
        self._passes = [_search(*how) for how in _PASSES]

    def __call__(self, start: Image, end: Image) -> Field:
        """Motion of each pixel of `start` to `end`.

        start, end: [H, W] uint8, equal shapes. Returns [H, W, 2] float32, pixels; u to the right, v downwards.
        Raises ValueError when shapes differ or pictures are too small for the algorithm (under 16 px).
        """
        if start.shape != end.shape or start.ndim != 2 or min(start.shape) < 16:
            raise ValueError(f"flow needs two grey pictures of equal size, got {start.shape} and {end.shape}")
        first, *others = self._passes
        field = _calc(first, start, end)
        for search in others:
            source = _pixels(start.shape) + field
            back = cv2.remap(end, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
            field = field + _calc(search, start, np.asarray(back, np.uint8))
        return field


def _search(finest_scale: int, steps: int, stride_px: int) -> cv2.DISOpticalFlow:
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    search.setFinestScale(finest_scale)
    search.setGradientDescentIterations(steps)
    search.setPatchStride(stride_px)
    return search


def _calc(search: cv2.DISOpticalFlow, start: Image, end: Image) -> Field:
    return np.asarray(search.calc(start, end, None), np.float32)  # type: ignore[call-overload]  # None is allowed


@cache
def _pixels(shape: tuple[int, ...]) -> Field:
    """[H, W, 2]: x and y of every pixel."""
    return np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), -1).astype(np.float32)


def strain(field: Field) -> Field:
    """Magnitude of the strain tensor: sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2).

    field: [..., H, W, 2]; returns [..., H, W] float32, a ratio (pixels per pixel), whatever the unit of length, given
    that the field is in pixels. Shreve et al., "Macro- and micro-expression spotting in long videos using spatio-
    temporal strain", FG 2011.
    """
    along_y, along_x = _slope(field, -3), _slope(field, -2)
    shear = along_y[..., 0] + along_x[..., 1]
    return np.asarray(np.sqrt(along_x[..., 0] ** 2 + along_y[..., 1] ** 2 + 0.5 * shear**2), np.float32)


def _slope(field: Field, axis: int) -> Field:
    """Central differences, one-sided at the borders, as `numpy.gradient` takes them, in a third of its time."""
    values = np.moveaxis(field, axis, 0)
    slope = np.empty_like(values)
    np.subtract(values[2:], values[:-2], out=slope[1:-1])
    slope[1:-1] *= 0.5
    slope[0], slope[-1] = values[1] - values[0], values[-1] - values[-2]
    return np.moveaxis(slope, 0, axis)


def remove_head_motion(field: Field, head: NDArray[np.float64]) -> Field:
    """The field less the motion of the head. field: [H, W, 2] pixels; head: [2, 3] affine."""
    height, width = field.shape[:2]
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    m = (head - np.eye(2, 3)).astype(np.float32)
    rigid = np.stack([m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]], -1)
    return np.asarray(field - rigid, np.float32)
