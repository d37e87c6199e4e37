"""One camera with its edge: what reaches Kafka, how it ends, and that its failures stay its own."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from structlog.testing import capture_logs

from microex.v1 import frame_pb2
from services.common import wire
from services.common.errors import Fatal, Poison, Retryable
from services.common.settings import IngestSettings
from services.ingest import camera as camera_module
from services.ingest import core
from services.ingest.camera import Camera
from services.ingest.cameras import CameraConfig
from services.ingest.feed import Feed
from services.ingest.landmarks import Face
from services.ingest.metrics import Cameras
from services.ingest.sources import Captured, Picture
from tests.support.ffmpeg import FFMPEG
from tests.unit.ingest.fakes import Clock, Connection, face

End = frame_pb2.End


class Future:
    """A delivery that Kafka has settled already."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def add_callback(self, told: Callable[[Any], None]) -> None:
        if self.error is None:
            told(None)

    def add_errback(self, told: Callable[[Exception], None]) -> None:
        if self.error is not None:
            told(self.error)


class Outbox:
    """Keeps what was sent; `after(n)` is called with the number of records so far; refuses from `refuse_from` on."""

    def __init__(self, after: Callable[[int], None] = lambda _: None, refuse_from: int | None = None) -> None:
        self.sent: list[tuple[bytes, frame_pb2.FaceFrame]] = []
        self._after, self._refuse_from = after, refuse_from

    def send(self, topic: wire.Topic, key: bytes, message: frame_pb2.FaceFrame, *, stream: str | None = None) -> Future:
        assert topic is wire.FACE_FRAMES and stream is not None and key == stream.encode()
        self.sent.append((key, message))
        self._after(len(self.sent))
        refused = self._refuse_from is not None and len(self.sent) >= self._refuse_from
        return Future(OSError("too large") if refused else None)

    @property
    def ends(self) -> list[str]:
        return [End.Reason.Name(m.end.reason) for _, m in self.sent if m.HasField("end")]


class Consents:
    """Allows everything until something is said against it."""

    def __init__(self) -> None:
        self.gone, self.problem = threading.Event(), threading.Event()

    def withdrawn(self, _session: str) -> bool:
        return self.gone.is_set()

    def refusal(self, _session: str) -> str | None:
        return "no" if self.problem.is_set() else None


def make(source: Path | str, outbox: Outbox, consents: Consents | None = None) -> Camera:
    config = CameraConfig(session="s", camera="c", source=SecretStr(str(source)))
    return Camera(config, IngestSettings(queue_frames=4), consents or Consents(), outbox)  # type: ignore[arg-type]


def test_a_file_is_published_to_its_end(feat_media: Path) -> None:
    outbox = Outbox()
    camera = make(feat_media / "single_face.mp4", outbox)
    camera.run()
    assert camera.error is None
    assert outbox.ends == ["REASON_SOURCE_END"]
    assert [m.sequence for _, m in outbox.sent] == list(range(73))
    assert {key for key, _ in outbox.sent} == {b"s/c/0.0.0"}
    assert all(m.stages.published_us > 0 == m.stages.captured_us for _, m in outbox.sent)
    assert camera.account.captured == 72 and camera.account.closes


def test_a_file_that_is_stopped_leaves_its_streams_open(feat_media: Path) -> None:
    outbox = Outbox(lambda count: camera.stop() if count == 10 else None)
    camera = make(feat_media / "single_face.mp4", outbox)
    camera.run()
    assert camera.error is None and outbox.ends == []
    assert len(outbox.sent) == 10
    assert camera.account.closes
    assert 0 < camera.account.dropped["shutdown"] <= 4


@pytest.mark.parametrize("when", ["at once", "in the middle"])
def test_withdrawn_consent_ends_the_streams_and_nothing_follows(feat_media: Path, when: str) -> None:
    consents = Consents()
    outbox = Outbox(lambda count: consents.gone.set() if count == 10 else None)
    if when == "at once":
        consents.gone.set()
    camera = make(feat_media / "single_face.mp4", outbox, consents)
    camera.run()
    assert camera.error is None and camera.account.closes
    assert outbox.ends == ([] if when == "at once" else ["REASON_CONSENT_WITHDRAWN"])
    assert len(outbox.sent) == (0 if when == "at once" else 11)


def test_consent_that_can_no_longer_be_seen_stops_the_camera(feat_media: Path) -> None:
    consents = Consents()
    outbox = Outbox(lambda count: consents.problem.set() if count == 10 else None)
    camera = make(feat_media / "single_face.mp4", outbox, consents)
    camera.run()
    assert isinstance(camera.error, Fatal) and len(outbox.sent) == 10 and camera.account.closes


