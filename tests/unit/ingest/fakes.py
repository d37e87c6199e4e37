"""Faces, pictures and cameras made by rule, so that the cores are tested without a landmarker or a network."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from microex.v1 import frame_pb2
from services.ingest import live
from services.ingest.align import TEMPLATE
from services.ingest.landmarks import Face
from services.ingest.sources import Picture
from services.motion.convention import LANDMARKS, STABLE

FRAME_US = 40_000


class Clock:
    """A machine's clock that only the camera moves, and that can be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_us, self._steady_us = 1_700_000_000_000_000, 0
        monkeypatch.setattr(live, "now_us", lambda: self.now_us)
        monkeypatch.setattr(live, "monotonic_ns", lambda: self._steady_us * 1000)

    def frame(self) -> None:
        self.now_us += FRAME_US
        self._steady_us += FRAME_US

    def set(self, by_us: int) -> None:
        self.now_us += by_us


class Connection:
    """What cv2.VideoCapture is for a source that gives `frames` pictures in time and then breaks off; `bad` of them
    cannot be decoded, and `when` holds what happens at others."""

    def __init__(self, clock: Clock, frames: int, bad: tuple[int, ...] = ()) -> None:
        self.clock, self.frames, self.bad, self.at, self.released = clock, frames, bad, -1, False
        self.when: dict[int, Callable[[], None]] = {}
        self._picture = textured()

    def isOpened(self) -> bool:
        return self.frames > 0

    def grab(self) -> bool:
        self.at += 1
        self.clock.frame()
        self.when.get(self.at, lambda: None)()
        return self.at < self.frames

    def retrieve(self) -> tuple[bool, Any]:
        return self.at not in self.bad, self._picture

    def get(self, prop: int) -> float:
        assert prop == cv2.CAP_PROP_POS_MSEC
        return self.at * FRAME_US / 1000

    def release(self) -> None:
        self.released = True


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
