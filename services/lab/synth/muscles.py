"""Motion style "muscle": linear muscles and sphincters with falloff on the canonical face.

Waters, "A muscle model for animating three-dimensional facial expression", SIGGRAPH 1987: a linear muscle pulls skin
towards where it is attached to bone, most at its insertion, falling off by the cosine of the angle and of the distance;
a sphincter draws skin towards its centre. Here in frontal projection. Attachments and insertions after Ekman, Friesen &
Hager, "Facial Action Coding System" (2002), given for the subject's right; the left is their mirror image.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.lab.synth.mesh import (
    EYE_CORNERS,
    LOWER_LIDS,
    LOWER_LIP,
    UPPER_LIDS,
    UPPER_LIP,
    canonical,
    leftness,
    twins,
)
from services.motion.aus import AUS

Array = NDArray[np.float64]
Skin = Literal["all", "upper lip", "lower lip"]

_CORNER: Final = (-0.276, 0.788)
_MOUTH: Final = (0.0, 0.79)
_EYE: Final = (-0.355, 0.005)


@dataclass(frozen=True)
class Pull:
    """A linear muscle. attached, inserted: (x, y); width: degrees to where it acts no more; reach: how far beyond the
    insertion; strength: relative to the AU's other muscles; skin: on which side of the mouth it acts."""

    attached: tuple[float, float]
    inserted: tuple[float, float]
    width: float
    reach: float
    strength: float = 1.0
    skin: Skin = "all"

    def __call__(self, points: Array) -> Array:
        offset = points - self.attached
        distance = np.linalg.norm(offset, axis=1)
        axis = np.subtract(self.inserted, self.attached)
        length = float(np.linalg.norm(axis))
        angle = np.degrees(np.arccos(np.clip(offset @ axis / np.maximum(distance * length, 1e-9), -1, 1)))
        across = np.cos(np.clip(angle / self.width, 0, 1) * np.pi / 2)
        near = np.sin(np.clip(distance / length, 0, 1) * np.pi / 2)
        far = np.cos(np.clip((distance - length) / self.reach, 0, 1) * np.pi / 2)
        weight = self.strength * across * near * far * _on(points, self.skin)
        return np.asarray(-weight[:, None] * offset / np.maximum(distance, 1e-9)[:, None])