def test_a_file_that_was_cut_short_ends_its_streams_and_is_an_error(feat_media: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.mp4"
    command = [FFMPEG, "-loglevel", "error", "-i", str(feat_media / "single_face.mp4"), "-c", "copy", "-movflags"]
    subprocess.run([*command, "+faststart", str(half)], check=True, stdin=subprocess.DEVNULL)
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    outbox = Outbox()
    camera = make(half, outbox)
    camera.run()
    assert isinstance(camera.error, Poison) and camera.failures == 1
    assert outbox.ends == ["REASON_SOURCE_END"] and len(outbox.sent) > 10
    assert camera.account.closes


def test_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    camera = make(tmp_path / "missing.mp4", Outbox())
    camera.run()
    assert isinstance(camera.error, Poison) and camera.account.captured == 0


def test_a_record_that_kafka_refuses_fails_the_camera(feat_media: Path) -> None:
    outbox = Outbox(refuse_from=5)
    camera = make(feat_media / "single_face.mp4", outbox)
    camera.run()
    assert isinstance(camera.error, Retryable)
    assert len(outbox.sent) == 5, "nothing follows a hole in the stream"
    assert camera.publisher.settled() == {"acknowledged": 4, "refused": 1}
    assert camera.account.closes


def test_the_last_record_of_a_file_that_kafka_refuses_fails_the_camera(feat_media: Path) -> None:
    outbox = Outbox(refuse_from=73)
    camera = make(feat_media / "single_face.mp4", outbox)
    camera.run()
    assert len(outbox.sent) == 73
    camera.confirm()
    assert isinstance(camera.error, Retryable) and camera.failures == 1


class Room:
    """A live camera with somebody before it, told to stop in its second run. Its landmarker, which a file may use as
    well, breaks down once, at picture number `breaks_at`, from 1."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, breaks_at: int | None = None) -> None:
        self.clock = Clock(monkeypatch)
        self.looked_at, self._breaks_at = 0, breaks_at
        self.outbox = Outbox(self._sent)
        self.camera = make("rtsp://viewer:s3cret@nowhere/room", self.outbox)
        self.connections = [Connection(self.clock, 1_000_000), Connection(self.clock, 1_000_000)]
        waiting = iter(self.connections)
        monkeypatch.setattr(camera_module, "open_url", lambda _: next(waiting))
        monkeypatch.setattr(camera_module, "backoff_s", lambda _: 0.0)
        monkeypatch.setattr(core, "Landmarker", lambda _: self)

    def __call__(self, _picture: Picture, _time_us: int) -> list[Face]:
        self.looked_at += 1
        if self.looked_at == self._breaks_at:
            raise RuntimeError("graph has errors")
        return [face(320)]

    def close(self) -> None:
        pass

    def _sent(self, _: int) -> None:
        if len(self.epochs) == 2:
            self.camera.stop()

    @property
    def epochs(self) -> set[str]:
        return {m.stream.track.split(".")[0] for _, m in self.outbox.sent}


@pytest.mark.parametrize("where", ["the source", "the landmarker", "the clock"])
def test_a_live_camera_begins_a_new_run_whatever_went_wrong(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    room = Room(monkeypatch, breaks_at=3 if where == "the landmarker" else None)

    def tear() -> None:
        raise cv2.error("torn")

    if where == "the source":
        room.connections[0].when = {20: tear}
    if where == "the clock":
        room.connections[0].when = {20: lambda: room.clock.set(-10_000_000)}
    with capture_logs() as logs:
        room.camera.run()
    assert room.camera.error is None and room.camera.failures == 1
    assert len(room.epochs) == 2
    assert set(room.outbox.ends[:-1]) == {"REASON_LOST"} and room.outbox.ends[-1] == "REASON_SHUTDOWN"
    assert room.camera.account.closes
    assert (room.camera.account.dropped["failed"] > 0) == (where == "the landmarker"), "the frame itself is counted"
    [failed] = [entry for entry in logs if entry["event"] == "camera failed"]
    assert failed["log_level"] == "error" and failed["exc_info"] == (where != "the clock")
    assert all(connection.released for connection in room.connections)


def test_a_stop_is_never_taken_for_the_end_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(monkeypatch)
    room.connections[0].frames = 20
    take = Feed.take

    def stopped_while_waiting(feed: Feed, timeout_s: float) -> tuple[Captured | None, int]:
        if room.looked_at and not feed.held:
            room.camera.stop()
            assert feed.join(10)
        return take(feed, timeout_s)

    monkeypatch.setattr(Feed, "take", stopped_while_waiting)
    room.camera.run()
    assert room.outbox.ends == ["REASON_SHUTDOWN"] and room.camera.account.closes


def test_waits_double_only_while_runs_fail_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    camera, lasting, waits, now_s = make("webcam:0", Outbox()), iter([1, 1, 3600, 1]), [], 0.0

    def run_once() -> None:
        nonlocal now_s
        now_s += next(lasting, 0)
        raise Retryable("odd")

    def wait(failures: int) -> float:
        waits.append(failures)
        if len(waits) == 4:
            camera.stop()
        return 0.0

    monkeypatch.setattr(camera, "_run_once", run_once)
    monkeypatch.setattr(camera_module, "backoff_s", wait)
    monkeypatch.setattr(camera_module, "monotonic", lambda: now_s)
    camera.run()
    assert waits == [1, 2, 0, 1] and camera.failures == 4


def test_an_unexpected_error_with_a_file_stays_an_error_of_that_file(
    feat_media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(monkeypatch, breaks_at=3)
    camera = make(feat_media / "single_face.mp4", room.outbox)
    camera.run()
    assert camera.error is not None and "graph has errors" in str(camera.error) and camera.failures == 1
    assert len(room.outbox.sent) == 2 and camera.account.closes


def test_the_metrics_close(feat_media: Path) -> None:
    registry = CollectorRegistry()
    camera = make(feat_media / "face_noface.mov", Outbox())
    Cameras([camera], registry)
    camera.run()
    names = {"session": "s", "camera": "c"}

    def value(name: str) -> float:
        samples = (s for family in registry.collect() for s in family.samples if s.name == f"microex_ingest_{name}")
        return sum(s.value for s in samples if names.items() <= s.labels.items())

    assert value("frames_captured_total") == 169
    parts = ("frames_with_face_total", "frames_without_face_total", "frames_dropped_total")
    assert value("frames_captured_total") == sum(map(value, parts))
    assert value("faces_seen_total") == value("faces_published_total") + value("faces_dropped_total") > 70
    assert value("messages_total") == value("faces_published_total") + value("streams_ended_total")
    assert value("connected") == 0
