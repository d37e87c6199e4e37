"""Two published ways of spotting, plainly, to compare the spotter with. Both look ahead: they see the whole recording.

`features`: optical-flow features (Yu et al., "Rethinking optical flow methods for spotting", MEGC 2022), without its
empirical mode decomposition; `apart`: flow between frames half an expression apart, as SOFTNet and its kin are fed with
(Liong et al., "Shallow optical flow three-stream CNN", ICIP 2021), thresholded as they threshold their scores.
Lengths of the papers are scaled from their crops (152 px an outer-eye distance) to ours.
"""

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.motion.convention import EYE_DISTANCE_PX, NOSE_BRIDGE
from services.motion.flow import Field, Image
from services.motion.rois import ROI_INDEX, roi_centres

Array = NDArray[np.float64]
Interval = tuple[int, int]
"""First and last frame."""

SCALE: Final = EYE_DISTANCE_PX / 152
WINDOW: Final = 200
"""Frames that are measured from one reference, half of them again from the next."""
LOW_PASS_HZ: Final = 5.0
HEIGHT_PX: Final = 1.4 * SCALE
"""Above the lowest of its window."""
RISE_PX: Final = {"brow": 1.8 * SCALE, "lip": 1.85 * SCALE, "nose": 2.1 * SCALE}
"""Above the lowest of a second before and after."""
FOOT: Final = 0.33
SHORTEST_S: Final = 0.2
"""The paper keeps 0.4 s and longer, which would leave out most of what we look for."""
STRONGEST: Final = 0.3
"""Share of a region's vectors that its motion is the mean of."""
EXPRESSION_S: Final = 0.4
"""Mean length of a micro-expression, for `apart`."""
PEAK: Final = 0.55
"""Threshold of `apart`, from mean to maximum."""


def features(pictures: Sequence[Image], landmarks: Sequence[NDArray[np.float32]], fps: float) -> list[Interval]:
    """pictures: [128, 128] uint8 each, a crop a frame; landmarks: [478, 2] each."""
    found: list[Interval] = []
    for start in range(0, max(len(pictures) - WINDOW // 2, 1), WINDOW // 2):
        window = pictures[start : start + WINDOW]
        flows = [_farneback(window[0], picture) for picture in window]
        for kind, boxes in _boxes(landmarks[start]).items():
            for box in boxes:
                curve = _low_pass(np.array([_motion(flow, landmarks[start], box) for flow in flows]), fps)
                found += [(start + a, start + b) for a, b in _peaks(curve, RISE_PX[kind], fps)]
    merged: list[Interval] = []
    for begin, end in sorted(found):
        last = merged[-1] if merged else (0, -1)
        shared = min(end, last[1]) - max(begin, last[0]) + 1
        if shared > 0.34 * min(end - begin + 1, last[1] - last[0] + 1):
            merged[-1] = (min(begin, last[0]), max(end, last[1]))
        else:
            merged.append((begin, end))
    return [(a, b) for a, b in merged if SHORTEST_S * fps <= b - a + 1 <= WINDOW]


def apart(pictures: Sequence[Image], landmarks: Sequence[NDArray[np.float32]], fps: float) -> list[Interval]:
    """As `features`."""
    k = max(1, round(EXPRESSION_S * fps / 2))
    curve = np.zeros(len(pictures))
    for at in range(len(pictures) - k):
        flow = _farneback(pictures[at], pictures[at + k])
        curve[at] = np.mean(
            [_motion(flow, landmarks[at], box) for all_ in _boxes(landmarks[at]).values() for box in all_]
        )
    curve = np.convolve(curve, np.ones(2 * k) / (2 * k), "same")
    threshold = curve.mean() + PEAK * (curve.max() - curve.mean())
    found: list[Interval] = []
    for at in np.argsort(curve)[::-1]:
        if curve[at] < threshold:
            break
        if all(abs(at - (a + b) // 2) >= k for a, b in found):
            found.append((max(int(at) - k, 0), min(int(at) + k, len(pictures) - 1)))
    return sorted(found)


def _farneback(start: Image, end: Image) -> Field:
    return np.asarray(cv2.calcOpticalFlowFarneback(start, end, None, 0.5, 3, 15, 5, 7, 1.5, 0), np.float32)  # type: ignore[call-overload]


def _boxes(landmarks: NDArray[np.float32]) -> dict[str, list[tuple[slice, slice]]]:
    """Rows and columns around the ROIs of brows, mouth and nose; lids are left out."""
    centres, half = roi_centres(landmarks), 10 * SCALE
    return {
        kind: [_box(centres[i], half) for name, i in ROI_INDEX.items() if name.startswith(stem)]
        for kind, stem in (("brow", "brow_"), ("lip", "lip_"), ("nose", "nose_wing"))
    }


def _box(centre: NDArray[np.float32], half: float) -> tuple[slice, slice]:
    x, y = np.rint(centre).astype(int).clip(8, 119)
    reach = max(2, round(half))
    return slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1)


def _motion(flow: Field, landmarks: NDArray[np.float32], box: tuple[slice, slice]) -> float:
    """Pixels: mean of the strongest vectors, less that of the nose bridge."""
    head = flow[_box(landmarks[list(NOSE_BRIDGE)].mean(0), 13 * SCALE)].reshape(-1, 2)
    return float(np.linalg.norm(_strongest(flow[box].reshape(-1, 2), STRONGEST) - _strongest(head, 0.7)))


def _strongest(vectors: Field, share: float) -> Field:
    order = np.argsort(np.linalg.norm(vectors, axis=1))
    return np.asarray(vectors[order[-max(1, round(share * len(order))) :]].mean(0), np.float32)


def _low_pass(curve: Array, fps: float) -> Array:
    spectrum = np.fft.rfft(curve)
    spectrum[np.fft.rfftfreq(len(curve), 1 / fps) > LOW_PASS_HZ] = 0
    return np.asarray(np.fft.irfft(spectrum, len(curve)))


def _peaks(curve: Array, rise: float, fps: float) -> list[Interval]:
    found, reach = [], round(fps)
    for at in range(1, len(curve) - 1):
        near = curve[max(at - reach, 0) : at + reach + 1]
        if curve[at] < near.max() or curve[at] - curve.min() < HEIGHT_PX or curve[at] - near.min() < rise:
            continue
        low = near.min() + FOOT * (curve[at] - near.min())
        begin = end = at
        while begin > 0 and curve[begin - 1] > low:
            begin -= 1
        while end < len(curve) - 1 and curve[end + 1] > low:
            end += 1
        found.append((begin, end))
    return found


Baseline = Callable[[Sequence[Image], Sequence[NDArray[np.float32]], float], list[Interval]]

BASELINES: Final[dict[str, Baseline]] = {
    "optical-flow features 2022": features,
    "flow half an expression apart": apart,
}