@dataclass(frozen=True)
class Ring:
    """A sphincter. centre: (x, y); radii: where it draws most, (x, y); amount: strength of the inward motion along x
    and y; below: whether only the cheek below the centre moves; both: whether one ring serves both sides."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    amount: tuple[float, float]
    below: bool = False
    both: bool = False

    def __call__(self, points: Array) -> Array:
        inward = (np.array(self.centre) - points) / self.radii
        radius = np.linalg.norm(inward, axis=1)
        weight = np.where(
            radius < 1, np.sin(radius * np.pi / 2) ** 2, np.cos(np.clip(radius - 1, 0, 1) * np.pi / 2) ** 2
        )
        if self.below:
            weight = weight * np.clip((points[:, 1] - self.centre[1]) / 0.12, 0.15, 1)
            weight = weight * np.clip((-points[:, 0] - 0.14) / 0.14, 0, 1)  # the nose stays
        return np.asarray(weight[:, None] * inward / np.maximum(radius, 1e-9)[:, None] * self.amount)


@dataclass(frozen=True)
class Lid:
    """A lid of the right eye moves up or down between its corners; skin beyond its edge follows less and less.
    down: relative strength, negative for up; reach: how far the skin beyond follows."""

    upper: bool
    down: float
    reach: float = 0.12

    def __call__(self, points: Array) -> Array:
        mesh = canonical()[:, :2]
        lid = [EYE_CORNERS[0][0], *(UPPER_LIDS if self.upper else LOWER_LIDS)[0], EYE_CORNERS[0][1]]
        x = mesh[lid, 0]
        edge = np.interp(points[:, 0], x, mesh[lid, 1])
        along = np.clip(1 - ((points[:, 0] - x.mean()) / (np.ptp(x) / 2)) ** 2, 0, 1)
        beyond = (edge - points[:, 1]) * (1 if self.upper else -1)
        weight = along * np.cos(np.clip(beyond / self.reach, 0, 1) * np.pi / 2) ** 2 * (beyond > -0.02)
        return np.stack([np.zeros_like(weight), self.down * weight], 1)


@dataclass(frozen=True)
class Jaw:
    """The jaw turns about its joints: what lies below the mouth goes down, less towards the joint."""

    def __call__(self, points: Array) -> Array:
        x, y = points[:, 0], points[:, 1]
        lower = np.clip((y - _MOUTH[1] + 0.06) / 0.12, 0, 1) * np.clip(1.25 - (np.abs(x) / 0.8) ** 2, 0, 1)
        lips = 1 - np.clip((y - _MOUTH[1]) / 0.3, 0, 1)  # held back where the corners hold them
        lower = lower * (1 - 0.7 * lips * np.clip(x / _CORNER[0], -1, 1) ** 2) * _on(points, "lower lip")
        return np.stack([np.zeros_like(x), lower], 1)


Action = Pull | Ring | Lid | Jaw

MUSCLES: Final[dict[str, tuple[Action, ...]]] = {
    "AU1": (Pull((-0.13, -0.80), (-0.16, -0.21), 24, 0.20),),
    "AU2": (Pull((-0.60, -0.80), (-0.56, -0.22), 22, 0.20),),
    "AU4": (
        Pull((-0.02, -0.04), (-0.34, -0.25), 48, 0.34),  # corrugator
        Pull((-0.09, 0.16), (-0.14, -0.22), 34, 0.26, 0.75),  # depressor supercilii, procerus
    ),
    "AU5": (Lid(True, -1),),
    "AU6": (Ring(_EYE, (0.40, 0.36), (0.7, 1.0), below=True), Lid(False, -0.25)),
    "AU7": (Lid(False, -1), Lid(True, 0.45)),
    "AU9": (
        Pull((-0.08, -0.02), (-0.20, 0.40), 34, 0.30),  # levator labii superioris alaeque nasi
        Pull((-0.06, 0.20), (-0.11, -0.20), 34, 0.20, 0.35),  # procerus draws the brow down
    ),
    "AU10": (Pull((-0.34, 0.22), (-0.15, 0.70), 30, 0.10, skin="upper lip"),),
    "AU12": (Pull((-0.655, 0.31), _CORNER, 38, 0.26), Ring(_EYE, (0.36, 0.42), (0.0, 0.2), below=True)),
    "AU14": (Pull((-0.66, 0.74), _CORNER, 24, 0.14),),
    "AU15": (Pull((-0.36, 1.26), _CORNER, 30, 0.18),),
    "AU17": (
        Pull((-0.02, 0.82), (-0.08, 1.16), 44, 0.22, skin="lower lip"),
        Pull((-0.02, 0.62), (-0.06, 0.86), 60, 0.10, 0.45),  # the lip is pushed up by the chin
    ),
    "AU20": (Pull((-0.80, 0.96), _CORNER, 44, 0.24), Pull((-0.70, 1.10), (-0.22, 0.90), 26, 0.2, 0.5, "lower lip")),
    "AU23": (Ring(_MOUTH, (0.28, 0.12), (1.0, 0.45), both=True),),
    "AU24": (
        Ring(_MOUTH, (0.34, 0.10), (0.15, 1.0), both=True),
        Pull((0.0, 0.80), (-0.06, 1.10), 50, 0.2, 0.4, "lower lip"),
    ),
    "AU25": (
        Pull((-0.16, 1.26), (-0.10, 0.84), 44, 0.10, skin="lower lip"),
        Pull((-0.18, 0.44), (-0.10, 0.74), 40, 0.08, 0.3, "upper lip"),
    ),
    "AU26": (Jaw(),),
}  # fmt: skip

PEOPLE: Final = 64
"""How many people's muscles there are beside the table's."""
ATTACHED: Final = 0.3
"""How people differ, standard deviations: in where a muscle is attached, of its length;"""
INSERTED: Final = 0.04
"""in where it is inserted and where a sphincter has its centre, outer-eye distances;"""
WIDE: Final = 0.35
STRONG: Final = 0.5
"""in the logarithms of how far it acts, and of how strongly beside the others of its AU."""


def raw(person: int = 0) -> Array:
    """[A, 2, 478, 2] float64: how each AU moves the landmarks, left side first, in relative strength.

    person: 0 has the muscles of the table; 1 to PEOPLE have them attached elsewhere, wider or narrower, weaker or
    stronger to each other, as people do.
    """
    points, rng = canonical()[:, :2], np.random.default_rng(person)
    own = {code: tuple(_varied(each, rng) for each in actions) if person else actions
           for code, actions in MUSCLES.items()}  # fmt: skip
    return np.stack([_sides(own[au.code], points) for au in AUS])


def person(identity: str) -> int:
    """Whose muscles a face has: always the same ones."""
    return 1 + int(hashlib.sha256(f"muscles {identity}".encode()).hexdigest()[:8], 16) % PEOPLE


def _varied(action: Action, rng: np.random.Generator) -> Action:
    def scaled(spread: float) -> float:
        return float(np.exp(rng.normal(0, spread)))

    def moved(point: tuple[float, float], by: float) -> tuple[float, float]:
        return point[0] + float(rng.normal(0, by)), point[1] + float(rng.normal(0, by))

    match action:
        case Pull():
            length = float(np.hypot(*np.subtract(action.inserted, action.attached)))
            return replace(
                action, attached=moved(action.attached, ATTACHED * length), inserted=moved(action.inserted, INSERTED),
                width=min(action.width * scaled(WIDE), 80.0), reach=action.reach * scaled(WIDE),
                strength=action.strength * scaled(STRONG),
            )  # fmt: skip
        case Ring():
            x, y = action.amount
            return replace(
                action, centre=moved(action.centre, INSERTED), radii=(action.radii[0] * scaled(WIDE / 2),
                action.radii[1] * scaled(WIDE / 2)), amount=(x * scaled(STRONG), y * scaled(STRONG)),
            )  # fmt: skip
        case Lid():
            return replace(action, down=action.down * scaled(STRONG), reach=action.reach * scaled(WIDE))
        case Jaw():
            return action


def _sides(actions: tuple[Action, ...], points: Array) -> Array:
    """Left and right: the mirror image and the thing itself; what both move near the middle is shared out."""
    right = sum((action(points) for action in actions), np.zeros_like(points))
    if any(isinstance(action, Jaw) or (isinstance(action, Ring) and action.both) for action in actions):
        right = right * (1 - leftness(points[:, 0]))[:, None]  # acts on both sides by itself
    return np.stack([right[twins()] * (-1, 1), right])


def _on(points: Array, skin: Skin) -> Array:
    """1 where skin moves, 0 on the lip across the cut; told by landmark, since closed lips touch."""
    on = np.ones(len(points))
    if skin != "all":
        on[list(LOWER_LIP if skin == "upper lip" else UPPER_LIP)] = 0
        beyond = points[:, 1] - _MOUTH[1] if skin == "upper lip" else _MOUTH[1] - points[:, 1]
        on = on * (1 - np.clip(beyond / 0.06, 0, 1))
    return on
