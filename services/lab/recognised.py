"""What the recognizer says of expressions whose truth is known: scores of emotions and AUs, beside what anybody could
reach who knew the true AUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.lab import bootstrap, metrics
from services.lab.datasets.emotions import THREE_CLASSES
from services.lab.synth.combos import emotion_given
from services.motion.aus import AU_INDEX, AUS


@dataclass(frozen=True)
class Recognised:
    """One expression. person: unit of the bootstrap. emotion: true class; aus: true codes, None where nobody coded;
    probabilities: [C] of THREE_CLASSES; active: codes that the recognizer calls active."""

    person: str
    emotion: str
    aus: tuple[str, ...] | None
    probabilities: tuple[float, ...]
    active: tuple[str, ...]


def scores(found: Sequence[Recognised], seed: int = 0) -> dict[str, Any] | None:
    """UF1 and the rest with a 95 % interval over persons (None of one), calibration error, AU F1, and `true_aus`: the
    UF1 of the most likely class given the true AUs, on the same expressions. None when there is nothing to score."""
    if not found:
        return None
    people = [each.person for each in found]
    truth = np.array([THREE_CLASSES.index(each.emotion) for each in found])
    said = np.array([each.probabilities for each in found])
    result = _of(people, truth, said.argmax(1), seed) | {
        "calibration_error": metrics.calibration_error(said.max(1), said.argmax(1) == truth)
    }
    coded = [i for i, each in enumerate(found) if each.aus]
    if coded:
        known = [(found[i].aus or (), found[i].active) for i in coded]
        right, active = (_table([pair[side] for pair in known]) for side in (0, 1))
        result["au_f1"] = metrics.au_f1(right, np.ones_like(right), active, [unit.code for unit in AUS])
        result["au_f1"]["interval"] = _au_interval([people[i] for i in coded], right, active, seed)
        best = np.array([int(emotion_given(_ours(aus)).argmax()) for aus, _ in known])
        oracle = _of([people[i] for i in coded], truth[coded], best, seed)
        result["true_aus"] = {name: oracle[name] for name in ("uf1", "uf1_interval", "n")}
    return result


def _of(people: Sequence[str], truth: NDArray[np.int64], said: NDArray[np.int64], seed: int) -> dict[str, Any]:
    tables = bootstrap.by_person(people, truth.tolist(), said.tolist(), len(THREE_CLASSES))
    return metrics.recognition(tables.sum(0), THREE_CLASSES) | {"uf1_interval": _interval(tables, seed)}


def _interval(counts: NDArray[np.int64], seed: int, score: bootstrap.Score = metrics.uf1) -> dict[str, float] | None:
    """Of a score over persons; None of one, who says nothing of others."""
    if len(counts) < 2:
        return None
    low, high = bootstrap.interval(counts, seed, score)
    return {"low": low, "high": high}


def _ours(aus: Sequence[str]) -> tuple[str, ...]:
    return tuple(au for au in aus if au in AU_INDEX)


def _table(codes: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """[N, A]."""
    table = np.zeros((len(codes), len(AUS)), bool)
    for i, each in enumerate(codes):
        table[i, [AU_INDEX[au] for au in _ours(each)]] = True
    return table


def _au_interval(
    people: Sequence[str], right: NDArray[np.bool_], active: NDArray[np.bool_], seed: int
) -> dict[str, float] | None:
    """Of the mean F1 over AUs with enough positives in the whole set."""
    enough = right.sum(0) >= metrics.FEWEST_POSITIVES
    if not enough.any():
        return None
    names = np.array(people)
    outcomes = np.stack([right & active, ~right & active, right & ~active], 1)[..., enough]  # [N, 3, A]
    counts = np.stack([outcomes[names == name].sum(0) for name in sorted(set(people))])
    return _interval(counts, seed, _mean_f1)


def _mean_f1(counts: NDArray[np.number]) -> metrics.Floats:
    """counts: [..., 3, A] of hits, false and missed."""
    hits, wrong, missed = np.moveaxis(np.asarray(counts, np.float64), -2, 0)
    return np.asarray((2 * hits / np.maximum(2 * hits + wrong + missed, 1)).mean(-1))
