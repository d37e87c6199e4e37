"""`microex synth` as a user runs it."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from services.cli import main
from services.lab.datasets import flow_images
from services.lab.synth import clips


def microex(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_videos(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        assert microex("synth", "videos", "--out", tmp_path / folder, "--minutes", "0.1", "--fps", "25", "--size",
                       "320x240", "--seed", "2") == 0  # fmt: skip
    [video] = (tmp_path / "one").glob("*.mp4")
    labels = json.loads(video.with_suffix(".json").read_text())
    assert list(labels) == ["fps", "frames", "events"]
    assert (labels["fps"], labels["frames"]) == (25, 150)
    capture = cv2.VideoCapture(str(video))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 150
    assert capture.read()[1].shape == (240, 320, 3)
    assert labels["events"]
    for event in labels["events"]:
        assert list(event) == ["kind", "onset", "apex", "offset", "emotion", "aus"]
        assert 0 <= event["onset"] <= event["apex"] <= event["offset"] < 150
        assert event["emotion"] in ("negative", "positive", "surprise")
        for au in event["aus"]:
            assert set(au) == {"au", "side", "intensity"}
            assert 0.05 <= au["intensity"] <= 1
    again = tmp_path / "two" / video.name
    assert again.with_suffix(".json").read_text() == video.with_suffix(".json").read_text()
    assert again.read_bytes() == video.read_bytes()


def test_flow_images_are_what_the_reader_takes(tmp_path: Path) -> None:
    assert microex("synth", "flow-images", "--out", tmp_path, "--per-face", "6", "--flow", "dis") == 0
    [subject] = (folder for folder in tmp_path.iterdir() if folder.is_dir())
    for label in "012":
        pictures = list((subject / "u_test" / label).glob("*.png"))
        assert len(pictures) == 2
        for path in pictures:
            assert cv2.imread(str(path)).shape == (28, 28, 3)
    read = flow_images.read(tmp_path)
    assert sorted(clip.emotion for clip in read) == sorted(["negative", "positive", "surprise"] * 2)
    rows = list(csv.DictReader((tmp_path / "aus.csv").open()))
    assert len(rows) == 6
    assert all((tmp_path / row["path"]).is_file() and row["aus"] for row in rows)


def test_clips(tmp_path: Path) -> None:
    for way in ("direct", "images"):
        assert microex("synth", "clips", "--way", way, "--count", "40", "--out", tmp_path / f"{way}.npz") == 0
        made = clips.load([tmp_path / f"{way}.npz"])
        assert len(made) == 40
        assert np.bincount(made.emotion, minlength=3).min() > 5


def test_missing_faces_are_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert microex("synth", "videos", "--faces", tmp_path / "nobody", "--out", tmp_path) == 78
    assert "the folder of faces does not exist" in capsys.readouterr().err
    assert microex("synth", "videos", "--out", tmp_path, "--split", "test") == 78
    assert "cannot be split" in capsys.readouterr().err
