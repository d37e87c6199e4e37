"""A video of a real face that holds still but for expressions planted into it, so that a test knows what is there."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.common.settings import LandmarkSettings
from services.ingest.landmarks import Landmarker

SMILE: Final = {61: (-0.10, -0.14), 291: (0.10, -0.14)}
BROW_RAISE: Final = {107: (0.0, -0.06), 336: (0.0, -0.06), 63: (0.0, -0.06), 293: (0.0, -0.06)}
"""Landmark to its full displacement (right, down), outer-eye distances."""

Plant = tuple[dict[int, tuple[float, float]], float, float, float]
"""What moves, from when to when (seconds), and which share of the full displacement."""


def plant(
    clip: Path, video: Path, plants: Sequence[Plant], seconds: float = 5.0, fps: float = 30.0,
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = lambda picture: picture,
) -> Path:  # fmt: skip
    """Write `video`: the clip's first frame with sensor noise and the plants in it. change: applied to each picture."""
    capture = cv2.VideoCapture(str(clip))
    still = np.asarray(capture.read()[1], np.uint8)
    capture.release()
    with closing(Landmarker(LandmarkSettings())) as find:
        face = find(still, 0)[0]
    noise = np.random.default_rng(5)
    size = change(still).shape[1::-1]
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    for index in range(round(seconds * fps)):
        picture = _moved(still, face.points, face.eye_distance, plants, index / fps).astype(np.float32)
        picture += noise.normal(0, 1.0, picture.shape).astype(np.float32)
        writer.write(change(picture.clip(0, 255).astype(np.uint8)))
    writer.release()
    return video


def _moved(
    still: NDArray[np.uint8], points: NDArray[np.float32], eyes: float, plants: Sequence[Plant], time_s: float
) -> NDArray[np.uint8]:
    x, y = np.meshgrid(np.arange(still.shape[1], dtype=np.float32), np.arange(still.shape[0], dtype=np.float32))
    u, v = np.zeros_like(x), np.zeros_like(x)
    for moves, begin_s, end_s, share in plants:
        if begin_s < time_s < end_s:
            now = share * np.sin(np.pi * (time_s - begin_s) / (end_s - begin_s)) ** 2
            for landmark, (right, down) in moves.items():
                squared = (x - points[landmark, 0]) ** 2 + (y - points[landmark, 1]) ** 2
                reach = np.exp(-squared / (2 * (0.18 * eyes) ** 2))
                u += now * right * eyes * reach
                v += now * down * eyes * reach
    return np.asarray(cv2.remap(still, x - u, y - v, cv2.INTER_CUBIC), np.uint8)
