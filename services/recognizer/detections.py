"""What was found, for Prometheus: each prediction once, however often its window is read again by this process."""

from collections import OrderedDict
from typing import Final

from microex.v1 import graph_pb2, stream_pb2
from services.common import wire
from services.recognizer import metrics

REMEMBERED: Final = 65_536
"""Ids of predictions that are remembered; windows come again within minutes, not days."""


class Detections:
    """Counts AuGraphs that Kafka has acknowledged. remembered: how many ids are kept, the newest ones."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._seen: OrderedDict[str, None] = OrderedDict()

    def note(self, graph: graph_pb2.AuGraph) -> None:
        """Count a graph unless it was counted before."""
        if graph.prediction_id in self._seen:
            self._seen.move_to_end(graph.prediction_id)
            return
        self._seen[graph.prediction_id] = None
        if len(self._seen) > self._remembered:
            self._seen.popitem(last=False)
        _count(graph)


def _count(graph: graph_pb2.AuGraph) -> None:
    session, camera, emotion = graph.stream.session, graph.stream.camera, graph.emotion
    kind = wire.kind_name(graph.kind)
    metrics.DETECTIONS.labels(session, camera, kind, emotion.label).inc()
    metrics.LATEST.labels(session, camera).set_to_current_time()
    metrics.CONFIDENCE.labels(session, camera).observe(max((c.probability for c in emotion.probabilities), default=0.0))
    for unit in graph.aus:
        metrics.AU_ACTIVATIONS.labels(unit.au, session, camera).inc(unit.active)  # rows of a heat map, active or not
    _time(graph.stages)


def _time(stages: stream_pb2.StageTimes) -> None:
    """A stage that stamped nothing has no time: files are not captured at any."""
    stamps = (stages.captured_us, stages.published_us, stages.spotted_us, stages.recognized_us)
    for stage, begin, end in zip(("ingest", "spotter", "recognizer"), stamps, stamps[1:], strict=False):
        if begin and end:
            metrics.STAGE_SECONDS.labels(stage).observe((end - begin) / 1e6)
    if stages.captured_us and stages.recognized_us:
        metrics.LATENCY_SECONDS.observe((stages.recognized_us - stages.captured_us) / 1e6)
