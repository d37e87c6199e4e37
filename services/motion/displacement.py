"""How each ROI moved between two crops once the motion of the head is taken out, in outer-eye distances.

The head is a similarity (shift, rotation, zoom) plus small turns: a yaw shifts a point sideways and a pitch up or down
by as much as the point stands forward of the eye corners. All six numbers are fitted together over the whole face,
robustly, so that a muscle that moves its own skin is an outlier and stays in the residual.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled, inlined
from services.motion.convention import CROP_PX, EYE_CENTRE, EYE_DISTANCE_PX, STABLE
from services.motion.flow import Field
from services.motion.follow import Skin, half
from services.motion.light import BORDER, Lit
from services.motion.middle import middle
from services.motion.rois import ROIS, STABLE_DEPTH, roi_centres

SAMPLES: Final = 5
"""Samples along a side of the square that a ROI's displacement is the mean of."""

SAMPLE_SIDE: Final = 0.22
"""Side of that square, outer-eye distances: smaller than a patch of the tensor, so that brows stay free of lids."""

LOST: Final = 8.0
"""Where skin differs by more than this, percent of its brightness, it was not found …"""

REACH: Final = 0.4
"""… nor where it went further than this, outer-eye distances."""

ROUNDS: Final = 3
"""Rounds of reweighting; more change the fit by less than the flow's noise."""

SCALE_FLOOR: Final = 0.002
"""Residuals under this (outer-eye distances) are noise of the flow and are all believed alike."""

DEPTH: Final = np.array([roi.depth for roi in ROIS] + list(STABLE_DEPTH), np.float64)
"""[R + S] how far each ROI and each stable point stands forward of the eye corners, outer-eye distances."""

RIDGE: Final = np.diag([1e-6, 1e-6, 1e-6, 1e-6, 0.05, 0.05])
"""Keeps the turns from soaking up expressions, and the system solvable whatever the weights."""

_ROIS: Final = len(ROIS)

TRUST: Final = np.array([roi.trust for roi in ROIS] + [1.0] * len(STABLE), np.float64)
"""[R + S] how much each of them is believed about the head before any residual is known."""


class Displacement(NamedTuple):
    """Motion of one face between two crops.

    rois: [R, 2] float32, mean motion of each ROI less that of the head, outer-eye distances.
    stable: [S, 2] float32, what is left at the stable points: small when the head is explained.
    head: [6] float64: zoom and rotation (ratios), shift x and y (outer-eye distances), yaw and pitch (radians).
    misfit: [R] float32, how badly the skin of each ROI was found again: mean difference, percent of its brightness.
    """

    rois: NDArray[np.float32]
    stable: NDArray[np.float32]
    head: NDArray[np.float64]
    misfit: NDArray[np.float32]

    def similarity(self) -> NDArray[np.float64]:
        """The head's similarity as [2, 3] affine in crop pixels, as `flow.remove_head_motion` takes it."""
        zoom, turn, shift_x, shift_y = self.head[:4].tolist()
        x, y = EYE_CENTRE
        return np.array(
            [
                [1 + zoom, -turn, turn * y - zoom * x + shift_x * EYE_DISTANCE_PX],
                [turn, 1 + zoom, -turn * x - zoom * y + shift_y * EYE_DISTANCE_PX],
            ]
        )

    def turn(self) -> NDArray[np.float32]:
        """[R, 2] float32: what yaw and pitch add to the motion of each ROI, outer-eye distances."""
        return (DEPTH[: len(ROIS), None] * self.head[4:]).astype(np.float32)


