"""Flow that was kept as a small picture, and how to read it again: one motion from onset to apex, without a scale.

The code bases of MEGC 2019 keep u, v and strain as the channels of an 8-bit picture of the face, each stretched from
its smallest to its largest value. That loses where zero is, how large the motion was, and how u compares with v. What
is left is the pattern: zero is put at the channel's median, since most of a face stands still, and its RMS becomes 1.

Such a picture has no landmarks. The face is upright and fills it, so the ROI table is laid over it as it lies on the
canonical face, with patches large enough to bear a tenth of the face in misplacement.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.motion.patches import sample_patches
from services.motion.rois import ROIS
from services.motion.tensor import MotionTensor


@dataclass(frozen=True)
class Borders:
    """Where the edges of the picture lie on the face: outer-eye distances from the middle of the outer eye corners, all
    positive outwards. right: the subject's own, at the picture's left."""

    top: float
    bottom: float
    right: float
    left: float


TIGHTEST: Final = Borders(top=0.35, bottom=0.95, right=0.55, left=0.55)
"""Just above the brows, just below the lower lip, across the cheeks."""

LOOSEST: Final = Borders(top=0.75, bottom=1.4, right=0.9, left=0.9)
"""The forehead, the chin and the ears are inside."""

BORDERS: Final = Borders(top=0.55, bottom=1.25, right=0.75, left=0.75)
"""What a picture of unknown borders is taken to show."""

FLOW_PATCH_SIDE: Final = 0.48
"""Side of a patch, outer-eye distances: half as much again as where landmarks are known."""

CANONICAL_CENTRES: Final = {
    "brow_inner": (0.226, -0.228),
    "brow_outer": (0.578, -0.185),
    "glabella": (0.0, -0.201),
    "lid_upper": (0.359, -0.032),
    "lid_lower": (0.359, 0.048),
    "cheek": (0.470, 0.295),
    "nose_root": (0.0, 0.052),
    "nose_wing": (0.194, 0.394),
    "nasolabial": (0.264, 0.544),
    "lip_corner": (0.313, 0.789),
    "lip_upper": (0.0, 0.687),
    "lip_lower": (0.0, 0.889),
    "chin_left": (0.258, 1.055),
    "chin_right": (0.258, 1.055),
    "chin": (0.0, 1.188),
}
"""Where the ROIs lie on MediaPipe's canonical face seen from the front: outer-eye distances from the middle of the
outer eye corners, x to the subject's left, y downwards; for both sides where a ROI has two."""


def restore(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The pattern of the motion, [H, W, 3] float32: u, v, strain, each with median 0 and RMS 1, or 0 where it is flat.

    image: [H, W, 3] uint8, channels u, v, strain (RGB order as they are stored). Raises ValueError for another shape.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"a flow image is [H, W, 3] uint8, got {list(image.shape)} {image.dtype}")
    centred = image.astype(np.float32)
    centred -= np.median(centred, axis=(0, 1))
    rms = np.sqrt((centred**2).mean((0, 1)))
    return np.asarray(centred / np.where(rms > 0, rms, 1), np.float32)


def tensor_of(
    image: NDArray[np.uint8], borders: Borders = BORDERS, jitter: NDArray[np.float32] | None = None
) -> MotionTensor:
    """One frame at time 0, magnitude unknown.

    image: as for `restore`. borders: what the picture shows. jitter: [R, 2], added to the ROIs' centres, outer-eye
    distances. ROIs whose centre lies outside the picture are not seen.
    """
    layers = restore(image)
    height, width = layers.shape[:2]
    scale = np.array([width / (borders.right + borders.left), height / (borders.top + borders.bottom)], np.float32)
    centres = _CENTRES if jitter is None else _CENTRES + jitter
    pixels = (centres + np.array([borders.right, borders.top], np.float32)) * scale - np.float32(0.5)
    seen = np.all((pixels >= -0.5) & (pixels <= np.array([width, height]) - 0.5), axis=1)
    data = sample_patches(layers, pixels, (FLOW_PATCH_SIDE * float(scale[0]), FLOW_PATCH_SIDE * float(scale[1])))
    data[~seen] = 0
    return MotionTensor(data[None], np.zeros(1, np.float32), seen[None], (0,), magnitude_known=False)


def _centres() -> NDArray[np.float32]:
    """[R, 2] in the order of the table; x to the picture's right."""
    table = []
    for roi in ROIS:
        stem = roi.name if roi.name in CANONICAL_CENTRES else roi.name.removesuffix(f"_{roi.side}")
        x, y = CANONICAL_CENTRES[stem]
        table.append((-x if roi.side == "right" else x, y))
    return np.array(table, np.float32)


_CENTRES: Final = _centres()
