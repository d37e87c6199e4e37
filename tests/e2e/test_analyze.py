"""`microex analyze` and `microex export` as a user runs them: on real faces, on videos that are broken, from topics."""

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pympi import Elan

from microex.v1 import graph_pb2, stream_pb2, window_pb2
from services.analyze.events import schema
from services.common import wire
from services.common.consent import Consent
from services.common.ids import stream_key
from services.common.kafka import Outbox, create_topics
from services.common.settings import KafkaSettings
from tests.support.planted_video import BROW_RAISE, SMILE, plant
from tests.unit.analyze.made_up import graph, stream, window

FILES = {"events.csv", "events.eaf", "events.jsonl", "summary.json", "timeline.png"}


def microex(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | variables,
        check=False,
    )


def events(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "events.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    for event in found:
        Draft202012Validator(schema()).validate(event)
    return found


def summary(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "summary.json").read_text("utf-8"))
    return loaded


def check_folder(folder: Path) -> None:
    """All files are there, none is half written, and they tell of the same events."""
    assert {path.name for path in folder.iterdir()} == FILES
    found = events(folder)
    with (folder / "events.csv").open(encoding="utf-8", newline="") as file:
        assert [row["window_id"] for row in csv.DictReader(file)] == [event["window_id"] for event in found]
    eaf = Elan.Eaf(str(folder / "events.eaf"))
    kinds = [tier for tier in eaf.get_tier_names() if tier.startswith("kind")]
    assert sum(len(eaf.get_annotation_data_for_tier(tier)) for tier in kinds) == len(found)
    said = summary(folder)["expressions"]
    assert said["micro"] + said["macro"] == len(found)
    assert cv2.imread(str(folder / "timeline.png")) is not None


def check_account(said: dict[str, Any]) -> None:
    """Both sums close, and end to end."""
    frames, faces, analysed = said["frames"], said["faces"], said["face_frames"]
    assert frames["read"] == frames["with_face"] + frames["without_face"] + sum(frames["dropped"].values())
    assert faces["seen"] == faces["published"] + sum(faces["dropped"].values())
    assert faces["published"] == analysed["published"] == analysed["analysed"] + sum(analysed["rejected"].values())
    assert said["closes"] is True


@dataclass(frozen=True)
class Done:
    """One run over every kind of video, good ones between bad ones."""

    out: Path
    planted: Path
    bad: list[Path]
    run: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, talking_face: Path, feat_media: Path) -> Done:
    folder = tmp_path_factory.mktemp("analyze")
    videos, out = folder / "videos", folder / "out"
    (videos / "again").mkdir(parents=True)
    planted = plant(talking_face, videos / "planted.mp4", [(SMILE, 2.0, 2.4, 0.3), (BROW_RAISE, 3.2, 4.4, 0.5)], 6)
    (videos / "again" / "planted.mp4").symlink_to(planted)
    (videos / "text.mp4").write_text("hello")
    (videos / "empty.mp4").touch()
    whole = (feat_media / "single_face.mp4").read_bytes()
    (videos / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    cut_short(planted, videos / "cut.avi")
    nobody = feat_media / "no_face.mp4"
    bad = [videos / name for name in ("missing.mp4", "text.mp4", "empty.mp4", "truncated.mp4", "cut.avi")]
    bad += [nobody, videos]
    good = [videos / "again" / "planted.mp4", talking_face, feat_media / "noface_face.mov"]
    return Done(out, planted, bad, microex("analyze", *bad[:3], planted, *bad[3:], *good, "--out", out))


def cut_short(source: Path, video: Path) -> None:
    """Half of the bytes of a video of 40 frames, in a container whose first half can be played."""
    reader = cv2.VideoCapture(str(source))
    pictures = [reader.read()[1] for _ in range(40)]
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 30, pictures[0].shape[1::-1])
    for picture in pictures:
        writer.write(picture)
    writer.release()
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])


def test_bad_videos_cost_a_line_each_and_the_others_are_done(done: Done, talking_face: Path) -> None:
    lines = done.run.stderr.splitlines()
    assert done.run.returncode == 65
    assert len(lines) == len(done.bad), done.run.stderr
    for line, video in zip(lines, done.bad, strict=True):
        assert line.startswith("microex: ") and str(video) in line
    done_folders = {"planted", "planted-2", talking_face.stem, "noface_face", "cut", "no_face"}
    assert {path.name for path in done.out.iterdir()} == done_folders
    for name in done_folders:
        check_folder(done.out / name)
        check_account(summary(done.out / name))


