"""Plants facial movements of known size and time into real crops, by warping them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.convention import CROP_PX, EYE_DISTANCE_PX

FULL = {
    "smile": (
        ((61, 57), (-0.10, -0.14)),
        ((291, 287), (0.10, -0.14)),
        ((50, 205), (-0.02, -0.06)),
        ((280, 425), (0.02, -0.06)),
    ),
    "smirk left": (((291, 287), (0.10, -0.14)), ((280, 425), (0.02, -0.06))),
    "frown": (((61, 57), (-0.01, 0.07)), ((291, 287), (0.01, 0.07))),
    "brow raise": (
        ((55, 107), (0.0, -0.06)),
        ((285, 336), (0.0, -0.06)),
        ((46, 63, 70), (0.0, -0.06)),
        ((276, 293, 300), (0.0, -0.06)),
    ),
    "brow lower": (
        ((55, 107), (0.02, 0.07)),
        ((285, 336), (-0.02, 0.07)),
        ((46, 63, 70), (0.0, 0.03)),
        ((276, 293, 300), (0.0, 0.03)),
    ),
    "nose wrinkle": (((129, 102), (0.0, -0.10)), ((358, 331), (0.0, -0.10)), ((168,), (0.0, -0.02))),
    "chin raise": (((200, 199, 175), (0.0, -0.09)), ((17, 16), (0.0, -0.06))),
}
"""Full displacement of an action by landmarks, outer-eye distances: (landmarks, (right, down))."""


@dataclass(frozen=True)
class Plant:
    """One movement: zero before frame `onset` and after frame `offset`, `amplitude` times its full size at `apex`."""

    action: str
    onset: int
    apex: int
    offset: int
    amplitude: float

    def course(self, index: int) -> float:
        """Raised cosine up and down; 0 at onset - 1 and at offset + 1."""
        if index <= self.apex:
            phase = (index - self.onset + 1) / (self.apex - self.onset + 1)
        else:
            phase = (self.offset + 1 - index) / (self.offset + 1 - self.apex)
        return self.amplitude * (1 - np.cos(np.pi * float(np.clip(phase, 0, 1)))) / 2


@cache
def _pixels() -> NDArray[np.float32]:
    return np.stack(np.meshgrid(np.arange(CROP_PX), np.arange(CROP_PX)), -1).astype(np.float32)


def bumps(moves: Sequence[tuple[NDArray[np.float32], NDArray[np.float32], float]]) -> NDArray[np.float32]:
    """[128, 128, 2] pixels: a Gaussian around each centre; moves are (centre px, displacement px, radius px)."""
    field = np.zeros((CROP_PX, CROP_PX, 2), np.float32)
    for centre, displacement, radius in moves:
        squared = ((_pixels() - centre) ** 2).sum(-1)
        field += np.exp(-squared / (2 * radius**2))[..., None] * displacement
    return field


def action_field(action: str, landmarks: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    """What an action does to a face, pixels."""
    return bumps(
        [
            (
                landmarks[list(points)].mean(0),
                np.array(by, np.float32) * amount * EYE_DISTANCE_PX,
                0.13 * EYE_DISTANCE_PX,
            )
            for points, by in FULL[action]
        ],
    )


def warp(picture: NDArray[np.uint8], field: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture moved by the field (its inverse taken by four fixed-point steps)."""
    back = field
    for _ in range(4):
        source = _pixels() - back
        back = cv2.remap(field, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    source = _pixels() - back
    return np.asarray(
        cv2.remap(picture, source[..., 0], source[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
