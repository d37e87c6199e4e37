"""Blinks, taken out of the positions once the eyes are open again.

Lids that close drag the skin around them along, and upset the landmarks that the crop is aligned by. What moves exactly
in step with the closure, between the frames before and after it, is the blink's; what is left is an expression's.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.motion.convention import EYE_DISTANCE_PX
from services.motion.rois import ROIS
from services.spotter.constants import CONSTANTS as C
from services.spotter.rows import SECOND, Rows

LIDS: Final = np.array([roi.name.startswith("lid_") for roi in ROIS])
"""[R] ROIs that blink."""


_LID_POINTS: Final = np.array([roi.landmarks[:3] for roi, lid in zip(ROIS, LIDS, strict=True) if lid])
_CORNERS: Final = np.array([(33, 133), (362, 263)] * 2)
"""Landmarks of each lid, and of the corners of its eye."""


def lids(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """[lids, 2]: how far the edge of each lid is from the middle of the eye's corners, outer-eye distances. Landmarks
    tell; the skin of a lid folds away, and the eyeball beneath it looks about. landmarks: [478, 2], crop pixels."""
    return np.asarray((landmarks[_LID_POINTS].mean(1) - landmarks[_CORNERS].mean(1)) / EYE_DISTANCE_PX, np.float32)


def closure(opening: NDArray[np.float32]) -> NDArray[np.float64]:
    """[n]: how far the eyes are shut, 0 to 1, against what is usual there. opening: [n, 2]."""
    eyes = opening.astype(np.float64).mean(1)
    return np.asarray(1 - eyes / max(float(np.median(eyes)), 1e-6))


def take_out_blink(rows: Rows) -> None:
    """Marks the newest row as shut, or, when it is the first open one after a blink, corrects those of the blink."""
    table = rows.table[rows.since(int(rows.table["time_us"][-1]) - int(C.baseline_s * SECOND))]
    shut = closure(table["opening"])
    table["shut"][-1] = shut[-1] > C.closing
    if shut[-1] > C.closing or len(table) < 2 or not table["shut"][-2]:
        return
    began = len(table) - 1
    while began > 0 and table["shut"][began - 1]:
        began -= 1
    if began < 2 or shut[began:].max() < C.closure:
        return
    run = table[began - 2 :]
    share, line = shut[began - 2 :].clip(0), np.linspace(0, 1, len(run), dtype=np.float32)[:, None, None]
    straight = run["position"][0] + line * (run["position"][-1] - run["position"][0])
    beyond = run["position"] - straight
    run["position"] -= np.asarray(share[:, None, None] * np.tensordot(share, beyond, 1) / (share @ share), np.float32)
    run["position"][:, LIDS] = straight[:, LIDS]
    run["shut"] = False
