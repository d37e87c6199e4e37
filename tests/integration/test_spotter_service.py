"""The spotter as a process on a real Kafka: crashes, rebalances and garbage change nothing of what is found."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from microex.v1 import consent_pb2, dead_letter_pb2, frame_pb2, window_pb2
from services.common import wire
from tests.support.services import Service
from tests.support.streams import face_frames, planted, repeated, windows
from tests.support.topics import Installation, decoded

LAPS = 4
CAMERAS = ("left", "right")


@pytest.fixture(scope="module")
def clip(talking_face: Path) -> list[frame_pb2.FaceFrame]:
    return planted(face_frames(talking_face))


@pytest.fixture
def installation(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Installation]:
    installation = Installation(kafka_bootstrap, topic_prefix, "s")
    yield installation
    installation.outbox.close()


def ids(found: list[window_pb2.ApexWindow]) -> Counter[str]:
    return Counter(window.window_id for window in found)


def test_crash_and_rebalance_change_nothing(clip: list[frame_pb2.FaceFrame], installation: Installation) -> None:
    """SIGKILL in mid-stream, a second spotter that joins and leaves: the windows of an undisturbed run."""
    streams = {camera: list(repeated(clip, "s", camera, LAPS)) for camera in CAMERAS}
    expected = {camera: windows(stream) for camera, stream in streams.items()}
    count = sum(map(len, expected.values()))
    assert count >= 4, "the clip has to hold expressions, or this test says nothing"
    quarter = LAPS * len(clip) // 4

    def publish(part: int) -> None:
        stop = None if part == 3 else (part + 1) * quarter
        for messages in zip(*(stream[part * quarter : stop] for stream in streams.values()), strict=True):
            for message in messages:
                installation.publish(message)
        installation.outbox.flush(30)

    def analysed(service: Service, frames: int) -> None:
        service.await_event("joined the group")
        service.until(lambda: service.total("microex_spotter_frames_total") >= frames)

    publish(0)
    publish(1)
    with Service("spotter", env=installation.env) as first:
        analysed(first, quarter * 3)
        first.kill()
    with Service("spotter", env=installation.env) as second:
        publish(2)
        analysed(second, quarter)
        with Service("spotter", env=installation.env) as third:
            third.await_event("joined the group")
            publish(3)
            assert third.stop() == 0
        wanted = {window.window_id for found in expected.values() for window in found}
        records = installation.read(
            wire.APEX_WINDOWS, lambda rs: wanted <= ids(decoded(rs, window_pb2.ApexWindow)).keys()
        )
        # Both ends were seen: nothing more will come.
        second.until(lambda: second.total("microex_spotter_streams") == 0)
        assert second.stop() == 0
    found = decoded(records, window_pb2.ApexWindow)
    assert ids(found).keys() == wanted
    for camera, reference in expected.items():
        order = list(dict.fromkeys(w.window_id for w in found if w.stream.camera == camera))
        assert order == [w.window_id for w in reference], "the first of each window comes in the order of its stream"


def test_a_thousand_malformed_records_stop_nothing(clip: list[frame_pb2.FaceFrame], installation: Installation) -> None:
    """Between good frames: each is a dead letter, and every good frame is analysed."""
    stream = list(repeated(clip, "s", "c", 1))
    kinds = (b"\xff\xfe garbage", frame_pb2.FaceFrame().SerializeToString(), b"")
    bad = 0
    for i, message in enumerate(stream):
        installation.publish(message)
        for _ in range(4 if i < 200 else 2):
            if bad < 1000:
                raw(installation, wire.FACE_FRAMES, f"bad-{bad}".encode(), kinds[bad % 3])
                bad += 1
    installation.outbox.flush(60)
    with Service("spotter", env=installation.env) as spotter:
        records = installation.read(wire.DEAD_LETTERS, lambda rs: len(rs) >= 1000)
        analysed = {"outcome": "analysed"}
        spotter.until(lambda: spotter.total("microex_spotter_frames_total", **analysed) >= len(clip))
        good = spotter.total("microex_spotter_frames_total")
        assert spotter.stop() == 0
    letters = decoded(records, dead_letter_pb2.DeadLetter)
    assert bad == 1000
    assert sorted(letter.key for letter in letters) == sorted(f"bad-{i}".encode() for i in range(1000))
    assert {letter.error_class for letter in letters} == {"Poison"}
    assert {letter.payload for letter in letters} == set(kinds)
    assert good == len(clip)


def test_withdrawn_consent_discards_what_comes(clip: list[frame_pb2.FaceFrame], installation: Installation) -> None:
    stream = list(repeated(clip, "s", "c", 10))
    with Service("spotter", env=installation.env) as spotter:
        spotter.await_event("joined the group")
        for message in stream[:100]:
            installation.publish(message)
        spotter.until(lambda: spotter.total("microex_spotter_frames_total", outcome="analysed") >= 100)
        installation.consent("s", consent_pb2.Consent.STATE_WITHDRAWN)
        rest = iter(stream[100:-1])

        def one_more_is_rejected() -> float:
            installation.publish(next(rest))
            installation.outbox.flush(10)
            return spotter.total("microex_spotter_rejected_total", reason="consent")

        spotter.until(one_more_is_rejected, timeout_s=10)  # the limit that people are promised
        assert spotter.total("microex_spotter_streams") == 0
        assert spotter.stop() == 0


def raw(installation: Installation, topic: wire.Topic, key: bytes, value: bytes) -> None:
    """Past every check: what somebody else's producer might send."""
    installation.outbox._producer.send(installation.settings.topic_prefix + topic.name, key=key, value=value)
