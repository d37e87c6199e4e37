"""How each ROI moved between two crops once the motion of the head is taken out, in outer-eye distances.

The head is a similarity (shift, rotation, zoom) plus small turns: a yaw shifts a point sideways and a pitch up or down
by as much as the point stands forward of the eye corners. All six numbers are fitted together over the whole face,
robustly, so that a muscle that moves its own skin is an outlier and stays in the residual.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.convention import CROP_PX, EYE_CENTRE, EYE_DISTANCE_PX, STABLE
from services.motion.flow import Field
from services.motion.rois import ROIS, STABLE_DEPTH, roi_centres

SAMPLES: Final = 5
"""Samples along a side of the square that a ROI's displacement is the mean of."""

SAMPLE_SIDE: Final = 0.22
"""Side of that square, outer-eye distances: smaller than a patch of the tensor, so that brows stay free of lids."""

WINDOW: Final = (13, 13)
"""Pixels around a point that are followed with it."""

STOP: Final = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 6, 0.01)
"""At most six steps, or until they are shorter than this, pixels."""

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

TRUST: Final = np.array([roi.trust for roi in ROIS] + [1.0] * len(STABLE), np.float64)
"""[R + S] how much each of them is believed about the head before any residual is known."""


@dataclass(frozen=True)
class Displacement:
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
        zoom, turn, shift_x, shift_y = self.head[:4]
        linear = np.array([[1 + zoom, -turn], [turn, 1 + zoom]])
        centre = np.array(EYE_CENTRE)
        shift = centre - linear @ centre + np.array([shift_x, shift_y]) * EYE_DISTANCE_PX
        return np.column_stack([linear, shift])

    def turn(self) -> NDArray[np.float32]:
        """[R, 2] float32: what yaw and pitch add to the motion of each ROI, outer-eye distances."""
        return (DEPTH[: len(ROIS), None] * self.head[4:]).astype(np.float32)


class Anchors:
    """The ROI centres and stable points of one crop, and how a head moves them."""

    def __init__(self, landmarks: NDArray[np.float32]) -> None:
        """landmarks: [478, 2] float32, crop pixels."""
        self.points = np.concatenate([roi_centres(landmarks), landmarks[list(STABLE)]])  # [N, 2]
        jacobian = design((self.points.astype(np.float64) - EYE_CENTRE) / EYE_DISTANCE_PX)  # [N, 2, 6]
        self._flat = jacobian.reshape(-1, 6)
        self._pull = jacobian.transpose(1, 0, 2)  # [2, N, 6]
        self._normal = np.empty((len(self.points), 42))  # of the least squares: each point's Gram matrix, and its pull
        self._normal[:, :36] = np.einsum("nci,ncj->nij", jacobian, jacobian).reshape(len(self.points), 36)

    def displacement(self, moved: NDArray[np.float64], misfit: NDArray[np.float32]) -> Displacement:
        """moved: [N, 2], motion of the points, outer-eye distances; misfit: [R], see `Displacement`."""
        head, residual = self._fit(moved)
        left = residual.astype(np.float32)
        return Displacement(left[: len(ROIS)], left[len(ROIS) :], head, misfit)

    def _fit(self, moved: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Reweighted least squares (Geman-McClure); moved [N, 2]; the head [6] and what it leaves [N, 2]."""
        x, y = self._pull
        self._normal[:, 36:] = x * moved[:, :1] + y * moved[:, 1:]
        weight, middle = TRUST, len(moved) // 2
        for left in reversed(range(ROUNDS)):
            sums = weight @ self._normal
            head = cv2.solve(sums[:36].reshape(6, 6) + RIDGE, sums[36:], flags=cv2.DECOMP_CHOLESKY)[1]
            residual = moved - (self._flat @ head).reshape(-1, 2)
            if left:
                squared = residual * residual
                squared = squared[:, 0] + squared[:, 1]
                scale = max(float(np.sort(squared)[middle]), SCALE_FLOOR**2)
                weight = TRUST / np.square(1 + squared * (0.5 / scale))
        return np.asarray(head[:, 0], np.float64), residual


class Tracker(Anchors):
    """Follows the points of one crop into others, each with the skin around it (Lucas & Kanade, "An iterative image
    registration technique", IJCAI 1981). Cheap, and faithful to a tenth of a pixel where skin has texture."""

    def __init__(self, picture: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> None:
        """picture: [CROP_PX, CROP_PX] uint8, evenly lit (`flow.evenly_lit`), as are those that it is followed into."""
        super().__init__(landmarks)
        self._picture, self._from = picture, np.ascontiguousarray(self.points[:, None])
        self._last: NDArray[np.float32] | None = None

    def __call__(self, picture: NDArray[np.uint8]) -> Displacement:
        """Found from where the points began. picture: as for the constructor."""
        return self._found(*self._search(picture, self._from, 1))

    def follow(self, picture: NDArray[np.uint8]) -> Displacement:
        """Found from where the points were in the picture followed before, so that a long way is gone in short steps;
        what was lost there begins where it began."""
        to, error = self._search(picture, self._from, 1) if self._last is None else self._search(picture, self._last, 0)
        found = self._found(to, error)
        lost = (error[:, 0] > LOST) | (np.abs(to - self._from).max((1, 2)) > REACH * EYE_DISTANCE_PX)
        to[lost] = self._from[lost]
        self._last = to
        return found

    def _search(
        self, picture: NDArray[np.uint8], start: NDArray[np.float32], level: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where the points are, [N, 1, 2], and how badly they fit there, [N, 1]. level: of the coarsest picture, each
        half as large."""
        to, _, error = cv2.calcOpticalFlowPyrLK(
            self._picture, picture, self._from, start.copy(), winSize=WINDOW, maxLevel=level, criteria=STOP,
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )  # fmt: skip
        return np.asarray(to, np.float32), np.asarray(error, np.float32)

    def _found(self, to: NDArray[np.float32], error: NDArray[np.float32]) -> Displacement:
        moved = (to - self._from)[:, 0].astype(np.float64) / EYE_DISTANCE_PX
        return self.displacement(moved, error[: len(ROIS), 0])


class Sampler(Anchors):
    """Reads the same off a dense field: a point moves as the mean over a small square around it."""

    def __init__(self, landmarks: NDArray[np.float32]) -> None:
        """landmarks: [478, 2] float32, crop pixels; points outside the crop take the nearest pixel of its border."""
        super().__init__(landmarks)
        steps = ((np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5) * SAMPLE_SIDE * EYE_DISTANCE_PX
        grid = np.rint(self.points[:, None, None, :] + np.stack(np.meshgrid(steps, steps), -1)).clip(0, CROP_PX - 1)
        x, y = grid[..., 0].astype(np.intp), grid[..., 1].astype(np.intp)
        self._pixels = (y * CROP_PX + x).reshape(len(self.points), -1)  # [N, SAMPLES^2]

    def __call__(self, field: Field) -> Displacement:
        """field: [CROP_PX, CROP_PX, 2] pixels, motion from this sampler's crop to another."""
        moved = field.reshape(-1, 2).take(self._pixels, axis=0).mean(axis=1, dtype=np.float64) / EYE_DISTANCE_PX
        return self.displacement(moved, np.zeros(len(ROIS), np.float32))


def design(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, 2, 6]: how each of the head's six numbers moves each point; points [N, 2] in outer-eye distances."""
    x, y = points[:, 0], points[:, 1]
    one, nil = np.ones_like(x), np.zeros_like(x)
    return np.stack([np.stack([x, -y, one, nil, DEPTH, nil], -1), np.stack([y, x, nil, one, nil, DEPTH], -1)], axis=1)
