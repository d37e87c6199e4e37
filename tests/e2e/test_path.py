"""From a video to AU graphs, in one process and over Kafka: the same answers, and every frame accounted for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microex.v1 import graph_pb2
from services.common import wire
from tests.support.planted_video import BROW_RAISE, SMILE, plant
from tests.support.services import Service, run
from tests.support.topics import Installation, decoded

TOLERANCE = 1e-4
SECONDS = 9


@pytest.fixture(scope="module")
def video(talking_face: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    plants = [(SMILE, 2.0, 2.4, 0.3), (BROW_RAISE, 4.2, 4.6, 0.5), (SMILE, 6.0, 7.2, 0.4)]
    return plant(talking_face, tmp_path_factory.mktemp("video") / "planted.mp4", plants, SECONDS)


@pytest.fixture
def installation(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Installation]:
    with Installation(kafka_bootstrap, topic_prefix, "local") as installation:
        yield installation


def test_one_process_and_kafka_agree(video: Path, installation: Installation, redis_url: str, tmp_path: Path) -> None:
    """The same video gives the same windows and predictions, id by id, in order; both accounts close."""
    done = run("analyze", str(video), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / video.stem
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    summary = json.loads((folder / "summary.json").read_text())
    assert len(events) >= 3, "the video has to hold expressions, or this test says nothing"
    assert summary["closes"]

    cameras = tmp_path / "cameras.yaml"
    cameras.write_text(json.dumps({"cameras": [{"session": "local", "camera": video.stem, "source": str(video)}]}))
    env = installation.env
    with (
        Service("spotter", env=env) as spotter,
        Service("recognizer", "--grpc-port", "0", "--redis-url", redis_url, env=env) as recognizer,
        Service("ingest", str(cameras), env=env) as ingest,
    ):
        assert ingest.wait() == 0, ingest.log()
        account = ingest.await_event("source ended")
        published = account["faces_published"]
        spotter.until(lambda: spotter.total("microex_spotter_frames_total") >= published)
        spotter.until(lambda: spotter.total("microex_spotter_streams") == 0)
        wanted = {event["window_id"] for event in events}
        records = installation.read(
            wire.AU_GRAPHS, lambda rs: wanted <= {g.window_id for g in decoded(rs, graph_pb2.AuGraph)}
        )
        found = spotter.metrics()
        assert spotter.stop() == 0, spotter.log()
        assert recognizer.stop() == 0, recognizer.log()

    graphs = decoded(records, graph_pb2.AuGraph)
    assert [g.window_id for g in graphs] == [event["window_id"] for event in events]
    for graph, event in zip(graphs, events, strict=True):
        same(graph, event)

    # Both sums close, to the frame, on both ways.
    assert account["captured"] == summary["frames"]["read"] == SECONDS * 30
    assert account["captured"] == account["with_face"] + account["without_face"] + sum(account["dropped"].values())
    assert account["faces_seen"] == published + sum(account["faces_dropped"].values())
    outcomes = {dict(labels)["outcome"]: value for (n, labels), value in found.items() if n == FRAMES}
    assert published == sum(outcomes.get(o, 0) for o in ("analysed", "rejected", "expired"))
    assert outcomes.get("repeat", 0) == 0


FRAMES = "microex_spotter_frames_total"


def same(graph: graph_pb2.AuGraph, event: dict[str, Any]) -> None:
    """The graph on the topic says what the line of events.jsonl says."""
    assert (graph.onset.index, graph.apex.index, graph.offset.index) == tuple(
        event[f"{name}_frame"] for name in ("onset", "apex", "offset")
    )
    assert graph.model.digest == event["model"]["digest"]
    probabilities = {p.label: p.probability for p in graph.emotion.probabilities}
    assert probabilities == pytest.approx(event["emotion"]["probabilities"], abs=TOLERANCE)
    top, second = sorted(probabilities.values())[-1:-3:-1]
    if top - second > TOLERANCE:
        assert graph.emotion.label == event["emotion"]["label"]
    assert [a.au for a in graph.aus] == [a["au"] for a in event["aus"]]
    for ours, theirs in zip(graph.aus, event["aus"], strict=True):
        assert ours.probability == pytest.approx(theirs["probability"], abs=TOLERANCE)
        assert ours.intensity == pytest.approx(theirs["intensity"], abs=TOLERANCE)
    assert [f.weight for f in graph.frames] == pytest.approx(
        [w["weight"] if isinstance(w, dict) else w for w in event["frame_weights"]], abs=TOLERANCE
    )
