"""Scores of recognition and of spotting; pure numpy.

Recognition follows MEGC 2019 (See et al., FG 2019): counts are summed over all folds first, then UF1 is the unweighted
mean of the classes' F1 and UAR that of their recall. Classes of which no clip was tested are left out of both.
Spotting follows MEGC 2020 (Li et al., FG 2020): intervals match at IoU >= 0.5, counts are summed over all videos.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

IOU: Final = 0.5
"""From which overlap on a found interval is a labelled one."""

FEWEST_POSITIVES: Final = 20
"""AUs with fewer coded positives do not enter the mean F1."""

BINS: Final = 15

Floats = NDArray[np.float64]


def confusion(truth: ArrayLike, answers: ArrayLike, classes: int) -> NDArray[np.int64]:
    """[C, C] counts, row truth, column answer. truth, answers: [N] int, 0 to C - 1."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (np.asarray(truth, np.intp), np.asarray(answers, np.intp)), 1)
    return table


def f1(counts: NDArray[np.number]) -> Floats:
    """F1 of each class, 2 TP / (2 TP + FP + FN), 0 where there is nothing. counts: [..., C, C]; returns [..., C]."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return _ratio(2 * hits, counts.sum(-1) + counts.sum(-2))


def recall(counts: NDArray[np.number]) -> Floats:
    """Recall of each class, 0 where there is nothing. counts: [..., C, C]; returns [..., C]."""
    return _ratio(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1))


def uf1(counts: NDArray[np.number]) -> Floats:
    """Unweighted mean of F1 over the classes that were tested. counts: [..., C, C]; returns [...]."""
    return _mean_of_tested(f1(counts), counts)


def uar(counts: NDArray[np.number]) -> Floats:
    """Unweighted mean of recall over the classes that were tested. counts: [..., C, C]; returns [...]."""
    return _mean_of_tested(recall(counts), counts)


def accuracy(counts: NDArray[np.number]) -> Floats:
    """Share of right answers. counts: [..., C, C]; returns [...]."""
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum((-2, -1)))


def recognition(counts: NDArray[np.int64], classes: Sequence[str]) -> dict[str, Any]:
    """All scores of a confusion matrix, as JSON values; full precision."""
    by_class, hits = f1(counts), recall(counts)
    precision = _ratio(np.diagonal(counts), counts.sum(0))
    return {
        "uf1": float(uf1(counts)),
        "uar": float(uar(counts)),
        "accuracy": float(accuracy(counts)),
        "n": int(counts.sum()),
        "per_class": {
            name: {
                "f1": float(by_class[i]),
                "precision": float(precision[i]),
                "recall": float(hits[i]),
                "n": int(counts[i].sum()),
            }
            for i, name in enumerate(classes)
        },
        "confusion": {"classes": list(classes), "rows": "truth", "counts": counts.tolist()},
    }


def au_f1(target: ArrayLike, known: ArrayLike, active: ArrayLike, aus: Sequence[str]) -> dict[str, Any]:
    """F1 of the positive class, by AU and as the unweighted mean over AUs with FEWEST_POSITIVES or more.

    target, known, active: [N, A], 0 or 1: truth, whether it is known, and the answer. "mean" is None where no AU has
    enough; "n" is the number of coded positives.
    """
    right, sure, said = (np.asarray(values, bool) for values in (target, known, active))
    hits, wrong, missed = ((sure & a & b).sum(0) for a, b in ((right, said), (~right, said), (right, ~said)))
    scores, positives = _ratio(2 * hits, 2 * hits + wrong + missed), (sure & right).sum(0)
    enough = positives >= FEWEST_POSITIVES
    return {
        "mean": float(scores[enough].mean()) if enough.any() else None,
        "counted": [au for au, counts in zip(aus, enough, strict=True) if counts],
        "aus": {au: {"f1": float(scores[i]), "n": int(positives[i])} for i, au in enumerate(aus)},
    }


def calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error: mean gap of confidence and share of right answers over bins of equal width, weighted
    by their size. Guo et al., "On calibration of modern neural networks", ICML 2017, eq. 3.

    confidence: [N] 0 to 1, of the answer given; correct: [N] bool. 0 for nothing.
    """
    sure, right = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    if not len(sure):
        return 0.0
    which = np.minimum((sure * bins).astype(np.intp), bins - 1)
    gaps = np.bincount(which, right - sure, bins)
    return float(np.abs(gaps).sum() / len(sure))


@dataclass(frozen=True)
class Span:
    """An interval of time, seconds, from its start up to its end."""

    start: float
    end: float

    def iou(self, other: "Span") -> float:
        """Length of what both cover over length of what either covers."""
        both = max(min(self.end, other.end) - max(self.start, other.start), 0.0)
        either = (self.end - self.start) + (other.end - other.start) - both
        return both / either if either > 0 else 0.0


def match(truth: Sequence[Span], found: Sequence[Span], iou: float = IOU) -> list[tuple[int, int]]:
    """Pairs (index in truth, index in found), best overlap first, each used once."""
    pairs = [(t.iou(f), i, j) for i, t in enumerate(truth) for j, f in enumerate(found)]
    taken: list[tuple[int, int]] = []
    for overlap, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:])):
        if overlap >= iou and all(i != a and j != b for a, b in taken):
            taken.append((i, j))
    return sorted(taken)


@dataclass(frozen=True)
class Spotted:
    """Counts of spotting; add those of all videos."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: "Spotted") -> "Spotted":
        return Spotted(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 0 for nothing."""
        return float(_ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn))

    def scores(self) -> dict[str, float | int]:
        """As JSON values."""
        precision, found = _ratio(self.tp, self.tp + self.fp), _ratio(self.tp, self.tp + self.fn)
        return {
            "f1": self.f1,
            "precision": float(precision),
            "recall": float(found),
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
        }


def strs(spotted: Spotted, counts: NDArray[np.number]) -> float:
    """Spot-then-recognise score: F1 of spotting times F1 of recognition on what was spotted, the latter from macro
    precision and macro recall. Liong et al., "Spot-then-recognize", Multimedia Tools and Applications 2023.

    counts: [C, C], confusion of the true positives.
    """
    tested = counts.sum(1) > 0
    if not tested.any():
        return 0.0
    precision = _ratio(np.diagonal(counts), counts.sum(0))[tested].mean()
    found = recall(counts)[tested].mean()
    return spotted.f1 * float(_ratio(2 * precision * found, precision + found))


def _ratio(over: ArrayLike, under: ArrayLike) -> Floats:
    """over / under, 0 where under is 0."""
    below = np.asarray(under, np.float64)
    return np.asarray(np.asarray(over, np.float64) / np.where(below == 0, 1, below) * (below != 0), np.float64)


def _mean_of_tested(scores: Floats, counts: NDArray[np.number]) -> Floats:
    tested = counts.sum(-1) > 0
    return _ratio((scores * tested).sum(-1), tested.sum(-1))
