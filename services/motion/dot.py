"""The sum of products, for compiled functions: (one * other).sum() would write all products down first."""

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import inlined


@inlined
def dot(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """one, other: [n]."""
    total = 0.0
    for k in range(len(one)):
        total += one[k] * other[k]
    return total
