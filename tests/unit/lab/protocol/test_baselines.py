"""Baselines learn what can be learned, and only from what they are given."""

import numpy as np
import pytest

from services.lab.baselines import at_apex, baselines, mirror
from services.lab.recogniser import Recogniser
from services.motion.aus import AU_INDEX, AUS
from tests.unit.lab.protocol.made import sample, samples


@pytest.fixture(params=[0, 1], ids=["regression", "cnn"])
def baseline(request: pytest.FixtureRequest) -> Recogniser:
    return baselines(3)[request.param]


def test_it_tells_classes_and_aus_of_new_persons(baseline: Recogniser) -> None:
    made = samples(12)
    train, test = made[:48], made[48:]
    answer = baseline.fit(train, 0)([each.motion for each in test])
    assert answer.emotion.sum(1) == pytest.approx(1, abs=1e-5)
    assert (answer.emotion.argmax(1) == [each.label for each in test]).mean() > 0.9
    assert answer.active is not None
    shown = [AU_INDEX[code] for code in ("AU4", "AU12", "AU2")]
    assert (answer.active[:, shown] == np.stack([each.au[shown] for each in test])).mean() > 0.9


def test_equal_seeds_give_equal_answers(baseline: Recogniser) -> None:
    made = samples(4)
    one, two = (baseline.fit(made, 3)([made[0].motion]).emotion for _ in range(2))
    assert (one == two).all()


def test_a_class_that_was_not_seen_is_never_answered(baseline: Recogniser) -> None:
    made = [each for each in samples(4) if each.label != 2]
    answer = baseline.fit(made, 0)([each.motion for each in samples(2)])
    assert answer.emotion.shape == (12, 3)
    assert (answer.emotion.argmax(1) != 2).all()


def test_a_single_class_is_answered_always(baseline: Recogniser) -> None:
    answer = baseline.fit([sample(1, "p", n) for n in range(5)], 0)([sample(0, "q", 0).motion])
    assert answer.emotion.argmax(1).tolist() == [1]


def test_aus_that_nobody_coded_teach_nothing(baseline: Recogniser) -> None:
    made = samples(4)
    for each in made:
        each.au_known[:] = False
    active = baseline.fit(made, 0)([each.motion for each in made]).active
    assert active is not None
    assert active.shape == (len(made), len(AUS))


def test_mirroring_twice_changes_nothing_and_once_swaps_sides() -> None:
    patches = at_apex([each.motion for each in samples(2)])
    assert (mirror(mirror(patches)) == patches).all()
    assert (mirror(patches)[:, 1, 1] == patches[:, 0, 1, :, ::-1]).all()
    assert (mirror(patches)[:, 1, 0] == -patches[:, 0, 0, :, ::-1]).all()
