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

Pixels = NDArray[np.float32]
"""[H, W] brightness."""

Points = NDArray[np.float32]
"""[N, 2] x and y, pixels."""

WINDOW: Final = 15
"""Pixels along a side of the square of skin around a point, where few are followed."""

STEPS: Final = 6
"""At most so many steps, …"""

NEAR: Final = 0.01
"""… or until one is shorter than this, pixels."""

_MIDDLE: Final = np.float32(10 / 32)
_SIDE: Final = np.float32(3 / 32)
"""What the row or column of a pixel counts in its slope, and either one beside it."""

_SINGULAR: Final = np.float32(1e-6)
"""Skin whose slopes have a smaller ratio of determinant to squared trace tells no motion."""


class Skin:
    """What surrounds some points of a picture, ready to be found in others."""

    def __init__(self, picture: Pixels, points: Points, window: int = WINDOW) -> None:
        """points: [N, 2] pixels of `picture`, of which the nearest whole ones are followed; window: pixels along a side
        of what surrounds them, odd."""
        self._corners = np.rint(points).astype(np.int64) - window // 2
        self._skin, self._inverse = _cut(picture, self._corners, window)
        self._window = window

    def find(
        self,
        picture: Pixels,
        begun: Points | None = None,
        steps: int = STEPS,
        near: float = NEAR,
        last_look: bool = True,
    ) -> tuple[Points, NDArray[np.float32]]:
        """How far the points have moved in another picture, [N, 2], and how badly their skin fits there, [N]: mean
        difference of brightness. A point whose skin leaves the picture moves as it may have, with 0.

        begun: [N, 2] how far they may have, none: not at all; steps, near: see STEPS and NEAR; last_look: whether to
        look once more after the last step, without which misfits are those before it.
        """
        moved = np.zeros(self._corners.shape, np.float32) if begun is None else begun.copy()
        looks = steps + last_look
        return moved, _search(
            picture, self._corners, self._skin, self._inverse, moved, self._window, steps, looks, near
        )


def half(picture: Pixels) -> Pixels:
    """The same on a scale of two pixels: each is the pixel of twice its place, with what is around."""
    return np.asarray(cv2.pyrDown(picture), np.float32)


