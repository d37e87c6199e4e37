"""A network and a recipe so small that a training takes a second."""

import pytest
import torch

from services.lab.recipe import Recipe
from services.recognizer.stag.config import StagConfig

torch.set_num_threads(1)

TINY = StagConfig(width=16, heads=2, graph_layers=1, time_layers=1, dropout=0.1)


@pytest.fixture
def tiny() -> StagConfig:
    return TINY


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        steps=8, batch=8, warmup=2, validation=24, checkpoint=3, direct_images=48, direct_clips=24,
        measured_images=24, measured_clips=1, scenes=0,
    )  # fmt: skip
