"""What `--explain` writes."""

import json
from pathlib import Path

import cv2

from microex.v1 import frame_pb2
from services.analyze.explain import Explanation, describe
from services.lab.replant import Replay
from services.motion.convention import CROP_PX
from services.spotter.blink import LIDS
from services.spotter.detector import Detector
from tests.unit.spotter.planting import Plant
from tests.unit.spotter.streams import planted


def test_every_candidate_is_written_with_its_curve_and_what_became_of_it(
    neutral: frame_pb2.FaceFrame, tmp_path: Path
) -> None:
    detector, steps = Detector(whole=True), []
    with Explanation(tmp_path) as explanation:
        for message in planted(neutral, 4, 30, [Plant("smile", 40, 44, 49, 0.4)]):
            steps.append(detector.step(message))
            explanation.add(message, steps[-1])
    lines = [json.loads(line) for line in (tmp_path / "candidates.jsonl").read_text().splitlines()]
    assert [line["became"] for line in lines if line["became"] != "micro"] == [r for s in steps for r in s.dismissed]
    [window] = [window for step in steps for window in step.windows]
    [line] = [line for line in lines if line["window_id"] == window.window_id]
    assert line["became"] == "micro" and 0.5 <= line["likelihood"] <= 1
    times, strength = line["curve"]["time_s"], line["curve"]["strength"]
    assert abs(times[strength.index(max(strength))] - 44 / 30) < 0.1
    sheet = cv2.imread(str(tmp_path / "candidates-001.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None and sheet.shape[1] == 4 * CROP_PX


def test_nothing_seen_is_told_in_numbers(neutral: frame_pb2.FaceFrame) -> None:
    """All skin hidden while the face moves: an occlusion, and no NaN, which JSON cannot hold."""
    sights = Replay(whole=True).see(planted(neutral, 4, 30, [Plant("smile", 40, 44, 49, 0.4)]))
    for i, sight in enumerate(sights):
        sight.row["position"][LIDS] = 0
        sight.row["misfit"] = 60 if 30 < i < 80 else 1
    verdicts = Replay(whole=True).watch(sights)
    assert "occlusion" in {verdict.reason for verdict in verdicts}
    for verdict in verdicts:
        json.dumps(describe(verdict, None, "0", 0), allow_nan=False)


def test_sheets_of_an_earlier_run_go(tmp_path: Path) -> None:
    (tmp_path / "candidates-007.png").write_bytes(b"old")
    with Explanation(tmp_path):
        pass
    assert not list(tmp_path.glob("*.png")) and (tmp_path / "candidates.jsonl").read_text() == ""
