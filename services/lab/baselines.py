"""Two recognisers that know nothing of STAG, fitted on the same folds: what it must beat to be worth its weight.

Both look at the frame of the largest motion alone. All that is fitted, scaling included, is fitted on the training
samples given; schedules are fixed, and nothing is chosen by looking at a score.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from services.lab.recogniser import Motion, Predict, Prediction, Recogniser, Sample
from services.motion.aus import AUS
from services.motion.rois import PATCH, ROIS, mirrored

Floats = NDArray[np.float32]

REGULARISATION: Final = 0.1
"""C of the logistic regression: features outnumber the clips of most sets."""

STEPS: Final = 300
BATCH: Final = 64
RATE: Final = 2e-3
DECAY: Final = 1e-2

THRESHOLD: Final = 0.5
"""From which probability on an AU is active."""


def baselines(classes: int) -> list[Recogniser]:
    """The recognisers, for that many classes."""
    return [
        Recogniser(
            "logistic regression",
            lambda samples, _: _fit_regression(samples, classes),
            f"logistic regression (C = {REGULARISATION}, balanced) on the mean u, v, strain of each ROI at the apex",
        ),
        Recogniser(
            "small CNN",
            lambda samples, seed: _fit_cnn(samples, classes, seed),
            f"two 3 x 3 convolutions on the ROI patches at the apex; AdamW, {STEPS} steps, the last one kept",
        ),
    ]


def at_apex(motions: Sequence[Motion]) -> Floats:
    """[N, R, 3, P, P]: the patches of the frame nearest the apex."""
    return np.stack([each.tensor.data[np.abs(each.tensor.times).argmin()] for each in motions]).astype(np.float32)


def mirror(patches: Floats) -> Floats:
    """The same motion on the other side of the face. patches: [N, R, 3, P, P]."""
    flipped = patches[:, list(mirrored()), :, :, ::-1].copy()
    flipped[:, :, 0] *= -1
    return flipped


def _with_mirrored(samples: Sequence[Sample]) -> Floats:
    patches = at_apex([sample.motion for sample in samples])
    return np.concatenate([patches, mirror(patches)])


def _pooled(patches: Floats) -> Floats:
    """[N, R * 3] features."""
    return np.asarray(patches.mean((3, 4)).reshape(len(patches), -1), np.float32)


def _regression() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=1000))


def _fit_regression(samples: Sequence[Sample], classes: int) -> Predict:
    features = _pooled(_with_mirrored(samples))
    labels = np.tile([sample.label for sample in samples], 2)
    emotion = _Column(features, labels)
    au, known = (np.tile([getattr(each, name) for each in samples], (2, 1)) for name in ("au", "au_known"))
    heads = [_Column(features[known[:, i]], au[known[:, i], i].astype(int)) for i in range(len(AUS))]

    def predict(motions: Sequence[Motion]) -> Prediction:
        pooled = _pooled(at_apex(motions))
        probability = np.column_stack([head(pooled, 2)[:, 1] for head in heads])
        return Prediction(emotion(pooled, classes), probability, probability >= THRESHOLD)

    return predict


class _Column:
    """One target. With a single class in training, or none, there is nothing to fit and the answer is constant."""

    def __init__(self, features: Floats, labels: NDArray[np.integer]) -> None:
        self._known = np.unique(labels)
        self._model = _regression().fit(features, labels) if len(self._known) > 1 else None

    def __call__(self, features: Floats, classes: int) -> NDArray[np.float64]:
        """[N, classes] probabilities."""
        answer = np.zeros((len(features), classes))
        if self._model is not None:
            answer[:, self._known] = self._model.predict_proba(features)
        else:
            answer[:, self._known if len(self._known) else 0] = 1
        return answer


class SmallCnn(nn.Module):
    """[B, R * 3, P, P] to C + A logits; ROIs are channels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(len(ROIS) * 3, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(32 * (PATCH // 2) ** 2, classes + len(AUS)),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """patches: [B, R, 3, P, P], scaled."""
        logits: Tensor = self.layers(patches.flatten(1, 2))
        return logits


def _fit_cnn(samples: Sequence[Sample], classes: int, seed: int) -> Predict:
    patches = _with_mirrored(samples)
    scale = patches.std((0, 1, 3, 4), keepdims=True) + 1e-6
    labels = torch.tensor([sample.label for sample in samples] * 2)
    au, known = (torch.tensor(np.tile([getattr(s, n) for s in samples], (2, 1))) for n in ("au", "au_known"))
    counts = torch.bincount(labels, minlength=classes).float()
    weight = torch.where(counts > 0, counts.sum() / counts.clamp_min(1) / classes, 0.0)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _trained(classes, torch.from_numpy(patches / scale), labels, au, known, weight)

    @torch.inference_mode()
    def predict(motions: Sequence[Motion]) -> Prediction:
        logits = network(torch.from_numpy(at_apex(motions) / scale))
        probability = logits[:, classes:].sigmoid().numpy()
        return Prediction(logits[:, :classes].softmax(-1).numpy(), probability, probability >= THRESHOLD)

    return predict


@contextmanager
def one_thread() -> Iterator[None]:
    """Batches are so small that threads wait for each other longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _trained(classes: int, patches: Tensor, labels: Tensor, au: Tensor, known: Tensor, weight: Tensor) -> SmallCnn:
    network = SmallCnn(classes)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        batch = torch.randint(len(patches), (BATCH,))
        logits = network(patches[batch])
        loss = F.cross_entropy(logits[:, :classes], labels[batch], weight)
        aus = F.binary_cross_entropy_with_logits(logits[:, classes:], au[batch], reduction="none")
        loss = loss + (aus * known[batch]).sum() / known[batch].sum().clamp_min(1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return network.eval()