def test_it_finds_what_was_planted(done: Done) -> None:
    micro, macro = events(done.out / "planted")
    assert (micro["kind"], macro["kind"]) == ("micro", "macro")
    assert micro["video"] == "planted.mp4" and micro["camera"] == "planted" and micro["session"] == "local"
    assert micro["apex_s"] == pytest.approx(2.2, abs=0.07) and macro["apex_s"] == pytest.approx(3.8, abs=0.2)
    for event, begin_s, end_s in ((micro, 2.0, 2.4), (macro, 3.2, 4.4)):
        shared = min(event["offset_s"], end_s) - max(event["onset_s"], begin_s)
        assert shared / (max(event["offset_s"], end_s) - min(event["onset_s"], begin_s)) >= 0.5
        assert event["apex_s"] == pytest.approx(event["apex_frame"] / 30, abs=1e-3)


def test_two_videos_of_one_name_keep_apart_and_say_the_same(done: Done) -> None:
    def without_names(event: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in event.items() if name not in ("window_id", "camera")}

    first, second = events(done.out / "planted"), events(done.out / "planted-2")
    assert [event["camera"] for event in first + second] == ["planted"] * 2 + ["planted-2"] * 2
    assert not {event["window_id"] for event in first} & {event["window_id"] for event in second}
    assert [without_names(event) for event in first] == [without_names(event) for event in second]


def test_every_frame_is_accounted_for_and_every_stage_timed(done: Done) -> None:
    said = summary(done.out / "planted")
    assert said["frames"]["read"] == said["face_frames"]["analysed"] == 180
    assert set(said["stages_s"]) == {"read", "landmarks", "spot", "recognize"}
    assert all(seconds > 0 for seconds in said["stages_s"].values())
    assert said["fps"] == pytest.approx(30, abs=0.01) and said["duration_s"] == pytest.approx(179 / 30, abs=1e-3)
    assert len(said["model"]["digest"]) == 64 and said["detector"] and said["fault"] is None


def explained() -> set[str]:
    """Every field that docs/outputs.md names, with and without what it belongs to."""
    page = (Path(__file__).parents[2] / "docs" / "outputs.md").read_text("utf-8")
    names = set(re.findall(r"`([A-Za-z0-9_.]+)`", page))
    return names | {part for name in names for part in name.split(".")}


def test_the_page_explains_every_field_of_the_summary(done: Done) -> None:
    said = summary(done.out / "planted")
    inner = {name for part in ("frames", "faces", "face_frames", "expressions", "stages_s") for name in said[part]}
    assert not (set(said) | inner) - explained()


def test_frames_without_a_face_are_counted(done: Done) -> None:
    returned = summary(done.out / "noface_face")["frames"]
    assert returned["without_face"] > 0 and returned["with_face"] > 0
    nobody = summary(done.out / "no_face")
    assert nobody["frames"]["read"] == nobody["frames"]["without_face"] > 0 and "no face" in nobody["fault"]


def test_what_can_be_read_of_a_video_that_was_cut_short_is_analysed(done: Done) -> None:
    said = summary(done.out / "cut")
    assert 0 < said["frames"]["read"] < 40 and "cut short" in said["fault"]


def test_another_video_of_the_same_name_does_not_replace_results(done: Done, tmp_path: Path) -> None:
    before = (done.out / "planted" / "summary.json").read_bytes()
    (tmp_path / "planted.mp4").write_text("another")
    run = microex("analyze", tmp_path / "planted.mp4", "--out", done.out)
    assert run.returncode == 78 and "choose another --out" in run.stderr
    assert str(tmp_path / "planted.mp4") in run.stderr and str(done.out / "planted") in run.stderr
    assert (done.out / "planted" / "summary.json").read_bytes() == before


def test_a_video_of_three_frames_is_told_from_one_without_expressions(talking_face: Path, tmp_path: Path) -> None:
    """And what an earlier --explain left in its folder goes."""
    video, out = plant(talking_face, tmp_path / "three.mp4", [], 0.1), tmp_path / "out"
    (out / "three").mkdir(parents=True)
    (out / "three" / "candidates.jsonl").write_text("old")
    run = microex("analyze", video, "--out", out)
    assert run.returncode == 0 and "3 frames" in run.stdout and "too short to judge" in run.stdout
    assert "too short to judge" in summary(out / "three")["fault"]
    check_folder(out / "three")


