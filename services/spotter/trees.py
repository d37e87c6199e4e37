"""Boosted decision trees, evaluated: what `services.lab.spotter_weights` fitted, read from `trees.npz`.

Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29(5), 2001.
"""

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

FILE: Final = Path(__file__).with_name("trees.npz")


class Trees:
    """names: of the features; typical: [F] features of a usual expression.

    As arrays over all nodes of all trees: feature (-1 in a leaf), threshold, left, right, value; roots: [T]; base: what
    is said of anything. A feature up to the threshold goes left.
    """

    def __init__(self, path: Path) -> None:
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with np.load(path) as kept:
            self.names = tuple(kept["names"].tolist())
            self.typical = kept["typical"]
            self._feature, self._threshold = kept["feature"], kept["threshold"]
            self._left, self._right, self._value = kept["left"], kept["right"], kept["value"]
            self._roots, self._base = kept["roots"], float(kept["base"])

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """rows: [N, F]; returns [N], 0 to 1: how likely each is an expression."""
        at = np.broadcast_to(self._roots, (len(rows), len(self._roots))).copy()
        which = np.arange(len(rows))[:, None]
        while (inner := self._feature[at] >= 0).any():
            goes_left = rows[which, self._feature[at]] <= self._threshold[at]
            at = np.where(inner, np.where(goes_left, self._left[at], self._right[at]), at)
        said = self._base + self._value[at].sum(1)
        return np.asarray(1 / (1 + np.exp(-said)))


TREES: Final = Trees(FILE)
