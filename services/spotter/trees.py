"""Boosted decision trees, evaluated: what `services.lab.spotter_weights` fitted, read from `trees.npz`.

Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29(5), 2001.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FILE: Final = Path(__file__).with_name("trees.npz")

PARTS: Final = ("feature", "threshold", "left", "right", "value", "roots", "base")
"""Arrays of a forest, over all nodes of all trees: feature (-1 in a leaf), threshold, left, right and value of each
node; roots: [T]; base: what is said of anything. A feature up to the threshold goes left."""


class Forest:
    """Many trees, whose answers add up."""

    def __init__(self, parts: Mapping[str, NDArray[Any]]) -> None:
        """parts: as named in PARTS."""
        leaf, itself = parts["feature"] < 0, np.arange(len(parts["feature"]))
        # A leaf leads to itself, so that all paths may be walked to the depth of the deepest.
        self._feature = np.where(leaf, 0, parts["feature"]).astype(np.int32)
        self._threshold = parts["threshold"]
        self._next = np.where(leaf, itself, np.stack([parts["right"], parts["left"]])).T.ravel().astype(np.int32)
        self._value, self._roots, self._base = parts["value"], parts["roots"], float(parts["base"])
        self._depth, inner = 0, self._roots[~leaf[self._roots]]
        while len(inner):
            below = np.concatenate([parts["left"][inner], parts["right"][inner]])
            self._depth, inner = self._depth + 1, below[~leaf[below]]

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """rows: [N, F]; returns [N]."""
        at = np.broadcast_to(self._roots, (len(rows), len(self._roots)))
        which = np.arange(len(rows), dtype=np.int32)[:, None] * np.int32(rows.shape[1])
        flat = rows.ravel()
        for _ in range(self._depth):
            at = self._next[2 * at + (flat[which + self._feature[at]] <= self._threshold[at])]
        return np.asarray(self._base + self._value[at].sum(1))


class Trees:
    """names: [F] of the features; typical: [F] features of a usual expression. expression: the logarithm of the odds
    that a candidate is one; rise, fall: seconds from its onset to its apex, and from there to its offset."""

    def __init__(self, path: Path) -> None:
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with np.load(path) as kept:
            self.names = tuple(kept["names"].tolist())
            self.typical = kept["typical"]
            self.expression, self.rise, self.fall = (
                Forest({part: kept[f"{forest} {part}"] for part in PARTS}) for forest in ("expression", "rise", "fall")
            )


TREES: Final = Trees(FILE)
