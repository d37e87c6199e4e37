"""Faces and pictures made by rule, so that the cores are tested without a landmarker."""

import numpy as np

from microex.v1 import frame_pb2
from services.ingest.align import TEMPLATE
from services.ingest.landmarks import Face
from services.ingest.sources import Picture
from services.motion.convention import LANDMARKS, STABLE


def face(x: float, y: float = 200.0, eye: float = 100.0, yaw: float = 0.0, angle: float = 0.0) -> Face:
    """A face whose eyes are centred near (x, y), eye px apart, turned in the picture by angle (radians)."""
    random = np.random.default_rng(0)
    shape = (random.uniform(32, 96, LANDMARKS) - 64) + 1j * (random.uniform(10, 120, LANDMARKS) - 34)
    shape[list(STABLE)] = TEMPLATE - complex(64, 34)
    points = complex(x, y) + shape * (eye / 64) * np.exp(1j * angle)
    return Face(np.stack([points.real, points.imag], 1).astype(np.float32), frame_pb2.Pose(yaw=yaw))


def textured(height: int = 480, width: int = 640) -> Picture:
    """A picture with detail everywhere, [H, W, 3] uint8, the same every time."""
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
