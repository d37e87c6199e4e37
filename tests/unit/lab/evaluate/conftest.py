"""Shared by the tests of `microex evaluate`."""

import pytest

from services.lab import baselines


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the CNN learns is tested elsewhere; here it only takes part."""
    monkeypatch.setattr(baselines, "STEPS", 5)
