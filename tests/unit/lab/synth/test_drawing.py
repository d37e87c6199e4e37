"""Combinations, sides and courses follow what was counted on real clips."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.lab.synth import combos, course
from services.lab.synth.combos import EMOTIONS, SHARES
from services.motion.aus import AU_INDEX


def test_shares_are_those_of_the_sheets() -> None:
    rng = np.random.default_rng(0)
    drawn = [combos.draw(rng, (0.1, 0.5), even=0.0) for _ in range(6000)]
    for emotion in EMOTIONS:
        of_class = [one.aus for one in drawn if one.emotion == emotion]
        assert 1800 < len(of_class) < 2200
        counted = Counter("+".join(au.removeprefix("AU") for au in aus) for aus in of_class)
        for name, share in SHARES[emotion].items():
            # The rarely counted rest adds a little to some.
            assert share - 0.03 < counted[name] / len(of_class) < share + 0.06, (emotion, name)


def test_every_au_is_drawn_and_on_both_sides() -> None:
    rng = np.random.default_rng(1)
    intensity = np.array([combos.draw(rng, (0.1, 0.5)).intensity for _ in range(3000)])
    assert ((intensity > 0).any(2).sum(0) > 60).all()
    one_sided = intensity[:, AU_INDEX["AU12"]]
    one_sided = one_sided[one_sided.max(1) > 0]
    share = (one_sided.min(1) < 0.35 * one_sided.max(1)).mean()
    assert 0.15 < share < 0.5


def test_labels_agree_with_the_counts() -> None:
    assert combos.emotion_given(("AU12",)).argmax() == EMOTIONS.index("positive")
    assert combos.emotion_given(("AU1", "AU2", "AU5")).argmax() == EMOTIONS.index("surprise")
    assert combos.emotion_given(("AU4", "AU7")).argmax() == EMOTIONS.index("negative")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(["micro", "macro"]))
def test_a_course_rises_and_falls_once(seed: int, kind: course.Kind) -> None:
    path = course.draw(np.random.default_rng(seed), kind)
    come = path(np.linspace(0, path.whole_s, 400))
    assert come[0] == 0
    assert come[-1] == pytest.approx(0, abs=1e-9)
    assert come.max() == pytest.approx(1, abs=1e-3)
    top = int(come.argmax())
    assert (np.diff(come[: top + 1]) >= -1e-12).all()
    assert (np.diff(come[top:]) <= 1e-12).all()
    assert path.whole_s <= course.MICRO_S if kind == "micro" else path.whole_s > course.MICRO_S
    assert path(np.array([-0.1, path.whole_s + 0.1])).tolist() == [0, 0]


def test_durations_are_those_of_real_clips() -> None:
    rng = np.random.default_rng(2)
    rise = [course.draw(rng, "micro").rise_s for _ in range(2000)]
    np.testing.assert_allclose(np.quantile(rise, [0.25, 0.5, 0.75]), [0.146, 0.200, 0.243], atol=0.02)
