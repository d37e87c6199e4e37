"""Found against labelled, by hand."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from services.common.errors import Fatal, Poison
from services.lab.metrics import Span
from services.lab.recordings import Recording, Truth, labelled, long_videos
from services.lab.spotting_report import _bars, write_files
from services.lab.spotting_score import Found, Watched, score
from tests.unit.lab import trees

NOWHERE = Path("x")


def truth(kind: str, start: float, end: float, emotion: str = "negative", amplitude: float | None = None) -> Truth:
    return Truth("micro" if kind == "micro" else "macro", Span(start, end), (start + end) / 2, emotion, amplitude)


def found(kind: str, start: float, end: float, emotion: str | None = None, cause: str = "unexplained") -> Found:
    return Found(kind, start, (start + end) / 2, end, end + 0.5, emotion, cause)


def recording(name: str, *truths: Truth, distractors: tuple[tuple[str, Span], ...] = ()) -> Recording:
    return Recording(name, NOWHERE, 30, truths, distractors)


def watched(*finds: Found, seconds: float = 60) -> Watched:
    return Watched(seconds, round(seconds * 30), round(seconds * 30), finds)


def test_counts_are_summed_over_recordings_those_without_expressions_too() -> None:
    report, _ = score(
        [recording("a", truth("micro", 1, 1.4), truth("macro", 5, 7)), recording("b")],
        [watched(found("micro", 1.1, 1.5), found("micro", 20, 20.4)), watched(found("micro", 3, 3.3))],
    )
    assert {name: (each["tp"], each["fp"], each["fn"]) for name, each in report["kinds"].items()} == {
        "micro": (1, 2, 0), "macro": (0, 0, 1), "all": (1, 2, 1), "any kind": (1, 2, 1),
    }  # fmt: skip
    assert report["kinds"]["all"]["f1"] == pytest.approx(2 / 5)
    assert report["minutes"] == 2
    assert report["false_alarms_per_minute"] == 1


def test_the_wrong_kind_is_a_miss_of_its_kind_but_not_of_the_interval() -> None:
    report, _ = score([recording("a", truth("micro", 1, 1.5))], [watched(found("macro", 1, 1.55))])
    assert report["kinds"]["all"] == {"f1": 0, "precision": 0, "recall": 0, "tp": 0, "fp": 1, "fn": 1}
    assert report["kinds"]["any kind"]["f1"] == 1
    assert report["false_alarms_per_minute"] == 0


def test_what_was_found_is_scored_as_recognition_too() -> None:
    """Only what was found of a labelled expression, by a recognizer that was trained."""
    sure = replace(found("micro", 1, 1.5, "negative"), probabilities=(0.8, 0.1, 0.1), active=("AU4",))
    stray = replace(found("micro", 9, 9.5, "positive"), probabilities=(0.1, 0.8, 0.1))
    coded = replace(truth("micro", 1, 1.5), aus=("AU4", "AU7"))
    report, _ = score([recording("a", coded, truth("micro", 5, 5.4))], [watched(sure, stray)])
    assert report["recognition"]["n"] == 1
    assert report["recognition"]["uf1"] == 1
    assert report["recognition"]["au_f1"]["aus"]["AU7"] == {"f1": 0, "n": 1}
    untrained, _ = score([recording("a", coded)], [watched(found("micro", 1, 1.5))])
    assert untrained["recognition"] is None


def test_a_long_expression_called_micro_is_a_false_alarm_and_a_false_macro_is_none() -> None:
    report, rows = score(
        [recording("a", truth("macro", 1, 1.7))], [watched(found("micro", 1, 1.5), found("macro", 30, 31))]
    )
    assert report["false_alarms_per_minute"] == 1 and report["kinds"]["micro"]["fp"] == 1
    assert [row["cause"] for row in rows if row["found_kind"] == "micro"] == ["borders"]


def test_f1_has_an_interval_over_recordings() -> None:
    hit, miss = watched(found("micro", 1, 1.4)), watched()
    report, _ = score([recording(name, truth("micro", 1, 1.4)) for name in "abcd"], [hit, hit, miss, miss])
    interval = report["kinds"]["micro"]["f1_interval"]
    assert 0 <= interval["low"] < report["kinds"]["micro"]["f1"] < interval["high"] <= 1


def test_one_recording_has_no_interval_and_its_report_is_written(tmp_path: Path) -> None:
    sure = replace(found("micro", 1, 1.4, "negative"), probabilities=(0.8, 0.1, 0.1), active=("AU4",))
    coded = replace(truth("micro", 1, 1.4), aus=("AU4",), amplitude=0.3)
    report, rows = score([recording("a", coded)], [watched(sure)])
    assert report["kinds"]["micro"]["f1_interval"] is report["recognition"]["uf1_interval"] is None
    write_files(tmp_path, report, rows)
    assert "| micro | 1.000 |  |" in (tmp_path / "report.md").read_text("utf-8")


def test_the_label_of_a_full_bar_stands_below_the_title() -> None:
    figure = Figure(figsize=(5.5, 3.5), layout="constrained")
    for axes, values, top in zip(figure.subplots(1, 2), ([1.0, 0.5], [7.0, 3.0]), (1, None), strict=True):
        _bars(axes, ["a", "b"], values, "Title above all", top)
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert not any(label.get_window_extent().overlaps(axes.title.get_window_extent()) for label in axes.texts)
        assert all(label.get_window_extent().y1 <= axes.bbox.y1 for label in axes.texts)


def test_causes_of_false_alarms() -> None:
    distractors = (("blink", Span(9.9, 10.3)), ("speech", Span(10.2, 14)))
    _, rows = score(
        [recording("a", truth("micro", 1, 1.4), distractors=distractors)],
        [watched(found("micro", 1.3, 1.9), found("micro", 10, 10.3), found("micro", 30, 30.4, cause="head"))],
    )
    assert [row["cause"] for row in rows if not row["labelled"]] == ["borders", "blink", "head"]


def test_recall_by_amplitude_leaves_out_what_has_none() -> None:
    truths = [truth("micro", 10 * i, 10 * i + 0.4, amplitude=a) for i, a in enumerate((0.05, 0.15, 0.18, 0.9, None))]
    report, _ = score([recording("a", *truths)], [watched(found("micro", 20, 20.4), found("micro", 30, 30.4))])
    assert report["recall_by_amplitude"] == [
        {"above": 0.0, "up_to": 0.1, "n": 1, "recall": 0.0},
        {"above": 0.1, "up_to": 0.15, "n": 1, "recall": 0.0},
        {"above": 0.15, "up_to": 0.2, "n": 1, "recall": 1.0},
        {"above": 0.6, "up_to": 1.0, "n": 1, "recall": 1.0},
    ]


def test_errors_are_late_when_positive_and_delays_count_from_apex_and_offset() -> None:
    report, rows = score([recording("a", truth("micro", 1, 1.4))], [watched(found("micro", 1.05, 1.35))])
    assert report["errors_ms"]["onset"]["median"] == pytest.approx(50)
    assert report["errors_ms"]["apex"]["median"] == pytest.approx(0, abs=1e-6)
    assert report["errors_ms"]["offset"]["median"] == pytest.approx(-50)
    assert report["delay_s"]["after_offset"]["median"] == pytest.approx(0.5)
    assert report["delay_s"]["after_apex"]["median"] == pytest.approx(0.65)
    assert len(rows) == 1


def test_strs_needs_emotions_on_both_sides() -> None:
    truths = [recording("a", truth("micro", 1, 1.4), truth("micro", 5, 5.4, "positive"))]
    untrained, _ = score(truths, [watched(found("micro", 1, 1.4))])
    assert untrained["strs"] is None
    report, _ = score(truths, [watched(found("micro", 1, 1.4, "negative"), found("micro", 5, 5.4, "positive"))])
    assert report["strs"] == pytest.approx(1)


def test_nothing_at_all_scores_zero() -> None:
    report, rows = score([recording("a")], [watched(seconds=0)])
    assert report["kinds"]["all"]["f1"] == report["false_alarms_per_minute"] == 0
    assert report["errors_ms"]["onset"] is report["strs"] is None
    assert rows == []


def write_labels(folder: Path, labels: object) -> Path:
    (folder / "a.mp4").write_bytes(b"")
    (folder / "a.json").write_text(json.dumps(labels), "utf-8")
    return folder


EVENT = {"kind": "micro", "onset": 30, "apex": 36, "offset": 44, "emotion": "disgust",
         "aus": [{"au": "AU4", "intensity": 0.3}, {"au": "AU9", "intensity": 0.2}]}  # fmt: skip


def test_labels_are_read_in_seconds_ends_included(tmp_path: Path) -> None:
    folder = write_labels(tmp_path, {"fps": 30, "frames": 90, "events": [EVENT],
                                     "distractors": [{"kind": "blink", "start": 0, "end": 5}]})  # fmt: skip
    [read] = labelled(folder)
    assert read.truths == (Truth("micro", Span(1.0, 1.5), 1.2, "negative", 0.3, ("AU4", "AU9")),)
    assert read.distractors == (("blink", Span(0, 0.2)),)


@pytest.mark.parametrize(
    "labels",
    [{}, [], {"fps": 30, "events": [EVENT | {"kind": "mini"}]}, {"fps": 30, "events": [EVENT | {"offset": 3}]},
     {"fps": 30, "events": [{"kind": "micro"}]}, {"fps": "fast", "events": []}],
)  # fmt: skip
def test_labels_that_are_wrong_are_named(tmp_path: Path, labels: object) -> None:
    with pytest.raises(Poison, match=r"a\.json"):
        labelled(write_labels(tmp_path, labels))


def test_a_video_without_labels_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(Poison, match="labels are missing"):
        labelled(tmp_path)


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="no videos"):
        labelled(tmp_path)


def test_long_videos_count_from_their_first_frame(tmp_path: Path) -> None:
    videos = {video.name: video for video in long_videos("casme2-long", trees.casme2_long(tmp_path))}
    first, held = videos["s15/15_0502angry"].truths
    assert first.span == Span(9 / 30, 24 / 30), "frames 10 to 24, of a folder that begins at 1"
    assert held.span.end == 3
    assert videos["s16/16_0505funny"].truths == ()
