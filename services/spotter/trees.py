"""Boosted decision trees, evaluated: what `services.lab.spotter_weights` fitted, read from `trees.npz`.

Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29(5), 2001.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.motion.compiled import compiled

FILE: Final = Path(__file__).with_name("trees.npz")

PARTS: Final = ("feature", "threshold", "left", "right", "value", "roots", "base")
"""Arrays of a forest, over all nodes of all trees: feature (-1 in a leaf), threshold, left, right and value of each
node; roots: [T]; base: what is said of anything. A feature up to the threshold goes left."""

FORESTS: Final = ("brief", "lasting", "rise", "fall")
"""What is kept in the file; see `Trees`."""


@compiled("f8[::1](f8[:,::1], i4[::1], f8[::1], i4[::1], i4[::1], f8[::1], i4[::1])")
def _answers(
    rows: NDArray[np.float64],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    value: NDArray[np.float64],
    roots: NDArray[np.int32],
) -> NDArray[np.float64]:
    """[N]: what the leaves that each of N rows falls into say, added up."""
    answers = np.zeros(len(rows))
    for n in range(len(rows)):
        for root in roots:
            node = root
            while feature[node] >= 0:
                node = left[node] if rows[n, feature[node]] <= threshold[node] else right[node]
            answers[n] += value[node]
    return answers


class Forest:
    """Many trees, whose answers add up."""

    def __init__(self, parts: Mapping[str, NDArray[Any]]) -> None:
        """parts: as named in PARTS."""
        self._nodes = [parts[name] for name in PARTS[:-1]]
        self._base = float(parts["base"])

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """rows: [N, F]; returns [N]."""
        return self._base + _answers(rows, *self._nodes)


class Expression(NamedTuple):
    """odds: their logarithm, that a candidate is an expression; typical: [F] features of a usual one."""

    odds: Forest
    typical: NDArray[np.float64]


class Trees:
    """names: [F] of the features; brief: of candidates that are soon over; lasting: of others, told by the first of
    those features alone; rise, fall: seconds from the onset of a brief one to its apex, and from there to its end."""

    def __init__(self, path: Path) -> None:
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with np.load(path) as kept:
            self.names = tuple(kept["names"].tolist())
            brief, lasting, self.rise, self.fall = (
                Forest({part: kept[f"{forest} {part}"] for part in PARTS}) for forest in FORESTS
            )
            self.brief = Expression(brief, kept["brief typical"])
            self.lasting = Expression(lasting, kept["lasting typical"])


TREES: Final = Trees(FILE)
