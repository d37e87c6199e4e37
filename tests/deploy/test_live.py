"""The three services on a real Kafka, watched by a real Prometheus while a video with known expressions goes through:
every query of the dashboards and every alert is asked of it."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from microex.v1 import frame_pb2, graph_pb2, window_pb2
from scripts import tools
from scripts.broker import free_port
from services.common import wire
from tests.deploy import boards
from tests.deploy.cluster import K8S, quantity
from tests.deploy.conftest import FIGURE, there
from tests.deploy.scraper import Prometheus
from tests.deploy.test_observability import ALERTS, RECORDED
from tests.deploy.webcam import webcam
from tests.support.planted_video import BROW_RAISE, SMILE, plant
from tests.support.services import Service, run
from tests.support.topics import Installation, decoded

SESSION = "trial"
NAMESPACE = "room"

EMPTY: dict[str, str] = {
    "pipeline / GPU / A": "there is no dcgm-exporter beside the services",
    "pipeline / GPU / B": "there is no dcgm-exporter beside the services",
    "detections / Frames that the spotter rejected / A": "every face frame can be analysed",
}
"""Queries that have nothing to show in good health, and why."""


@dataclass
class Run:
    """What is left of the run: Prometheus with its samples, when it began, and what is on the topics."""

    prometheus: Prometheus
    start: float
    graphs: list[graph_pb2.AuGraph]
    variables: dict[str, str]


@pytest.fixture(scope="module")
def live(
    talking_face: Path,
    feat_media: Path,
    kafka_bootstrap: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Run]:
    """Two files and a camera on the network, which goes on; then the first file's frames once more as if another camera
    sent them now; then a caller of gRPC who asks for a window that the cache knows."""
    commands = there(tools.prometheus)
    folder = tmp_path_factory.mktemp("live")
    film = plant(talking_face, folder / "film.mp4", [(SMILE, 2.0, 2.4, 0.3), (BROW_RAISE, 3.2, 4.4, 0.5)], 6)
    ports = {name: free_port() for name in ("ingest", "spotter", "recognizer")}
    start = time.time()

    def service(name: str, *args: str) -> Service:
        return Service(name, *args, "--http-port", str(ports[name]), env=installation.env)

    with (
        Installation(kafka_bootstrap, f"live-{uuid.uuid4().hex[:8]}-", SESSION) as installation,
        webcam(talking_face) as address,
        Prometheus(commands, folder, ports, NAMESPACE) as prometheus,
        service("spotter") as spotter,
        service("recognizer", "--grpc-port", "0", "--redis-url", redis_url, "--device", "cpu") as recognizer,
        service("ingest", cameras(folder, film, feat_media / "face_noface.mov", address)) as ingest,
    ):
        for name in ("film", "door"):
            ingest.await_event(lambda event, name=name: event["event"] == "source ended" and event["camera"] == name)
        prometheus.until(lambda: len(prometheus.now("up == 1")) == len(ports))  # growth is seen from a first sample on
        frames = send_again(installation, "film", "again")
        spotter.until(lambda: spotter.total("microex_spotter_frames_total", camera="again") == frames)
        spotter.until(lambda: spotter.total("microex_spotter_streams") == 1)  # that of the network camera
        windows = spotter.total("microex_spotter_windows_total")
        recognizer.until(lambda: recognizer.total("microex_recognizer_windows_total", outcome="published") >= windows)
        graphs = decoded(installation.read(wire.AU_GRAPHS, lambda records: len(records) >= windows), graph_pb2.AuGraph)
        ask_again(installation, recognizer.await_event("gRPC")["port"], folder / "windows.bin")
        found = len({graph.prediction_id for graph in graphs})
        prometheus.until(lambda: prometheus.value(DETECTED) >= found)
        prometheus.until(lambda: prometheus.now("count_over_time(microex_recognizer_requests_total[9s]) >= 4"))
        variables = {
            "__interval": "10s", "__rate_interval": "10s", "__range": f"{int(time.time() - start) + 60}s",
            "namespace": NAMESPACE, "session": ".+", "camera": ".+",
        }  # fmt: skip
        yield Run(prometheus, start, graphs, variables)
        assert ingest.stop() == 0, ingest.log()
        assert spotter.stop() == 0, spotter.log()
        assert recognizer.stop() == 0, recognizer.log()


def cameras(folder: Path, film: Path, door: Path, address: str) -> str:
    """A file that names them."""
    sources = {"film": film, "door": door, "network": address}
    entries = [{"session": SESSION, "camera": name, "source": str(source)} for name, source in sources.items()]
    (folder / "cameras.yaml").write_text(json.dumps({"cameras": entries}))
    return str(folder / "cameras.yaml")


DETECTED = "sum(microex_recognizer_detections_total)"


def send_again(installation: Installation, camera: str, name: str) -> int:
    """Publish a camera's messages once more, under another name and as captured now; how many frames are among them."""
    records = installation.read(wire.FACE_FRAMES, lambda records: bool(records))
    messages = [m for m in decoded(records, frame_pb2.FaceFrame) if m.stream.camera == camera]
    for message in messages:
        message.stream.camera = name
        message.stages.captured_us = message.stages.published_us = wire.now_us()
        installation.publish(message)
    installation.outbox.flush(60)
    return sum(message.HasField("frame") for message in messages)


