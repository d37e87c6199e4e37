"""Flow images as clips, and files of clips."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from services.analyze.files import whole
from services.common.errors import Fatal
from services.lab.synth import flow_images
from services.lab.synth.batch import Clips, join
from services.lab.synth.canvas import HARDER, Corruption
from services.lab.synth.styles import Style


def image_clips(rng: np.random.Generator, count: int, style: Style, corruption: Corruption = HARDER) -> Clips:
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
