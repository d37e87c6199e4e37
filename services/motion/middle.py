"""The median, for compiled functions."""

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import inlined


@inlined
def middle(values: NDArray[np.float64]) -> float:
    """The median; the larger of two in the middle. values: [n], one at least, contiguous; left in another order.

    Wirth, "Algorithms + data structures = programs", 1976: whatever lies on the wrong side of a value in the middle
    changes sides, until that value is in its place."""
    low, high, half = 0, len(values) - 1, len(values) // 2
    while low < high:
        pivot, left, right = values[half], low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while pivot < values[right]:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if right < half:
            low = left
        if half < left:
            high = right
    return float(values[half])