def ask_again(installation: Installation, port: int, file: Path) -> None:
    """Recognise a window from the topic over gRPC."""
    [record, *_] = installation.read(wire.APEX_WINDOWS, lambda records: len(records) >= 1)
    file.write_bytes(record.value)
    assert window_pb2.ApexWindow.FromString(record.value).window_id
    done = run("recognize", str(file), "--grpc", f"127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("query", boards.queries(), ids=str)
def test_every_panel_shows_something(live: Run, query: boards.Query) -> None:
    variables = live.variables | ({"session": SESSION, "camera": "film|network"} if query.board == "camera" else {})
    series = live.prometheus.since(live.start, boards.filled(query.expr, variables))
    shown = [value for one in series for _, value in one["values"] if value != "NaN"]
    assert bool(shown) == (str(query) not in EMPTY), EMPTY.get(str(query), "nothing came back")


@pytest.mark.parametrize("query", [query for query in boards.queries() if query.instant], ids=str)
def test_every_number_is_one_that_prometheus_takes(live: Run, query: boards.Query) -> None:
    live.prometheus.now(boards.filled(query.expr, live.variables))


def test_detections_add_up(live: Run) -> None:
    """The raw counter, and the panels' own sums over the time shown, are the distinct AuGraphs on the topic."""
    graphs = {graph.prediction_id: graph for graph in live.graphs}
    kinds = Counter(window_pb2.Kind.Name(graph.kind) for graph in graphs.values())
    assert kinds["KIND_MICRO"] >= 2 and kinds["KIND_MACRO"] >= 2, "both were planted, and seen twice"
    assert live.prometheus.value(DETECTED) == len(graphs)
    panels = {query.panel: query for query in boards.queries() if query.board == "detections"}
    for title, kind in (("Micro-expressions", "KIND_MICRO"), ("Macro-expressions", "KIND_MACRO")):
        assert live.prometheus.value(boards.filled(panels[title].expr, live.variables)) == kinds[kind]
    confidence = live.prometheus.value(boards.filled(panels["Confidence"].expr, live.variables))
    assert 0 <= confidence <= 1
    active = sum(unit.active for graph in graphs.values() for unit in graph.aus)
    assert live.prometheus.value("sum(microex_recognizer_au_activations_total)") == active


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_recorded_series_are_there(live: Run, name: str) -> None:
    assert live.prometheus.since(live.start, name)


SILENT = {
    "MicroexFacesUnusable": "at least half of the faces of each film are good enough",
    "MicroexFramesUnaccounted": "what ingest captured adds up",
    "MicroexFramesLost": "every frame that was published is read",
    "MicroexNothingRead": "spotter and recognizer have partitions",
    "MicroexDeadLetters": "everybody writes what can be read",
    "MicroexRecognizerQueueFull": "a dozen windows fill no queue",
    "MicroexServiceRestarting": "each service started once",
    "MicroexServiceDown": "each service answers",
}
"""Alerts whose expressions have to be empty in good health, and why."""
BUSY = {
    "MicroexCacheDown": "Valkey may take more than the 50 ms that it is given",
    "MicroexFramesDropped": "the network camera's frames may wait too long for the landmarker",
    "MicroexLagGrowing": "the spotter may start late",
    "MicroexLatencyBudgetBurningFast": "predictions may take their time",
    "MicroexLatencyBudgetBurningSlowly": "predictions may take their time",
}
"""Those that are empty unless the machine is busy with something else, and what is right about them then."""
TOLD = {
    "MicroexCameraSilent": "a file that has ended is silent, sooner or later",
    "MicroexModelUntrained": "so it is, or else the weights are trained",
}
"""Those that may have something to say, and what."""


@pytest.mark.parametrize("alert", ALERTS)
def test_alerts_can_be_asked_and_what_they_watch_is_there(live: Run, alert: str) -> None:
    """Prometheus takes the expression, every metric in it exists, and it is silent unless there is a reason."""
    expr: str = ALERTS[alert]["expr"]
    said = live.prometheus.now(expr)
    for metric in boards.metrics_in(expr):
        assert live.prometheus.since(live.start, metric), f"{alert} watches {metric}, which nobody gives"
    if alert in SILENT:
        assert not said, SILENT[alert]
    elif alert == "MicroexModelUntrained":
        assert bool(said) != live.graphs[0].model.trained, TOLD[alert]
    elif alert == "MicroexCameraSilent":
        assert "network" not in {one["metric"]["camera"] for one in said}, TOLD[alert]
    else:
        assert alert in BUSY


def test_what_fires_has_a_reason(live: Run) -> None:
    alerts = {alert["labels"]["alertname"] for alert in live.prometheus.alerts()}
    assert alerts <= BUSY.keys() | TOLD.keys()


@pytest.mark.parametrize("job", ["ingest", "spotter", "recognizer"])
def test_what_the_services_took(live: Run, job: str, record_property: Any) -> None:
    """Figures for requests and limits; docs/operations.md says what they mean."""

    def most(metric: str) -> float:
        series = live.prometheus.since(live.start, f'{metric}{{job="microex-{job}"}}')
        return max(float(value) for one in series for _, value in one["values"])

    memory, cpu = most("process_resident_memory_bytes"), most("process_cpu_seconds_total")
    [pods] = [o for o in yaml.safe_load_all((K8S / "base" / f"{job}.yaml").read_text()) if "template" in o["spec"]]
    [container] = pods["spec"]["template"]["spec"]["containers"]
    assert 0 < memory < quantity(container["resources"]["requests"]["memory"]), "its pods ask for too little"
    assert cpu > 0
    record_property(FIGURE, f"{job}: {memory / 2**20:,.0f} MiB at the most, {cpu:.1f} s of CPU")
