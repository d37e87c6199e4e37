"""The motion tensor: (u, v, strain) in every ROI at every selected frame, as arrays and as a message."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from microex.v1 import window_pb2
from services.common.errors import Poison
from services.motion.convention import VERSION
from services.motion.flow import Field, strain
from services.motion.rois import PATCH, PATCH_SIDE, ROIS

MAX_FRAMES: Final = 64
"""More selected frames than this is not a window but a mistake."""


@dataclass(frozen=True)
class MotionTensor:
    """What the recognizer reads.

    data: [K, R, 3, P, P] float16; u, v in outer-eye distances, strain a ratio; 0 where not seen.
    times: [K] float32, seconds relative to the apex, ascending.
    seen: [K, R] bool.
    indices: [K] frame indices of the run.
    magnitude_known: whether the gain of the data means anything.
    """

    data: NDArray[np.float16]
    times: NDArray[np.float32]
    seen: NDArray[np.bool_]
    indices: tuple[int, ...]
    magnitude_known: bool = True


def cut_patches(field: Field, centres: NDArray[np.float32], eye_distance: float) -> NDArray[np.float16]:
    """Sample u, v and strain of one flow field in every ROI.

    field: [H, W, 2] pixels, head motion removed; centres: [R, 2] pixels; eye_distance: pixels.
    Returns [R, 3, P, P] float16 as in `MotionTensor.data`. Samples outside the field repeat its border.
    """
    layers = np.dstack([field / eye_distance, strain(field)])  # [H, W, 3]
    return sample_patches(layers, centres, PATCH_SIDE * eye_distance)


def sample_patches(
    layers: NDArray[np.float32], centres: NDArray[np.float32], side: float | tuple[float, float]
) -> NDArray[np.float16]:
    """Sample u, v and strain, laid over each other, in every ROI.

    layers: [H, W, 3]; centres: [R, 2] pixels; side: of a patch, pixels, or width and height where they differ.
    Returns [R, 3, P, P] float16. Samples outside the field repeat its border.
    """
    width, height = side if isinstance(side, tuple) else (side, side)
    steps = (np.arange(PATCH) + 0.5) / PATCH - 0.5
    x = centres[:, None, None, 0] + np.broadcast_to(steps[None, None, :] * width, (len(centres), PATCH, PATCH))
    y = centres[:, None, None, 1] + np.broadcast_to(steps[None, :, None] * height, (len(centres), PATCH, PATCH))
    shape = (len(centres) * PATCH, PATCH)
    sampled = cv2.remap(
        layers,
        x.reshape(shape).astype(np.float32),
        y.reshape(shape).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    patches = sampled.reshape(len(centres), PATCH, PATCH, 3).transpose(0, 3, 1, 2)
    return np.nan_to_num(patches).clip(-6e4, 6e4).astype(np.float16)


def pack(tensor: MotionTensor) -> window_pb2.MotionTensor:
    """To the message."""
    k, r, _, p, _ = tensor.data.shape
    return window_pb2.MotionTensor(
        data=tensor.data.astype("<f2").tobytes(),
        frames=k,
        rois=r,
        patch=p,
        indices=tensor.indices,
        times=tensor.times.tolist(),
        seen=tensor.seen.ravel().tolist(),
        magnitude_known=tensor.magnitude_known,
        convention=VERSION,
    )


def unpack(message: window_pb2.MotionTensor) -> MotionTensor:
    """From the message. Raises Poison when sizes disagree, values are not finite, or the convention is another."""
    k, r, p = message.frames, message.rois, message.patch
    if message.convention != VERSION:
        raise Poison("motion tensor was cut by another convention", got=message.convention, want=VERSION)
    if r != len(ROIS) or p != PATCH or not 1 <= k <= MAX_FRAMES:
        raise Poison("motion tensor has a wrong shape", frames=k, rois=r, patch=p)
    sizes = {
        "data": (len(message.data), k * r * 3 * p * p * 2),
        "times": (len(message.times), k),
        "seen": (len(message.seen), k * r),
        "indices": (len(message.indices), k),
    }
    for name, (got, want) in sizes.items():
        if got != want:
            raise Poison("motion tensor has a field of the wrong length", field=name, got=got, want=want)
    data = np.frombuffer(message.data, "<f2").reshape(k, r, 3, p, p)
    times = np.array(message.times, np.float32)
    if not np.isfinite(data).all() or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise Poison("motion tensor holds values that are not finite or times out of order")
    return MotionTensor(
        data, times, np.array(message.seen, bool).reshape(k, r), tuple(message.indices), message.magnitude_known
    )
