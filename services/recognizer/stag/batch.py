"""Motion tensors of any length to one padded batch."""

from collections.abc import Sequence

import numpy as np
import torch

from services.motion.rois import PATCH, ROIS
from services.motion.tensor import MotionTensor
from services.recognizer.stag.model import StagInput


def collate(tensors: Sequence[MotionTensor], device: torch.device | str = "cpu") -> StagInput:
    """Clips side by side, padded to the longest with frames that are not present."""
    count, frames, rois = len(tensors), max(len(tensor.times) for tensor in tensors), len(ROIS)
    motion = np.zeros((count, frames, rois, 3, PATCH, PATCH), np.float32)
    times = np.zeros((count, frames), np.float32)
    seen = np.zeros((count, frames, rois), bool)
    present = np.zeros((count, frames), bool)
    for i, tensor in enumerate(tensors):
        k = len(tensor.times)
        motion[i, :k], times[i, :k], seen[i, :k], present[i, :k] = tensor.data, tensor.times, tensor.seen, True
    known = np.array([tensor.magnitude_known for tensor in tensors])
    return StagInput(*(torch.from_numpy(array).to(device) for array in (motion, times, seen, present, known)))
