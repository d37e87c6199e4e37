"""A real face video with micro-expressions of known time warped into its pictures."""

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from microex.v1 import stream_pb2
from services.common.settings import LandmarkSettings
from services.ingest.core import Ingest
from services.ingest.sources import open_video
from tests.unit.spotter.planting import Plant, action_field


def plant_video(source: Path, target: Path, plants: tuple[Plant, ...], fps: float = 30.0) -> Path:
    """Write `source` to `target` (.avi, nearly lossless) with `plants` in its first face."""
    writer = None
    with open_video(source) as frames, closing(
        Ingest("s", "c", 0, stream_pb2.TIME_BASE_MEDIA, LandmarkSettings())
    ) as ingest:  # fmt: skip
        for captured in frames:
            picture = captured.picture
            faces = ingest.step(captured)
            moves = [(p.action, p.course(captured.index)) for p in plants]
            if faces and any(amount for _, amount in moves):
                face = faces[0].frame
                landmarks = np.frombuffer(face.landmarks, "<f4").reshape(-1, 2)
                field = sum(action_field(action, landmarks, amount) for action, amount in moves)
                to_picture = np.array(face.crop_to_picture, np.float32).reshape(2, 3)
                picture = _moved(picture, np.asarray(field, np.float32), to_picture)
            if writer is None:
                size = (picture.shape[1], picture.shape[0])
                writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
                writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 98)
            writer.write(picture)
    assert writer is not None, "the source has no frames"
    writer.release()
    return target


def _moved(
    picture: NDArray[np.uint8], crop_field: NDArray[np.float32], to_picture: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """The picture after a motion that is given on the crop, pixels of the crop."""
    height, width = picture.shape[:2]
    field = cv2.warpAffine(crop_field @ to_picture[:, :2].T, to_picture, (width, height), flags=cv2.INTER_LINEAR)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    back = field
    for _ in range(4):  # fixed point of back(p) = field(p - back(p))
        back = cv2.remap(field, x - back[..., 0], y - back[..., 1], cv2.INTER_LINEAR)
    moved = cv2.remap(picture, x - back[..., 0], y - back[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)
