"""How far a face's picture can be trusted, and whether it is good enough to go on with."""

import cv2
import numpy as np
from numpy.typing import NDArray

from microex.v1 import frame_pb2
from services.common.settings import LandmarkSettings
from services.ingest.landmarks import Face


def measure(face: Face, crop: NDArray[np.uint8]) -> frame_pb2.Quality:
    """Size and sharpness. crop: [S, S] uint8, aligned."""
    return frame_pb2.Quality(eye_distance_px=face.eye_distance, sharpness=sharpness(crop))


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian over the variance of the picture, so that contrast does not matter; 0 without contrast.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000. crop: [S, S] uint8.
    """
    variance = float(crop.var(dtype=np.float64))
    return float(cv2.Laplacian(crop, cv2.CV_32F).var(dtype=np.float64)) / variance if variance > 0 else 0.0


def fault(pose: frame_pb2.Pose, quality: frame_pb2.Quality, settings: LandmarkSettings) -> str | None:
    """Why this picture is not good enough, "small", "pose" or "blur"; None when it is."""
    if quality.eye_distance_px < settings.min_eye_distance_px:
        return "small"
    if abs(pose.yaw) > settings.max_yaw_deg or abs(pose.pitch) > settings.max_pitch_deg:
        return "pose"
    if quality.sharpness < settings.min_sharpness:
        return "blur"
    return None
