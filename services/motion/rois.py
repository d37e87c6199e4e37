"""The regions of interest (ROIs) of the face and the larger regions that curves are drawn for.

A ROI is a square patch centred on the mean of a few landmarks. Each one lies over the skin that a muscle moves
(anatomy after Ekman, Friesen & Hager, "Facial Action Coding System", 2002, and Waters, "A muscle model for animating
three-dimensional facial expression", SIGGRAPH 1987). The order of the table is the order of every tensor and message.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.motion.convention import LANDMARKS

Side = Literal["left", "right", "middle"]


@dataclass(frozen=True)
class Roi:
    """One region of interest.

    name: unique, snake case, ends in `_left` or `_right` (the subject's own) where it has a side.
    landmarks: indices whose mean is the centre.
    depth: how far it stands forward of the outer eye corners, outer-eye distances (MediaPipe's canonical face).
    trust: weight, 0 to 1, in what tells how the head moved: high on bone, low where muscles move a lot.
    skin: what lies under the patch and what moves it.
    """

    name: str
    landmarks: tuple[int, ...]
    depth: float
    trust: float
    skin: str

    @property
    def side(self) -> Side:
        last = self.name.rsplit("_", 1)[-1]
        return "left" if last == "left" else "right" if last == "right" else "middle"


PATCH: Final = 8
"""Samples along a side of a ROI's patch."""

PATCH_SIDE: Final = 0.32
"""Side of a patch, outer-eye distances: neighbours overlap by a third, so an error of a landmark stays small."""

ROIS: Final[tuple[Roi, ...]] = (
    Roi("brow_inner_right", (55, 65, 66, 107), 0.22, 0.15, "inner brow: frontalis medialis, corrugator"),
    Roi("brow_inner_left", (285, 295, 296, 336), 0.22, 0.15, "inner brow: frontalis medialis, corrugator"),
    Roi("brow_outer_right", (46, 53, 63, 70), 0.04, 0.15, "outer brow: frontalis lateralis"),
    Roi("brow_outer_left", (276, 283, 293, 300), 0.04, 0.15, "outer brow: frontalis lateralis"),
    Roi("glabella", (8, 9), 0.24, 0.2, "between the brows: corrugator, procerus"),
    Roi("lid_upper_right", (158, 159, 160), 0.07, 0.1, "upper lid: levator palpebrae, orbicularis oculi"),
    Roi("lid_upper_left", (385, 386, 387), 0.07, 0.1, "upper lid: levator palpebrae, orbicularis oculi"),
    Roi("lid_lower_right", (23, 144, 145, 153), 0.06, 0.1, "lower lid: orbicularis oculi, palpebral part"),
    Roi("lid_lower_left", (253, 373, 374, 380), 0.06, 0.1, "lower lid: orbicularis oculi, palpebral part"),
    Roi("cheek_right", (50, 101, 118), 0.06, 0.5, "infraorbital cheek: orbicularis oculi, orbital part"),
    Roi("cheek_left", (280, 330, 347), 0.06, 0.5, "infraorbital cheek: orbicularis oculi, orbital part"),
    Roi("nose_root", (6, 122, 351, 197), 0.3, 1, "root of the nose: procerus, levator labii alaeque nasi"),
    Roi("nose_wing_right", (49, 102, 129), 0.23, 0.2, "nasal wing: levator labii alaeque nasi"),
    Roi("nose_wing_left", (279, 331, 358), 0.23, 0.2, "nasal wing: levator labii alaeque nasi"),
    Roi(
        "nasolabial_right", (165, 203, 206), 0.18, 0.3, "nasolabial furrow: levator labii superioris, zygomaticus minor"
    ),
    Roi(
        "nasolabial_left", (391, 423, 426), 0.18, 0.3, "nasolabial furrow: levator labii superioris, zygomaticus minor"
    ),
    Roi(
        "lip_corner_right",
        (57, 61),
        0.11,
        0.1,
        "lip corner: zygomaticus major, buccinator, risorius, depressor anguli oris",
    ),
    Roi(
        "lip_corner_left",
        (287, 291),
        0.11,
        0.1,
        "lip corner: zygomaticus major, buccinator, risorius, depressor anguli oris",
    ),
    Roi("lip_upper", (0, 11, 37, 267), 0.31, 0.1, "upper lip: orbicularis oris, levator labii superioris"),
    Roi("lip_lower", (16, 17, 84, 314), 0.26, 0.1, "lower lip: orbicularis oris, depressor labii, mentalis"),
    Roi("chin_right", (32, 194, 204), 0.13, 0.15, "beside the chin: depressor anguli oris"),
    Roi("chin_left", (262, 418, 424), 0.13, 0.15, "beside the chin: depressor anguli oris"),
    Roi("chin", (175, 199, 200), 0.21, 0.15, "chin boss: mentalis"),
)

STABLE_DEPTH: Final = (0.0, 0.07, 0.07, 0.0, 0.23, 0.29, 0.35)
"""As `Roi.depth`, for the landmarks of `convention.STABLE`."""

ROI_INDEX: Final[dict[str, int]] = {roi.name: i for i, roi in enumerate(ROIS)}

REGIONS: Final[dict[str, tuple[str, ...]]] = {
    "brow right": ("brow_inner_right", "brow_outer_right"),
    "brow left": ("brow_inner_left", "brow_outer_left"),
    "brow middle": ("glabella",),
    "eye right": ("lid_upper_right", "lid_lower_right"),
    "eye left": ("lid_upper_left", "lid_lower_left"),
    "nose": ("nose_root", "nose_wing_right", "nose_wing_left"),
    "cheek right": ("cheek_right", "nasolabial_right"),
    "cheek left": ("cheek_left", "nasolabial_left"),
    "mouth right": ("lip_corner_right",),
    "mouth left": ("lip_corner_left",),
    "lips": ("lip_upper", "lip_lower"),
    "chin": ("chin_right", "chin_left", "chin"),
}
"""Regions that curves are drawn for: name to the ROIs that it joins. Every ROI is in exactly one."""


def mirrored() -> tuple[int, ...]:
    """For each ROI the index of its twin on the other side (itself in the middle)."""
    swap = {"left": "right", "right": "left", "middle": ""}
    return tuple(
        ROI_INDEX[roi.name if roi.side == "middle" else roi.name.removesuffix(roi.side) + swap[roi.side]]
        for roi in ROIS
    )


def roi_centres(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centre of each ROI.

    landmarks: [478, 2] float, any unit. Returns [R, 2] float32 in the same unit.
    Raises ValueError for another shape.
    """
    if landmarks.shape != (LANDMARKS, 2):
        raise ValueError(f"landmarks must be [{LANDMARKS}, 2], got {list(landmarks.shape)}")
    return (_CENTRE_WEIGHTS @ landmarks).astype(np.float32)


def _centre_weights() -> NDArray[np.float32]:
    weights = np.zeros((len(ROIS), LANDMARKS), np.float32)
    for i, roi in enumerate(ROIS):
        weights[i, list(roi.landmarks)] = 1 / len(roi.landmarks)
    return weights


_CENTRE_WEIGHTS: Final = _centre_weights()
