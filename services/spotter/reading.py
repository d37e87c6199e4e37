"""From a message to a face that can be measured. What is wrong with a message is found here, before state changes."""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from microex.v1 import frame_pb2, stream_pb2
from services.common.errors import Poison
from services.common.ids import stream_key
from services.motion.compiled import compiled
from services.motion.convention import CROP_PX, LANDMARKS, LEFT_EYE_OUTER, RIGHT_EYE_OUTER

MIN_CONTRAST: Final = 4.0
"""Standard deviation, grey levels: below it a crop is blank."""

MIN_EYE_PX: Final = CROP_PX / 16
"""Outer eye corners nearer than this are no face."""

FARTHEST_PX: Final = 16.0 * CROP_PX
"""Landmarks further out are no face's."""

_EYES: Final = np.array([(159, 145), (158, 153), (33, 133), (386, 374), (385, 380), (362, 263)])
"""Of the right eye and of the left: two points of the upper lid and those across from them; the corners."""

_LITTLE_ENDIAN: Final = np.dtype("<f4")


@dataclass(slots=True, eq=False)
class Face:
    """One frame of one face.

    index, time_us: which frame of the run, and when. jpeg: the crop as it came; picture: the same, [128, 128] uint8.
    landmarks: [478, 2] float32, crop pixels. opening: height over width of the opening of each eye (right, left).
    brightness: mean grey level. turn: yaw, pitch and roll of the head, degrees.
    flaw: why it cannot be measured, or None.
    """

    index: int
    time_us: int
    jpeg: bytes
    picture: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    opening: tuple[float, float]
    brightness: float
    turn: tuple[float, float, float]
    flaw: str | None


def read(message: frame_pb2.FaceFrame) -> Face | frame_pb2.End:
    """What a message says. Raises Poison for one that can never be read: a malformed stream key, no body, a picture
    that is no crop, landmarks of the wrong length or not finite."""
    key = stream_key(message.stream)
    match message.WhichOneof("body"):
        case "frame":
            return _face(message.frame, key)
        case "end":
            return message.end
        case _:
            raise Poison("face frame without a body", stream=key)


def _face(frame: frame_pb2.Frame, key: str) -> Face:
    index, time_us = frame.moment.index, frame.moment.time_us
    if not frame.HasField("moment") or frame.time_base == stream_pb2.TIME_BASE_UNSPECIFIED:
        raise Poison("face frame without its time", stream=key)
    if len(frame.landmarks) != LANDMARKS * 8:
        raise Poison("landmarks of the wrong length", stream=key, index=index, size=len(frame.landmarks))
    landmarks = np.frombuffer(bytearray(frame.landmarks), _LITTLE_ENDIAN).reshape(LANDMARKS, 2)
    eyes_px, opening = _eyes(landmarks)
    if not math.isfinite(eyes_px):
        raise Poison("landmarks that are not finite", stream=key, index=index)
    jpeg, pose = frame.crop_jpeg, frame.pose
    picture = decode(jpeg)
    if picture is None or frame.crop_px != CROP_PX:
        raise Poison("crop that is no picture of the agreed size", stream=key, index=index, crop_px=frame.crop_px)
    mean, spread = cv2.meanStdDev(picture)
    flaw = "blank" if spread[0, 0] < MIN_CONTRAST else "geometry" if not eyes_px > MIN_EYE_PX else None
    turn = (pose.yaw, pose.pitch, pose.roll)
    return Face(index, time_us, jpeg, picture, landmarks, opening, float(mean[0, 0]), turn, flaw)


def decode(jpeg: bytes) -> NDArray[np.uint8] | None:
    """The crop, [128, 128] uint8 grey; None for bytes that are no such picture."""
    if not jpeg:
        return None
    try:
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        return None
    return np.asarray(picture, np.uint8) if picture is not None and picture.shape == (CROP_PX, CROP_PX) else None


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    """The crop of a frame that was read before, likewise."""
    picture = decode(jpeg)
    assert picture is not None, "was read before"
    return picture


@compiled("Tuple((f8, UniTuple(f8, 2)))(f4[:,::1])")
def _eyes(landmarks: NDArray[np.float32]) -> tuple[float, tuple[float, float]]:
    """How far apart the outer corners are, pixels to the right, not finite when any landmark is not, 0 when any lies
    out of all bounds; and the opening of both, right and left: the eye aspect ratio of Soukupova & Cech, "Real-time eye
    blink detection using facial landmarks", 2016."""
    if not np.isfinite(landmarks).all():
        return np.nan, (np.nan, np.nan)
    if np.abs(landmarks).max() > FARTHEST_PX:
        return 0.0, (0.0, 0.0)
    across = np.empty(len(_EYES))
    for k in range(len(_EYES)):
        one, other = landmarks[_EYES[k, 0]], landmarks[_EYES[k, 1]]
        across[k] = np.hypot(one[0] - other[0], one[1] - other[1])
    right, left = across[:3], across[3:]
    opening = (right[0] + right[1]) / 2 / max(right[2], 1.0), (left[0] + left[1]) / 2 / max(left[2], 1.0)
    return landmarks[LEFT_EYE_OUTER, 0] - landmarks[RIGHT_EYE_OUTER, 0], opening
