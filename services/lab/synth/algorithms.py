"""Optical flow by several algorithms, so that a recogniser does not learn one's habits.

The spotter's own is none of them. dis: dense inverse search, Kroeger et al., ECCV 2016; farneback: Farnebäck, SCIA
2003; tvl1: Zach, Pock & Bischof, DAGM 2007, what most flow images of micro-expressions were made with."""

from collections.abc import Callable
from functools import cache
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.flow import Field

Image = NDArray[np.uint8]
Algorithm = Literal["dis", "farneback", "tvl1"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("dis", "farneback", "tvl1")


@cache
def flow(name: Algorithm) -> Callable[[Image, Image], Field]:
    """From two grey pictures [H, W] uint8 to [H, W, 2] float32 pixels. Keeps buffers: not to be shared between
    threads."""
    if name == "dis":
        return _dis()
    return _farneback if name == "farneback" else _tvl1()


def _dis() -> Callable[[Image, Image], Field]:
    """A first pass to a scale of two pixels; what it leaves is measured to one, on the picture moved back by it."""
    cv2.setNumThreads(1)  # the search goes by stripes, one a thread: more threads, other numbers
    first, second = _search(1, 8, 8), _search(0, 16, 6)

    def measured(start: Image, end: Image) -> Field:
        field = np.asarray(first.calc(start, end, None), np.float32)  # type: ignore[call-overload]  # None is allowed
        back = cv2.remap(end, _pixels(start.shape) + field, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        return np.asarray(field + second.calc(start, np.asarray(back, np.uint8), None), np.float32)  # type: ignore[call-overload]

    return measured


def _search(finest_scale: int, steps: int, stride_px: int) -> cv2.DISOpticalFlow:
    """finest_scale: a power of two, pixels."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    search.setFinestScale(finest_scale)
    search.setGradientDescentIterations(steps)
    search.setPatchStride(stride_px)
    return search


@cache
def _pixels(shape: tuple[int, ...]) -> Field:
    """[H, W, 2]: x and y of every pixel."""
    return np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), -1).astype(np.float32)


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
