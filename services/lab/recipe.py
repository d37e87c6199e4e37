"""How STAG is trained: every number that is fixed before a clip is looked at, for generated and for real clips."""

from dataclasses import dataclass, field, replace
from typing import Final


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
    frames: int = 0
    """How many frames are left of longer clips, the one nearest the apex among them; 0: all. Saves time."""
    mask_magnitude: float = 0.2
    """Share of clips whose magnitude is hidden."""
    mixup: float = 0.0
    """Both parameters of the Beta distribution that mixes clips are drawn from; 0: not mixed."""


@dataclass(frozen=True)
class Recipe:
    """One training. Rates and weights of losses have no unit."""

    steps: int = 4_000
    """Updates of the weights."""
    batch: int = 96
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

    dropout: float | None = None
    """Share of features dropped; None: as the network is configured."""

    direct_images: int = 40_000
    """Flow images made straight from AU fields."""
    direct_clips: int = 12_000
    """Clips made straight from AU fields."""
    measured_images: int = 6_000
    """Flow images measured on the faces, where faces are given."""
    measured_clips: int = 480
    """Clips measured on the faces, where faces are given."""
    scenes: int = 12
    """Half minutes in which the spotter finds the windows of more such clips."""
    images: float = 0.6
    """Share of steps that see flow images; the others see clips."""
    measured_share: float = 0.5
    """Share of a batch that was measured on faces."""
    validation: int = 2_000
    """Of images, and of clips, straight from AU fields, on which AU thresholds are chosen, beside what was measured on
    faces kept for that."""
    checkpoint: int = 500
    """Steps between checkpoints."""


GENERATED: Final = Recipe(
    dropout=0.0, augmentation=Augmentation(shift=0.3, zoom=0.04, noise=0.3, frames=4, mask_magnitude=0.3)
)
"""Pretraining on generated clips."""

ABLATION: Final = replace(
    GENERATED, steps=400, batch=48, warmup=40, ema=0.98, direct_images=12_000, direct_clips=6_000, validation=1_500,
    checkpoint=10**9,
)  # fmt: skip
"""Trainings that compare networks: short, for there are dozens."""

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
