"""The facial action units (AUs) microex speaks of, and which ROIs each one moves.

Codes, names and muscles after Ekman, Friesen & Hager, "Facial Action Coding System" (2002). The choice covers every
AU that was coded in more than 0.5 % of 3,414 micro-expression clips of DFME and CAS(ME)3, with AU26 beside AU25.
The order of the table is the order of every tensor and message.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.motion.rois import ROI_INDEX, ROIS


@dataclass(frozen=True)
class ActionUnit:
    """One action unit.

    code: "AU12"; name: FACS's; muscle: what contracts.
    rois: names of the ROIs whose skin it moves, without `_left` and `_right` where both sides are meant.
    """

    code: str
    name: str
    muscle: str
    rois: tuple[str, ...]


AUS: Final[tuple[ActionUnit, ...]] = (
    ActionUnit("AU1", "inner brow raiser", "frontalis, pars medialis", ("brow_inner", "glabella")),
    ActionUnit("AU2", "outer brow raiser", "frontalis, pars lateralis", ("brow_outer", "lid_upper")),
    ActionUnit(
        "AU4",
        "brow lowerer",
        "corrugator supercilii, depressor supercilii, procerus",
        ("brow_inner", "brow_outer", "glabella", "nose_root", "lid_upper"),
    ),
    ActionUnit("AU5", "upper lid raiser", "levator palpebrae superioris", ("lid_upper",)),
    ActionUnit("AU6", "cheek raiser", "orbicularis oculi, pars orbitalis", ("cheek", "lid_lower")),
    ActionUnit("AU7", "lid tightener", "orbicularis oculi, pars palpebralis", ("lid_lower", "lid_upper")),
    ActionUnit(
        "AU9",
        "nose wrinkler",
        "levator labii superioris alaeque nasi",
        ("nose_root", "nose_wing", "glabella", "nasolabial"),
    ),
    ActionUnit("AU10", "upper lip raiser", "levator labii superioris", ("nasolabial", "lip_upper", "nose_wing")),
    ActionUnit("AU12", "lip corner puller", "zygomaticus major", ("lip_corner", "nasolabial", "cheek")),
    ActionUnit("AU14", "dimpler", "buccinator", ("lip_corner", "nasolabial")),
    ActionUnit("AU15", "lip corner depressor", "depressor anguli oris", ("lip_corner", "chin_side")),
    ActionUnit("AU17", "chin raiser", "mentalis", ("chin", "lip_lower", "chin_side")),
    ActionUnit("AU20", "lip stretcher", "risorius", ("lip_corner", "lip_lower", "chin_side")),
    ActionUnit("AU23", "lip tightener", "orbicularis oris", ("lip_upper", "lip_lower", "lip_corner")),
    ActionUnit("AU24", "lip pressor", "orbicularis oris", ("lip_upper", "lip_lower", "lip_corner", "chin")),
    ActionUnit(
        "AU25", "lips part", "depressor labii inferioris, or orbicularis oris relaxed", ("lip_lower", "lip_upper")
    ),
    ActionUnit("AU26", "jaw drop", "masseter relaxed, pterygoids, digastric", ("chin", "chin_side", "lip_lower")),
)

AU_INDEX: Final[dict[str, int]] = {au.code: i for i, au in enumerate(AUS)}


def _roi_names(stem: str) -> tuple[str, ...]:
    if stem in ROI_INDEX:
        return (stem,)
    stem = "chin" if stem == "chin_side" else stem
    return (f"{stem}_right", f"{stem}_left")


def incidence() -> NDArray[np.float32]:
    """Which ROI shows which AU: [A, R] float32 of 0 and 1."""
    table = np.zeros((len(AUS), len(ROIS)), np.float32)
    for a, au in enumerate(AUS):
        for stem in au.rois:
            for name in _roi_names(stem):
                table[a, ROI_INDEX[name]] = 1
    return table
