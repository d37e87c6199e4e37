"""How STAG is trained: every number that is fixed before a clip is looked at, for generated and for real clips."""

from dataclasses import dataclass, field, replace
from typing import Final

from services.lab.synth.clips import Mix


@dataclass(frozen=True)
class Augmentation:
    """What is done to a clip at random each time it is seen. See `services.lab.augment`."""

    mirror: float = 0.5
    """Share of clips that are shown mirrored."""
    gain: float = 0.15
    """Standard deviation of the logarithm of a clip's gain."""
    shift: float = 0.0
    """Standard deviation of a shift of all patches of a clip alike, samples of a patch; each ROI adds half of it."""
    zoom: float = 0.0
    """Standard deviation of the logarithm of a clip's zoom, width and height each for itself."""
    noise: float = 0.15
    """Standard deviation of smooth noise, up to this part of the RMS of the clip's channel."""
    drop_rois: float = 0.05
    """Share of ROIs that are hidden."""
    drop_frames: float = 0.1
    """Share of frames that are hidden; never the one nearest the apex."""
    mask_magnitude: float = 0.2
    """Share of clips whose magnitude is hidden."""
    mixup: float = 0.0
    """Both parameters of the Beta distribution that mixes clips are drawn from; 0: not mixed."""


@dataclass(frozen=True)
class Recipe:
    """One training. Rates and weights of losses have no unit."""

    steps: int = 20_000
    """Updates of the weights."""
    batch: int = 256
    """Clips of one step."""
    rate: float = 1e-3
    """Largest learning rate of AdamW, reached after the warm-up; then half a cosine down to 0."""
    encoder_rate: float = 1.0
    """The ROI encoder learns at this part of the rate."""
    warmup: int = 500
    """Steps."""
    decay: float = 0.05
    """Weight decay, of matrices only."""
    ema: float = 0.999
    """How much of the averaged weights stays at each step, at the most; the average is what answers."""
    clip: float = 1.0
    """Largest norm of a gradient."""
    emotion: float = 1.0
    """Weight of the focal loss of emotion."""
    au: float = 4.0
    """Weight of the focal loss of AU occurrence."""
    frame_au: float = 1.0
    """Weight of the same for each frame alone."""
    intensity: float = 1.0
    """Weight of the error of AU intensity."""
    augmentation: Augmentation = field(default_factory=Augmentation)

    mix: Mix = field(default_factory=Mix)
    """What generated batches are made of."""
    validation: int = 4096
    """Generated clips on which the AU thresholds are chosen."""
    measured: int = 20_000
    """Clips that are measured on the faces, where faces are given."""
    checkpoint: int = 500
    """Steps between checkpoints."""


GENERATED: Final = Recipe()
"""Pretraining on generated clips."""

FINE: Final = Recipe(
    steps=80,
    batch=32,
    rate=5e-4,
    encoder_rate=0.2,
    warmup=8,
    decay=0.3,
    ema=0.97,
    au=2.0,
    frame_au=0.5,
    augmentation=Augmentation(
        shift=0.6, zoom=0.06, noise=0.3, drop_rois=0.1, drop_frames=0.1, mask_magnitude=0.1, mixup=0.4
    ),
)
"""A few hundred real clips, from pretrained weights."""

SCRATCH: Final = replace(FINE, steps=110, rate=1e-3, encoder_rate=1.0, warmup=11)
"""The same from random weights."""

SEEDS: Final = 3
"""Networks whose answers are averaged after fine-tuning."""
