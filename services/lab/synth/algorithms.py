"""Optical flow by several algorithms, so that a recogniser does not learn one's habits.

dis: what the spotter uses (Kroeger et al., ECCV 2016); farneback: Farnebäck, SCIA 2003; tvl1: Zach, Pock & Bischof,
DAGM 2007, what most flow images of micro-expressions were made with."""

from collections.abc import Callable
from functools import cache
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.flow import Field, Flow

Image = NDArray[np.uint8]
Algorithm = Literal["dis", "farneback", "tvl1"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("dis", "farneback", "tvl1")


@cache
def flow(name: Algorithm) -> Callable[[Image, Image], Field]:
    """From two grey pictures [H, W] uint8 to [H, W, 2] float32 pixels. Keeps buffers: not to be shared between
    threads."""
    if name == "dis":
        return Flow()
    return _farneback if name == "farneback" else _tvl1()


def _farneback(start: Image, end: Image) -> Field:
    blank = np.zeros((*start.shape, 2), np.float32)
    return np.asarray(cv2.calcOpticalFlowFarneback(start, end, blank, 0.5, 3, 15, 5, 7, 1.5, 0), np.float32)


def _tvl1() -> Callable[[Image, Image], Field]:
    # Fewer and shorter rounds than OpenCV's defaults: less time for a field as good.
    algorithm = cv2.optflow.DualTVL1OpticalFlow.create(
        warps=4, innnerIterations=15, outerIterations=5, epsilon=0.01, medianFiltering=3
    )
    return lambda start, end: np.asarray(
        algorithm.calc(start, end, np.zeros((*start.shape, 2), np.float32)), np.float32
    )
