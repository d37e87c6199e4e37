"""Pictures say what their labels say."""

import numpy as np
import pytest

from services.common.settings import LandmarkSettings
from services.ingest.landmarks import Landmarker
from services.lab.synth import tracks, videos
from services.lab.synth.faces import Still
from services.lab.synth.render import Plate
from services.lab.synth.scene import Mover, Scene
from services.lab.synth.styles import fields
from services.motion.aus import AU_INDEX

STILL = tracks.strengths(0)
SIZE = (400, 400)


def make(
    portrait: Still, mover: Mover, seed: int, strength: tracks.Strengths, fps: float = 30, seconds: float = 5
) -> Scene:
    return videos.scene(np.random.default_rng(seed), portrait, mover, SIZE, fps, seconds, strength)


@pytest.mark.parametrize(("seed", "fps"), [(1, 30.0), (2, 100.0), (3, 25.0)])
def test_frames_differ_from_neutral_from_onset_to_offset_and_nowhere_else(
    portrait: Still, mover: Mover, seed: int, fps: float
) -> None:
    shown = make(portrait, mover, seed, STILL, fps)
    assert shown.labels
    inside = np.zeros(len(shown), bool)
    for label in shown.labels:
        assert label["onset"] <= label["apex"] <= label["offset"]
        inside[label["onset"] : label["offset"] + 1] = True
    neutral = shown.plate.picture
    moved = np.array([(shown.frame(i) != neutral).any() for i in range(len(shown))])
    np.testing.assert_array_equal(moved, inside)


def test_the_apex_is_the_largest(portrait: Still, mover: Mover) -> None:
    shown = make(portrait, mover, 4, STILL)
    label = shown.labels[0]
    rest = shown.plate.landmarks()
    size = [np.linalg.norm(shown.landmarks(i) - rest, axis=1).max() for i in range(label["onset"], label["offset"] + 1)]
    assert int(np.argmax(size)) == label["apex"] - label["onset"]
    assert min(size) > 0


def test_same_seed_same_pictures(portrait: Still, mover: Mover) -> None:
    first, again, other = (make(portrait, mover, seed, tracks.strengths(1)) for seed in (5, 5, 6))
    assert first.labels == again.labels
    for i in (0, 50, 149):
        np.testing.assert_array_equal(first.frame(i), again.frame(i))
    assert (first.frame(50) != other.frame(50)).any()


def test_switching_one_distractor_off_leaves_the_others(portrait: Still, mover: Mover) -> None:
    every, without = (make(portrait, mover, 7, tracks.strengths(1, off)).tracks for off in ((), ("head",)))
    assert every.head.any()
    assert not without.head.any()
    np.testing.assert_array_equal(every.blink, without.blink)
    np.testing.assert_array_equal(every.gain, without.gain)


def test_a_landmarker_sees_what_was_meant(portrait: Still, mover: Mover) -> None:
    """The lip corners of a picture that smiles lie where the field puts them, the chin where it was."""
    plate = Plate(portrait, mover.sheets, (480, 480), 140.0, (240.0, 190.0))
    intensity = np.zeros((17, 2))
    intensity[AU_INDEX["AU12"]] = 0.5
    landmarker = Landmarker(LandmarkSettings())
    [rest] = landmarker(plate(None), 0)
    [smile] = landmarker(plate(mover(intensity, np.zeros(2))), 1000)
    landmarker.close()
    seen = (smile.points - rest.points)[[61, 291]] / 140
    meant = 0.5 * fields("muscle")[AU_INDEX["AU12"]].sum(0)[[61, 291]]
    np.testing.assert_allclose(seen, meant, atol=0.03)
    assert seen[0, 0] < -0.01
    assert seen[1, 0] > 0.01
    assert (seen[:, 1] < -0.02).all()


def test_lids_close_over_the_eye(portrait: Still, mover: Mover) -> None:
    plate = Plate(portrait, mover.sheets, SIZE, 120.0, (200.0, 160.0))
    shut = plate.landmarks(mover.landmarks(np.zeros((17, 2)), np.ones(2)))
    rest = plate.landmarks()
    for upper, lower in ((159, 145), (386, 374)):
        assert abs(shut[upper, 1] - shut[lower, 1]) < 0.2 * abs(rest[upper, 1] - rest[lower, 1])


def test_head_at_rest_is_the_still(portrait: Still, mover: Mover) -> None:
    plate = Plate(portrait, mover.sheets, SIZE, 120.0, (200.0, 160.0))
    head = np.array([0.1, 0, 0, 0, 0, 0])
    moved = plate.landmarks(None, head) - plate.landmarks()
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 12, atol=0.01)
    assert plate(None) is plate.picture
    assert (plate(None, head) != plate.picture).any()
