"""Motion styles: two independent accounts of how every AU moves the face, so that one can be held out of training.

fields("muscle")[AU_INDEX["AU12"], LEFT]   [478, 2], the left zygomaticus at full strength, outer-eye distances
"""

from functools import cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.lab.synth import blendshapes, muscles
from services.motion.aus import AUS

Style = Literal["muscle", "blendshape"]
STYLES: Final[tuple[Style, ...]] = ("muscle", "blendshape")

LEFT: Final = 0
RIGHT: Final = 1
"""Order of sides in every array of this package; the subject's own."""

FULL: Final[dict[str, float]] = {
    "AU1": 0.06, "AU2": 0.06, "AU4": 0.07, "AU5": 0.04, "AU6": 0.05, "AU7": 0.035, "AU9": 0.11, "AU10": 0.08,
    "AU12": 0.17, "AU14": 0.06, "AU15": 0.07, "AU17": 0.07, "AU20": 0.08, "AU23": 0.04, "AU24": 0.04, "AU25": 0.06,
    "AU26": 0.15,
}  # fmt: skip
"""Largest displacement of an AU of intensity 1, outer-eye distances. Brow raise and lowering, nose wrinkle, smile, lip
corner down and wide eye are those of a model built from scans; the others are set beside them by FACS's pictures.
The posed smiles of 60 people moved lip corners by 0.073, an intensity of 0.43."""


@cache
def fields(style: Style, person: int = 0) -> NDArray[np.float64]:
    """[A, 2, 478, 2] float64: displacement of each landmark of the canonical face by each AU on each side at
    intensity 1, outer-eye distances. person: whose muscles; blendshapes are one artist's, alike for all. Raises Fatal
    when the style's source cannot be had."""
    raw = muscles.raw(person) if style == "muscle" else blendshapes.raw()
    largest = np.linalg.norm(raw.sum(1), axis=-1).max(-1)  # [A], both sides together
    full = np.array([FULL[au.code] for au in AUS])
    return np.asarray(raw * (full / largest)[:, None, None, None])
