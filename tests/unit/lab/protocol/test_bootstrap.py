"""Intervals that hold what they promise."""

import numpy as np
import pytest

from services.lab.bootstrap import by_person, difference, interval
from services.lab.metrics import accuracy, confusion, uf1


def answers(share: float, seed: int, persons: int = 40, clips: int = 10) -> tuple[list[str], list[int], list[int]]:
    """Three classes, right with that probability, else the next class."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, persons * clips)
    said = np.where(rng.random(len(truth)) < share, truth, (truth + 1) % 3)
    return [f"p{i // clips}" for i in range(len(truth))], truth.tolist(), said.tolist()


def test_tables_of_persons_add_up() -> None:
    people, truth, said = answers(0.7, 0)
    tables = by_person(people, truth, said, 3)
    assert tables.shape == (40, 3, 3)
    assert tables.sum(0).tolist() == confusion(truth, said, 3).tolist()


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        low, high = interval(by_person(*answers(0.7, seed), 3), seed, accuracy, draws=300)
        held += low <= 0.7 <= high
    assert 88 <= held <= 100


def test_persons_that_differ_widen_the_interval() -> None:
    same = np.tile(np.array([[[7, 3], [3, 7]]]), (20, 1, 1))
    mixed = np.concatenate([np.tile([[[10, 0], [0, 10]]], (14, 1, 1)), np.tile([[[0, 10], [10, 0]]], (6, 1, 1))])
    assert uf1(same.sum(0)) == pytest.approx(float(uf1(mixed.sum(0))))
    low, high = interval(same, 0)
    assert low == pytest.approx(high)
    low, high = interval(mixed, 0)
    assert high - low > 0.2


def test_a_better_recogniser_is_told_from_an_equal_one() -> None:
    people, truth, said = answers(0.8, 0)
    worse = by_person(people, truth, answers(0.8, 1)[2], 3)
    ours = by_person(people, truth, said, 3)
    found = difference(ours, worse, seed=0)
    assert found["difference"] == pytest.approx(float(uf1(ours.sum(0)) - uf1(worse.sum(0))))
    assert 0 < found["low"] <= found["difference"] <= found["high"]
    assert found["p"] < 0.01
    equal = difference(ours, ours, seed=0)
    assert (equal["difference"], equal["low"], equal["high"], equal["p"]) == (0, 0, 0, 1)


def test_seeds_repeat() -> None:
    tables = by_person(*answers(0.7, 0), 3)
    assert interval(tables, 3) == interval(tables, 3) != interval(tables, 4)


def test_other_clips_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="same clips"):
        difference(by_person(*answers(0.7, 0), 3), by_person(*answers(0.7, 1), 3), seed=0)