@inlined
def _row(window: int) -> int:
    """A row of a square in memory: processors take eight numbers at once. What is beyond the square counts 0."""
    return (window // 8 + 1) * 8


@inlined
def _size(window: int) -> int:
    """Of a square in memory: they take four times eight in one go."""
    return (window * _row(window) + 31) // 32 * 32


@inlined
def _patch(window: int) -> Pixels:
    """Room for a square, and the row below it."""
    return np.zeros(_size(window) + _row(window) + 1, np.float32)


@inlined
def _inside(left: int, top: int, width: int, height: int, window: int) -> bool:
    """Whether all of a square lies within the picture."""
    return 0 <= left <= width - _row(window) and 0 <= top < height - window


@inlined
def _lift(picture: Pixels, left: int, top: int, window: int, patch: Pixels) -> None:
    """The square there and the row below it, row after row."""
    row = _row(window)
    for y in range(window + 1):
        source, target = picture[top + y, left : left + row], patch[y * row : (y + 1) * row]
        for x in range(row):
            target[x] = source[x]


@inlined
def shares(right: np.float32, low: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Of a pixel, the one to its right and the two below, in the value at a point between them: bilinear. right, low:
    how far it lies from the first, 0 to 1."""
    both = right * low
    return np.float32(1) - right - low + both, right - both, low - both, both


@compiled("Tuple((f4[:,:,::1], f4[:,::1]))(f4[:,::1], i8[:,::1], i8)")
def _cut(picture: Pixels, corners: NDArray[np.int64], window: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[N, 3, size] brightness around each point and its slopes (Scharr, "Optimale Operatoren in der digitalen
    Bildverarbeitung", Heidelberg 2000); [N, 3] inverse of the slopes' Gram matrix (its xx, xy and yy), 0 where they
    tell no motion. corners: [N, 2] left and top of each square."""
    (height, width), row = picture.shape, _row(window)
    skin = np.zeros((len(corners), 3, _size(window)), np.float32)
    inverse = np.zeros((len(corners), 3), np.float32)
    for n in range(len(corners)):
        left, top = corners[n, 0], corners[n, 1]
        if not (left > 0 < top and _inside(left, top, width, height, window)):
            continue
        for y in range(window):
            above, here = picture[top + y - 1, left - 1 :], picture[top + y, left - 1 :]
            below = picture[top + y + 1, left - 1 :]
            bright, slope_x, slope_y = skin[n, 0, y * row :], skin[n, 1, y * row :], skin[n, 2, y * row :]
            for x in range(window):
                bright[x] = here[x + 1]
                corner, other = below[x + 2] - above[x], above[x + 2] - below[x]
                slope_x[x] = _SIDE * (corner + other) + _MIDDLE * (here[x + 2] - here[x])
                slope_y[x] = _SIDE * (corner - other) + _MIDDLE * (below[x + 1] - above[x + 1])
        xx = xy = yy = np.float32(0)
        for k in range(window * row):
            xx += skin[n, 1, k] * skin[n, 1, k]
            xy += skin[n, 1, k] * skin[n, 2, k]
            yy += skin[n, 2, k] * skin[n, 2, k]
        area = xx * yy - xy * xy
        if area > _SINGULAR * (xx + yy) ** 2:
            inverse[n, 0], inverse[n, 1], inverse[n, 2] = yy / area, -xy / area, xx / area
    return skin, inverse


@compiled("f4[::1](f4[:,::1], i8[:,::1], f4[:,:,::1], f4[:,::1], f4[:,::1], i8, i8, i8, f4)")
def _search(
    picture: Pixels,
    corners: NDArray[np.int64],
    skin: NDArray[np.float32],
    inverse: NDArray[np.float32],
    moved: Points,
    window: int,
    steps: int,
    looks: int,
    near: float,
) -> NDArray[np.float32]:
    """Turns `moved`, [N, 2], from how far points may have moved to how far they have; returns [N] misfits. looks: at
    most so many; one after all `steps` tells the misfit alone."""
    (height, width), row, size = picture.shape, _row(window), _size(window)
    misfit, begun = np.zeros(len(moved), np.float32), moved.copy()
    counts = np.zeros(size, np.float32)
    for y in range(window):
        counts[y * row : y * row + window] = 1
    patch = _patch(window)
    beside, below, across = patch[1:], patch[row:], patch[row + 1 :]
    for n in range(len(moved)):
        lifted = (-1, -1)
        for step in range(looks):
            right, low = np.floor(moved[n, 0]), np.floor(moved[n, 1])
            left, top = corners[n, 0] + int(right), corners[n, 1] + int(low)
            if not _inside(left, top, width, height, window):
                moved[n, 0], moved[n, 1], misfit[n] = begun[n, 0], begun[n, 1], 0
                break
            if (left, top) != lifted:
                _lift(picture, left, top, window, patch)
                lifted = left, top
            of_here, of_right, of_low, of_both = shares(moved[n, 0] - right, moved[n, 1] - low)
            pull_x = pull_y = apart = np.float32(0)
            for k in range(size):
                there = of_here * patch[k] + of_right * beside[k] + of_low * below[k] + of_both * across[k]
                off = skin[n, 0, k] - there
                pull_x += off * skin[n, 1, k]
                pull_y += off * skin[n, 2, k]
                apart += abs(off) * counts[k]
            misfit[n] = apart / np.float32(window * window)
            step_x = inverse[n, 0] * pull_x + inverse[n, 1] * pull_y
            step_y = inverse[n, 1] * pull_x + inverse[n, 2] * pull_y
            if step == steps or step_x * step_x + step_y * step_y < near * near:
                break
            moved[n, 0] += step_x
            moved[n, 1] += step_y
    return misfit
