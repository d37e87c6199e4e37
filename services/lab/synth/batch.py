"""A batch of labelled clips, whichever way they were made."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from services.lab.synth.combos import EMOTIONS, Drawn
from services.motion.aus import AU_INDEX, AUS


@dataclass(frozen=True)
class Clips:
    """N clips of up to K frames.

    motion: [N, K, R, 3, P, P] float16, as MotionTensor.data; times: [N, K] float32, seconds relative to the apex;
    seen: [N, K, R] bool; present: [N, K] bool, False behind the end of a clip with fewer frames;
    magnitude_known: [N] bool; emotion: [N] int64, of combos.EMOTIONS; aus: [N, A] bool; intensity: [N, A, 2] float32,
    left and right, fractions of full displacement; identity, style: [N] str."""

    motion: NDArray[np.float16]
    times: NDArray[np.float32]
    seen: NDArray[np.bool_]
    present: NDArray[np.bool_]
    magnitude_known: NDArray[np.bool_]
    emotion: NDArray[np.int64]
    aus: NDArray[np.bool_]
    intensity: NDArray[np.float32]
    identity: NDArray[np.str_]
    style: NDArray[np.str_]

    @classmethod
    def make(
        cls,
        motion: NDArray[np.float32],
        times: NDArray[np.float32],
        seen: NDArray[np.bool_],
        present: NDArray[np.bool_],
        drawn: Sequence[Drawn],
        identity: Sequence[str],
        style: str,
        magnitude_known: bool = True,
    ) -> "Clips":
        """With the labels of what was drawn for each."""
        count = len(drawn)
        aus = np.zeros((count, len(AUS)), bool)
        for i, one in enumerate(drawn):
            aus[i, [AU_INDEX[au] for au in one.aus]] = True
        return cls(
            motion.clip(-6e4, 6e4).astype(np.float16),
            times,
            seen,
            present,
            np.full(count, magnitude_known),
            np.array([EMOTIONS.index(one.emotion) for one in drawn], np.int64).reshape(count),
            aus,
            np.array([one.intensity for one in drawn], np.float32).reshape(count, len(AUS), 2),
            np.array(identity, str),
            np.full(count, style),
        )

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, which: slice | NDArray[np.intp]) -> "Clips":
        return Clips(*(getattr(self, field.name)[which] for field in fields(self)))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """By name, as numpy.savez takes them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def join(parts: Sequence[Clips]) -> Clips:
    """One after the other; all of the same K."""
    return Clips(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Clips)))
