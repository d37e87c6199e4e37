"""Fine-tuning STAG on the clips of a fold: what `microex evaluate` fits.

A few hundred real clips teach little and mislead easily, so the recipe is fixed in advance (`services.lab.recipe`): no
epoch, threshold or seed is chosen by a score. Several networks that differ by seed are averaged, each asked about a
clip and about its mirror image.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from services.common.settings import ModelSettings
from services.lab.augment import mirror
from services.lab.baselines import one_thread
from services.lab.loop import Loop, seed_of
from services.lab.recipe import FINE, SCRATCH, SEEDS, Recipe
from services.lab.recogniser import Motion, Predict, Prediction, Sample
from services.lab.targets import Batch, of_samples, take
from services.recognizer import weights
from services.recognizer.engine import LARGEST_FORWARD, choose_device
from services.recognizer.stag.batch import collate
from services.recognizer.stag.config import StagConfig
from services.recognizer.stag.model import Stag
from services.recognizer.weights import Weights

Init = Literal["shipped", "scratch"]

_EMOTION_HEAD = "emotion.3."
"""Names of the parameters whose size and meaning hang on the classes."""


def fit(
    samples: Sequence[Sample], *, classes: Sequence[str], init: Init, seed: int, settings: ModelSettings
) -> Predict:
    """Fine-tunes on the samples.

    classes: names in the order of labels; other classes than those of the weights get a fresh emotion head. init:
    "shipped" begins with the weights that ship (or those of the settings), "scratch" with random ones. Raises Fatal as
    `weights.load`.
    """
    device = choose_device(settings.device)
    begin, recipe = _begin(init, settings)
    batch = of_samples(samples).to(device)
    with one_thread(), torch.random.fork_rng():
        networks = [_tuned(begin, tuple(classes), recipe, batch, seed_of(seed, each)) for each in range(SEEDS)]
    thresholds = np.array(begin.thresholds)

    @torch.inference_mode()
    def predict(motions: Sequence[Motion]) -> Prediction:
        emotion, au = [], []
        for start in range(0, len(motions), LARGEST_FORWARD):
            clips = collate([each.tensor for each in motions[start : start + LARGEST_FORWARD]], device)
            outputs = [network(view) for network in networks for view in (clips, mirror(clips))]
            emotion.append(torch.stack([each.emotion.softmax(-1) for each in outputs]).mean(0).cpu().numpy())
            au.append(torch.stack([each.au.sigmoid() for each in outputs]).mean(0).cpu().numpy())
        probability = np.concatenate(au)
        return Prediction(np.concatenate(emotion), probability, probability >= thresholds)

    return predict


def about(init: Init, settings: ModelSettings) -> str:
    """What `fit` does, in one line; it names the weights and every number of the recipe."""
    begin, recipe = _begin(init, settings)
    source = f"weights {begin.digest()[:12]}" if begin.trained else "random weights"
    return f"{SEEDS} networks and mirrored copies, averaged; fine-tuned from {source} by {recipe}"


def _begin(init: Init, settings: ModelSettings) -> tuple[Weights, Recipe]:
    """Random weights have no encoder to be spared, so they take the longer recipe whatever was asked for."""
    begin = weights.load(settings.model_weights) if init == "shipped" else weights.untrained(StagConfig())
    return begin, FINE if begin.trained else SCRATCH


def _tuned(begin: Weights, classes: tuple[str, ...], recipe: Recipe, batch: Batch, seed: int) -> Stag:
    """One network: its averaged weights after the last step."""
    network = _network(begin, classes, seed).to(batch.targets.emotion.device)
    loop = Loop(network, recipe, seed, _class_weight(batch.targets.emotion, len(classes)))
    for step in range(recipe.steps):
        loop(take(batch, _draw(len(batch.targets.emotion), recipe.batch, seed, step).to(loop.device)))
    return loop.average


def _network(begin: Weights, classes: tuple[str, ...], seed: int) -> Stag:
    """The weights, with a fresh head where classes differ; all fresh, by this seed, where they were never trained."""
    network = Stag(replace(begin.config, classes=classes, seed=seed))
    if begin.trained:
        same = begin.config.classes == classes
        state = {name: values for name, values in begin.state.items() if same or not name.startswith(_EMOTION_HEAD)}
        network.load_state_dict(state, strict=same)
    return network


def _draw(count: int, size: int, seed: int, step: int) -> Tensor:
    """[size] int64: the clips of a step; each is seen once before any is seen again."""
    first = step * size
    rounds = range(first // count, (first + size - 1) // count + 1)
    order = np.concatenate([np.random.default_rng([seed, each]).permutation(count) for each in rounds])
    return torch.from_numpy(order[first - rounds[0] * count :][:size])


def _class_weight(label: Tensor, classes: int) -> Tensor:
    """[C]: rare classes count more, so that each counts alike, as in the score; 0 for one that is not there."""
    counts = torch.bincount(label, minlength=classes).float()
    return torch.where(counts > 0, counts.sum() / counts.clamp_min(1) / (counts > 0).sum(), 0.0)
