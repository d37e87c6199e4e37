"""From landmarks that move to every point of the skin: three sheets, cut along the eyes and the mouth.

Coordinates are those of the face: outer-eye distances, origin between the outer eye corners, turned with the head.
Fields live on a grid there (GRID), so one face needs its splines only once, whatever size it is shown at."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.lab.synth.mesh import (
    CREASES,
    EYE_CORNERS,
    LOWER_LIDS,
    LOWER_LIP_EDGE,
    MOUTH_CORNERS,
    OVAL,
    SHEETS,
    UPPER_LIDS,
    UPPER_LIP_EDGE,
    canonical,
)
from services.lab.synth.sampling import sample
from services.lab.synth.spline import operator
from services.motion.convention import LEFT_EYE_OUTER, RIGHT_EYE_OUTER

Array = NDArray[np.float64]
Single = NDArray[np.float32]

STEP: Final = 0.04
"""Pitch of the grid, outer-eye distances."""
LOW: Final = np.array([-1.2, -1.12])
SHAPE: Final = (75, 61)
"""Rows and columns of the grid."""

STIFFNESS: Final = 3e-4
"""Of the splines: smooths the mesh's unevenness, keeps lids and lips."""

_REST: Final = (1.22, 1.5)
"""Rings around the face, relative to its oval, on which nothing moves any more."""
_DEPTH_BEHIND: Final = (-0.75, -0.95)
"""How far behind the eye corners those rings lie: ears, then hair and neck."""
_SHARP: Final = 0.008
"""Width of a cut within an eye or the mouth, outer-eye distances; beside it, it widens and fades."""


class Sheets:
    """The skin of one face.

    op: three [G, 478] matrices, from displacements of landmarks to those of the grid's G points; depth: [rows,
    columns], how far each stands forward; face: [rows, columns], 1 on the head and 0 well outside."""

    def __init__(self, points: Array) -> None:
        """points: [478, 2] landmarks of a still face, in its own coordinates."""
        self.points = points
        middle = points[list(OVAL)].mean(0)
        rest = np.concatenate([middle + (points[list(OVAL)] - middle) * ring for ring in _REST])
        columns, rows = np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[0]))
        grid = np.stack([columns, rows], -1).reshape(-1, 2) * STEP + LOW
        self.op = [self._operator(np.concatenate([points[sheet], rest]), grid, sheet) for sheet in SHEETS]
        behind = np.repeat(_DEPTH_BEHIND, len(OVAL))
        depth = operator(np.concatenate([points[:468], rest]), grid, 0.01) @ np.concatenate(
            [canonical()[:468, 2], behind]
        )
        self.depth = depth.clip(-1, 0.6).reshape(SHAPE).astype(np.float32)
        ratio = np.linalg.norm((grid - middle) / ((np.ptp(points, axis=0) / 2) * (1.0, 1.0)), axis=1)
        self.face = smoothstep((1.9 - ratio) / 0.6).reshape(SHAPE).astype(np.float32)

    @staticmethod
    def _operator(known: Array, grid: Array, sheet: NDArray[np.intp]) -> Single:
        full = np.zeros((len(grid), 478), np.float32)
        full[:, sheet] = operator(known, grid, STIFFNESS)[:, : len(sheet)]
        return full

    def spread(self, moved: Array) -> Single:
        """[3, rows, columns, 2] float32 fields of displaced landmarks [478, 2]."""
        return np.stack([(op @ moved.astype(np.float32)).reshape(*SHAPE, 2) for op in self.op])

    def closed(self) -> Array:
        """[2, 478, 2]: displacements that close the left eye and the right eye: upper lids come down on the lower."""
        moved = np.zeros((2, 478, 2))
        for side, (upper, lower, crease) in enumerate(
            reversed(list(zip(UPPER_LIDS, LOWER_LIDS, CREASES, strict=True)))
        ):
            gap = self.points[list(lower)] - self.points[list(upper)]
            moved[side, list(upper)], moved[side, list(lower)] = 0.98 * gap, -0.06 * gap
            moved[side, list(crease)] = 0.5 * gap
        return moved

    def cuts(self, where: Array) -> tuple[Single, Single, Single, Single, Single]:
        """At each of [..., 2] places: how much it lies above the upper lids, above the lower lids, below the upper lip,
        below the lower lip (each 0 to 1, sharp at lids and lips, soft beside them), and within the breadth of an eye
        or the mouth (1 or fading to 0 at the corners)."""
        x, y = where[..., 0], where[..., 1]
        upper = self._line([(corners, lids) for corners, lids in zip(EYE_CORNERS, UPPER_LIDS, strict=True)])
        lower = self._line([(corners, lids) for corners, lids in zip(EYE_CORNERS, LOWER_LIDS, strict=True)])
        above = self._line([(MOUTH_CORNERS, UPPER_LIP_EDGE)])
        below = self._line([(MOUTH_CORNERS, LOWER_LIP_EDGE)])
        eyes = [tuple(np.sort(self.points[list(corners), 0])) for corners in EYE_CORNERS]
        mouth = [tuple(np.sort(self.points[list(MOUTH_CORNERS), 0]))]
        at_eye, at_mouth = _beside(x, eyes), _beside(x, mouth)
        eye_width, mouth_width = _SHARP + 0.5 * at_eye, _SHARP + 0.5 * at_mouth
        inside = np.where(y < 0.4, _inside(x, eyes), _inside(x, mouth))
        sides = (
            (np.interp(x, *upper) - y) / eye_width,
            (np.interp(x, *lower) - y) / eye_width,
            (y - np.interp(x, *above)) / mouth_width,
            (y - np.interp(x, *below)) / mouth_width,
        )
        a, b, c, d = (smoothstep(side + 0.5).astype(np.float32) for side in sides)
        return a, b, c, d, inside.astype(np.float32)

    def _line(self, parts: list[tuple[tuple[int, int], tuple[int, ...]]]) -> tuple[Array, Array]:
        """x and y of a cut from left to right in the picture."""
        indices = [i for (first, last), between in parts for i in (first, *between, last)]
        line = self.points[indices]
        return line[:, 0], line[:, 1]


