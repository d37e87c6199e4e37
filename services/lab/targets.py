"""Clips with what is to be learned from them, as tensors of one batch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from services.lab.recogniser import Sample
from services.lab.synth.batch import Clips
from services.motion.aus import AUS
from services.recognizer.stag.batch import collate
from services.recognizer.stag.model import StagInput


class Targets(NamedTuple):
    """Truth of B clips."""

    emotion: Tensor
    """[B] int64, index of the class."""
    au: Tensor
    """[B, A] float, 0 or 1."""
    au_known: Tensor
    """[B, A] bool."""
    intensity: Tensor
    """[B, A, 2] float, left and right, 0 to 1."""
    intensity_known: Tensor
    """[B] bool."""


class Batch(NamedTuple):
    """Clips and their truth."""

    clips: StagInput
    targets: Targets

    def to(self, device: torch.device) -> "Batch":
        """On that device, motion in float32."""
        clips = StagInput(*(values.to(device, non_blocking=True) for values in self.clips))
        targets = Targets(*(values.to(device, non_blocking=True) for values in self.targets))
        return Batch(clips._replace(motion=clips.motion.float()), targets)


def take(batch: Batch, which: Tensor) -> Batch:
    """Some of the clips. which: [N] int64."""
    return Batch(
        StagInput(*(values[which] for values in batch.clips)), Targets(*(values[which] for values in batch.targets))
    )


def of_generated(clips: Clips) -> Batch:
    """All is known of a generated clip."""
    inputs = (clips.motion, clips.times, clips.seen, clips.present, clips.magnitude_known)
    count = len(clips)
    truth = (
        clips.emotion,
        clips.aus.astype(np.float32),
        np.ones((count, len(AUS)), bool),
        clips.intensity,
        np.ones(count, bool),
    )
    return Batch(StagInput(*map(torch.from_numpy, inputs)), Targets(*map(torch.from_numpy, truth)))


def of_samples(samples: Sequence[Sample]) -> Batch:
    """Coders give no intensity that compares with ours."""
    count = len(samples)
    targets = Targets(
        torch.tensor([sample.label for sample in samples]),
        torch.from_numpy(np.stack([sample.au for sample in samples]).astype(np.float32)),
        torch.from_numpy(np.stack([sample.au_known for sample in samples])),
        torch.zeros(count, len(AUS), 2),
        torch.zeros(count, dtype=torch.bool),
    )
    return Batch(collate([sample.motion.tensor for sample in samples]), targets)
