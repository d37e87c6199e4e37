"""From clips to samples: motion measured once and kept in a file each, so that a second run begins where one ended."""

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from services.analyze.files import whole
from services.common.errors import Poison
from services.common.settings import LandmarkSettings
from services.lab.clip_motion import clip_motion
from services.lab.datasets import flow_images
from services.lab.datasets.aus import occurrence, parse_aus
from services.lab.datasets.clip import Clip
from services.lab.datasets.sheets import Columns, find_rows
from services.lab.recogniser import Motion, Sample
from services.motion.convention import VERSION
from services.motion.flow_image import tensor_of
from services.motion.tensor import MotionTensor

Measure = Callable[[Clip, LandmarkSettings], MotionTensor]


@dataclass(frozen=True)
class Dropped:
    """A clip that is not scored, and why."""

    clip: str
    source: str
    reason: str


def make_samples(
    clips: Sequence[Clip],
    classes: Sequence[str],
    settings: LandmarkSettings,
    cache: Path,
    progress: Callable[[], None] = lambda: None,
    measure: Measure = clip_motion,
) -> tuple[list[Sample], list[Dropped]]:
    """Samples of all clips that have a class and can be measured, in their order, and the others with the reason.

    classes: names in the order of labels. cache: folder for the measured motion. progress: called after each clip.
    """
    samples, dropped = [], []
    for clip in clips:
        label = clip.label(len(classes))
        if label is None:
            dropped.append(Dropped(clip.id, clip.source, f"no class for {clip.emotion!r}"))
        else:
            try:
                motion = _motion(clip, settings, cache, measure)
            except Poison as error:
                dropped.append(Dropped(clip.id, clip.source, error.text))
            else:
                samples.append(Sample(clip.id, clip.person, motion, classes.index(label), *occurrence(clip.aus)))
        progress()
    return samples, dropped


_AUS: Columns = {"path": ("path",), "aus": ("aus",)}


def with_aus(clips: Sequence[Clip], file: Path, roots: Sequence[Path]) -> list[Clip]:
    """The clips with the AU codes of a CSV (path, aus) in place of their own.

    path: the clip's folder or picture, relative to a root or to the working folder. Raises Poison for a row that names
    no clip.
    """
    by_path: dict[Path, list[int]] = {}
    for i, clip in enumerate(clips):
        by_path.setdefault(clip.path.resolve(), []).append(i)
    coded = list(clips)
    for row in find_rows(file, _AUS):
        name = row.text("path")
        places = [folder / name for root in roots for folder in (root, root.parent)] + [Path(name)]
        found = [i for place in places for i in by_path.get(place.resolve(), ())]
        if not found:
            raise row.fault("path names no clip of the data set", path=name)
        for i in found:
            coded[i] = replace(coded[i], aus=parse_aus(row.cells.get("aus")))
    return coded


def digest(sample: Sample) -> str:
    """SHA-256 over all of a sample that a recogniser can learn from; hexadecimal."""
    tensor = sample.motion.tensor
    arrays = (tensor.data, tensor.times, tensor.seen, sample.au, sample.au_known)
    return _hash([sample.id.encode(), str(sample.label).encode(), *(array.tobytes() for array in arrays)])


def motion_digest(sample: Sample) -> str:
    """SHA-256 over the motion alone: equal for two copies of one clip."""
    return _hash([sample.motion.tensor.data.tobytes()])


def _hash(parts: Iterable[bytes]) -> str:
    whole_digest = hashlib.sha256()
    for part in parts:
        whole_digest.update(len(part).to_bytes(8, "big") + part)
    return whole_digest.hexdigest()


def _motion(clip: Clip, settings: LandmarkSettings, cache: Path, measure: Measure) -> Motion:
    if clip.dataset == flow_images.NAME:
        return _of_image(clip)
    about = (VERSION, clip.id, str(clip.path.resolve()), clip.onset, clip.apex, clip.offset, clip.fps)
    file = cache / f"{_hash([repr(about).encode()])[:32]}.npz"
    kept = _read(file)
    if kept is None:
        kept = measure(clip, settings)
        cache.mkdir(parents=True, exist_ok=True)
        with whole(file) as part:
            np.savez(part, data=kept.data, times=kept.times, seen=kept.seen, indices=np.array(kept.indices))
    return Motion(kept)


def _read(file: Path) -> MotionTensor | None:
    """What an earlier run kept; None when there is nothing, or nothing that can be read."""
    try:
        with np.load(file) as kept:
            return MotionTensor(kept["data"], kept["times"], kept["seen"], tuple(kept["indices"].tolist()))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _of_image(clip: Clip) -> Motion:
    picture = cv2.imread(str(clip.path), cv2.IMREAD_COLOR)
    if picture is None:
        raise Poison("not a picture that can be read", source=clip.source)
    image = np.ascontiguousarray(picture[:, :, ::-1], np.uint8)  # stored as RGB, read as BGR
    return Motion(tensor_of(image), image)