def test_elan_gets_the_times_and_the_video(done: Done) -> None:
    folder = done.out / "planted"
    eaf = Elan.Eaf(str(folder / "events.eaf"))
    expected = [(round(e["onset_s"] * 1000), round(e["offset_s"] * 1000), e["kind"]) for e in events(folder)]
    assert eaf.get_annotation_data_for_tier("kind") == expected
    (link,) = eaf.get_linked_files()
    assert (folder / link["RELATIVE_MEDIA_URL"]).resolve() == done.planted


def test_the_terminal_shows_the_events_and_says_when_the_model_is_untrained(done: Done) -> None:
    shown = done.run.stdout
    assert "micro" in shown and "macro" in shown and "180 frames" in shown and str(done.out / "planted") in shown
    trained = events(done.out / "planted")[0]["model"]["trained"]
    assert ("model is untrained" in shown) is not trained


def test_grey_odd_sized_video_at_another_rate_with_a_name_in_any_script(talking_face: Path, tmp_path: Path) -> None:
    def grey(picture: Any) -> Any:
        return np.repeat(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[1:, 3:, None], 3, 2)

    video = plant(talking_face, tmp_path / "plain.mp4", [(SMILE, 2.0, 2.4, 0.3)], 4, 50, grey)
    video = video.rename(tmp_path / "面试, Zoë $1$ “a”.mp4")
    run = microex("analyze", video, "--out", tmp_path / "out", "--session", "s 1", "--camera", "Kamera ü")
    assert run.returncode == 0 and run.stderr == ""
    check_folder(tmp_path / "out" / video.stem)
    (event,) = events(tmp_path / "out" / video.stem)
    assert (event["video"], event["session"], event["camera"]) == (video.name, "s 1", "Kamera ü")
    assert event["fps"] == pytest.approx(50, rel=0.01) and event["apex_s"] == pytest.approx(2.2, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["clip.mp4"], 2),
        (["--out", "x"], 2),
        (["clip.mp4", "--out", "x", "--session", "a/b"], 78),
        (["clip.mp4", "--out", "x", "--min-sharpness", "high"], 78),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(arguments: list[str], code: int, tmp_path: Path) -> None:
    run = microex("analyze", *[str(tmp_path / a) if a == "x" else a for a in arguments])
    assert run.returncode == code
    assert run.stderr.strip() and "Traceback" not in run.stderr


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = microex("analyze", "clip.mp4", "--out", tmp_path / "file" / "out")
    assert run.returncode == 78 and run.stderr.startswith("microex: results cannot be written there")


def test_help_speaks_of_consent_and_of_what_it_is_not() -> None:
    shown = " ".join(microex("analyze", "--help").stdout.split())
    assert "people who agreed" in shown and "Nothing here detects lies" in shown


@pytest.fixture
def topics(kafka_bootstrap: str, topic_prefix: str) -> KafkaSettings:
    settings = KafkaSettings(kafka_bootstrap_servers=kafka_bootstrap, topic_prefix=topic_prefix)
    create_topics(settings, partitions=3)
    return settings


def publish(settings: KafkaSettings, *messages: tuple[wire.Topic, str, Any]) -> None:
    outbox = Outbox(settings)
    for topic, key, message in messages:
        outbox.send(topic, key.encode(), message, stream=stream_key(stream()))
    outbox.flush(30)
    outbox.close()


def run_export(settings: KafkaSettings, out: Path, session: str = "local") -> subprocess.CompletedProcess[str]:
    return microex(
        "export", "--session", session, "--out", out, "--idle-timeout", 20,
        MICROEX_KAFKA_BOOTSTRAP_SERVERS=settings.kafka_bootstrap_servers, MICROEX_TOPIC_PREFIX=settings.topic_prefix,
    )  # fmt: skip


def both(answer: graph_pb2.AuGraph) -> tuple[tuple[wire.Topic, str, Any], ...]:
    return (
        (wire.APEX_WINDOWS, answer.window_id, window(answer)),
        (wire.AU_GRAPHS, answer.prediction_id, answer),
    )


