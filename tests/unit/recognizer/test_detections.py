"""What Prometheus is told of predictions: each one once, with labels that a dashboard can sum."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from microex.v1 import graph_pb2, stream_pb2, window_pb2
from services.recognizer.detections import Detections

Emotion, Stages = graph_pb2.Emotion, stream_pb2.StageTimes


def graph(name: str, session: str, **changes: Any) -> graph_pb2.AuGraph:
    return graph_pb2.AuGraph(
        prediction_id=name,
        stream=stream_pb2.StreamKey(session=session, camera="c", track="0.0.0"),
        kind=window_pb2.KIND_MICRO,
        emotion=Emotion(
            label="positive",
            probabilities=[
                graph_pb2.ClassProbability(label="positive", probability=0.75),
                graph_pb2.ClassProbability(label="negative", probability=0.25),
            ],
        ),
        aus=[graph_pb2.ActionUnit(au="AU12", active=True), graph_pb2.ActionUnit(au="AU4", active=False)],
        **changes,
    )


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"microex_recognizer_{name}", labels) or 0.0


def test_a_repeat_is_not_counted(request: pytest.FixtureRequest) -> None:
    session, detections = request.node.name, Detections()
    for name in ("a", "b", "a", "a"):
        detections.note(graph(name, session))
    assert value("detections_total", session=session, camera="c", kind="micro", emotion="positive") == 2
    assert value("au_activations_total", session=session, camera="c", au="AU12") == 2
    assert value("au_activations_total", session=session, camera="c", au="AU4") == 0
    assert value("emotion_confidence_ratio_sum", session=session, camera="c") == 1.5
    assert value("latest_detection_timestamp_seconds", session=session, camera="c") > 0


def test_memory_is_bounded(request: pytest.FixtureRequest) -> None:
    """The newest ids are kept, and one that is seen again counts as new."""
    session, detections = request.node.name, Detections(remembered=2)
    for name in ("a", "b", "a", "c", "a", "b"):  # b is the one that was forgotten
        detections.note(graph(name, session))
    assert value("detections_total", session=session, camera="c", kind="micro", emotion="positive") == 4


@pytest.mark.parametrize(("captured_us", "more"), [(1_000_000, 1), (0, 0)])
def test_a_stage_without_a_time_is_left_out(captured_us: int, more: int, request: pytest.FixtureRequest) -> None:
    names = ("ingest", "spotter", "recognizer")

    def counts() -> list[float]:
        return [*(value("stage_seconds_count", stage=name) for name in names), value("latency_seconds_count")]

    before = counts()
    stages = Stages(captured_us=captured_us, published_us=2_000_000, spotted_us=3_000_000, recognized_us=5_000_000)
    Detections().note(graph("a", request.node.name, stages=stages))
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [more, 1, 1, more]
