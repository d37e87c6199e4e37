"""Motion curves of a whole video in bounded memory: peaks are kept, time gets coarser as the video gets longer."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

POINTS: Final = 4000
"""Points kept over all faces of a video: about two a pixel of the picture."""

_FINEST_US: Final = 2_000  # finer than the frames of any camera that is meant


class Curve(NamedTuple):
    """One face's motion: time_s [N] float64, ascending; magnitude [N, regions] float32, outer-eye distances."""

    time_s: NDArray[np.float64]
    magnitude: NDArray[np.float32]


class MotionCurves:
    """Keeps, for each face and slice of time, the largest magnitude of each region.

    Slices begin so short that every frame has its own; whenever more than `points` are held, their length doubles.
    So many faces that two points of each exceed `points` make more of them.
    """

    def __init__(self, points: int = POINTS) -> None:
        self._points = points
        self._slice_us = _FINEST_US
        self._count = 0
        self._faces: dict[str, dict[int, tuple[int, NDArray[np.float32]]]] = {}

    def add(self, track: str, time_us: int, magnitudes: NDArray[np.float32]) -> None:
        """magnitudes: [regions], in the order of the region table."""
        self._keep(self._faces.setdefault(track, {}), time_us, magnitudes)
        while self._count > max(self._points, 2 * len(self._faces)):
            self._coarsen()

    def _keep(
        self, face: dict[int, tuple[int, NDArray[np.float32]]], time_us: int, values: NDArray[np.float32]
    ) -> None:
        index = time_us // self._slice_us
        if index in face:
            first_us, largest = face[index]
            face[index] = (first_us, np.maximum(largest, values))
        else:
            face[index] = (time_us, values.astype(np.float32))
            self._count += 1

    def _coarsen(self) -> None:
        old, self._faces, self._count = self._faces, {}, 0
        self._slice_us *= 2
        for track, slices in old.items():
            face = self._faces[track] = {}
            for time_us, values in slices.values():
                self._keep(face, time_us, values)

    @property
    def slice_s(self) -> float:
        """Length of a slice, seconds."""
        return self._slice_us / 1e6

    def curves(self) -> dict[str, Curve]:
        """Track to its curve."""
        result = {}
        for track, slices in self._faces.items():
            ordered = [slices[index] for index in sorted(slices)]
            result[track] = Curve(
                np.array([time_us for time_us, _ in ordered]) / 1e6, np.stack([values for _, values in ordered])
            )
        return result
