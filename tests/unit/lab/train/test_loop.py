"""Steps of training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from services.lab.loop import Loop, objective, rate_at
from services.lab.recipe import Augmentation, Recipe
from services.lab.synth import direct
from services.lab.synth.canvas import CLEAN
from services.lab.targets import of_generated
from services.recognizer.stag.config import StagConfig
from services.recognizer.stag.model import Stag


def test_the_loss_falls(tiny: StagConfig, recipe: Recipe) -> None:
    batch = of_generated(direct.clips(np.random.default_rng(0), 12, "muscle", CLEAN))
    still = Augmentation(mirror=0, gain=0, noise=0, drop_rois=0, drop_frames=0, mask_magnitude=0)
    loop = Loop(Stag(replace(tiny, dropout=0)), replace(recipe, steps=50, rate=5e-3, augmentation=still), seed=0)
    losses = [float(loop(batch)) for _ in range(50)]
    assert losses[-1] < 0.6 * losses[0], f"from {losses[0]:.3f} to {losses[-1]:.3f}"
    clips, targets = batch.to(torch.device("cpu"))
    with torch.no_grad():
        averaged = float(objective(loop.average(clips), clips, targets, loop.recipe))
    assert averaged < 0.8 * losses[0], "the averaged weights have learned as well"


def test_a_state_that_was_put_back_goes_on_the_same(tiny: StagConfig, recipe: Recipe) -> None:
    batch = of_generated(direct.clips(np.random.default_rng(0), 8, "muscle"))
    straight, broken = (Loop(Stag(tiny), recipe, seed=3) for _ in range(2))
    for _ in range(4):
        straight(batch)
    for _ in range(2):
        broken(batch)
    resumed = Loop(Stag(tiny), recipe, seed=3)
    resumed.load_state_dict(broken.state_dict())
    torch.manual_seed(99)  # what others drew in between does not matter
    for _ in range(2):
        resumed(batch)
    for (name, a), b in zip(straight.average.named_parameters(), resumed.average.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_the_rate_rises_and_falls_to_nothing() -> None:
    recipe = Recipe(steps=100, warmup=10, rate=1.0)
    rates = [rate_at(step, recipe) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_intensity_is_learned_only_where_an_au_acts_and_is_known(tiny: StagConfig, recipe: Recipe) -> None:
    batch = of_generated(direct.clips(np.random.default_rng(0), 8, "muscle")).to(torch.device("cpu"))
    only = replace(recipe, emotion=0, au=0, frame_au=0)
    with torch.no_grad():
        output = Stag(tiny).eval()(batch.clips)

    def loss(known: bool, magnitude: bool = True, still: bool = False) -> float:
        clips = batch.clips._replace(magnitude_known=torch.full((8,), magnitude))
        targets = batch.targets._replace(intensity_known=torch.full((8,), known))
        if still:
            targets = targets._replace(au=torch.zeros_like(targets.au))
        return float(objective(output, clips, targets, only))

    assert loss(known=False) == 0
    assert loss(known=True, still=True) == 0
    acts = batch.targets.au > 0
    expected = (output.intensity - batch.targets.intensity).abs().mean(-1)[acts].mean()
    assert loss(known=True) == pytest.approx(float(expected))
    doubled = batch.targets._replace(intensity=batch.targets.intensity / 2)
    hidden = batch.clips._replace(magnitude_known=torch.zeros(8, dtype=torch.bool))
    assert float(objective(output, hidden, doubled, only)) == pytest.approx(loss(known=True, magnitude=False), abs=0.02)
