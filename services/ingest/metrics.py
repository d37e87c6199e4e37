"""What ingest counts, read from the cameras' own accounts when Prometheus asks: the sums close at every scrape."""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from microex.v1 import frame_pb2
from services.ingest.account import Account
from services.ingest.camera import Camera

_COUNTERS = {
    "frames_captured": "Frames that the source gave: with a face + without + dropped.",
    "frames_with_face": "Frames in which a face was found.",
    "frames_without_face": "Frames in which none was found.",
    "frames_dropped": "Frames never looked at, by reason: behind, undecodable, time, shutdown, consent, failed.",
    "faces_seen": "Faces found: published + dropped.",
    "faces_published": "Faces published as face frames.",
    "faces_dropped": "Faces not good enough, by reason: small, pose, blur.",
    "messages": "Messages by what Kafka did with them: acknowledged, refused.",
    "streams_ended": "Streams that ended, by reason.",
    "failures": "Runs of a camera that failed.",
    "reconnects": "Times that a live source was opened again.",
}
_REASONS = {"frames_dropped": "reason", "faces_dropped": "reason", "messages": "outcome", "streams_ended": "reason"}
_ZEROS = {
    "frames_dropped": dict.fromkeys(("behind", "undecodable", "time", "shutdown", "consent", "failed"), 0),
    "faces_dropped": dict.fromkeys(("small", "pose", "blur"), 0),
    "streams_ended": dict.fromkeys(frame_pb2.End.Reason.keys()[1:], 0),
}
"""Reasons are there from the start: an increase from nothing is none to Prometheus."""
_LABELS = ["session", "camera"]


class Cameras(Collector):
    """Exposes `cameras` on `registry`."""

    def __init__(self, cameras: Sequence[Camera], registry: CollectorRegistry) -> None:
        self._cameras = cameras
        registry.register(self)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """One sample a camera and reason."""
        values = [([c.config.session, c.config.camera], _values(c, c.account)) for c in self._cameras]
        for name, text in _COUNTERS.items():
            labels = [*_LABELS, _REASONS[name]] if name in _REASONS else _LABELS
            family = CounterMetricFamily(f"microex_ingest_{name}", text, labels=labels)
            for names, counts in values:
                value = counts[name]
                for reason, count in value.items() if isinstance(value, dict) else [(None, value)]:
                    family.add_metric([*names, reason] if reason else names, count)
            yield family
        connected = GaugeMetricFamily("microex_ingest_connected", "1 while frames can come.", labels=_LABELS)
        held = GaugeMetricFamily("microex_ingest_held_frames", "Frames waiting for the landmarker.", labels=_LABELS)
        for camera in self._cameras:
            connected.add_metric([camera.config.session, camera.config.camera], float(camera.connected))
            held.add_metric([camera.config.session, camera.config.camera], camera.held)
        yield from (connected, held)


def _values(camera: Camera, account: Account) -> dict[str, int | dict[str, int]]:
    return {
        "frames_captured": account.captured,
        "frames_with_face": account.with_face,
        "frames_without_face": account.without_face,
        "frames_dropped": _ZEROS["frames_dropped"] | account.dropped,
        "faces_seen": account.faces_seen,
        "faces_published": account.faces_published,
        "faces_dropped": _ZEROS["faces_dropped"] | account.faces_dropped,
        "messages": camera.publisher.settled(),
        "streams_ended": _ZEROS["streams_ended"] | camera.ends.copy(),
        "failures": camera.failures,
        "reconnects": camera.reconnects,
    }
