"""Fields of motion drawn straight onto the canonical face: what AUs, lids, eyes, a head and a flow algorithm's errors
do.

Fields are planar, [..., 2, rows, columns] float32, in outer-eye distances.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.lab.synth.mesh import canonical
from services.lab.synth.muscles import PEOPLE
from services.lab.synth.sampling import sample
from services.lab.synth.sheets import Sheets, lookup
from services.lab.synth.styles import Style, fields
from services.lab.synth.timing import Window
from services.motion.aus import AU_INDEX

Array = NDArray[np.float64]
Single = NDArray[np.float32]

_SCALES: Final = (4, 9, 26)
"""Control points along a side, coarse to fine, of smooth errors."""
_HEAD: Final = np.array([0.02, 0.03, 0.06, 0.06, 0.1, 0.1])
"""How far heads move: zoom and rotation (ratios), shift x and y (outer-eye distances), yaw and pitch (radians)."""
_MIDDLE: Final = np.array([0.0, 0.35])
"""Of the face, outer-eye distances."""


@dataclass(frozen=True)
class Corruption:
    """How hard. Sizes are standard deviations or upper ends of what is drawn for each clip; 1 is what training uses."""

    people: int = PEOPLE
    """Of how many people the muscles are; 0: of the average."""
    place: float = 0.05
    """How far a smooth random warp moves where AUs act, outer-eye distances."""
    own_place: float = 0.04
    """… and each AU for itself."""
    gain: float = 0.35
    """Of the logarithm of each AU's gain on each side."""
    turn: float = 0.25
    """Of the angle by which each AU moves otherwise than the style says, radians."""
    timing: float = 0.3
    """Onset and apex are off by up to this part of the rise."""
    begun: float = 0.15
    """Share of clips whose expression had begun at the onset they are given."""
    noise: float = 0.45
    """Smooth errors: their standard deviation is up to this part of the peak."""
    head: float = 1.0
    """Motion of the head before it is removed: 1 moves it by up to 0.06 and turns it by up to 6 degrees."""
    residue: float = 1.0
    """What is left of it: up to this part of the peak."""
    lids: float = 0.4
    """Share of clips in which lids or eyes move."""
    blur: float = 1.2
    """Largest blur of the field, grid points."""
    sharpness: float = 0.8
    """Strain of measured flow is up to the exponential of this times that of a smooth field."""
    unseen: float = 0.03
    """Share of ROIs that were not seen."""
    stray: float = 0.0
    """Share of clips with vectors gone astray in a few places, as at hair and at the rim of a face."""


HARD: Final = Corruption()
HARDER: Final = Corruption(noise=0.7, residue=1.5, stray=0.4)
"""For flow images: nobody took the head's motion out of them, nor hair and background off them."""
CLEAN: Final = Corruption(0, *[0.0] * 14)


