"""Patches of the motion tensor: u, v and strain of a flow field, sampled in every ROI."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled, inlined
from services.motion.convention import CROP_PX, EYE_DISTANCE_PX
from services.motion.displacement import Displacement, Sampler
from services.motion.flow import Field, Flow, Image, remove_head_motion, strain
from services.motion.follow import Pixels, shares
from services.motion.rois import PATCH, PATCH_SIDE, ROIS


def cut_patches(field: Field, centres: NDArray[np.float32], eye_distance: float) -> NDArray[np.float16]:
    """Sample u, v and strain of one flow field in every ROI.

    field: [H, W, 2] pixels, head motion removed; centres: [R, 2] pixels; eye_distance: pixels.
    Returns [R, 3, P, P] float16 as in `MotionTensor.data`. Samples outside the field repeat its border.
    """
    return _stored(_cut(field, centres, eye_distance))


def _cut(field: Field, centres: NDArray[np.float32], eye_distance: float) -> NDArray[np.float32]:
    side = PATCH_SIDE * eye_distance
    patches = _sampled(np.ascontiguousarray(field), strain(field), centres, side, side)
    patches[:, :2] /= eye_distance
    return patches


_READ_PX: Final = PATCH_SIDE / 2 * EYE_DISTANCE_PX + 1
"""How far from a ROI's centre flow is read: its patch, and the pixel beside it that strain is the slope to."""


class FaceMotion:
    """Motion of a face from one crop to others, patch by patch. seen: [R] bool, the ROIs whose centre it shows."""

    def __init__(self, picture: Image, landmarks: NDArray[np.float32]) -> None:
        """picture: [CROP_PX, CROP_PX] uint8; landmarks: [478, 2] float32, its pixels."""
        self._sampler = Sampler(landmarks)
        self._centres = self._sampler.points[: len(ROIS)]
        self._flow = Flow(picture, self._sampler.points.clip(0, CROP_PX - 1), _READ_PX)
        self.seen = ((self._centres >= 0) & (self._centres < CROP_PX)).all(1)

    def __call__(self, end: Image) -> tuple[Displacement, NDArray[np.float16]]:
        """end: [CROP_PX, CROP_PX] uint8. Returns how each ROI moved and [R, 3, P, P] float16 as in
        `MotionTensor.data`, both less the motion of the head; 0 in patches of ROIs that are not seen."""
        field = self._flow(end)
        moved = self._sampler(field)
        patches = _cut(remove_head_motion(field, moved.similarity()), self._centres, EYE_DISTANCE_PX)
        patches[:, :2] -= moved.turn()[:, :, None, None]
        patches[~self.seen] = 0
        return moved, _stored(patches)


def sample_patches(
    layers: NDArray[np.float32], centres: NDArray[np.float32], side: float | tuple[float, float]
) -> NDArray[np.float16]:
    """Sample u, v and strain, laid over each other, in every ROI.

    layers: [H, W, 3]; centres: [R, 2] pixels; side: of a patch, pixels, or width and height where they differ.
    Returns [R, 3, P, P] float16. Samples outside the field repeat its border.
    """
    width, height = side if isinstance(side, tuple) else (side, side)
    motion, strained = np.ascontiguousarray(layers[..., :2]), np.ascontiguousarray(layers[..., 2])
    return _stored(_sampled(motion, strained, centres, width, height))


def _stored(patches: NDArray[np.float32]) -> NDArray[np.float16]:
    kept = patches if np.isfinite(patches).all() else np.nan_to_num(patches)
    return kept.clip(-6e4, 6e4).astype(np.float16)


@inlined
def _between(values: Pixels, top: int, left: int, of: tuple[np.float32, ...]) -> float:
    """Bilinear. of: shares of that pixel, the one to its right and the two below."""
    above = of[0] * values[top, left] + of[1] * values[top, left + 1]
    return float(above + of[2] * values[top + 1, left] + of[3] * values[top + 1, left + 1])


@compiled("f4[:,:,:,::1](f4[:,:,::1], f4[:,::1], f4[:,:], f8, f8)")
def _sampled(
    motion: Field, strained: NDArray[np.float32], centres: NDArray[np.float32], width: float, height: float
) -> NDArray[np.float32]:
    """[R, 3, P, P], bilinear. motion: [H, W, 2]; strained: [H, W]; width, height: of a patch, pixels."""
    patches, u, v = np.empty((len(centres), 3, PATCH, PATCH), np.float32), motion[:, :, 0], motion[:, :, 1]
    last_y, last_x = np.float32(strained.shape[0] - 1), np.float32(strained.shape[1] - 1)
    for roi in range(len(centres)):
        for i in range(PATCH):
            y = min(max(centres[roi, 1] + np.float32(((i + 0.5) / PATCH - 0.5) * height), np.float32(0)), last_y)
            top = min(int(y), strained.shape[0] - 2)
            for j in range(PATCH):
                x = min(max(centres[roi, 0] + np.float32(((j + 0.5) / PATCH - 0.5) * width), np.float32(0)), last_x)
                left = min(int(x), strained.shape[1] - 2)
                of = shares(x - np.float32(left), y - np.float32(top))
                patches[roi, 0, i, j] = _between(u, top, left, of)
                patches[roi, 1, i, j] = _between(v, top, left, of)
                patches[roi, 2, i, j] = _between(strained, top, left, of)
    return patches
