"""How each action unit moves the ROIs: what a motion is projected on to tell an expression from anything else.

Directions after the muscles' attachments (Ekman, Friesen & Hager, "Facial Action Coding System", 2002; Waters, "A
muscle model for animating three-dimensional facial expression", SIGGRAPH 1987), relative to the AU's largest motion.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import inlined
from services.motion.dot import dot
from services.motion.rois import ROI_INDEX, ROIS

_MOVES: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "AU1": {"brow_inner": (-0.1, -0.8), "glabella": (0.1, -0.5)},
    "AU2": {"brow_outer": (0.0, -0.9)},
    "AU4": {"brow_inner": (-0.4, 0.8), "brow_outer": (-0.3, 0.2), "glabella": (0.0, 0.3)},
    "AU5": {"lid_upper": (0.0, -0.9)},
    "AU6": {"lid_lower": (0.0, -0.2), "cheek": (-0.2, -0.8), "nose_wing": (0.1, -0.3), "nasolabial": (0.0, -0.4)},
    "AU7": {"lid_upper": (0.0, 0.4), "lid_lower": (0.0, -0.9)},
    "AU9": {"nose_wing": (-0.3, -1.0), "nasolabial": (-0.2, -0.6), "brow_inner": (-0.1, 0.2), "glabella": (0.0, 0.3)},
    "AU10": {"nasolabial": (0.2, -0.7), "lip_corner": (0.0, -0.4), "lip_upper": (0.2, -0.3), "nose_wing": (0.2, -0.3)},
    "AU12": {"lip_corner": (0.6, -0.8), "nasolabial": (0.5, -0.4), "lip_upper": (0.3, -0.2), "cheek": (0.1, -0.2)},
    "AU14": {"lip_corner": (1.0, -0.1)},
    "AU15": {"lip_corner": (0.1, 0.9), "chin_side": (0.1, 0.3)},
    "AU17": {"chin": (0.0, -0.4), "lip_lower": (0.0, -0.3), "chin_side": (-0.1, -0.1)},
    "AU20": {"lip_corner": (0.8, 0.4), "chin_side": (0.5, 0.0), "nasolabial": (0.3, 0.2), "lip_lower": (0.1, 0.0)},
    "AU23": {"lip_corner": (-0.9, 0.0), "lip_upper": (-0.1, 0.2), "lip_lower": (-0.1, -0.2)},
    "AU24": {"lip_upper": (0.0, 0.4), "lip_lower": (0.0, -0.5), "lip_corner": (-0.1, 0.0)},
    "AU25": {"lip_lower": (0.2, 0.5), "lip_upper": (0.1, -0.1), "lip_corner": (-0.1, 0.1)},
    "AU26": {"chin_side": (0.0, 0.9), "chin": (0.0, 0.5), "lip_lower": (0.0, 0.5), "lip_corner": (0.0, 0.1)},
}
"""(outwards, down) by the side that acts. In the middle of the face what acts outwards is one side's share."""


def _template(moves: dict[str, tuple[float, float]], sides: tuple[str, ...]) -> NDArray[np.float32]:
    """[R, 2] of length 1."""
    template = np.zeros((len(ROIS), 2), np.float32)
    for stem, (out, down) in moves.items():
        for side in sides:
            name = stem if stem in ROI_INDEX else f"{stem.removesuffix('_side')}_{side}"
            template[ROI_INDEX[name]] += (out if side == "left" else -out, down)
    return template / np.float32(np.sqrt((template**2).sum()))


NAMES: Final = tuple((au, side) for au in _MOVES for side in ("left", "right", "both"))
"""AU and side of each template."""

TEMPLATES: Final = np.stack(
    [_template(_MOVES[au], ("left", "right") if side == "both" else (side,)) for au, side in NAMES]
)
"""[T, R, 2] float32, each of length 1."""

COUNT: Final = 3
"""Action units that act at once, at most."""

FLAT: Final = TEMPLATES.reshape(len(TEMPLATES), -1).astype(np.float64)
"""[T, R * 2] float64, the same."""


@inlined
def explained(motion: NDArray[np.float64], templates: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of a motion that action units make, at most COUNT of them, each the best for what the others leave.

    motion: [C]; templates: [T, C], each of length 1; returns [C].
    """
    left = motion.copy()
    for _ in range(COUNT):
        best, most = 0, 0.0
        for k in range(len(templates)):
            share = dot(templates[k], left)
            if share > most:
                best, most = k, share
        left -= most * templates[best]
    return motion - left
