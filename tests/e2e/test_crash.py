"""Spotter and recognizer killed in mid-stream, spotters that come and go: what is found is what it would have been."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from microex.v1 import frame_pb2, graph_pb2, window_pb2
from services.common import wire
from tests.support.services import Service
from tests.support.streams import face_frames, planted, repeated, windows
from tests.support.topics import Installation, decoded

LAPS = 4
CAMERAS = ("left", "right")


@pytest.fixture(scope="module")
def clip(talking_face: Path) -> list[frame_pb2.FaceFrame]:
    return planted(face_frames(talking_face))


def ids(messages: Iterable[Any]) -> Counter[str]:
    return Counter(message.window_id for message in messages)


def graphs(records: list[Any]) -> list[graph_pb2.AuGraph]:
    return decoded(records, graph_pb2.AuGraph)


@pytest.mark.timeout(600)
def test_crashes_and_rebalances_change_nothing(clip: list[frame_pb2.FaceFrame], installation: Installation) -> None:
    streams = {camera: list(repeated(clip, "s", camera, LAPS)) for camera in CAMERAS}
    expected = {camera: windows(stream) for camera, stream in streams.items()}
    wanted = {window.window_id for found in expected.values() for window in found}
    assert len(wanted) >= 6, "the clip has to hold expressions, or this test says nothing"

    def publish(lap: int) -> None:
        stop = None if lap == LAPS - 1 else (lap + 1) * len(clip)
        for messages in zip(*(stream[lap * len(clip) : stop] for stream in streams.values()), strict=True):
            for message in messages:
                installation.publish(message)
        installation.outbox.flush(30)

    def analysed(service: Service, frames: int) -> None:
        service.await_event("joined the group")
        service.until(lambda: service.total("microex_spotter_frames_total") >= frames)

    def recognizer() -> Service:
        return Service("recognizer", "--grpc-port", "0", env=installation.env)

    publish(0)
    publish(1)
    with Service("spotter", env=installation.env) as first, recognizer() as early:
        analysed(first, len(clip) * 3)
        first.kill()
        early.until(lambda: early.total("microex_recognizer_windows_total") >= 1)
        early.kill()
    with Service("spotter", env=installation.env) as second, recognizer() as late:
        publish(2)
        analysed(second, len(clip))
        with Service("spotter", env=installation.env) as third:
            third.await_event("joined the group")
            publish(3)
            assert third.stop() == 0, third.log()
        records = installation.read(wire.AU_GRAPHS, lambda rs: wanted <= ids(graphs(rs)).keys(), timeout_s=240)
        assert wanted <= ids(graphs(records)).keys(), f"{second.log()}\n{late.log()}"
        # Both ends were seen: nothing more will come.
        second.until(lambda: second.total("microex_spotter_streams") == 0)
        assert second.stop() == 0, second.log()
        assert late.stop() == 0, late.log()

    found = decoded(installation.read(wire.APEX_WINDOWS, lambda _: True), window_pb2.ApexWindow)
    assert ids(found).keys() == wanted
    for camera, reference in expected.items():
        order = list(dict.fromkeys(w.window_id for w in found if w.stream.camera == camera))
        assert order == [w.window_id for w in reference], "the first of each window comes in the order of its stream"
    predictions = {(g.prediction_id, g.window_id, g.model.digest) for g in graphs(records)}
    assert Counter(window for _, window, _ in predictions) == Counter(wanted), "one prediction a window and model"
