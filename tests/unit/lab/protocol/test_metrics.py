"""Scores against counts done by hand, and against scikit-learn where it has the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from services.lab.metrics import (
    Span,
    Spotted,
    accuracy,
    au_f1,
    calibration_error,
    confusion,
    match,
    recognition,
    strs,
    uar,
    uf1,
)

HAND = np.array([[8, 1, 1], [2, 3, 0], [1, 0, 4]])
"""F1: 16/21, 6/9, 8/10. Recall: 8/10, 3/5, 4/5."""


def test_by_hand() -> None:
    scores = recognition(HAND, ("negative", "positive", "surprise"))
    assert scores["uf1"] == pytest.approx((16 / 21 + 6 / 9 + 8 / 10) / 3)
    assert scores["uar"] == pytest.approx((0.8 + 0.6 + 0.8) / 3)
    assert scores["accuracy"] == pytest.approx(15 / 20)
    assert scores["n"] == 20
    assert scores["per_class"]["positive"] == pytest.approx({"f1": 6 / 9, "precision": 3 / 4, "recall": 3 / 5, "n": 5})
    assert scores["confusion"]["counts"] == HAND.tolist()


def test_counts_are_summed_before_scoring_not_scores_averaged() -> None:
    folds = np.array([[[4, 0], [0, 1]], [[1, 1], [0, 1]]])
    assert uf1(folds.sum(0)) == pytest.approx((10 / 11 + 4 / 5) / 2)
    assert uf1(folds).mean() != pytest.approx(float(uf1(folds.sum(0))))


_answers = st.integers(2, 5).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=60),
    )
)


@given(_answers)
def test_as_scikit_learn_has_it(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = drawn
    truth, answers = [t for t, _ in pairs], [a for _, a in pairs]
    counts = confusion(truth, answers, classes)
    tested = sorted(set(truth))
    assert counts.tolist() == confusion_matrix(truth, answers, labels=range(classes)).tolist()
    assert uf1(counts) == pytest.approx(f1_score(truth, answers, labels=tested, average="macro", zero_division=0))
    if set(answers) <= set(truth) and len(tested) > 1:
        assert uar(counts) == pytest.approx(balanced_accuracy_score(truth, answers))
    assert accuracy(counts) == pytest.approx(accuracy_score(truth, answers))


def test_nothing_scores_nothing() -> None:
    assert uf1(np.zeros((3, 3))) == uar(np.zeros((3, 3))) == accuracy(np.zeros((3, 3))) == 0


def test_au_f1_counts_only_what_is_known_and_frequent() -> None:
    rng = np.random.default_rng(0)
    target, active = rng.random((200, 3)) < [0.5, 0.3, 0.05], rng.random((200, 3)) < 0.5
    known = rng.random((200, 3)) < 0.8
    scores = au_f1(target, known, active, ("AU1", "AU4", "AU12"))
    each = [f1_score(target[known[:, i], i], active[known[:, i], i]) for i in range(3)]
    assert [au["f1"] for au in scores["aus"].values()] == pytest.approx(each)
    assert scores["counted"] == ["AU1", "AU4"]
    assert scores["mean"] == pytest.approx((each[0] + each[1]) / 2)
    assert scores["aus"]["AU12"]["n"] == int((target & known)[:, 2].sum()) < 20


def test_au_f1_without_enough_of_any_has_no_mean() -> None:
    assert au_f1(np.ones((19, 1)), np.ones((19, 1)), np.ones((19, 1)), ["AU4"])["mean"] is None


def test_calibration_error_by_hand() -> None:
    confidence, correct = [0.9, 0.9, 0.9, 0.9, 0.6, 0.6], [True, True, True, False, True, False]
    assert calibration_error(confidence, correct) == pytest.approx(4 / 6 * 0.15 + 2 / 6 * 0.1)
    assert calibration_error([1.0, 1.0], [True, True]) == 0
    assert calibration_error([], []) == 0


@pytest.mark.parametrize(
    ("one", "other", "iou"),
    [((0, 2), (0, 2), 1), ((0, 2), (1, 3), 1 / 3), ((0, 1), (1, 2), 0), ((0, 4), (1, 2), 1 / 4), ((0, 1), (5, 6), 0)],
)
def test_iou(one: tuple[float, float], other: tuple[float, float], iou: float) -> None:
    assert Span(*one).iou(Span(*other)) == Span(*other).iou(Span(*one)) == pytest.approx(iou)


def test_matching_is_one_to_one_and_takes_the_best_first() -> None:
    truth = [Span(0, 10), Span(20, 30)]
    found = [Span(0, 6), Span(0, 9), Span(23, 40), Span(20, 31)]
    assert match(truth, found) == [(0, 1), (1, 3)]
    assert match(truth, []) == match([], found) == []


def test_an_overlap_of_exactly_a_half_counts() -> None:
    assert match([Span(0, 10)], [Span(0, 5)]) == [(0, 0)]
    assert match([Span(0, 10)], [Span(0, 4.99)]) == []


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 5)), max_size=8),
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 5)), max_size=8),
)
def test_no_interval_is_matched_twice(truth: list[tuple[float, float]], found: list[tuple[float, float]]) -> None:
    spans, others = ([Span(start, start + length) for start, length in each] for each in (truth, found))
    pairs = match(spans, others)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(spans[i].iou(others[j]) >= 0.5 for i, j in pairs)


def test_spotting_sums_over_videos() -> None:
    total = sum([Spotted(2, 1, 1), Spotted(0, 3, 0), Spotted(1, 0, 2)], Spotted())
    assert total == Spotted(3, 4, 3)
    assert total.f1 == pytest.approx(6 / 13)
    assert Spotted().f1 == 0


def test_strs_by_hand() -> None:
    precision, recall = (8 / 11 + 3 / 4 + 4 / 5) / 3, (0.8 + 0.6 + 0.8) / 3
    expected = 6 / 13 * 2 * precision * recall / (precision + recall)
    assert strs(Spotted(3, 4, 3), HAND) == pytest.approx(expected)
    assert strs(Spotted(3, 4, 3), np.zeros((3, 3))) == 0
