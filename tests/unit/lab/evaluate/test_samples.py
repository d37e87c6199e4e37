"""Samples from clips: what is kept, what is left out, and AU codes from a file."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from services.common.errors import Poison
from services.common.settings import LandmarkSettings
from services.lab.datasets.clip import Clip
from services.lab.datasets.readers import read_clips
from services.lab.samples import digest, make_samples, with_aus
from services.motion.aus import AU_INDEX, AUS
from services.motion.tensor import MotionTensor
from tests.unit.lab import trees
from tests.unit.lab.evaluate.flow_set import write_set
from tests.unit.lab.protocol.made import sample

CLASSES = ("negative", "positive", "surprise")
SETTINGS = LandmarkSettings()


def measured(clip: Clip, _settings: LandmarkSettings) -> MotionTensor:
    """Stands in for the landmarker, which needs a face."""
    if clip.subject == "02":
        raise Poison("no face in most frames of this clip", clip=clip.id)
    return sample(0, clip.name, 0).motion.tensor


def test_what_has_no_class_or_no_face_is_left_out_with_the_reason(tmp_path: Path) -> None:
    clips = read_clips(["casme2", "samm"], [trees.casme2(tmp_path / "a"), trees.samm(tmp_path / "b")])
    samples, dropped = make_samples(clips, CLASSES, SETTINGS, tmp_path / "cache", measure=measured)
    assert len(samples) + len(dropped) == len(clips)
    assert {each.clip: each.reason for each in dropped} == {
        "casme2/02/EP03_02": "no face in most frames of this clip",
        "samm/007/007_3_2": "no class for 'other'",
    }
    assert [CLASSES[each.label] for each in samples] == ["positive", "negative", "negative", "negative", "positive"]


def test_motion_is_measured_once(tmp_path: Path) -> None:
    clips = read_clips(["casme2"], [trees.casme2(tmp_path / "set")])[:1]
    [first], _ = make_samples(clips, CLASSES, SETTINGS, tmp_path / "cache", measure=measured)

    def never(*_: object) -> MotionTensor:
        raise AssertionError("measured again")

    [second], _ = make_samples(clips, CLASSES, SETTINGS, tmp_path / "cache", measure=never)
    assert digest(first) == digest(second)
    [kept] = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    [third], _ = make_samples(clips, CLASSES, SETTINGS, tmp_path / "cache", measure=measured)
    assert digest(third) == digest(first), "a file cut short is measured anew"


def test_flow_images_keep_their_channels_in_order(tmp_path: Path) -> None:
    file = tmp_path / "sub01/u_test/0/a b.png"
    file.parent.mkdir(parents=True)
    rgb = np.zeros((28, 28, 3), np.uint8)
    rgb[:, :, 0] = np.arange(28)  # u grows to the right
    cv2.imwrite(str(file), rgb[:, :, ::-1])
    [made], _ = make_samples(read_clips(["flow-images"], [tmp_path]), CLASSES, SETTINGS, tmp_path / "cache")
    assert made.motion.image is not None
    assert (made.motion.image == rgb).all()
    u, v = made.motion.tensor.data[0, :, 0].astype(float), made.motion.tensor.data[0, :, 1]
    assert (np.diff(u, axis=2) > 0).mean() > 0.8
    assert not v.any()


def test_a_picture_that_is_none_is_left_out(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", subjects=1, each=1)
    (root / "sub01/u_test/1/EP 0.png").write_bytes(b"")
    samples, dropped = make_samples(read_clips(["flow-images"], [root]), CLASSES, SETTINGS, tmp_path / "cache")
    assert [each.reason for each in dropped] == ["not a picture that can be read"]
    assert len(samples) == 2


@pytest.mark.parametrize("prefix", ["", "set/", "./"])
def test_au_codes_come_from_a_file(tmp_path: Path, prefix: str) -> None:
    root = write_set(tmp_path / "set", subjects=2, each=1)
    codes = tmp_path / "aus.csv"
    codes.write_text(
        f"path,aus\n{prefix}sub01/u_test/0/EP 0.png,4+R7\n{prefix}sub02/u_test/1/EP 0.png,12 or 14\n", "utf-8"
    )
    clips = with_aus(read_clips(["flow-images"], [root]), codes, [root])
    samples, _ = make_samples(clips, CLASSES, SETTINGS, tmp_path / "cache")
    coded = {each.id: each for each in samples}
    first, second = coded["flow-images/01/0/EP 0.png"], coded["flow-images/02/1/EP 0.png"]
    assert {AUS[i].code for i in first.au.nonzero()[0]} == {"AU4", "AU7"}
    assert first.au_known.all()
    assert not second.au_known[[AU_INDEX["AU12"], AU_INDEX["AU14"]]].any()
    assert not coded["flow-images/01/1/EP 0.png"].au_known.any(), "nobody coded it"


def test_a_path_that_is_no_clip_is_named_by_row(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", subjects=1, each=1)
    codes = tmp_path / "aus.csv"
    codes.write_text("path,aus\nsub01/u_test/0/EP 0.png,4\nsub09/u_test/0/EP 0.png,4\n", "utf-8")
    with pytest.raises(Poison, match="row=3"):
        with_aus(read_clips(["flow-images"], [root]), codes, [root])


def test_a_digest_changes_with_all_that_can_be_learned_from() -> None:
    one = sample(0, "p", 0)
    assert digest(one) == digest(sample(0, "p", 0))
    other = sample(0, "p", 0)
    other.au[0] = 1
    assert len({digest(each) for each in (one, other, sample(1, "p", 0), sample(0, "p", 1), sample(0, "q", 0))}) == 5