def to_face(points: NDArray[np.float32]) -> tuple[Array, Array]:
    """Landmarks in the face's own coordinates, [478, 2], and the [2, 3] affine from those to pixels."""
    right, left = (points[i].astype(np.float64) for i in (RIGHT_EYE_OUTER, LEFT_EYE_OUTER))
    across, middle = left - right, (left + right) / 2
    turn = np.array([[across[0], -across[1]], [across[1], across[0]]])
    return np.linalg.solve(turn, (points - middle).T).T, np.column_stack([turn, middle])


def lookup(grid: Single, at: Single, border: int = cv2.BORDER_REPLICATE) -> Single:
    """Values of a grid [rows, columns(, C)] at places [h, w, 2] of the face."""
    place = (at - LOW.astype(np.float32)) / np.float32(STEP)
    if grid.ndim == 2:
        return sample(grid, place, border=border)
    pairs = [np.ascontiguousarray(grid[..., i : i + 2]) for i in range(0, grid.shape[2], 2)]
    return np.concatenate([sample(pair, place, border=border) for pair in pairs], -1)


def smoothstep(t: Array) -> Array:
    """0 to 1 for t from 0 to 1, level at both ends."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def _beside(x: Array, spans: list[tuple[float, float]]) -> Array:
    """How far x is from the nearest of the spans."""
    return np.asarray(np.min([np.maximum(np.maximum(low - x, x - high), 0) for low, high in spans], axis=0))


def _inside(x: Array, spans: list[tuple[float, float]]) -> Array:
    return np.asarray(np.max([smoothstep(np.minimum(x - low, high - x) / 0.02) for low, high in spans], axis=0))
