"""Thin-plate splines as matrices: values at scattered points to values anywhere.

Bookstein, "Principal warps: thin-plate splines and the decomposition of deformations", IEEE TPAMI 11(6), 1989.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def operator(known: Array, wanted: Array, stiffness: float) -> Array:
    """[M, N] matrix from values at `known` [N, 2] to values at `wanted` [M, 2]; stiffness smooths, 0 interpolates."""
    count = len(known)
    affine = np.column_stack([np.ones(count), known])
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _bend(known, known) + stiffness * np.eye(count)
    system[:count, count:] = affine
    system[count:, :count] = affine.T
    solved = np.linalg.solve(system, np.eye(count + 3, count))  # [N + 3, N]
    return np.asarray(np.column_stack([_bend(wanted, known), np.ones(len(wanted)), wanted]) @ solved)


def _bend(a: Array, b: Array) -> Array:
    """r^2 log r."""
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return np.asarray(0.5 * squared * np.log(np.maximum(squared, 1e-18)))
