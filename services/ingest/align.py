"""From a face in a picture to the canonical crop: a similarity from stable points, smoothed over time, sampled well.

What this module smooths is only where the crop is cut. Landmarks keep their own values and are carried through the
same transform, so picture and landmarks always agree.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.ingest.sources import Picture
from services.motion.convention import CROP_PX, EYE_CENTRE, EYE_DISTANCE_PX, STABLE

_CANONICAL: Final = np.array(
    [[-4.4459, 2.6640], [-1.8564, 2.5852], [1.8564, 2.5852], [4.4459, 2.6640], [0, 3.2710], [0, 2.4733], [0, 1.7284]]
)
"""The stable points on MediaPipe's canonical face from the front: [7, 2], centimetres, y up, in order of STABLE."""

_WEIGHTS: Final = np.array([1, 1, 1, 1, 0.25, 0.25, 0.25])
"""The nose bridge counts for less: it stands out of the plane of the eyes and wanders when the head turns."""

SPAN_PX: Final = CROP_PX / 2
"""What an angle of 1 radian or a zoom by a factor of e moves at the edge of the crop, pixels."""


def _template() -> NDArray[np.complex128]:
    """Where the stable points belong in the crop, [7], x + iy."""
    scale = EYE_DISTANCE_PX / (_CANONICAL[3, 0] - _CANONICAL[0, 0])
    eyes_y = _CANONICAL[[0, 3], 1].mean()
    x = EYE_CENTRE[0] + scale * _CANONICAL[:, 0]
    y = EYE_CENTRE[1] - scale * (_CANONICAL[:, 1] - eyes_y)
    return np.asarray(x + 1j * y)


TEMPLATE: Final = _template()
_PIVOT: Final = complex((_WEIGHTS * TEMPLATE).sum() / _WEIGHTS.sum())


@dataclass(frozen=True)
class Placement:
    """Where the crop lies in the picture: a similarity.

    x, y: picture pixels of the point of the crop that the stable points are centred on; angle: radians, clockwise in
    the picture; log_scale: natural logarithm of picture pixels a crop pixel.
    """

    x: float
    y: float
    angle: float
    log_scale: float

    def to_picture(self) -> NDArray[np.float64]:
        """[2, 3] affine from crop pixels to picture pixels."""
        a = np.exp(self.log_scale + 1j * self.angle)
        b = complex(self.x, self.y) - a * _PIVOT
        return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def place(points: NDArray[np.float32]) -> Placement:
    """The similarity that brings the stable points nearest to where they belong (weighted least squares).

    points: [478, 2] picture pixels.
    """
    seen = points[list(STABLE)].astype(np.float64) @ np.array([1, 1j])
    middle = (_WEIGHTS * seen).sum() / _WEIGHTS.sum()
    offsets = TEMPLATE - _PIVOT
    a = (_WEIGHTS * offsets.conj() * (seen - middle)).sum() / (_WEIGHTS * np.abs(offsets) ** 2).sum()
    return Placement(float(middle.real), float(middle.imag), float(np.angle(a)), float(np.log(max(abs(a), 1e-6))))


class Smoother:
    """A one-euro filter on the four numbers of a placement, causal and in stream time: still faces are held still,
    moving ones followed. Casiez, Roussel & Vogel, "1 € filter", CHI 2012.

    All speeds are in crop pixels a second, so that one set of constants serves faces of any size. The constants were
    chosen with bench/alignment.py: less jitter than the raw placement for a still face (0.3 of it), one that talks
    (0.7) and one that nods fast (0.7), at about the same error.
    """

    CUTOFF_HZ: Final = 0.5
    """How slowly a still face is followed."""
    CUTOFF_PER_SPEED: Final = 1.5
    """Cut-off in Hz gained for each pixel a second: at a steady speed the crop lags by 1 / (2 pi 1.5) = 0.1 pixels."""
    SPEED_CUTOFF_HZ: Final = 4.0
    """Over what time speed is averaged."""
    FORGET_S: Final = 0.5
    """After a gap as long as this it begins anew."""

    def __init__(self) -> None:
        self._time_us: int | None = None
        self._value = np.zeros(4)
        self._speed = np.zeros(4)

    def __call__(self, placement: Placement, time_us: int) -> Placement:
        """The smoothed placement at that time, stream microseconds, ascending."""
        value = np.array([placement.x, placement.y, placement.angle, placement.log_scale])
        seconds = None if self._time_us is None else (time_us - self._time_us) / 1e6
        self._time_us = time_us
        if seconds is None or seconds > self.FORGET_S:
            self._value, self._speed = value, np.zeros(4)
            return placement
        pixel = np.exp(self._value[3])
        unit = np.array([pixel, pixel, 1 / SPAN_PX, 1 / SPAN_PX])  # what moves the crop by one of its pixels
        step = value - self._value
        step[2] = (step[2] + np.pi) % (2 * np.pi) - np.pi  # the short way round
        self._speed += _share(np.array(self.SPEED_CUTOFF_HZ), seconds) * (step / unit / seconds - self._speed)
        cutoff = self.CUTOFF_HZ + self.CUTOFF_PER_SPEED * np.abs(self._speed)
        self._value = self._value + _share(cutoff, seconds) * step
        return Placement(*(float(number) for number in self._value))


def _share(cutoff_hz: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """What a first-order low-pass takes of a new value."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * seconds))


def cut(picture: Picture, to_picture: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The crop, [CROP_PX, CROP_PX] uint8 grey; beyond the picture its border is repeated.

    picture: [H, W, 3] uint8 BGR; to_picture: [2, 3] affine from crop to picture pixels. Where the crop is smaller than
    what it shows, the picture is blurred first by what sampling leaves out, so that nothing flickers from frame to
    frame (the rule of scale space: variances add up).
    """
    scale = float(np.hypot(to_picture[0, 0], to_picture[1, 0]))
    sigma = 0.5 * np.sqrt(max(scale**2 - 1, 0))
    corners = to_picture @ np.array([[0, CROP_PX, 0, CROP_PX], [0, 0, CROP_PX, CROP_PX], [1, 1, 1, 1]])
    margin = int(np.ceil(3 * sigma)) + 2
    height, width = picture.shape[:2]
    left, top = (int(np.clip(v - margin, 0, size - 1)) for v, size in zip(corners.min(1), (width, height), strict=True))
    right, bottom = (
        int(np.clip(v + margin, low + 1, size))
        for v, low, size in zip(corners.max(1), (left, top), (width, height), strict=True)
    )
    grey = cv2.cvtColor(picture[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    if sigma > 0.2:
        grey = cv2.GaussianBlur(grey, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    shifted = to_picture - np.array([[0, 0, left], [0, 0, top]])
    crop = cv2.warpAffine(
        grey,
        shifted,
        (CROP_PX, CROP_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(crop, np.uint8)


def to_crop(points: NDArray[np.float32], to_picture: NDArray[np.float64]) -> NDArray[np.float32]:
    """Points in crop pixels. points: [N, 2] picture pixels; to_picture: [2, 3]."""
    inverse = cv2.invertAffineTransform(to_picture)
    return (points @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32)
