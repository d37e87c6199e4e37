"""One camera with its edge: what reaches Kafka, how it ends, and that its failures stay its own."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from microex.v1 import frame_pb2
from services.common import wire
from services.common.errors import Fatal, Poison, Retryable
from services.common.settings import IngestSettings
from services.ingest.camera import Camera
from services.ingest.cameras import CameraConfig
from services.ingest.metrics import Cameras
from tests.support.ffmpeg import FFMPEG

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


def make(source: Path, outbox: Outbox, consents: Consents | None = None) -> Camera:
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
