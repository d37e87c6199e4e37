"""How sure a score is: a bootstrap over subjects, paired where two recognisers are compared.

Clips of one person are alike, so whole persons are drawn, with replacement; both recognisers are scored on the same
draws. Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapters 13 and 16.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.lab.metrics import Floats, confusion, uf1

DRAWS: Final = 2000
LEVEL: Final = 0.95

Score = Callable[[NDArray[np.number]], Floats]
"""From confusion matrices [..., C, C] to scores [...]."""


def by_person(people: Sequence[str], truth: Sequence[int], answers: Sequence[int], classes: int) -> NDArray[np.int64]:
    """[S, C, C]: the confusion matrix of each person, in the order of their names."""
    names = np.array(people)
    right, said = np.array(truth, np.intp), np.array(answers, np.intp)
    return np.stack([confusion(right[names == name], said[names == name], classes) for name in sorted(set(people))])


def interval(tables: NDArray[np.int64], seed: int, score: Score = uf1, draws: int = DRAWS) -> tuple[float, float]:
    """Confidence interval (percentiles) of a score at LEVEL. tables: [S, C, C] as from `by_person`."""
    low, high = np.quantile(_drawn(tables, seed, score, draws), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def difference(
    ours: NDArray[np.int64], theirs: NDArray[np.int64], seed: int, score: Score = uf1, draws: int = DRAWS
) -> dict[str, Any]:
    """How much better `ours` is than `theirs` on the same persons: difference, its interval at LEVEL, and p, twice the
    smaller share of draws on either side of no difference.

    ours, theirs: [S, C, C] as from `by_person`, persons in the same order.
    """
    if ours.shape != theirs.shape or (ours.sum(2) != theirs.sum(2)).any():
        raise ValueError("a paired bootstrap needs both recognisers on the same clips")
    drawn = _drawn(ours, seed, score, draws) - _drawn(theirs, seed, score, draws)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    share = min((drawn <= 0).mean(), (drawn >= 0).mean())
    return {
        "difference": float(score(ours.sum(0)) - score(theirs.sum(0))),
        "low": float(low),
        "high": float(high),
        "p": float(min(2 * share, 1.0)),
    }


def _drawn(tables: NDArray[np.int64], seed: int, score: Score, draws: int) -> Floats:
    """[draws] scores; equal seeds draw equal persons."""
    persons = len(tables)
    times = np.random.default_rng(seed).multinomial(persons, np.full(persons, 1 / persons), size=draws)  # [draws, S]
    return score(np.tensordot(times, tables, 1))
