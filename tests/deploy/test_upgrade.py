"""A rolling upgrade as docs/operations.md tells it: old and new versions at once, nothing lost, both told apart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microex.v1 import frame_pb2, graph_pb2, window_pb2
from services.common import wire
from services.common.ids import stream_key
from services.common.kafka import partition_of
from services.recognizer import weights
from services.recognizer.stag.config import StagConfig
from services.spotter.constants import DETECTOR_VERSION
from tests.support.services import MICROEX, Service, microex_with
from tests.support.streams import face_frames, planted, repeated, windows
from tests.support.topics import Installation, decoded

NEXT = "next"

WINDOWS = "microex_recognizer_windows_total"
SPOTTED = "microex_spotter_windows_total"


def two_cameras(clip: list[frame_pb2.FaceFrame]) -> dict[str, list[frame_pb2.FaceFrame]]:
    """The clip twice over, from a camera for each of two partitions."""
    found: dict[int, list[frame_pb2.FaceFrame]] = {}
    for camera in "abcdefgh":
        stream = list(repeated(clip, "s", camera, 2))
        found.setdefault(partition_of(stream_key(stream[0].stream), 2), stream)
    assert len(found) == 2
    return {stream[0].stream.camera: stream for stream in found.values()}


def place(window: window_pb2.ApexWindow) -> tuple[str, int, int]:
    return window.stream.camera, window.onset.index, window.offset.index


@pytest.fixture
def installation(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Installation]:
    with Installation(kafka_bootstrap, topic_prefix, "s", partitions=2) as installation:
        yield installation


@pytest.mark.timeout(600)
def test_old_and_new_versions_work_side_by_side(talking_face: Path, installation: Installation, tmp_path: Path) -> None:
    clip = planted(face_frames(talking_face))
    streams = two_cameras(clip)
    expected = {place(window) for stream in streams.values() for window in windows(stream)}
    weights.write(weights.untrained(StagConfig(seed=7)), tmp_path / "next.safetensors")

    def spotter(command: list[str] = MICROEX) -> Service:
        return Service("spotter", env=installation.env, command=command)

    def recognizer(*args: str) -> Service:
        return Service("recognizer", "--grpc-port", "0", *args, env=installation.env)

    def publish(part: slice) -> None:
        for stream in streams.values():
            for message in stream[part]:
                installation.publish(message)
        installation.outbox.flush(30)

    def complete(records: list[Any]) -> bool:
        return expected <= set(map(place, decoded(records, window_pb2.ApexWindow)))

    with spotter() as first, spotter() as stays, recognizer() as old:
        for service in (first, stays):
            service.await_event("joined the group")
        publish(slice(None, len(clip)))
        first.until(lambda: first.total(SPOTTED) and stays.total(SPOTTED))
        old.until(lambda: old.total(WINDOWS, outcome="published") >= 2)
        # One leaves before another comes: maxSurge is 0.
        assert [first.stop(), old.stop()] == [0, 0], first.log() + old.log()
        with (
            spotter(microex_with("services.spotter.constants", DETECTOR_VERSION=NEXT)) as new,
            recognizer(f"--model-weights={tmp_path / 'next.safetensors'}") as heir,
        ):
            new.await_event("joined the group")
            publish(slice(len(clip), None))
            installation.read(wire.APEX_WINDOWS, complete, timeout_s=240)
            assert [stays.stop(), new.stop()] == [0, 0], stays.log() + new.log()
            found = decoded(installation.read(wire.APEX_WINDOWS, bool), window_pb2.ApexWindow)
            names = {window.window_id for window in found}

            def answered(records: list[Any]) -> bool:
                return names <= {graph.window_id for graph in decoded(records, graph_pb2.AuGraph)}

            graphs = decoded(installation.read(wire.AU_GRAPHS, answered, timeout_s=240), graph_pb2.AuGraph)
            assert heir.stop() == 0, heir.log()

    assert {place(window) for window in found} == expected, "nothing is lost, and nothing is made up"
    assert {window.detector for window in found} == {DETECTOR_VERSION, NEXT}
    assert len(names) == len({(window.detector, place(window)) for window in found}), "an id a version and window"
    assert {graph.window_id for graph in graphs} == names
    assert len({graph.model.digest for graph in graphs}) == 2
    assert len({graph.prediction_id for graph in graphs}) == len({(g.window_id, g.model.digest) for g in graphs})
