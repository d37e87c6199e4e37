"""Micro-expressions planted into footage: the labelled frames differ from the footage, the others do not."""

import json
from pathlib import Path

import cv2
import numpy as np

from services.lab.recordings import labelled
from services.lab.synth import planted, videos
from services.lab.synth.faces import Still
from services.lab.synth.render import Plate
from services.lab.synth.scene import Mover

SIZE = (320, 240)


def frames(path: Path) -> list[np.ndarray]:
    capture, found = cv2.VideoCapture(str(path)), []
    while (frame := capture.read())[0]:
        found.append(frame[1].astype(float))
    return found


def test_what_is_labelled_moves_and_nothing_else(portrait: Still, mover: Mover, tmp_path: Path) -> None:
    plate = Plate(portrait, mover.sheets, SIZE, 80.0, (160.0, 100.0))
    footage = tmp_path / "footage.mp4"
    with videos.writer(footage, "MJPG", 25, SIZE) as put:
        for _ in range(75):
            put(plate.picture)
    [path] = planted.write(tmp_path / "out", footage, 1, "muscle", 3, (0.3, 0.6))
    [recording] = labelled(tmp_path / "out")
    assert recording.truths and all(truth.kind == "micro" for truth in recording.truths)
    before, after = frames(footage), frames(path)
    assert len(before) == len(after) == 75
    change = np.array([np.abs(a - b).max() for a, b in zip(before, after, strict=True)])
    events = json.loads(path.with_suffix(".json").read_text())["events"]
    moving = np.zeros(75, bool)
    for event in events:
        moving[event["onset"] : event["offset"] + 1] = True
        assert change[event["apex"]] > 20
    coded = change[~moving].max()  # by being coded again
    assert coded < min(change[event["apex"]] for event in events) / 2


def test_intensities_lie_where_they_are_asked_for() -> None:
    rng = np.random.default_rng(0)
    micros = [each for each in videos.script(rng, 300, (0.15, 0.4)) if each.kind == "micro"]
    strongest = np.array([each.drawn.intensity.max() for each in micros])
    assert len(micros) > 50 and strongest.min() >= 0.15 and strongest.max() <= 0.4