def test_export_writes_what_the_topics_hold_of_a_session(topics: KafkaSettings, tmp_path: Path) -> None:
    kept = graph(1.0, 1.4, prediction_id="1" * 32)
    repeated = graph(5.0, 7.0, prediction_id="2" * 32, emotion="negative")
    newer = graph(5.0, 7.0, prediction_id="2" * 32, emotion="surprise")
    deleted = graph(9.0, 9.3, prediction_id="3" * 32)
    elsewhere = graph(2.0, 2.3, prediction_id="4" * 32, stream=stream(session="other"))
    second_camera = graph(3.0, 3.3, prediction_id="5" * 32, stream=stream(camera="side/../x".replace("/", " ")))
    publish(
        topics, *both(kept), *both(repeated), *both(newer), *both(deleted), *both(elsewhere), *both(second_camera),
        (wire.APEX_WINDOWS, deleted.window_id, None), (wire.AU_GRAPHS, deleted.prediction_id, None),
    )  # fmt: skip
    run = run_export(topics, tmp_path)
    assert run.returncode == 0, run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"clip", "side .. x"}
    check_folder(tmp_path / "clip")
    assert [(e["onset_s"], e["emotion"]["label"]) for e in events(tmp_path / "clip")] == [
        (1.0, "positive"), (5.0, "surprise"),
    ]  # fmt: skip
    said = summary(tmp_path / "clip")
    assert said["windows"] == {"read": 2, "unanswered": 0}
    assert said["graphs"] == {"read": 2, "superseded": 0, "without_window": 0}
    assert not (set(said) | set(said["windows"]) | set(said["graphs"])) - explained()


def test_export_passes_over_what_cannot_be_read(topics: KafkaSettings, tmp_path: Path) -> None:
    answer = graph(prediction_id="1" * 32)
    publish(topics, *both(answer), (wire.AU_GRAPHS, "x", stream_pb2.StreamKey(session="\x01")))
    assert run_export(topics, tmp_path).returncode == 0
    assert len(events(tmp_path / "clip")) == 1


def test_export_of_a_session_that_nobody_knows_or_whose_consent_is_gone(topics: KafkaSettings, tmp_path: Path) -> None:
    publish(topics, *both(graph()))
    nobody = run_export(topics, tmp_path, "nobody")
    assert nobody.returncode == 65 and "nothing is known" in nobody.stderr
    withdrawn = Consent(session="local", state=Consent.STATE_WITHDRAWN, recorded_us=1)
    publish(topics, (wire.CONSENTS, "local", withdrawn))
    refused = run_export(topics, tmp_path)
    assert refused.returncode == 78 and "withdrawn" in refused.stderr and not list(tmp_path.iterdir())


def test_export_of_a_live_camera_counts_from_its_first_second(topics: KafkaSettings, tmp_path: Path) -> None:
    answer = graph(prediction_id="1" * 32, time_base=stream_pb2.TIME_BASE_UTC)
    for moment in (answer.onset, answer.apex, answer.offset):
        moment.time_us += 1_764_000_000_000_000
    publish(topics, *both(answer))
    assert run_export(topics, tmp_path).returncode == 0
    (event,) = events(tmp_path / "clip")
    assert event["onset_s"] == pytest.approx(1_764_000_001.0) and event["video"] is None
    assert Elan.Eaf(str(tmp_path / "clip" / "events.eaf")).get_annotation_data_for_tier("kind") == [(0, 400, "micro")]


def test_export_without_topics_says_what_is_missing(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    settings = KafkaSettings(kafka_bootstrap_servers=kafka_bootstrap, topic_prefix=topic_prefix)
    run = run_export(settings, tmp_path)
    assert run.returncode in (75, 78) and "topics create" in run.stderr and "Traceback" not in run.stderr


def test_windows_without_an_answer_are_counted(topics: KafkaSettings, tmp_path: Path) -> None:
    unanswered: window_pb2.ApexWindow = window(graph(8.0, 8.4))
    publish(topics, *both(graph()), (wire.APEX_WINDOWS, unanswered.window_id, unanswered))
    assert run_export(topics, tmp_path).returncode == 0
    assert summary(tmp_path / "clip")["windows"] == {"read": 2, "unanswered": 1}
