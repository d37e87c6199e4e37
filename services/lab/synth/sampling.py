"""Values of a picture or a field at places between its pixels."""

from typing import Any, Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", np.uint8, np.float32)

_ONE_MAP: Final = np.empty(0, np.float32)
"""Tells OpenCV that x and y come together."""


def sample(
    layers: NDArray[Scalar], at: NDArray[np.float32], how: int = cv2.INTER_LINEAR, border: int = cv2.BORDER_REPLICATE
) -> NDArray[Scalar]:
    """[h, w(, C)] of the kind of `layers` ([H, W(, C)], C up to 4 when it is cubic or Lanczos).

    at: [h, w, 2] float32, column and row; how, border: OpenCV's INTER_… and BORDER_…, which continues with 0 if
    constant."""
    found: Any = cv2.remap(layers, at, _ONE_MAP, how, borderMode=border)
    return np.asarray(found, layers.dtype)
