"""The focal losses against their formula, written plainly."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from services.recognizer.stag.loss import focal_binary_loss, focal_loss

LOGIT = st.floats(-8, 8)


@given(st.lists(st.tuples(LOGIT, LOGIT, LOGIT, st.integers(0, 2)), min_size=1, max_size=5), st.floats(0, 5))
def test_focal_loss(rows: list[tuple[float, float, float, int]], gamma: float) -> None:
    alpha = [0.2, 0.5, 1.5]

    def plain(a: float, b: float, c: float, truth: int) -> float:
        p = math.exp((a, b, c)[truth]) / (math.exp(a) + math.exp(b) + math.exp(c))
        return -alpha[truth] * (1 - p) ** gamma * math.log(p)

    logits = torch.tensor([row[:3] for row in rows], dtype=torch.float64)
    target = torch.tensor([row[3] for row in rows])
    got = focal_loss(logits, target, gamma, torch.tensor(alpha, dtype=torch.float64))
    assert got.item() == pytest.approx(sum(plain(*row) for row in rows) / len(rows), rel=1e-6, abs=1e-9)


@given(st.lists(st.tuples(LOGIT, st.booleans(), st.booleans()), min_size=1, max_size=6), st.floats(0, 5))
def test_focal_binary_loss(labels: list[tuple[float, bool, bool]], gamma: float) -> None:
    def plain(logit: float, truth: bool) -> float:
        p = 1 / (1 + math.exp(-logit))
        p_t, alpha_t = (p, 0.25) if truth else (1 - p, 0.75)
        return -alpha_t * (1 - p_t) ** gamma * math.log(p_t)

    logits, target, mask = (torch.tensor(column) for column in zip(*labels, strict=True))
    known = [plain(logit, truth) for logit, truth, is_known in labels if is_known]
    got = focal_binary_loss(logits.double(), target.double(), gamma, 0.25, mask)
    assert got.item() == pytest.approx(sum(known) / max(len(known), 1), rel=1e-6, abs=1e-9)


def test_without_focus_it_is_cross_entropy() -> None:
    logits, target = torch.randn(7, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    torch.testing.assert_close(focal_loss(logits, target, 0.0), torch.nn.functional.cross_entropy(logits, target))


def test_extreme_logits_keep_finite_gradients() -> None:
    for loss, target in (
        (focal_loss, torch.tensor([0, 1])),
        (focal_binary_loss, torch.tensor([[1.0, 0.0], [0.0, 1.0]])),
    ):
        logits = torch.tensor([[1e4, -1e4], [1e4, -1e4]], requires_grad=True)
        value = loss(logits, target)
        value.backward()
        assert value.isfinite() and logits.grad is not None and logits.grad.isfinite().all()