@inlined
def _solved(normal: NDArray[np.float64], pull: NDArray[np.float64]) -> NDArray[np.float64]:
    """normal: symmetric and positive definite, its lower triangle; overwritten by its Cholesky factor."""
    size = len(pull)
    for i in range(size):
        for j in range(i + 1):
            for k in range(j):
                normal[i, j] -= normal[i, k] * normal[j, k]
            normal[i, j] = np.sqrt(normal[i, i]) if i == j else normal[i, j] / normal[j, j]
    found = pull.copy()
    for i in range(size):
        for k in range(i):
            found[i] -= normal[i, k] * found[k]
        found[i] /= normal[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            found[i] -= normal[k, i] * found[k]
        found[i] /= normal[i, i]
    return found


@compiled("Tuple((f8[::1], f8[:,::1]))(f8[:,:,::1], f8[:,::1])")
def fitted_head(
    jacobian: NDArray[np.float64], moved: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The head [6], and what it leaves of the motion [N, 2], by reweighted least squares (Geman-McClure).

    jacobian: [N, 2, 6] as `design` makes it; moved: [N, 2], outer-eye distances.
    """
    head, residual, weight = np.zeros(6), moved.copy(), TRUST.copy()
    for left in range(ROUNDS - 1, -1, -1):
        normal, pull = RIDGE.copy(), np.zeros(6)
        for n in range(len(moved)):
            for axis in range(2):
                for i in range(6):
                    share = weight[n] * jacobian[n, axis, i]
                    pull[i] += share * moved[n, axis]
                    for j in range(i + 1):
                        normal[i, j] += share * jacobian[n, axis, j]
        head = _solved(normal, pull)
        for n in range(len(moved)):
            for axis in range(2):
                residual[n, axis] = moved[n, axis]
                for i in range(6):
                    residual[n, axis] -= jacobian[n, axis, i] * head[i]
        if left:
            squared = residual[:, 0] ** 2 + residual[:, 1] ** 2
            scale = max(middle(squared.copy()), SCALE_FLOOR**2)
            weight = TRUST / (1 + squared * (0.5 / scale)) ** 2
    return head, residual


@compiled("f8[:,:,::1](f8[:,::1])")
def design(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, 2, 6]: how each of the head's six numbers moves each point; points [N, 2] in outer-eye distances."""
    moves = np.zeros((len(points), 2, 6))
    for n in range(len(points)):
        x, y = points[n]
        moves[n, 0, 0], moves[n, 1, 0] = x, y
        moves[n, 0, 1], moves[n, 1, 1] = -y, x
        for axis in range(2):
            moves[n, axis, 2 + axis], moves[n, axis, 4 + axis] = 1, DEPTH[n]
    return moves


@compiled("Tuple((f4[:,::1], f4[:,::1], f8[::1]))(f8[:,:,::1], f4[:,::1])")
def _parted(
    jacobian: NDArray[np.float64], moved: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """rois, stable and head of `Displacement`. moved: [N, 2] pixels."""
    head, residual = fitted_head(jacobian, moved.astype(np.float64) / EYE_DISTANCE_PX)
    left = residual.astype(np.float32)
    return left[:_ROIS], left[_ROIS:], head


class Anchors:
    """The ROI centres and stable points of one crop, and how a head moves them."""

    def __init__(self, landmarks: NDArray[np.float32]) -> None:
        """landmarks: [478, 2] float32, crop pixels."""
        self.points = np.concatenate([roi_centres(landmarks), landmarks[list(STABLE)]])  # [N, 2]
        self._design = design((self.points.astype(np.float64) - EYE_CENTRE) / EYE_DISTANCE_PX)

    def displacement(self, moved: NDArray[np.float32], misfit: NDArray[np.float32]) -> Displacement:
        """moved: [N, 2] float32, motion of the points, pixels; misfit: [N], see `Skin.find`."""
        return Displacement(*_parted(self._design, moved), misfit[: len(ROIS)])


@compiled("f4[:,::1](f4[:,::1], f4[::1])")
def _kept(moved: NDArray[np.float32], misfit: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far points moved, [N, 2] pixels, 0 of those that were lost. misfit: [N]."""
    kept = moved.copy()
    for n in range(len(moved)):
        if misfit[n] > LOST or np.abs(moved[n]).max() > REACH * EYE_DISTANCE_PX:
            kept[n] = 0
    return kept


class Tracker(Anchors):
    """Follows the points of one crop into others."""

    def __init__(self, picture: Lit, landmarks: NDArray[np.float32]) -> None:
        """picture: a crop, evenly lit (`light.evenly_lit`), as are those that it is followed into."""
        super().__init__(landmarks)
        points = self.points + np.float32(BORDER)
        self._near, self._far = Skin(picture, points), Skin(half(picture), points / np.float32(2))
        self._last: NDArray[np.float32] | None = None

    def __call__(self, picture: Lit) -> Displacement:
        """Found from where the points began, first on a scale of two pixels."""
        return self.displacement(*self._from_afar(picture))

    def follow(self, picture: Lit) -> Displacement:
        """Found from where the points were in the picture followed before, so that a long way is gone in short steps;
        what was lost there begins where it began."""
        moved, misfit = self._from_afar(picture) if self._last is None else self._near.find(picture, self._last)
        self._last = _kept(moved, misfit)
        return self.displacement(moved, misfit)

    def _from_afar(self, picture: Lit) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self._near.find(picture, self._far.find(half(picture))[0] * np.float32(2))


class Sampler(Anchors):
    """Reads the same off a dense field: a point moves as the mean over a small square around it."""

    def __init__(self, landmarks: NDArray[np.float32]) -> None:
        """landmarks: [478, 2] float32, crop pixels; points outside the crop take the nearest pixel of its border."""
        super().__init__(landmarks)
        steps = ((np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5) * SAMPLE_SIDE * EYE_DISTANCE_PX
        grid = np.rint(self.points[:, None, None, :] + np.stack(np.meshgrid(steps, steps), -1)).clip(0, CROP_PX - 1)
        x, y = grid[..., 0].astype(np.int64), grid[..., 1].astype(np.int64)
        self._pixels = (y * CROP_PX + x).reshape(len(self.points), -1)  # [N, SAMPLES^2]

    def __call__(self, field: Field) -> Displacement:
        """field: [CROP_PX, CROP_PX, 2] pixels, motion from this sampler's crop to another."""
        return self.displacement(_means(field, self._pixels), np.zeros(len(self.points), np.float32))


@compiled("f4[:,::1](f4[:,:,::1], i8[:,::1])")
def _means(field: Field, pixels: NDArray[np.int64]) -> NDArray[np.float32]:
    """[N, 2]: of the field, [H, W, 2], in N squares; pixels: [N, SAMPLES^2] positions row after row."""
    means, flat, share = np.zeros((len(pixels), 2), np.float32), field.reshape(-1, 2), np.float32(1 / pixels.shape[1])
    for n in range(len(pixels)):
        for pixel in pixels[n]:
            for axis in range(2):
                means[n, axis] += share * flat[pixel, axis]
    return means
