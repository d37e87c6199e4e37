"""Shared by the tests of `microex evaluate`."""

from dataclasses import replace

import pytest

from services.lab import baselines, cli, train


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the CNN learns is tested elsewhere; here it only takes part. STAG learns enough for images this plain."""
    monkeypatch.setattr(baselines, "STEPS", 5)
    monkeypatch.setattr(train, "SEEDS", 1)
    monkeypatch.setattr(train, "SCRATCH", replace(train.SCRATCH, steps=30, batch=16, rate=2e-3, warmup=3))
    monkeypatch.setattr(train, "FINE", replace(train.FINE, steps=10, batch=16, warmup=1))
    monkeypatch.setattr(cli, "_workers", lambda _: 1)  # others would not know of this
