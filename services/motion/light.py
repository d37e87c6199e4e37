"""Crops in even light, with a border, as points are followed in them."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled, inlined

Lit = NDArray[np.float32]
"""[H + 2 BORDER, W + 2 BORDER] float32: a picture that is evenly lit, mirrored beyond its edges."""

BORDER: Final = 16
"""Pixels around a picture, so that skin at its edge has surroundings."""

EVEN_PX: Final = 21
"""Light is even over this many pixels."""

BRIGHTEST: Final = np.float32(255)
"""A glint that is brighter, percent of what is around it, counts no more."""

_HALF: Final = EVEN_PX // 2
_PERCENT: Final = np.float32(100 * EVEN_PX * EVEN_PX)


@inlined
def _mirrored(at: int, size: int) -> int:
    """Which of `size` rows stands for one before the first or after the last."""
    return abs(at) if at < size else 2 * size - 2 - at


@inlined
def _mirror(row: NDArray[Any], border: int) -> None:
    """Fills both ends of a row with what lies inside of them."""
    for x in range(border):
        row[border - 1 - x] = row[border + 1 + x]
        row[len(row) - border + x] = row[len(row) - border - 2 - x]


@inlined
def _add(columns: NDArray[np.int32], row: NDArray[np.uint8], sign: int) -> None:
    for x in range(len(row)):
        columns[x] += np.int32(sign) * np.int32(row[x])


@inlined
def _sum_up(columns: NDArray[np.int32], before: NDArray[np.int32]) -> None:
    total = np.int32(0)
    for x in range(len(columns)):
        total += columns[x]
        before[x + 1] = total


@inlined
def _even(row: NDArray[np.uint8], before: NDArray[np.int32], lit: NDArray[np.float32]) -> None:
    after = before[EVEN_PX:]
    for x in range(len(row)):
        around = max(after[x] - before[x], np.int32(1))
        lit[x] = min(_PERCENT * np.float32(row[x]) / np.float32(around), BRIGHTEST)


@compiled("f4[:,::1](u1[:,::1])")
def evenly_lit(picture: NDArray[np.uint8]) -> Lit:
    """Brightness relative to its mean over EVEN_PX around, percent, so that lamps and shadows move nothing.

    picture: [H, W] uint8, more than BORDER pixels each way.
    """
    height, width = picture.shape
    lit = np.empty((height + 2 * BORDER, width + 2 * BORDER), np.float32)
    columns = np.zeros(width + 2 * _HALF, np.int32)  # sums of EVEN_PX rows, and their mirror images on both sides
    before = np.zeros(len(columns) + 1, np.int32)  # sums of all columns before each
    for y in range(-_HALF, height + _HALF):
        _add(columns[_HALF : _HALF + width], picture[_mirrored(y, height)], 1)
        middle = y - _HALF
        if middle >= 0:
            _mirror(columns, _HALF)
            _sum_up(columns, before)
            _even(picture[middle], before, lit[BORDER + middle, BORDER : BORDER + width])
            _add(columns[_HALF : _HALF + width], picture[_mirrored(middle - _HALF, height)], -1)
    for y in range(BORDER, BORDER + height):
        _mirror(lit[y], BORDER)
    for y in range(BORDER):
        lit[BORDER - 1 - y] = lit[BORDER + 1 + y]
        lit[BORDER + height + y] = lit[BORDER + height - 2 - y]
    return lit
