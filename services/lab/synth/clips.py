"""Endless batches of labelled clips for training, and files of clips that took longer to make."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from services.analyze.files import whole
from services.common.errors import Fatal
from services.lab.synth import direct, flow_images
from services.lab.synth.batch import Clips, join
from services.lab.synth.canvas import HARD, Corruption
from services.lab.synth.styles import Style


@dataclass(frozen=True)
class Mix:
    """What a batch is made of, as shares; the rest is direct clips. images: flow images made from fields, as the
    recognizer reads them; stored: clips made beforehand."""

    images: float = 0.25
    stored: float = 0.35


def batches(
    seed: int,
    size: int,
    styles: Sequence[Style] = ("muscle",),
    mix: Mix | None = None,
    stored: Clips | None = None,
    corruption: Corruption = HARD,
) -> Iterator[Clips]:
    """Batches of `size` clips without end, the same for the same seed. stored: clips to draw from with repeats, such as
    measured ones; without them their share is direct as well. Give each worker a seed of its own."""
    mix = mix or Mix()
    rng = np.random.default_rng(seed)
    while True:
        from_store = rng.binomial(size, mix.stored) if stored is not None and len(stored) else 0
        images = rng.binomial(size - from_store, min(1, mix.images / max(1 - mix.stored * bool(from_store), 1e-9)))
        parts = []
        if stored is not None and from_store:
            parts.append(stored[rng.integers(len(stored), size=from_store)])
        for count, make in ((images, image_clips), (size - from_store - images, direct.clips)):
            for style, share in zip(styles, _shares(rng, count, len(styles)), strict=True):
                if share:
                    parts.append(make(rng, share, style, corruption))
        yield join(parts)[rng.permutation(size)]


def image_clips(rng: np.random.Generator, count: int, style: Style, corruption: Corruption = HARD) -> Clips:
    """Flow images straight from fields, quantised, restored and cut as the recognizer does it."""
    images, drawn = flow_images.direct(rng, count, style, corruption)
    return flow_images.clips(rng, images, drawn, ["canonical"] * count, style)


def save(path: Path, clips: Clips) -> None:
    """As .npz, one array a field of Clips."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        np.savez(part, **clips.arrays())  # type: ignore[arg-type]


def load(paths: Sequence[Path]) -> Clips:
    """Clips of one or several files. Raises Fatal for a file that is missing or holds something else."""
    parts = []
    for path in paths:
        try:
            with np.load(path) as kept:
                parts.append(Clips(**{name: kept[name] for name in kept}))
        except (OSError, ValueError, TypeError, BadZipFile) as error:
            raise Fatal("not a file of generated clips", file=str(path), error=str(error)) from error
    return join(parts)


def _shares(rng: np.random.Generator, count: int, parts: int) -> list[int]:
    return [int(share) for share in rng.multinomial(count, np.full(parts, 1 / parts))]
