"""What a recogniser under test is: something that fits on samples and then answers on motion alone.

    fit(samples with their labels, seed) -> predict
    predict(motions, without labels)     -> probabilities

The second half never sees a label, so a test label cannot leak into an answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.motion.tensor import MotionTensor


class Motion(NamedTuple):
    """What a recogniser may look at. image: [H, W, 3] uint8, the flow image that the tensor was cut from, if it was."""

    tensor: MotionTensor
    image: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """One clip. id: of the clip. person: who it shows. label: index of its class.

    au, au_known: [A] float32 of 0 and 1, and [A] bool, whether that is known.
    """

    id: str
    person: str
    motion: Motion
    label: int
    au: NDArray[np.float32]
    au_known: NDArray[np.bool_]


class Prediction(NamedTuple):
    """Answers on N motions.

    emotion: [N, C] float, probabilities. au: [N, A] float, probabilities, or None from a recogniser without AUs.
    active: [N, A] bool, by its own thresholds.
    """

    emotion: NDArray[np.floating]
    au: NDArray[np.floating] | None = None
    active: NDArray[np.bool_] | None = None


Predict = Callable[[Sequence[Motion]], Prediction]


@dataclass(frozen=True)
class Recogniser:
    """name: for reports. fit: from the training samples and a seed. about: what it is, in one line."""

    name: str
    fit: Callable[[Sequence[Sample], int], Predict]
    about: str
