"""Fine-tuning on the clips of a fold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from services.common.settings import ModelSettings
from services.lab import train
from services.lab.recipe import Recipe
from services.lab.recogniser import Motion
from services.motion.aus import AUS
from services.motion.flow_image import tensor_of
from services.motion.rois import mirrored
from services.motion.tensor import MotionTensor
from services.recognizer import weights
from services.recognizer.stag.batch import collate
from services.recognizer.stag.config import THREE_CLASSES, StagConfig
from services.recognizer.stag.model import Stag
from services.recognizer.weights import Weights
from tests.unit.lab.train.generated_samples import samples

CPU = ModelSettings(device="cpu", torch_threads=1)
FIVE = ("disgust", "happiness", "repression", "surprise", "others")


@pytest.fixture
def trained(tmp_path: Path, tiny: StagConfig) -> tuple[Weights, ModelSettings]:
    """Some weights that call themselves trained, and settings that name them."""
    made = Weights(tiny, Stag(tiny).state_dict(), tuple(np.linspace(0.1, 0.3, len(AUS))), trained=True)
    weights.write(made, tmp_path / "made.safetensors")
    return made, ModelSettings(device="cpu", torch_threads=1, model_weights=tmp_path / "made.safetensors")


def with_recipe(monkeypatch: pytest.MonkeyPatch, seeds: int = 1, **changes: float) -> None:
    for name in ("FINE", "SCRATCH"):
        monkeypatch.setattr(train, name, replace(getattr(train, name), **changes))
    monkeypatch.setattr(train, "SEEDS", seeds)


def test_what_was_fitted_answers_on_new_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    with_recipe(monkeypatch, steps=60, batch=16, rate=2e-3)
    predict = train.fit(samples(90, seed=0), classes=THREE_CLASSES, init="scratch", seed=0, settings=CPU)
    test = samples(60, seed=1)
    answer = predict([sample.motion for sample in test])
    assert answer.emotion.shape == (60, 3)
    np.testing.assert_allclose(answer.emotion.sum(1), 1, atol=1e-5)
    right = (answer.emotion.argmax(1) == [sample.label for sample in test]).mean()
    assert right > 0.5, f"{right:.2f} right; chance is a third"
    assert answer.au is not None
    assert answer.active is not None
    assert answer.au.shape == answer.active.shape == (60, len(AUS))


def test_the_same_seed_fits_the_same_and_leaves_the_callers_chance_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with_recipe(monkeypatch, steps=3, batch=8)
    data = samples(12, seed=0)
    motions = [sample.motion for sample in data]
    torch.manual_seed(1)
    untouched = torch.rand(1)
    torch.manual_seed(1)
    answers = [
        train.fit(data, classes=THREE_CLASSES, init="scratch", seed=seed, settings=CPU)(motions).emotion
        for seed in (4, 4, 5)
    ]
    assert torch.equal(torch.rand(1), untouched)
    np.testing.assert_array_equal(answers[0], answers[1])
    assert np.abs(answers[0] - answers[2]).max() > 1e-4


def test_a_mirrored_clip_gets_the_same_answer(
    monkeypatch: pytest.MonkeyPatch, trained: tuple[Weights, ModelSettings]
) -> None:
    with_recipe(monkeypatch, seeds=2, steps=3, batch=8)
    data = samples(12, seed=0)
    predict = train.fit(data, classes=THREE_CLASSES, init="shipped", seed=0, settings=trained[1])
    for sample in data[:4]:
        tensor = sample.motion.tensor
        flipped = tensor.data[:, list(mirrored())][..., ::-1].copy()
        flipped[:, :, 0] *= -1
        other = MotionTensor(flipped, tensor.times, tensor.seen[:, list(mirrored())], tensor.indices, False)
        a, b = predict([sample.motion]), predict([Motion(other)])
        np.testing.assert_allclose(a.emotion, b.emotion, atol=1e-5)
        np.testing.assert_allclose(a.au, b.au, atol=1e-5)


def test_it_begins_with_the_weights(monkeypatch: pytest.MonkeyPatch, trained: tuple[Weights, ModelSettings]) -> None:
    """At a rate of 0 nothing is learned, so the answers are those of the weights, on the clip and its mirror image."""
    with_recipe(monkeypatch, steps=2, batch=8, rate=0.0)
    made, settings = trained
    data = samples(6, seed=0)
    motions = [sample.motion for sample in data]
    answer = train.fit(data, classes=THREE_CLASSES, init="shipped", seed=0, settings=settings)(motions)
    clips = collate([motion.tensor for motion in motions])
    network = made.network()
    with torch.no_grad():
        views = [network(clips), network(train.mirror(clips))]
    expected = torch.stack([view.emotion.softmax(-1) for view in views]).mean(0)
    np.testing.assert_allclose(answer.emotion, expected.numpy(), atol=1e-5)
    assert answer.au is not None
    np.testing.assert_array_equal(answer.active, answer.au >= np.array(made.thresholds))

    other = train.fit(
        [replace(sample, label=i % 5) for i, sample in enumerate(data)],
        classes=FIVE, init="shipped", seed=0, settings=settings,
    )(motions)  # fmt: skip
    assert other.emotion.shape == (6, 5)
    np.testing.assert_allclose(other.au, answer.au, atol=1e-5, err_msg="only the emotion head is fresh")


def test_the_encoder_learns_less(trained: tuple[Weights, ModelSettings]) -> None:
    made, _ = trained
    network = train._tuned(
        made, THREE_CLASSES, replace(train.FINE, steps=4, batch=8, ema=0.0), train.of_samples(samples(12, seed=0)), 0
    )
    moved: dict[bool, list[float]] = {True: [], False: []}
    for name, values in network.named_parameters():
        moved[name.startswith("encoder.")].append(float((values.detach() - made.state[name]).abs().mean()))
    assert 0 < np.median(moved[True]) < 0.5 * np.median(moved[False])


def test_classes_that_are_not_there_and_aus_that_nobody_coded_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    with_recipe(monkeypatch, steps=2, batch=8)
    data = [replace(sample, label=1, au_known=np.zeros(len(AUS), bool)) for sample in samples(5, seed=0)]
    grey = Motion(tensor_of(np.full((28, 28, 3), 128, np.uint8)))
    answer = train.fit(data, classes=FIVE, init="scratch", seed=0, settings=CPU)([grey])
    assert np.isfinite(answer.emotion).all()


def test_every_clip_is_seen_before_one_is_seen_again() -> None:
    drawn = torch.cat([train._draw(10, 4, 3, step) for step in range(5)]).tolist()
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert drawn[:10] != drawn[10:]
    assert len(train._draw(3, 8, 0, 1)) == 8


def test_a_report_names_the_weights_and_the_recipe(trained: tuple[Weights, ModelSettings]) -> None:
    made, settings = trained
    assert made.digest()[:12] in train.about("shipped", settings)
    assert "random weights" in train.about("scratch", settings)
    assert isinstance(train.FINE, Recipe)
    assert repr(train.FINE) in train.about("shipped", settings)
