"""Which frames of an expression the recognizer sees: the first step of STAG (arXiv 2606.28083), by magnitude."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def select(magnitude: NDArray[np.float64], apex: int, count: int) -> list[int]:
    """Positions of at most `count` frames, ascending, all different, the apex among them.

    magnitude: [n], how far each frame from onset to offset has moved; apex: position of its largest.
    The frames are parted into as many stretches of equal sum of magnitude, and each gives its largest frame: where
    much moves, frames lie close together, yet rise and fall are both seen. Fewer frames than `count`: all of them.
    """
    size = len(magnitude)
    if size <= count:
        return list(range(size))
    mass = np.maximum(magnitude, 1e-9).cumsum()
    edges = np.searchsorted(mass, mass[-1] * np.arange(1, count) / count, "right")
    # Every stretch needs a frame, however steep the curve.
    for k in range(count - 1):
        edges[k] = min(max(edges[k], (edges[k - 1] if k else 0) + 1), size - (count - 1 - k))
    bounds = [0, *edges.tolist(), size]
    chosen = [low + int(np.argmax(magnitude[low:high])) for low, high in pairwise(bounds)]
    holds = int(np.searchsorted(bounds, apex, "right")) - 1
    chosen[holds] = apex
    return chosen
