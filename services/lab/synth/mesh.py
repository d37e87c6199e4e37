"""The canonical face that both motion styles move: MediaPipe's, seen from the front, in outer-eye distances.

x to the picture's right (the subject's left), y downwards, z out of the face; the origin lies between the outer eye
corners. Skin is cut in three sheets along the eyes and the mouth, because lids and lips slide past each other.
"""

import struct
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.common.settings import LandmarkSettings
from services.ingest.landmarks import model_path
from services.motion.convention import LANDMARKS, LEFT_EYE_OUTER, RIGHT_EYE_OUTER

Array = NDArray[np.float64]

_GEOMETRY: Final = "geometry_pipeline_metadata_landmarks.binarypb"
"""Member of the model file that holds the mesh: GeometryPipelineMetadata.canonical_mesh of MediaPipe's protocol."""

# Each from the subject's right to the left, corners left out; the lids of the right eye, then of the left.
UPPER_LIDS: Final = ((246, 161, 160, 159, 158, 157, 173), (398, 384, 385, 386, 387, 388, 466))
LOWER_LIDS: Final = ((7, 163, 144, 145, 153, 154, 155), (382, 381, 380, 374, 373, 390, 249))
CREASES: Final = ((247, 30, 29, 27, 28, 56, 190), (414, 286, 258, 257, 259, 260, 467))
"""The skin right above each point of UPPER_LIDS."""
EYE_CORNERS: Final = ((33, 133), (362, 263))
UPPER_LIP_EDGE: Final = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_LIP_EDGE: Final = (95, 88, 178, 87, 14, 317, 402, 318, 324)
MOUTH_CORNERS: Final = (78, 308)
UPPER_LIP: Final = (*UPPER_LIP_EDGE, 185, 40, 39, 37, 0, 267, 269, 270, 409, 183, 42, 41, 38, 12, 268, 271, 272, 407,
                    184, 74, 73, 72, 11, 302, 303, 304, 408)  # fmt: skip
LOWER_LIP: Final = (*LOWER_LIP_EDGE, 146, 91, 181, 84, 17, 314, 405, 321, 375, 77, 90, 180, 85, 16, 315, 404, 320, 307,
                    96, 89, 179, 86, 15, 316, 403, 319, 325)  # fmt: skip
IRISES: Final = tuple(range(468, LANDMARKS))

_HIDDEN: Final = (
    (*LOWER_LIDS[0], *LOWER_LIDS[1], *LOWER_LIP, *IRISES),
    (*UPPER_LIDS[0], *UPPER_LIDS[1], *LOWER_LIP, *IRISES),
    (*UPPER_LIDS[0], *UPPER_LIDS[1], *UPPER_LIP, *IRISES),
)
SHEETS: Final = tuple(np.setdiff1d(np.arange(LANDMARKS), hidden) for hidden in _HIDDEN)
"""Landmarks of the three sheets of skin: down to the upper lids, from there to the upper lip, below the mouth."""

OVAL: Final = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
               148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
"""Landmarks around the face, clockwise from the middle of the forehead."""


@cache
def canonical() -> Array:
    """Where the landmarks of the canonical face lie: [478, 3] float64. Raises Fatal without the model file."""
    with zipfile.ZipFile(model_path(LandmarkSettings())) as model:
        [mesh] = [value for number, value in _fields(model.read(_GEOMETRY)) if number == 1]
    numbers = [struct.unpack("<f", value)[0] for number, value in _fields(mesh) if number == 3]
    vertices = np.array(numbers).reshape(-1, 5)[:, :3]  # position, then texture
    right, left = vertices[RIGHT_EYE_OUTER], vertices[LEFT_EYE_OUTER]
    points = (vertices - (right + left) / 2) / np.linalg.norm(left - right) * (1, -1, 1)
    irises = [
        points[[*corners, upper[3], lower[3]]].mean(0) + step
        for corners, upper, lower in zip(EYE_CORNERS, UPPER_LIDS, LOWER_LIDS, strict=True)
        for step in ((0, 0, 0), (0.066, 0, 0), (0, -0.066, 0), (-0.066, 0, 0), (0, 0.066, 0))
    ]
    return np.concatenate([points, irises])


@cache
def twins() -> NDArray[np.intp]:
    """For each landmark the one that mirrors it, [478]."""
    points = canonical()
    return np.asarray(np.linalg.norm(points[:, None] * (-1, 1, 1) - points[None], axis=-1).argmin(1))


def leftness(x: Array, width: float = 0.16) -> Array:
    """How much a point belongs to the subject's left: 0 to 1, smoothly over `width` around the middle."""
    t = np.clip(x / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Fields of a protobuf message without its schema: number and raw value. Varints come as no bytes."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            varint()
            yield key >> 3, b""
            continue
        size = varint() if key & 7 == 2 else 4
        yield key >> 3, message[at : at + size]
        at += size
