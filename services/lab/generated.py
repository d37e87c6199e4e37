"""What pretraining sees: pools of clips made beforehand, and for every step a batch drawn from them.

A pool depends on the seed, and step n's batch on pools, seed and n: neither on how many workers there are nor on where
a training resumed. A step sees flow images (one frame, no scale) or clips, never both: images cost a tenth.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from services.common.errors import Fatal
from services.lab.loop import seed_of
from services.lab.recipe import Recipe
from services.lab.synth import clips, direct, faces, flow_images, measured, spotted, tracks
from services.lab.synth.batch import Clips, join
from services.lab.synth.faces import Still
from services.lab.synth.scene import Mover, mover_of
from services.lab.synth.styles import Style
from services.lab.targets import Batch, of_generated

STYLE: Final[Style] = "muscle"
"""The other style is held out: no weight and no threshold ever sees it."""

VALIDATION_SHARE: Final = 0.1
"""Share of the training identities that are kept for choosing thresholds."""

Kind = Literal["images", "clips"]
Way = Literal["direct", "validation", "measured", "spotted"]
"""Straight from AU fields, for training or to choose thresholds on; measured on moved pictures; in the windows that the
spotter finds in whole scenes."""

Pools = Mapping[Kind, Sequence[Clips]]
"""Of each kind those straight from AU fields, then those measured on faces, if there are any."""

_SEEDS: Final = ("direct", "validation", "measured", "spotted", "batches")
"""What chance is drawn for, each apart."""

_CHUNK: Final = 24
"""Clips made at a time; those measured on faces, of one face."""


class _Chunks(Dataset[Clips]):
    """Index to a chunk, those that need a face of one face."""

    def __init__(self, kind: Kind, way: Way, stills: Sequence[Still], seed: int) -> None:
        self._kind, self._way, self._stills = kind, way, stills
        self._seeds = (seed, _SEEDS.index(way), ("images", "clips").index(kind))
        self._movers: dict[int, Mover] = {}

    def __getitem__(self, index: int) -> Clips:
        rng = np.random.default_rng(seed_of(*self._seeds, index))
        if self._way in ("direct", "validation"):
            return (clips.image_clips if self._kind == "images" else direct.clips)(rng, _CHUNK, STYLE)
        which = index % len(self._stills)
        still = self._stills[which]
        if which not in self._movers:
            self._movers[which] = mover_of(still, STYLE)
        mover, strength = self._movers[which], tracks.strengths(float(rng.uniform(0, 1)))
        if self._kind == "images":
            return flow_images.measured_clips(rng, _CHUNK, still, mover, STYLE, strength)
        if self._way == "measured":
            return measured.clips(rng, _CHUNK, [still], {still.identity: mover}, STYLE, strength)
        return spotted.scene_clips(rng, still, mover, STYLE, strength)


def pool(kind: Kind, way: Way, count: int, seed: int, stills: Sequence[Still], workers: int) -> Iterator[Clips]:
    """A chunk at a time: `count` clips or a few more; of the way "spotted", what is found in `count` scenes."""
    chunks = count if way == "spotted" else -(-count // _CHUNK)
    return iter(_load(_Chunks(kind, way, stills, seed), range(chunks), workers))


def training(pools: Pools, recipe: Recipe, seed: int, start: int) -> Iterator[Batch]:
    """The batches of steps `start` to the last."""
    for step in range(start, recipe.steps):
        rng = np.random.default_rng(seed_of(seed, _SEEDS.index("batches"), step))
        plain, *faced = pools["images" if rng.random() < recipe.images else "clips"]
        from_faces = rng.binomial(recipe.batch, recipe.measured_share) if faced else 0
        parts = [plain[rng.integers(len(plain), size=recipe.batch - from_faces)]]
        if from_faces:
            parts.append(faced[0][rng.integers(len(faced[0]), size=from_faces)])
        yield of_generated(join(parts))


def validation(pools: Pools, recipe: Recipe) -> Iterator[Batch]:
    """All clips of the pools, in order."""
    for each in (each for kind in pools.values() for each in kind):
        for first in range(0, len(each), recipe.batch):
            yield of_generated(each[first : first + recipe.batch])


def divide(stored: Clips) -> tuple[Clips, Clips | None]:
    """Clips measured on faces, classes alike, for training, and those for choosing thresholds, by identity.

    Clips of test identities are left out. Raises Fatal for the style that is held out, or when nothing is left.
    """
    if held_out := sorted(set(stored.style.tolist()) - {STYLE}):
        raise Fatal("stored clips show a motion style that is held out of training", styles=held_out)
    sides = {identity: _side(identity) for identity in set(stored.identity.tolist())}
    side = np.array([sides[identity] for identity in stored.identity.tolist()])
    train, check = (np.flatnonzero(side == each) for each in ("train", "validation"))
    if not len(train):
        raise Fatal("stored clips hold no identity for training", identities=sorted(sides))
    return _balanced(stored[train]), _balanced(stored[check]) if len(check) else None


def _side(identity: str) -> str:
    if faces.is_test(identity) and identity != faces.demo_picture().stem:
        return "test"
    share = int(hashlib.sha256(f"validation {identity}".encode()).hexdigest()[:8], 16) / 2**32
    return "validation" if share < VALIDATION_SHARE else "train"


def _balanced(stored: Clips) -> Clips:
    """Every class as often as the commonest, by repeating clips in turn."""
    by_class = [np.flatnonzero(stored.emotion == label) for label in np.unique(stored.emotion)]
    most = max(map(len, by_class))
    return stored if all(len(each) == most for each in by_class) else join([stored[np.resize(each, most)]
                                                                            for each in by_class])  # fmt: skip


def default_workers() -> int:
    """One for every core that this process may use, but one."""
    return max(len(os.sched_getaffinity(0)) - 1, 1)


def _load(dataset: Dataset[Clips], order: Sequence[int], workers: int) -> DataLoader[Clips]:
    """workers: 0 makes everything in this process."""
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,  # a fork of OpenCV's and MediaPipe's threads hangs
        collate_fn=_as_is,
        worker_init_fn=_one_thread,
    )


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(1)


def _as_is(item: Any) -> Any:
    return item