class Canvas:
    """A square grid over the canonical face. origin: (x, y) of its first point, outer-eye distances between the outer
    eye corners; pitch: of its points; side: how many."""

    def __init__(self, origin: tuple[float, float], pitch: float, side: int) -> None:
        self.origin, self.pitch, self.side = np.array(origin), pitch, side
        self.grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).astype(np.float32)
        self.places = self.grid.astype(np.float64) * pitch + self.origin  # [side, side, 2]
        self.depth = lookup(_sheets().depth, self.places.astype(np.float32))
        x, y = np.moveaxis(self.places, -1, 0)
        one, nil = np.ones_like(x), np.zeros_like(x)
        pairs = ((x, y), (-y, x), (one, nil), (nil, one))
        self.similarities = np.stack([np.stack(pair) for pair in pairs]).astype(np.float32)
        """[4, 2, side, side]: fields of zoom, rotation, shift x and shift y."""
        over, above, _, _, inside = _sheets().cuts(self.places)
        eyes = (1 - over) * above * inside * (y < 0.4).astype(np.float32)
        self._eyes = np.asarray(cv2.GaussianBlur(eyes, (0, 0), 0.7), np.float32)
        self._closed = self.dense(_sheets().closed().sum(0)).transpose(2, 0, 1)
        self._aus: dict[tuple[Style, int], Single] = {}

    def aus(self, style: Style, person: int = 0) -> Single:
        """[A, 2, side, side, 2] (not planar): every AU on each side at intensity 1; person: as in `fields`."""
        whose = style, person
        if whose not in self._aus:
            self._aus[whose] = np.stack([[self.dense(side) for side in au] for au in fields(style, person)])
        return self._aus[whose]

    def dense(self, moved: Array) -> Single:
        """[side, side, 2]: the motion of displaced landmarks [478, 2] at each point, each on its sheet of skin."""
        at = self.places.astype(np.float32)
        over, above, below, under, inside = _sheets().cuts(self.places)
        top, middle, bottom = (lookup(field, at) for field in _sheets().spread(moved))
        lower = (below + under)[..., None] / 2  # between parted lips: their mean
        field = middle + over[..., None] * (top - middle) + lower * (bottom - middle)
        return np.asarray(field * (1 - ((1 - over) * above * inside)[..., None]), np.float32)

    def muscles(self, rng: np.random.Generator, window: Window, seconds: Array, style: Style, by: Corruption) -> Single:
        """[k, 2, side, side]: what the window's expression does from its onset to k moments, blurred as flow algorithms
        blur."""
        basis, expression = self.aus(style, int(rng.integers(by.people + 1))), window.expression
        came = expression.at(seconds) - expression.at(np.array([window.onset_s]))  # [k, A, 2]
        common = self.grid + self._warp(rng, by.place)
        moved, come = [], []
        for a in (AU_INDEX[au] for au in expression.drawn.aus):
            place = common + self._warp(rng, by.own_place)
            gain, angle = np.exp(rng.normal(0, by.gain, 2)), rng.normal(0, by.turn)
            turned = rotation(angle), rotation(-angle)  # alike, mirrored
            sides = np.concatenate(
                [basis[a, side] @ (gain[side] * turned[side]).T.astype(np.float32) for side in (0, 1)], -1
            )
            moved.append(sample(sides, place, border=cv2.BORDER_CONSTANT))
            come.append(came[:, a])  # [k, 2]
        together: Single = np.concatenate(moved, -1)
        if (sigma := rng.uniform(0, by.blur)) > 0.3:
            kernel = cv2.getGaussianKernel(7, sigma)
            together = np.asarray(cv2.sepFilter2D(together, -1, kernel, kernel), np.float32)
        planes = together.transpose(2, 0, 1).reshape(2 * len(moved), -1)  # AU and side, then u and v in all points
        field: Single = np.concatenate(come, 1).astype(np.float32) @ planes
        return field.reshape(-1, 2, self.side, self.side)

    def lids(self, rng: np.random.Generator, frames: int) -> Single:
        """[frames, 2, side, side]: lids that close a little or quite, eyes that look elsewhere, in some of the
        frames."""
        acts = rng.random(frames) < rng.uniform(0.1, 0.9)
        closure = (acts * rng.choice([0.05, 0.2, 1.0]) * rng.uniform(-0.3, 1, frames)).astype(np.float32)
        gaze = (rng.normal(0, 0.02, 2) * (rng.random(frames) < 0.6)[:, None]).astype(np.float32)
        return np.asarray(closure[:, None, None, None] * self._closed + gaze[:, :, None, None] * self._eyes, np.float32)

    def stray(self, rng: np.random.Generator) -> Single:
        """[2, side, side]: one to four blotches of motion around the face, up to twice the size of an expression."""
        field = np.zeros((2, self.side, self.side), np.float32)
        for _ in range(rng.integers(1, 5)):
            angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.75, 1.25)
            centre = _MIDDLE + away * np.array([np.cos(angle), np.sin(angle)])
            near = np.exp(-((self.places - centre) ** 2).sum(-1) / (2 * rng.uniform(0.05, 0.2) ** 2))
            field += (near * rng.normal(0, 1, (2, 1, 1)) * rng.uniform(0.3, 2)).astype(np.float32)
        return field

    def noise(self, rng: np.random.Generator, peak: Array, frames: int, by: Corruption) -> Single:
        """[B, frames, 2, side, side]: errors of flow; partly the same in all frames, which share their onset. peak:
        [B], the largest motion of each clip."""
        count = len(peak)
        overall = peak * by.noise * rng.uniform(0, 1, count) ** 2 * (rng.random(count) < 0.9)
        share = rng.dirichlet((1.5, 1, 0.5), count)
        common = rng.uniform(0, 0.9, count)
        finest = _SCALES[-1]
        control = np.zeros((count, frames, 2, finest, finest), np.float32)
        for scale, points in enumerate(_SCALES):
            size = overall * np.sqrt(share[:, scale])
            up = _up(points, finest)
            for each, part in ((1, common), (frames, 1 - common)):
                numbers = rng.standard_normal((count, each, 2, points, points), np.float32)
                numbers *= (size * np.sqrt(part)).astype(np.float32)[:, None, None, None, None]
                control += numbers if points == finest else up @ numbers @ up.T
        up = _up(finest, self.side)
        return np.asarray(up @ control @ up.T, np.float32)

    def head(self, rng: np.random.Generator, count: int, frames: int, by: Corruption) -> tuple[Array, Single]:
        """A head that drifts, on a face whose depth is not the average's: its similarity [B, frames, 4] (see _HEAD),
        and the field [B, frames, 2, side, side] of its yaw and pitch."""
        rough = rng.uniform(0, 1, (count, 1, 1)) ** 2
        towards = rng.normal(0, 0.5, (count, 1, 6)) * np.linspace(0.1, 1, frames)[:, None]
        head = by.head * _HEAD * rough * (towards + 0.15 * rng.normal(0, 1, (count, frames, 6)))
        depth = self.depth * rng.uniform(0.75, 1.25, (count, 1, 1)).astype(np.float32)
        up = _up(4, self.side)
        depth = depth + up @ rng.normal(0, 0.04, (count, 4, 4)).astype(np.float32) @ up.T
        return head[..., :4], depth[:, None, None] * head[..., 4:, None, None].astype(np.float32)

    def strain(self, field: Single) -> Single:
        """[..., side, side] as services.motion.flow.strain, of fields [..., 2, side, side]."""
        change = np.zeros((4, *field.shape[:-3], self.side, self.side), np.float32)
        u, v = field[..., 0, :, :], field[..., 1, :, :]
        for out, plane in ((change[0], u), (change[2], v)):
            np.subtract(plane[..., 2:], plane[..., :-2], out=out[..., 1:-1])  # along x
        for out, plane in ((change[1], u), (change[3], v)):
            np.subtract(plane[..., 2:, :], plane[..., :-2, :], out=out[..., 1:-1, :])  # along y
        u_x, u_y, v_x, v_y = change
        u_y += v_x
        squared = u_x * u_x
        squared += v_y * v_y
        squared += 0.5 * (u_y * u_y)
        return np.asarray(np.sqrt(squared) * np.float32(0.5 / self.pitch), np.float32)

    def _warp(self, rng: np.random.Generator, size: float) -> Single:
        """[side, side, 2] smooth, grid points."""
        up = _up(4, self.side)
        control = rng.normal(0, size / self.pitch, (2, 4, 4)).astype(np.float32)
        return np.asarray((up @ control @ up.T).transpose(1, 2, 0), np.float32)


def rotation(angle: float) -> Array:
    """[2, 2], by an angle in radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@cache
def _sheets() -> Sheets:
    return Sheets(canonical()[:, :2])


@cache
def _up(points: int, to: int) -> Single:
    """[to, points]: smooth interpolation (cubic) from control points to a finer grid, of unit variance on average."""
    matrix = cv2.resize(np.eye(points, dtype=np.float32), (points, to), interpolation=cv2.INTER_CUBIC)
    return np.asarray(matrix / np.sqrt((matrix**2).sum(1).mean()), np.float32)
