"""Faces in a picture: MediaPipe's FaceLandmarker, its model file and the pose of the head.

VIDEO mode with `convention.NUM_FACES`: so every frame stands alone and runs repeat bit for bit.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import cv2
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision
from numpy.typing import NDArray

from microex.v1 import frame_pb2
from services.common.errors import Fatal
from services.common.settings import LandmarkSettings
from services.ingest.sources import Picture
from services.motion.convention import LANDMARKS, LEFT_EYE_OUTER, NUM_FACES, RIGHT_EYE_OUTER

MODEL_PACKAGE: Final = "ogm"
"""Import name of the distribution ogm-vision, which carries Google's model file."""
MODEL_FILE: Final = "models/face_landmarker.task"
MODEL_SHA256: Final = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"


@dataclass(frozen=True)
class Face:
    """One face in one picture.

    points: [478, 2] float32, pixels of the picture; x to the right, y downwards.
    pose: degrees, see Pose.
    """

    points: NDArray[np.float32]
    pose: frame_pb2.Pose

    @cached_property
    def eye_distance(self) -> float:
        """Distance of the outer eye corners, pixels."""
        return float(np.linalg.norm(self.points[LEFT_EYE_OUTER] - self.points[RIGHT_EYE_OUTER]))

    @cached_property
    def centre(self) -> NDArray[np.float64]:
        """Mean of all points, [2] pixels."""
        return np.asarray(self.points.mean(0, dtype=np.float64))

    @cached_property
    def spread(self) -> float:
        """Root mean square distance of the points from their centre, pixels: the size of the face, which turning
        aside changes less than it changes the distance of the eyes."""
        return float(np.sqrt(((self.points - self.centre) ** 2).sum(1).mean()))


def model_path(settings: LandmarkSettings) -> Path:
    """The model file: the one of the setting, else that of ogm-vision with its hash checked.

    Raises Fatal when it is missing or is not the file we know.
    """
    if settings.landmark_model is not None:
        if not settings.landmark_model.is_file():
            raise Fatal("MICROEX_LANDMARK_MODEL names no file", file=str(settings.landmark_model))
        return settings.landmark_model
    found = importlib.util.find_spec(MODEL_PACKAGE)  # finds it without running its code
    folders = found.submodule_search_locations if found else None
    path = Path(folders[0], MODEL_FILE) if folders else None
    if path is None or not path.is_file():
        raise Fatal("the face model is missing: install ogm-vision, or name a file with MICROEX_LANDMARK_MODEL")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != MODEL_SHA256:
        raise Fatal("the face model is not the one this was built for", file=str(path), got=digest, want=MODEL_SHA256)
    return path


class Landmarker:
    """Finds faces in the pictures of one source; not shared between threads. Raises Fatal when the model file cannot be
    loaded."""

    def __init__(self, settings: LandmarkSettings) -> None:
        path = model_path(settings)
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(path)),
            running_mode=vision.RunningMode.VIDEO,
            num_faces=NUM_FACES,
            output_facial_transformation_matrixes=True,
        )
        try:
            self._landmarker = vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise Fatal("the face model cannot be loaded", file=str(path), error=str(error)) from error
        self._last_ms = -1

    def __call__(self, picture: Picture, time_us: int) -> list[Face]:
        """Faces in `picture` ([H, W, 3] uint8 BGR) from left to right. time_us: of the stream."""
        self._last_ms = max(self._last_ms + 1, time_us // 1000)  # it demands that time never stands still
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        found = self._landmarker.detect_for_video(image, self._last_ms)
        size = np.array([picture.shape[1], picture.shape[0]], np.float32)
        faces = [
            Face(np.array([(p.x, p.y) for p in points[:LANDMARKS]], np.float32) * size, pose_of(matrix))
            for points, matrix in zip(found.face_landmarks, found.facial_transformation_matrixes, strict=True)
        ]
        return sorted(faces, key=lambda face: float(face.centre[0]))

    def close(self) -> None:
        """Let go of the model."""
        self._landmarker.close()


def pose_of(matrix: NDArray[np.floating]) -> frame_pb2.Pose:
    """Yaw, pitch and roll of a head, degrees, signs as in Pose.

    matrix: [4, 4], from the canonical face (x to the subject's left, y up, z out of the face) to the camera's space
    (x to the picture's right, y up, z towards the viewer).
    """
    nose, left = matrix[:3, 2], matrix[:3, 0]  # where the face looks, and where its left side points
    return frame_pb2.Pose(
        yaw=float(np.degrees(np.arctan2(nose[0], nose[2]))),
        pitch=float(np.degrees(np.arctan2(nose[1], np.hypot(nose[0], nose[2])))),
        roll=float(np.degrees(np.arctan2(-left[1], left[0]))),
    )
