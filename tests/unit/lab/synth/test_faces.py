"""Where faces come from and how identities are divided."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from services.common.errors import Fatal, Poison
from services.lab.synth import faces
from services.lab.synth.faces import Still


def test_identities_never_change_sides() -> None:
    identities = [f"{i:03d}" for i in range(400)]
    test = [identity for identity in identities if faces.is_test(identity)]
    assert 60 < len(test) < 140
    assert test == [identity for identity in reversed(identities) if faces.is_test(identity)][::-1]
    assert faces.is_test("a", ["a"])
    assert not faces.is_test("b", ["a"])


def test_a_folder_is_split(tmp_path: Path, portrait: Still) -> None:
    for name in ("anna", "ben"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), portrait.picture)
    assert [still.identity for still in faces.load(tmp_path, "test", ["ben"])] == ["ben"]
    assert [still.identity for still in faces.load(tmp_path, "train", ["ben"])] == ["anna"]
    assert [still.identity for still in faces.load(tmp_path)] == ["anna", "ben"]


def test_a_folder_beside_others_is_found(tmp_path: Path, portrait: Still) -> None:
    for name in ("neutral", "smiling"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / f"{name[0]}.png"), portrait.picture)
    assert [still.identity for still in faces.load(tmp_path)] == ["n"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="does not exist"):
        faces.load(tmp_path / "nowhere")
    with pytest.raises(Fatal, match="holds no pictures"):
        faces.load(tmp_path)
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((200, 200, 3), 128, np.uint8))
    with pytest.raises(Poison, match="no face was found"):
        faces.load(tmp_path)
