"""Ingest as a process on a real Kafka, with a real RTSP server that breaks off and comes back, and with files.

What it publishes of the live source goes through a spotter too, so that the second sum closes where it ends.
"""

import json
import subprocess
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from microex.v1 import consent_pb2, frame_pb2
from scripts.broker import free_port
from services.common import wire
from services.common.kafka import client_config, topic_name
from tests.support.ffmpeg import FFMPEG
from tests.support.services import Service
from tests.support.topics import Installation, decoded

SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's GStreamer bindings are installed for this one alone

NEEDS = 'import gi; gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0"); '

SERVER = (
    NEEDS
    + """
import sys
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( filesrc location={sys.argv[2]} ! decodebin ! videoconvert ! x264enc tune=zerolatency speed-preset=ultrafast "
    "key-int-max=15 ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)
server.get_mount_points().add_factory("/room", factory)
assert server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""
)

PASSWORD = "s3cret-of-the-camera"


class RtspServer:
    """Serves one file over and over; a context manager that never leaves a process behind."""

    def __init__(self, port: int, video: Path) -> None:
        self._command = [SYSTEM_PYTHON, "-c", SERVER, str(port), str(video)]

    def __enter__(self) -> "RtspServer":
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the RTSP server did not start; the reason is above"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def needs_rtsp() -> None:
    """Skips, by name, where Debian's packages for an RTSP server are missing."""
    try:
        missing = subprocess.run([SYSTEM_PYTHON, "-c", NEEDS], capture_output=True, check=False).returncode
    except FileNotFoundError:
        missing = 1
    if missing:
        pytest.skip("GstRtspServer is missing: apt install gir1.2-gst-rtsp-server-1.0 python3-gi")


@pytest.fixture(scope="module")
def two_faces(talking_face: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A man beside his mirror image, 10 s."""
    path = tmp_path_factory.mktemp("two") / "faces.mp4"
    side_by_side = "scale=360:288,split[a][b];[b]hflip[c];[a][c]hstack"
    command = [FFMPEG, "-loglevel", "error", "-i", str(talking_face), "-filter_complex", side_by_side]
    subprocess.run([*command, "-preset", "ultrafast", str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


def cameras(folder: Path, *entries: dict[str, Any]) -> str:
    path = folder / "cameras.yaml"
    path.write_text(json.dumps({"cameras": entries}))
    return str(path)


def streams(installation: Installation, published: int) -> dict[str, list[frame_pb2.FaceFrame]]:
    """All that was published, by track, checked: numbered from 0 without a gap or a repeat, indices and times ascend,
    and what the ends count is what came."""
    records = installation.read(wire.FACE_FRAMES, lambda rs: len(rs) >= published)
    by_track: dict[str, list[frame_pb2.FaceFrame]] = defaultdict(list)
    for message in decoded(records, frame_pb2.FaceFrame):
        by_track[f"{message.stream.camera}/{message.stream.track}"].append(message)
    for track, messages in by_track.items():
        assert [m.sequence for m in messages] == list(range(len(messages))), track
        moments = [m.frame.moment for m in messages if m.HasField("frame")]
        assert all(a.index < b.index and a.time_us < b.time_us for a, b in pairwise(moments))
        if messages[-1].HasField("end"):
            assert messages[-1].end.published == len(moments) == len(messages) - 1
    assert {record.partition for record in records} <= {0, 1, 2}
    assert all(dict(record.headers).keys() == {"schema", "traceparent"} for record in records)
    return by_track


def account(service: Service, camera: str) -> dict[str, Any]:
    found = service.await_event(lambda e: e.get("event") == "source ended" and e.get("camera") == camera)
    assert found["closes"], found
    return found


@pytest.mark.usefixtures("needs_rtsp")
def test_a_live_source_that_breaks_off(installation: Installation, two_faces: Path, tmp_path: Path) -> None:
    """Two faces; the server goes and comes back, then the service itself: no id repeats, both sums close."""
    port = free_port()
    file = cameras(
        tmp_path,
        {"session": "s", "camera": "room", "source": f"rtsp://viewer:${{RTSP_PASSWORD}}@127.0.0.1:{port}/room"},
    )
    env = installation.env | {"RTSP_PASSWORD": PASSWORD}

    def published(service: Service) -> float:
        return service.total("microex_ingest_faces_published_total", camera="room")

    accounts, logs = [], ""
    with Service("ingest", file, env=env) as service:
        service.await_event("source does not open")
        with RtspServer(port, two_faces):
            service.until(lambda: published(service) >= 60)
        service.until(lambda: service.total("microex_ingest_connected") == 0)
        service.until(lambda: service.total("microex_ingest_streams_ended_total", reason="REASON_LOST") >= 2)
        before = published(service)
        with RtspServer(port, two_faces):
            service.until(lambda: published(service) >= before + 60)
            assert service.total("microex_ingest_reconnects_total") >= 2
            assert service.stop() == 0
        accounts.append(account(service, "room"))
        logs += service.log() + "\n"
    with RtspServer(port, two_faces), Service("ingest", file, env=env) as service:
        service.until(lambda: published(service) >= 20)
        assert service.stop() == 0
        accounts.append(account(service, "room"))
        logs += service.log() + "\n"

    count = sum(a["faces_published"] for a in accounts)
    with Service("spotter", env=installation.env) as spotter:
        frames_total = "microex_spotter_frames_total"
        spotter.until(lambda: spotter.total(frames_total) >= count)
        spotter.until(lambda: spotter.total("microex_spotter_streams") == 0)
        assert spotter.total(frames_total, outcome="repeat") == 0
        assert spotter.total(frames_total) == count, "analysed + rejected + expired is what was published"
        assert spotter.stop() == 0, spotter.log()

    assert PASSWORD not in logs and f":{port}" not in logs
    assert all(a["epoch_ms"] > 0 for a in map(json.loads, logs.splitlines()) if a["event"] == "source starts")
    found = streams(installation, count + 6)
    frames = [m for messages in found.values() for m in messages if m.HasField("frame")]
    assert len(frames) == count
    assert len(found) >= 6, "two faces, seen before and after the break, and by the second run"
    ends = [messages[-1].end.reason for messages in found.values()]
    assert ends.count(frame_pb2.End.REASON_SHUTDOWN) >= 4
    assert set(ends) == {frame_pb2.End.REASON_SHUTDOWN, frame_pb2.End.REASON_LOST}
    epochs = {track.split("/")[1].split(".")[0] for track in found}
    assert len(epochs) == 2, "each run has an epoch of its own"
    assert all(0 <= m.stages.published_us - m.stages.captured_us < 30_000_000 for m in frames)


def test_files_end_by_themselves_and_a_bad_one_costs_the_others_nothing(
    installation: Installation, feat_media: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    file = cameras(
        tmp_path,
        {"session": "s", "camera": "good", "source": str(feat_media / "single_face.mp4")},
        {"session": "s", "camera": "bad", "source": "text.mp4"},
    )
    with Service("ingest", file, env=installation.env) as service:
        assert service.wait() == 65, service.log()
        assert account(service, "good")["faces_published"] == 72
        assert service.await_event("camera given up")["camera"] == "bad"
    found = streams(installation, 73)
    assert {track: len(messages) for track, messages in found.items()} == {"good/0.0.0": 73}
    assert found["good/0.0.0"][-1].end.reason == frame_pb2.End.REASON_SOURCE_END


def test_frames_that_kafka_refuses_at_the_very_end_are_an_error(
    installation: Installation, feat_media: Path, tmp_path: Path
) -> None:
    """One picture: its messages are all sent before Kafka can say no to the first."""
    stills = tmp_path / "stills"
    stills.mkdir()
    command = [FFMPEG, "-loglevel", "error", "-i", str(feat_media / "single_face.mp4"), "-frames:v", "1"]
    subprocess.run([*command, str(stills / "0.png")], check=True, stdin=subprocess.DEVNULL)
    topic = ConfigResource(
        ConfigResourceType.TOPIC, topic_name(installation.settings, wire.FACE_FRAMES), {"max.message.bytes": "100"}
    )
    admin = KafkaAdminClient(**client_config(installation.settings))
    admin.alter_configs([topic])
    admin.close()
    file = cameras(tmp_path, {"session": "s", "camera": "c", "source": "stills", "fps": 25})
    with Service("ingest", file, env=installation.env) as service:
        assert service.wait() == 75, service.log()
        assert account(service, "c")["faces_published"] == 1
        assert "Kafka refused" in service.await_event("camera given up")["error"]


def test_without_consent_nothing_starts(installation: Installation, feat_media: Path, tmp_path: Path) -> None:
    file = cameras(tmp_path, {"session": "unasked", "camera": "c", "source": str(feat_media / "single_face.mp4")})
    with Service("ingest", file, env=installation.env) as service:
        assert service.wait() == 78
        assert "microex consent grant unasked --purpose research" in service.log()
    assert installation.read(wire.FACE_FRAMES, lambda _: True) == []


def test_withdrawn_consent_ends_one_session_and_not_the_other(
    installation: Installation, two_faces: Path, tmp_path: Path
) -> None:
    installation.consent("other", consent_pb2.Consent.STATE_ACTIVE)
    # A live source that never delivers keeps the service up, and its session is the one that stays allowed.
    file = cameras(
        tmp_path,
        {"session": "s", "camera": "faces", "source": str(two_faces)},
        {"session": "other", "camera": "away", "source": f"rtsp://127.0.0.1:{free_port()}/nothing"},
    )
    with Service("ingest", file, env=installation.env) as service:
        service.until(lambda: service.total("microex_ingest_faces_published_total", camera="faces") >= 10)
        installation.consent("s", consent_pb2.Consent.STATE_WITHDRAWN)
        ended = account(service, "faces")
        assert service.total("microex_ingest_streams_ended_total", reason="REASON_CONSENT_WITHDRAWN") == 2
        assert service.process.poll() is None, "the other session goes on"
        assert service.stop() == 0
    found = streams(installation, ended["faces_published"] + 2)
    assert {messages[-1].end.reason for messages in found.values()} == {frame_pb2.End.REASON_CONSENT_WITHDRAWN}
    assert ended["captured"] < 300
