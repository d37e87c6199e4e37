"""Optical flow on aligned crops, what the head adds to it, and strain.

Two tiers, both dense inverse search (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016):
`Flow("cheap")` for every frame, `Flow("fine")` for the frames that matter. OpenCV's presets stop at a scale of four
pixels and return 20 to 55 % of a local sub-pixel motion; `cheap` goes on to two pixels (40 to 75 %, for little more
time because its patches do not overlap) and `fine` to one, twice: what the first pass leaves is measured again on the
picture moved back by it. That returns 89 to 102 % of the motion in every region of a face.
"""

from functools import cache
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Field = NDArray[np.float32]

Tier = Literal["cheap", "fine"]

_FINEST_SCALE: Final[dict[Tier, int]] = {"cheap": 1, "fine": 0}
_DESCENT_STEPS: Final[dict[Tier, int]] = {"cheap": 8, "fine": 16}
_PASSES: Final[dict[Tier, int]] = {"cheap": 1, "fine": 2}
_STRIDE_PX: Final[dict[Tier, int]] = {"cheap": 8, "fine": 6}


EVEN_PX: Final = 21
"""Light is even over this many pixels."""


class Flow:
    """One flow algorithm with its buffers; not shared between threads.

    tier: "cheap" (coarse, for detection) or "fine" (for measuring).
    """

    def __init__(self, tier: Tier) -> None:
        cv2.setNumThreads(1)  # the search goes by stripes, one a thread: more threads, other numbers
        self._tier = tier
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._dis.setFinestScale(_FINEST_SCALE[tier])
        self._dis.setGradientDescentIterations(_DESCENT_STEPS[tier])
        self._dis.setPatchStride(_STRIDE_PX[tier])

    def __call__(self, start: Image, end: Image) -> Field:
        """Motion of each pixel of `start` to `end`.

        start, end: [H, W] uint8, equal shapes. Returns [H, W, 2] float32, pixels; u to the right, v downwards.
        Raises ValueError when shapes differ or pictures are too small for the algorithm (under 16 px).
        """
        if start.shape != end.shape or start.ndim != 2 or min(start.shape) < 16:
            raise ValueError(f"flow needs two grey pictures of equal size, got {start.shape} and {end.shape}")
        field = self._calc(start, end)
        for _ in range(_PASSES[self._tier] - 1):
            source = _pixels(start.shape) + field
            back = cv2.remap(end, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
            field = field + self._calc(start, np.asarray(back, np.uint8))
        return field

    def _calc(self, start: Image, end: Image) -> Field:
        return np.asarray(self._dis.calc(start, end, None), np.float32)  # type: ignore[call-overload]  # None is allowed


@cache
def _pixels(shape: tuple[int, ...]) -> Field:
    """[H, W, 2]: x and y of every pixel."""
    return np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), -1).astype(np.float32)


def evenly_lit(picture: Image) -> Image:
    """Brightness relative to its mean over EVEN_PX around, percent, so that lamps and shadows move nothing.

    picture: [H, W] uint8; returns the same shape and type.
    """
    return np.asarray(cv2.divide(picture, cv2.blur(picture, (EVEN_PX, EVEN_PX)), scale=100), np.uint8)


def strain(field: Field) -> Field:
    """Magnitude of the strain tensor: sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2).

    field: [..., H, W, 2]; returns [..., H, W] float32, a ratio (pixels per pixel), whatever the unit of length, given
    that the field is in pixels. Shreve et al., "Macro- and micro-expression spotting in long videos using spatio-
    temporal strain", FG 2011.
    """
    u_y, u_x = np.gradient(field[..., 0], axis=(-2, -1))
    v_y, v_x = np.gradient(field[..., 1], axis=(-2, -1))
    return np.asarray(np.sqrt(u_x**2 + v_y**2 + 0.5 * (u_y + v_x) ** 2), np.float32)


def remove_head_motion(field: Field, head: NDArray[np.float64]) -> Field:
    """The field less the motion of the head. field: [H, W, 2] pixels; head: [2, 3] affine."""
    height, width = field.shape[:2]
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    m = (head - np.eye(2, 3)).astype(np.float32)
    rigid = np.stack([m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]], -1)
    return np.asarray(field - rigid, np.float32)
