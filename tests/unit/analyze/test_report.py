import json
import os
from pathlib import Path

import numpy as np
import pytest

from services.analyze.files import write_json
from services.analyze.quiet import without_chatter
from services.analyze.report import Report, peak
from services.analyze.summary import Stages, expressions, refuse_other, source_of, words
from services.common.errors import Fatal
from services.motion.rois import REGIONS
from tests.unit.analyze.made_up import graph, mark, window


def fill(report: Report) -> None:
    for number in range(100):
        report.move("0.0.0", number * 40_000, np.full(len(REGIONS), 0.01, np.float32))
    for onset_s, height in ((1.0, 0.02), (2.0, 0.07), (3.0, 0.04)):
        answer = graph(onset_s, onset_s + 0.3)
        report.add(answer, window(answer, height))


def test_a_folder_gets_all_files_when_it_is_closed_and_none_before(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    with Report(folder, tmp_path / "clip.mp4") as report:
        fill(report)
        assert [path.name for path in folder.iterdir()] == [".part-events.jsonl"]
        report.close({"model": None}, "title", "subtitle", "footer")
    assert sorted(path.name for path in folder.iterdir()) == [
        "events.csv", "events.eaf", "events.jsonl", "summary.json", "timeline.png",
    ]  # fmt: skip
    first = json.loads((folder / "events.jsonl").read_text("utf-8").splitlines()[0])
    assert first["video"] == "clip.mp4"


def test_a_run_that_fails_leaves_older_results_alone(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("older", "utf-8")
    with pytest.raises(KeyboardInterrupt), Report(tmp_path) as report:
        fill(report)
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]
    assert (tmp_path / "events.jsonl").read_text("utf-8") == "older"


def test_a_run_that_fails_leaves_no_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Report(tmp_path / "clip"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_folder_is_for_one_video_and_its_reruns(tmp_path: Path) -> None:
    """Same name, same size: what tells is the content. A copy elsewhere is the same video."""
    first, other, copy, folder = (tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4", "results"))
    for video, content in ((first, "one"), (other, "two"), (copy, "one")):
        video.write_text(content)
    folder.mkdir()
    refuse_other(folder, first)
    write_json(folder / "summary.json", {"video": first.name, "source": source_of(first)})
    refuse_other(folder, first)
    refuse_other(folder, copy)
    refuse_other(folder, tmp_path / "missing.mp4")
    with pytest.raises(Fatal, match="choose another --out") as refused:
        refuse_other(folder, other)
    assert "a.mp4" in str(refused.value) and "b.mp4" in str(refused.value)


@pytest.mark.parametrize("content", ["", "[]", '{"name": 1}'])
def test_a_summary_of_something_else_is_not_written_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "summary.json").write_text(content, "utf-8")
    with pytest.raises(Fatal, match="none of microex"):
        refuse_other(tmp_path, Path(__file__))


def test_the_strongest_expression_is_the_one_that_moved_a_region_most() -> None:
    answer = graph(2.0, 2.4)
    assert peak(window(answer, 0.07)) == pytest.approx(0.07)


def test_movement_outside_the_expression_does_not_count() -> None:
    answer = graph(2.0, 2.4)
    around = window(answer, 0.07)
    around.onset.time_us, around.offset.time_us = 2_000_000, 2_040_000
    assert peak(around) < 0.03


def test_a_window_without_curves_is_the_weakest() -> None:
    bare = window(graph())
    bare.ClearField("curves")
    assert peak(bare) == 0.0


def test_waiting_for_an_item_counts_for_its_stage() -> None:
    stages = Stages()
    assert list(stages.each("read", iter("abc"))) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="inside"), stages("spot"):
        raise ValueError("inside")
    assert set(stages.seconds) == {"read", "spot"} and all(seconds > 0 for seconds in stages.seconds.values())


def test_expressions_are_counted_by_kind_and_emotion() -> None:
    marks = [mark(1, 1.2), mark(2, 2.2, emotion="surprise"), mark(3, 5)]
    assert expressions(marks) == {"micro": 2, "macro": 1, "by_emotion": {"negative": 2, "surprise": 1}}
    assert words(marks) == "2 micro-expressions, 1 macro-expression"


def test_chatter_is_held_back_and_everything_else_comes_out(capfd: pytest.CaptureFixture[str]) -> None:
    with without_chatter():
        os.write(
            2, b"W0000 00:00:1764.1 7 graph.cc:181] Sets acceleration\nINFO: Created delegate\nE0000 a real error\n"
        )
    os.write(2, b"W0000 after\n")
    assert capfd.readouterr().err == "E0000 a real error\nW0000 after\n"


def test_what_was_written_before_a_crash_inside_comes_out(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), without_chatter():
        os.write(2, b"the reason\n")
        raise RuntimeError
    assert capfd.readouterr().err == "the reason\n"
