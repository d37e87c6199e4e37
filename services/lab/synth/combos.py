"""Which AUs act together, on which side and how strongly: drawn from what coders saw in real micro-expressions.

Counts are those of the annotation sheets of DFME (Zhao et al., 2,629 clips) and CAS(ME)3 (Li et al., 785 clips).
Classes are drawn alike, however rare they are in a set, because the score that matters is the mean over classes.
"""

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.lab.synth.styles import LEFT, RIGHT
from services.motion.aus import AU_INDEX, AUS

EMOTIONS: Final = ("negative", "positive", "surprise")

SHARES: Final[dict[str, dict[str, float]]] = {
    "negative": {
        "4": .292, "4+7": .134, "14": .060, "24": .053, "7": .053, "12": .042, "17": .022, "14+24": .019, "4+5": .019,
        "1": .016, "10": .015, "4+7+10": .014, "5": .013, "15": .012, "4+6": .012, "6+12": .011, "4+9": .010,
        "20": .010, "1+2+5": .010, "23": .010, "4+10": .010, "1+2": .009, "4+17": .007, "1+4": .007, "9": .007,
        "17+24": .005, "6+10": .003,
    },
    "positive": {
        "6+12": .338, "12": .237, "14": .054, "24": .051, "12+24": .031, "6": .023, "17": .023, "4": .020,
        "6+12+24": .017, "10+12": .014, "1+2": .011, "7": .011, "10": .011, "6+10+12": .008, "6+10": .008,
        "6+24": .008, "7+12": .006, "6+12+15": .006,
    },
    "surprise": {
        "1+2+5": .389, "1+2": .223, "5": .107, "4": .041, "2": .040, "1": .035, "7": .021, "24": .014, "2+5": .013,
        "17": .008, "4+7": .008, "1+5": .006, "25": .006, "1+2+5+25": .005,
    },
}  # fmt: skip
"""Share of each combination within its class (2,298, 355 and 628 clips). What is missing from 1 was too rare to list,
and is drawn as the even combinations are."""

ONE_SIDED: Final[dict[str, tuple[float, float]]] = {
    "AU1": (.09, .09), "AU2": (.14, .16), "AU4": (.02, .03), "AU5": (.06, .05), "AU6": (.03, .03), "AU7": (.02, .07),
    "AU10": (.14, .21), "AU12": (.21, .22), "AU14": (.06, .07), "AU15": (.08, .12), "AU20": (.02, .30),
}  # fmt: skip
"""Share of an AU's clips in which it was coded on the left only, and on the right only."""

CONTEMPT: Final = {"negative": 0.9, "positive": 0.2}
"""Share of one-sided lip corners (AU12, AU14 without a frown): one side is contempt, both sides are happiness."""

UNSEEN: Final = 0.003
"""Share of a class that a combination is given which was never counted in it, times how likely its AUs make it."""

WEAKER_SIDE: Final = 0.3
"""The other side of a one-sided AU moves by up to this part of it."""

ASYMMETRY: Final = 0.18
"""Standard deviation of the natural logarithm of one side's intensity over the mean of both."""

Combination = tuple[str, ...]


@dataclass(frozen=True)
class Drawn:
    """One expression at its apex. emotion: of EMOTIONS; aus: the AUs meant; intensity: [A, 2] float64, left and right,
    fractions of full displacement."""

    emotion: str
    aus: Combination
    intensity: NDArray[np.float64]


def draw(
    rng: np.random.Generator, strength: tuple[float, float], even: float = 0.3, emotion: str | None = None
) -> Drawn:
    """One expression.

    strength: lowest and highest intensity, drawn evenly on a logarithmic scale; even: share of single AUs and pairs
    that are drawn evenly instead of by count; emotion: of EMOTIONS, else drawn evenly."""
    emotion = emotion or EMOTIONS[rng.integers(len(EMOTIONS))]
    counted, shares, evens, weights = _tables(emotion)
    if rng.random() < even or (rest := rng.random()) >= shares.sum():
        aus = evens[rng.choice(len(evens), p=weights)]
    else:
        aus = counted[int(np.searchsorted(shares.cumsum(), rest, "right"))]
    overall = np.exp(rng.uniform(*np.log(strength)))
    side = _side(rng, emotion, aus)
    intensity = np.zeros((len(AUS), 2))
    for au in aus:
        own = overall * np.exp(rng.normal(0, 0.3))
        both = np.exp(rng.normal(0, ASYMMETRY) * np.array([0.5, -0.5]))
        only = side if side is not None and au in ("AU12", "AU14", "AU6") else _coded_side(rng, au, emotion)
        if only is not None:
            both[1 - only] = rng.uniform(0, WEAKER_SIDE)
        intensity[AU_INDEX[au]] = np.clip(own * both, 0, 1)
        intensity[AU_INDEX[au], both.argmax()] = max(intensity[AU_INDEX[au]].max(), strength[0])
    return Drawn(emotion, aus, intensity)


def emotion_given(aus: Combination) -> NDArray[np.float64]:
    """[3] how likely each of EMOTIONS is, given the AUs, when classes are equally frequent; sums to 1. Sides unseen."""
    counted = np.array([SHARES[emotion].get(_name(aus), 0.0) for emotion in EMOTIONS])
    likely = np.array([np.prod([_frequency(emotion)[au] for au in aus]) for emotion in EMOTIONS])
    score = counted + UNSEEN * likely / likely.sum()
    return np.asarray(score / score.sum())


def _side(rng: np.random.Generator, emotion: str, aus: Combination) -> int | None:
    """The one side on which the lip corner acts, or None for both."""
    corner = {"AU12", "AU14"} & set(aus)
    if not corner or emotion not in CONTEMPT or {"AU4", "AU1", "AU9"} & set(aus):
        return None
    if emotion == "positive" or "AU12" in corner:
        return int(rng.integers(2)) if rng.random() < CONTEMPT[emotion] else None
    return None


def _coded_side(rng: np.random.Generator, au: str, emotion: str) -> int | None:
    if au in ("AU12", "AU14") and emotion == "positive":
        return None  # decided already
    left, right = ONE_SIDED.get(au, (0, 0))
    chance = rng.random()
    return LEFT if chance < left else RIGHT if chance < left + right else None


def _combination(name: str) -> Combination:
    return tuple(f"AU{number}" for number in name.split("+"))


def _name(aus: Combination) -> str:
    return "+".join(sorted((au.removeprefix("AU") for au in aus), key=int))


@cache
def _frequency(emotion: str) -> dict[str, float]:
    """How often each AU acts in a class; never quite 0."""
    return {
        unit.code: 0.003 + sum(share for name, share in SHARES[emotion].items() if unit.code in _combination(name))
        for unit in AUS
    }


@cache
def _tables(
    emotion: str,
) -> tuple[list[Combination], NDArray[np.float64], list[Combination], NDArray[np.float64]]:
    """Counted combinations with their shares; single AUs and pairs with their weights, half for either, so that over
    all classes each is drawn as often as the others."""
    codes = [au.code for au in AUS]
    singles, pairs = [(code,) for code in codes], list(combinations(codes, 2))
    weights = [
        np.array([emotion_given(aus)[EMOTIONS.index(emotion)] for aus in group]) / len(group)
        for group in (singles, pairs)
    ]
    together = np.concatenate(weights)
    counted = SHARES[emotion]
    return (
        [_combination(name) for name in counted],
        np.array(list(counted.values())),
        [*singles, *pairs],
        together / together.sum(),
    )
