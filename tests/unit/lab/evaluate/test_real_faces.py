"""`microex evaluate` from pictures of a real face to a report: every reader's tree, and a video with its labels."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from services.lab import spotter_weights
from services.lab.cli import evaluate
from services.lab.datasets.readers import LONG_READERS, READERS
from services.spotter import trees as boosted
from tests.support.planted_video import BROW_RAISE, SMILE, plant
from tests.unit.lab import trees

TREES: dict[str, Callable[[Path, trees.Write], Path]] = {
    "casme2": trees.casme2,
    "samm": trees.samm,
    "smic": trees.smic,
    "casme3": trees.casme3,
    "dfme": trees.dfme,
    "4dme": trees.fourdme,
    "casme2-long": trees.casme2_long,
    "samm-lv": trees.samm_lv,
    "csv": trees.csv,
}


@pytest.fixture(scope="session")
def pictures(talking_face: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A second of a face that smiles, as JPEG, small so that landmarks are quick."""
    video = plant(talking_face, tmp_path_factory.mktemp("face") / "smile.mp4", [(SMILE, 0.1, 0.9, 0.5)], seconds=1)
    capture, found = cv2.VideoCapture(str(video)), []
    while (read := capture.read())[0]:
        found.append(cv2.imencode(".jpg", cv2.resize(read[1], (360, 288)))[1].tobytes())
    capture.release()
    return found


@pytest.fixture
def write(pictures: list[bytes]) -> trees.Write:
    def frame(path: Path, number: int) -> None:
        path.write_bytes(pictures[number % len(pictures)])

    return frame


def run(*words: object) -> Result:
    return CliRunner().invoke(evaluate, [str(word) for word in words], catch_exceptions=False)


def test_there_is_a_tree_for_every_reader_of_pictures() -> None:
    assert set(TREES) == set(READERS) - {"flow-images"}


@pytest.mark.parametrize("name", TREES)
def test_recognition_on_every_data_set(name: str, tmp_path: Path, write: trees.Write) -> None:
    root = TREES[name](tmp_path / "set", write)
    result = run("recognition", "--dataset", name, "--root", root, "--protocol", "loso", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out/report.json").read_text("utf-8"))
    labelled = [clip for clip in READERS[name](root) if clip.three_class]
    assert report["n"] == len(labelled) == sum(fold["test"] for fold in report["folds"])
    assert {each["clip"] for each in report["left_out_clips"]} == {c.id for c in READERS[name](root)} - {
        c.id for c in labelled
    }


def test_a_cropped_copy_that_fills_the_picture_is_read_as_well(tmp_path: Path, pictures: list[bytes]) -> None:
    def cropped(path: Path, number: int) -> None:
        picture = cv2.imdecode(np.frombuffer(pictures[number % len(pictures)], np.uint8), cv2.IMREAD_COLOR)
        cv2.imwrite(str(path), picture[70:235, 110:250])

    root = trees.smic(tmp_path / "set", cropped)
    result = run("recognition", "--dataset", "smic", "--root", root, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out/report.json").read_text("utf-8"))["n"] == 3


def test_spotting_finds_what_is_in_a_labelled_video(tmp_path: Path, talking_face: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    plant(talking_face, folder / "one.mp4", [(BROW_RAISE, 1.8, 2.3, 0.6)], seconds=4)
    au = {"au": "AU1", "side": "both", "intensity": 0.6}
    event = {"kind": "micro", "onset": 55, "apex": 61, "offset": 68, "emotion": "surprise", "aus": [au]}
    labels = {"fps": 30, "frames": 120, "events": [event]}
    (folder / "one.json").write_text(json.dumps(labels), "utf-8")
    result = run("spotting", "--videos", folder, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out/report.json").read_text("utf-8"))
    micro = report["kinds"]["micro"]
    assert (micro["f1"], micro["tp"], micro["fp"], micro["fn"]) == (1, 1, 0, 0)
    assert report["frames_with_face"] == report["frames"] == 120
    assert abs(report["errors_ms"]["apex"]["median"]) <= 70
    assert report["recall_by_amplitude"] == [{"above": 0.4, "up_to": 0.6, "n": 1, "recall": 1.0}]
    assert report["delay_s"]["after_apex"]["median"] > 0
    assert (tmp_path / "out/spotting.png").read_bytes().startswith(b"\x89PNG")


def test_the_spotter_learns_from_labelled_videos(tmp_path: Path, talking_face: Path) -> None:
    (tmp_path / "videos").mkdir()
    brow = {"kind": "micro", "onset": 55, "apex": 61, "offset": 68, "emotion": "surprise", "aus": []}
    smile = {"kind": "macro", "onset": 98, "apex": 120, "offset": 142, "emotion": "happiness", "aus": []}
    for name, size in (("one", 0.6), ("two", 0.5)):
        plant(
            talking_face,
            tmp_path / f"videos/{name}.mp4",
            [(BROW_RAISE, 1.8, 2.3, size), (SMILE, 3.2, 4.8, size)],
            seconds=6,
        )
        labels = {"fps": 30, "frames": 180, "events": [brow, smile]}
        (tmp_path / f"videos/{name}.json").write_text(json.dumps(labels), "utf-8")
    words = [str(tmp_path / "videos"), "--out", str(tmp_path / "trees.npz"), "--rounds", "4", "--workers", "1"]
    result = CliRunner().invoke(spotter_weights.main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    for found, seen in re.findall(r"(\d+) of (\d+)", result.output):
        assert 1 <= int(found) < int(seen), result.output
    assert boosted.Trees(tmp_path / "trees.npz").names == boosted.TREES.names


@pytest.mark.parametrize("name", LONG_READERS)
def test_spotting_on_every_data_set_of_long_videos(name: str, tmp_path: Path, write: trees.Write) -> None:
    root = TREES[name](tmp_path / "set", write)
    if name == "casme3":
        trees.frames(root / "part_A/spNO.10/c/color", "{}.jpg", range(110, 140), write)
    words = ("spotting", "--dataset", name, "--root", root, "--out", tmp_path / "out")
    assert run(*words).exit_code == 0
    first = (tmp_path / "out/report.json").read_bytes()
    report = json.loads(first)
    videos = LONG_READERS[name](root)
    counts = report["kinds"]["all"]
    assert report["recordings"] == len(videos)
    assert counts["tp"] + counts["fn"] == sum(len(video.intervals) for video in videos)
    assert run(*words).exit_code == 0
    assert (tmp_path / "out/report.json").read_bytes() == first
