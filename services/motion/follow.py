"""Points of one picture followed into others, each with the skin around it.

Lucas & Kanade, "An iterative image registration technique", IJCAI 1981, with the slopes of the picture that is followed
from: prepared once, they serve every other picture (Baker & Matthews, "Lucas-Kanade 20 years on", IJCV 56(3), 2004).
Cheap, and faithful to a tenth of a pixel where skin has texture.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled, inlined
from services.motion.light import BORDER, Lit

Points = NDArray[np.float32]

WINDOW: Final = 13
"""Pixels along a side of the square of skin around a point."""

STEPS: Final = 6
"""At most so many steps, …"""

NEAR: Final = np.float32(0.01)
"""… or until one is shorter than this, pixels."""

_ROW: Final = 16
"""Of a square in memory: processors take so many numbers at once. What is beyond the square counts 0."""

_SINGULAR: Final = np.float32(1e-6)
"""Skin whose slopes have a smaller ratio of determinant to squared trace shows no motion."""


class Skin:
    """What surrounds some points of a picture, ready to be found in others."""

    def __init__(self, picture: Lit, points: Points) -> None:
        """points: [N, 2] pixels of the picture without its border."""
        self._points = np.ascontiguousarray(points, np.float32)
        self._near = _templates(picture, self._points + BORDER)
        self._far = _templates(cv2.pyrDown(picture), (self._points + BORDER) / 2)

    def find(self, picture: Lit, start: Points | None = None) -> tuple[Points, NDArray[np.float32]]:
        """Where the points are in another picture, [N, 2], and how badly their skin fits there, [N]: mean difference,
        percent of brightness. A point whose skin leaves the border stays where it was, with 0.

        start: [N, 2] where they may be. Without it they are sought from where they are in their own picture, first on a
        scale of two pixels.
        """
        if start is None:
            to = (self._points + BORDER) / 2
            _search(cv2.pyrDown(picture), *self._far, to)
            to *= 2
        else:
            to = start + BORDER
        misfit = _search(picture, *self._near, to)
        return to - BORDER, misfit


def _templates(picture: Lit, points: Points) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    slope_x, slope_y = (cv2.Scharr(picture, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1)))
    return _cut(picture, slope_x, slope_y, points)


@inlined
def _corner(picture: Lit, at: Points) -> tuple[int, int, bool]:
    """Left and top pixel of the square around a point, and whether all of it lies within the picture."""
    left, top = int(np.floor(at[0])) - WINDOW // 2, int(np.floor(at[1])) - WINDOW // 2
    return left, top, 0 <= left < picture.shape[1] - _ROW and 0 <= top < picture.shape[0] - WINDOW


@inlined
def _shares(at: Points) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Of the four pixels around a point: bilinear."""
    right, low = at[0] - np.floor(at[0]), at[1] - np.floor(at[1])
    both = right * low
    return np.float32(1) - right - low + both, right - both, low - both, both


@compiled("Tuple((f4[:,:,:,::1], f4[:,::1]))(f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1])")
def _cut(picture: Lit, slope_x: Lit, slope_y: Lit, points: Points) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[N, 3, WINDOW, _ROW] brightness around each point and its slopes; [N, 3] inverse of the slopes' Gram matrix (its
    xx, xy and yy), 0 where they show no motion. points: [N, 2], pixels of these arrays."""
    skin = np.zeros((len(points), 3, WINDOW, _ROW), np.float32)
    inverse = np.zeros((len(points), 3), np.float32)
    for n in range(len(points)):
        left, top, inside = _corner(picture, points[n])
        if not inside:
            continue
        here, right, low, both = _shares(points[n])
        for layer, values in enumerate((picture, slope_x, slope_y)):
            for y in range(WINDOW):
                for x in range(WINDOW):
                    above, below = values[top + y], values[top + y + 1]
                    skin[n, layer, y, x] = (
                        here * above[left + x] + right * above[left + x + 1]
                        + low * below[left + x] + both * below[left + x + 1]
                    )  # fmt: skip
        xx, xy, yy = (skin[n, 1] ** 2).sum(), (skin[n, 1] * skin[n, 2]).sum(), (skin[n, 2] ** 2).sum()
        area = xx * yy - xy * xy
        if area > _SINGULAR * (xx + yy) ** 2:
            inverse[n, 0], inverse[n, 1], inverse[n, 2] = yy / area, -xy / area, xx / area
    return skin, inverse


@compiled("f4[::1](f4[:,::1], f4[:,:,:,::1], f4[:,::1], f4[:,::1])")
def _search(
    picture: Lit, skin: NDArray[np.float32], inverse: NDArray[np.float32], to: Points
) -> NDArray[np.float32]:
    """Moves `to`, [N, 2] pixels of this array, from where points may be to where they are; returns [N] misfits."""
    misfit = np.zeros(len(to), np.float32)
    rows, row = skin.shape[2:]
    for n in range(len(to)):
        begin = to[n].copy()
        for _ in range(STEPS):
            left, top, inside = _corner(picture, to[n])
            if not inside:
                break
            here, right, low, both = _shares(to[n])
            pull_x = pull_y = np.float32(0)
            for y in range(rows):
                above, below = picture[top + y, left : left + row + 1], picture[top + y + 1, left : left + row + 1]
                wanted, slope_x, slope_y = skin[n, 0, y], skin[n, 1, y], skin[n, 2, y]
                for x in range(row):
                    off = wanted[x] - (here * above[x] + right * above[x + 1] + low * below[x] + both * below[x + 1])
                    pull_x += off * slope_x[x]
                    pull_y += off * slope_y[x]
            step_x = inverse[n, 0] * pull_x + inverse[n, 1] * pull_y
            step_y = inverse[n, 1] * pull_x + inverse[n, 2] * pull_y
            to[n, 0] += step_x
            to[n, 1] += step_y
            if step_x * step_x + step_y * step_y < NEAR * NEAR:
                break
        left, top, inside = _corner(picture, to[n])
        if not inside:
            to[n] = begin
            continue
        here, right, low, both = _shares(to[n])
        for y in range(rows):
            above, below = picture[top + y, left : left + row + 1], picture[top + y + 1, left : left + row + 1]
            for x in range(WINDOW):
                found = here * above[x] + right * above[x + 1] + low * below[x] + both * below[x + 1]
                misfit[n] += abs(skin[n, 0, y, x] - found)
        misfit[n] /= np.float32(WINDOW * WINDOW)
    return misfit
