"""What pretraining sees: a batch for every step, made by workers while the network learns.

Step n's batch depends on the seed and n alone: neither on how many workers there are nor on where a training resumed.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from services.common.errors import Fatal
from services.lab.loop import seed_of
from services.lab.recipe import Recipe
from services.lab.synth import clips, faces, measured, tracks
from services.lab.synth.batch import Clips, join
from services.lab.synth.faces import Still
from services.lab.synth.render import sheets_of
from services.lab.synth.scene import Mover
from services.lab.synth.styles import Style
from services.lab.targets import Batch, of_generated

STYLE: Final[Style] = "muscle"
"""The other style is held out: no weight and no threshold ever sees it."""

VALIDATION_SHARE: Final = 0.1
"""Share of the training identities that are kept for choosing thresholds."""

_TRAINING, _VALIDATION, _MEASURING = range(3)
_CHUNK: Final = 16
"""Clips measured on one face at a time."""


class _Batches(Dataset[Batch]):
    """Index to batch."""

    def __init__(self, recipe: Recipe, seed: int, part: int, stored: Clips | None) -> None:
        self._recipe, self._seed, self._part, self._stored = recipe, seed, part, stored

    def __getitem__(self, index: int) -> Batch:
        seed, recipe = seed_of(self._seed, self._part, index), self._recipe
        return of_generated(next(clips.batches(seed, recipe.batch, [STYLE], recipe.mix, self._stored)))


class _Measured(Dataset[Clips]):
    """Index to clips measured on one of the faces."""

    def __init__(self, stills: Sequence[Still], seed: int) -> None:
        self._stills, self._seed = stills, seed
        self._mover = cache(lambda which: Mover(sheets_of(stills[which]), STYLE))

    def __getitem__(self, index: int) -> Clips:
        which = index % len(self._stills)
        still, rng = self._stills[which], np.random.default_rng(seed_of(self._seed, _MEASURING, index))
        strength = tracks.strengths(float(rng.uniform(0, 1)))
        return measured.clips(rng, _CHUNK, [still], {still.identity: self._mover(which)}, STYLE, strength)


def training(recipe: Recipe, seed: int, stored: Clips | None, start: int, workers: int) -> Iterator[Batch]:
    """The batches of steps `start` to the last."""
    return iter(_load(_Batches(recipe, seed, _TRAINING, stored), range(start, recipe.steps), workers))


def validation(recipe: Recipe, seed: int, stored: Clips | None, workers: int) -> Iterator[Batch]:
    """`recipe.validation` clips or a few more, of seeds that training never uses. stored: of validation identities."""
    count = -(-recipe.validation // recipe.batch)
    return iter(_load(_Batches(recipe, seed, _VALIDATION, stored), range(count), workers))


def measure(folder: Path, recipe: Recipe, seed: int, workers: int) -> Iterator[Clips]:
    """`recipe.measured` clips or a few more, on the training identities of a folder of faces."""
    stills = faces.load(folder, "train")
    return iter(_load(_Measured(stills, seed), range(-(-recipe.measured // _CHUNK)), workers))


def divide(stored: Clips) -> tuple[Clips, Clips | None]:
    """Stored clips for training, classes alike, and those for choosing thresholds, by identity.

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


def _load(dataset: Dataset[Any], order: Sequence[int], workers: int) -> DataLoader[Any]:
    """workers: 0 makes everything in this process."""
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        collate_fn=_as_is,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=lambda _: cv2.setNumThreads(1),  # torch sees to its own
    )


def _as_is(item: Any) -> Any:
    return item
