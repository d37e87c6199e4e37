"""Folds are done once, by recognisers that never see what they are tested on."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from services.lab.baselines import baselines
from services.lab.folds import run_folds
from services.lab.protocol import Fold
from services.lab.recogniser import Motion, Predict, Prediction, Recogniser, Sample
from tests.unit.lab.protocol.made import samples

MADE = samples(4, 3)
FOLDS = [
    Fold(person, tuple(s.id for s in MADE if s.person != person), tuple(s.id for s in MADE if s.person == person))
    for person in sorted({s.person for s in MADE})
]


class Spy:
    """A recogniser that remembers what it was given."""

    def __init__(self, stop_after: int = 99) -> None:
        self.fitted: list[tuple[Sample, ...]] = []
        self.stop_after = stop_after

    def recogniser(self, about: str = "spy") -> Recogniser:
        return Recogniser("A spy", self.fit, about)

    def fit(self, train: Sequence[Sample], seed: int) -> Predict:
        if len(self.fitted) == self.stop_after:
            raise KeyboardInterrupt
        self.fitted.append(tuple(train))
        return lambda motions: Prediction(np.tile(np.eye(3)[seed % 3], (len(motions), 1)))


def test_training_sees_the_training_side_alone_and_testing_sees_no_label(tmp_path: Path) -> None:
    spy, asked = Spy(), []

    def fit(train: Sequence[Sample], seed: int) -> Predict:
        predict = spy.fit(train, seed)

        def watched(motions: Sequence[Motion]) -> Prediction:
            asked.append(motions)
            return predict(motions)

        return watched

    run_folds(Recogniser("watched", fit, ""), FOLDS, MADE, 0, tmp_path)
    for fold, train, motions in zip(FOLDS, spy.fitted, asked, strict=True):
        assert {each.id for each in train} == set(fold.train)
        assert fold.name not in {each.person for each in train}
        assert all(isinstance(each, Motion) for each in motions)


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_folds(Spy(stop_after=2).recogniser(), FOLDS, MADE, 0, tmp_path)
    spy = Spy()
    answers = run_folds(spy.recogniser(), FOLDS, MADE, 0, tmp_path)
    assert (answers.reused, len(spy.fitted)) == (2, 2)
    undisturbed = run_folds(Spy().recogniser(), FOLDS, MADE, 0, tmp_path / "other")
    assert (undisturbed.reused, undisturbed.emotion) == (0, answers.emotion)
    assert set(answers.emotion) == {each.id for each in MADE}


@pytest.mark.parametrize("change", ["seed", "about", "label", "folds"])
def test_answers_to_another_question_are_not_used(tmp_path: Path, change: str) -> None:
    run_folds(Spy().recogniser(), FOLDS, MADE, 0, tmp_path)
    made = samples(4, 3)
    if change == "label":
        made[0] = Sample(made[0].id, made[0].person, made[0].motion, 2, made[0].au, made[0].au_known)
    folds = [FOLDS[1], FOLDS[0], *FOLDS[2:]] if change == "folds" else FOLDS
    answers = run_folds(
        Spy().recogniser("new" if change == "about" else "spy"), folds, made, int(change == "seed"), tmp_path
    )
    assert answers.reused == (2 if change == "folds" else 0)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"question": 1}'])
def test_a_damaged_file_is_done_again(tmp_path: Path, damage: str) -> None:
    run_folds(Spy().recogniser(), FOLDS, MADE, 0, tmp_path)
    file = tmp_path / "a-spy/002.json"
    assert json.loads(file.read_text("utf-8"))["fold"] == FOLDS[1].name
    file.write_text(damage, "utf-8")
    assert run_folds(Spy().recogniser(), FOLDS, MADE, 0, tmp_path).reused == 3


@pytest.mark.parametrize("answer", [np.zeros((1, 3)), np.full((3, 3), np.nan)])
def test_a_recogniser_that_does_not_answer_is_found_out(
    tmp_path: Path, answer: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> None:
    broken = Recogniser("broken", lambda *_: lambda _motions: Prediction(answer), "")
    with pytest.raises(ValueError, match="probability for each"):
        run_folds(broken, FOLDS, MADE, 0, tmp_path)


def test_answers_do_not_depend_on_how_many_share_the_folds(tmp_path: Path) -> None:
    recogniser = baselines(3)[0]
    alone = run_folds(recogniser, FOLDS, MADE, 0, tmp_path / "alone")
    shared = run_folds(recogniser, FOLDS, MADE, 0, tmp_path / "shared", workers=2)
    assert shared.emotion == alone.emotion
    assert shared.active == alone.active
