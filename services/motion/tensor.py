"""The motion tensor: (u, v, strain) in every ROI at every selected frame, as arrays and as a message."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from microex.v1 import window_pb2
from services.common.errors import Poison
from services.motion.convention import VERSION
from services.motion.rois import PATCH, ROIS

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
