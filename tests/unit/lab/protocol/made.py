"""Samples whose class can be told from the motion, without any picture."""

import numpy as np

from services.lab.recogniser import Motion, Sample
from services.motion.aus import AU_INDEX, AUS
from services.motion.rois import PATCH, ROI_INDEX, ROIS
from services.motion.tensor import MotionTensor

SHOWN = (("AU4", "brow_inner", 0.5), ("AU12", "lip_corner", -0.5), ("AU2", "brow_outer", -0.5))
"""For each class the AU that goes with it, the ROI that it moves and how far down, in units of the noise."""


def sample(label: int, person: str, number: int, strength: float = 1.0) -> Sample:
    """Two frames of noise in which the class moves one ROI on both sides."""
    rng = np.random.default_rng([label, number, sum(person.encode())])
    data = rng.normal(0, 0.01, (2, len(ROIS), 3, PATCH, PATCH))
    code, stem, down = SHOWN[label]
    for side in ("left", "right"):
        data[1, ROI_INDEX[f"{stem}_{side}"], 1] += down * strength * 0.01
    tensor = MotionTensor(
        data.astype(np.float16), np.array([-0.1, 0], np.float32), np.ones((2, len(ROIS)), bool), (0, 1)
    )
    au = np.zeros(len(AUS), np.float32)
    au[AU_INDEX[code]] = 1
    return Sample(
        f"made/{person}/{label}-{number}", f"made/{person}", Motion(tensor), label, au, np.ones(len(AUS), bool)
    )


def samples(persons: int, each: int = 6, strength: float = 1.0) -> list[Sample]:
    return [sample(n % 3, f"p{p:02d}", n, strength) for p in range(persons) for n in range(each)]
