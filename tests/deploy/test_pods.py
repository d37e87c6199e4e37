"""What the pods are told is what the code takes: settings, commands, probes, ports, topics; and they are well kept."""

import math
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import mode
import pytest
import yaml

from scripts.setup import ROOT
from services.cli import microex
from services.common import wire
from services.common.consent import GROUP as CONSENTS_GROUP
from services.common.settings import (
    IngestSettings,
    KafkaSettings,
    LogSettings,
    RecognizerSettings,
    ServiceSettings,
    SpotterSettings,
    load,
)
from services.common.status import StatusServer
from services.ingest import service as ingest_service
from services.ingest.cameras import read_cameras, share
from services.recognizer import service as recognizer_service
from services.recognizer.servicer import SERVICE as GRPC_SERVICE
from tests.deploy import dockerfile
from tests.deploy.cluster import Build, Workload, quantity
from tests.deploy.restricted import violations
from tests.deploy.test_images import STAGES

PAGE = (ROOT / "docs" / "operations.md").read_text()

SETTINGS: dict[str, type[KafkaSettings]] = {
    "ingest": IngestSettings,
    "spotter": SpotterSettings,
    "recognizer": RecognizerSettings,
    "cli": RecognizerSettings,
    "topics": KafkaSettings,
}


def ours(cluster: Build) -> list[Workload]:
    return [workload for workload in cluster.workloads if workload.ours]


def settings(cluster: Build, workload: Workload, monkeypatch: pytest.MonkeyPatch) -> LogSettings:
    """What its container's environment, over its image's, loads as."""
    target = workload.container["image"].split(":")[0].removeprefix("microex-")
    with monkeypatch.context() as patch:
        for stage in dockerfile.lineage(STAGES, target):
            for name, value in (word.split("=", 1) for line in stage.all("ENV") for word in line.split()):
                if name.startswith("MICROEX_"):
                    patch.setenv(name, value)
        for name, value in cluster.environment(workload.container).items():
            patch.setenv(name, value)
        return load(SETTINGS[workload.name])


def test_settings_exist_and_load(cluster: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    for workload in ours(cluster):
        loaded = settings(cluster, workload, monkeypatch)
        for name, value in loaded.model_dump().items():
            if name.endswith("_file") and value is not None:
                mounts = [mount["mountPath"] for mount in workload.container["volumeMounts"]]
                assert str(Path(value).parent) in mounts, f"{workload.name}: nothing is mounted at {value}"


def test_commands_exist(cluster: Build) -> None:
    """The arguments, or else those of the image, are a command with its options."""
    for workload in ours(cluster):
        if workload.container.get("command") == ["sleep", "infinity"]:
            continue
        command: click.Command = microex
        words = list(workload.container["args"])
        while isinstance(command, click.Group):
            context = click.Context(command)
            found = command.get_command(context, words.pop(0))
            assert found is not None, workload.container["args"]
            command = found
        command.make_context(command.name, words)


def probes(workload: Workload) -> dict[str, dict[str, Any]]:
    return {name: workload.container[name] for name in ("startupProbe", "livenessProbe", "readinessProbe")}


@pytest.fixture
def pages() -> Iterator[StatusServer]:
    server = StatusServer("127.0.0.1", 0, lambda: None)
    server.start()
    yield server
    server.stop()


def test_probes_ask_what_is_there(cluster: Build, pages: StatusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for workload in cluster.services:
        ports = {port["name"]: port["containerPort"] for port in workload.container.get("ports", ())}
        loaded = settings(cluster, workload, monkeypatch)
        for name, probe in probes(workload).items():
            if "httpGet" in probe:
                path = probe["httpGet"]["path"]
                ready = name == "readinessProbe" and workload.name != "ingest"  # its cameras stop no update
                assert path == ("/readyz" if ready else "/healthz"), f"{workload.name} {name}"
                with urllib.request.urlopen(f"http://127.0.0.1:{pages.port}{path}") as answer:
                    assert answer.status == 200
                assert isinstance(loaded, ServiceSettings) and ports[probe["httpGet"]["port"]] == loaded.http_port
                assert loaded.http_host == "0.0.0.0"
            elif "grpc" in probe:
                assert isinstance(loaded, RecognizerSettings) and probe["grpc"]["port"] == loaded.grpc_port
                assert probe["grpc"]["service"] == GRPC_SERVICE
                assert loaded.grpc_cert_file is None, "Kubernetes' gRPC probes speak no TLS"
                assert loaded.grpc_host == "0.0.0.0"


def test_services_lead_to_ports(cluster: Build) -> None:
    for service in cluster.all("Service"):
        [workload] = [w for w in cluster.workloads if service["spec"]["selector"].items() <= w.labels.items()]
        ports = {port["name"] for port in workload.container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    assert cluster.one("Service", "recognizer")["spec"]["clusterIP"] == "None", "clients balance by themselves"


def test_every_service_is_scraped_where_it_has_metrics(cluster: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    for workload in cluster.services:
        loaded = settings(cluster, workload, monkeypatch)
        ports = {port["name"]: port["containerPort"] for port in workload.container.get("ports", ())}
        assert ports.get("http") == (None if workload.name == "cli" else loaded.http_port)  # type: ignore[attr-defined]
    for monitor in cluster.all("PodMonitor"):
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
        assert all(monitor["spec"]["selector"]["matchLabels"].items() <= w.labels.items() for w in cluster.workloads)
        [job] = endpoint["relabelings"]
        assert job["sourceLabels"] == ["__meta_kubernetes_pod_label_app_kubernetes_io_name"]
        assert (job["targetLabel"], job["replacement"]) == ("job", "microex-$1"), "as rules and dashboards name it"


def test_pods_keep_to_the_restricted_standard(cluster: Build) -> None:
    for workload in cluster.workloads:
        assert not list(violations(workload.spec)), workload.name
        assert workload.container["securityContext"]["readOnlyRootFilesystem"] is True
        assert workload.spec["automountServiceAccountToken"] is False
        assert workload.spec["enableServiceLinks"] is False
    [namespace] = cluster.all("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"securityContext": {}}, "runAsNonRoot"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "hostPath"),
        ({"containers": [{"name": "c"}]}, "capabilities"),
    ],
)
def test_the_audit_notices(change: dict[str, Any], words: str) -> None:
    good = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {"name": "c", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
        ],
    }
    assert not list(violations(good))
    assert any(words in text for text in violations(good | change))


def test_nothing_is_missing(cluster: Build) -> None:
    budgets = [budget["spec"]["selector"]["matchLabels"] for budget in cluster.all("PodDisruptionBudget")]
    for workload in cluster.workloads:
        container = workload.container
        tag = container["image"].partition(":")[2]
        assert tag and tag != "latest", container["image"]
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]) and "memory" in container["resources"][
            "limits"
        ]
        if workload.kind != "Job":
            assert all(probes(workload).values())
            assert any(labels.items() <= workload.labels.items() for labels in budgets), f"no PDB for {workload.name}"
    for workload in cluster.services:
        if workload.name != "cli":
            assert workload.spec["topologySpreadConstraints"]


def test_what_is_not_ready_keeps_no_node_from_being_drained(cluster: Build) -> None:
    for budget in cluster.all("PodDisruptionBudget"):
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow", budget["metadata"]["name"]


def test_the_broker_kills_nobody(cluster: Build) -> None:
    """Restarted is what /healthz calls broken; Kafka is a matter of /readyz. A start may take three minutes."""
    for workload in cluster.services:
        start = probes(workload)["startupProbe"]
        if workload.name != "cli":
            assert start["periodSeconds"] * start["failureThreshold"] >= 180
        for probe in (start, probes(workload)["livenessProbe"]):
            assert "readyz" not in str(probe)


def test_there_is_time_to_drain(cluster: Build) -> None:
    """SIGKILL comes after all that stopping may wait for: what the services' own constants say, and 10 s for Kafka."""
    needed = {
        "ingest": 2 * ingest_service.LEAVE_S + 10,
        "spotter": mode.Service.shutdown_timeout + 10,  # what Faust waits for while Kafka is away
        "recognizer": 2 * recognizer_service.GRACE_S + 10,
    }
    for workload in cluster.services:
        if workload.name in needed:
            pause = workload.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            assert workload.spec["terminationGracePeriodSeconds"] >= needed[workload.name] + pause
    for name in ("spotter", "recognizer"):
        rolling = cluster.one("Deployment", name)["spec"]["strategy"]["rollingUpdate"]
        assert rolling["maxSurge"] == 0


def test_each_camera_runs_once(cluster: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [ingest] = [workload for workload in cluster.services if workload.name == "ingest"]
    replicas = ingest.object["spec"]["replicas"]
    loaded = settings(cluster, ingest, monkeypatch)
    assert isinstance(loaded, IngestSettings) and loaded.ingest_replicas == replicas
    [volume] = [volume for volume in ingest.spec["volumes"] if volume["name"] == "cameras"]
    text = cluster.one("ConfigMap", volume["configMap"]["name"])["data"][Path(ingest.container["args"][1]).name]
    (tmp_path / "cameras.yaml").write_text(text)
    for word in {word.split("}")[0] for word in text.split("${")[1:]}:
        monkeypatch.setenv(word, "secret")
    cameras = read_cameras(tmp_path / "cameras.yaml")
    shares = [share(cameras, ordinal, replicas) for ordinal in range(replicas)]
    assert sorted((c.session, c.camera) for one in shares for c in one) == sorted(
        (c.session, c.camera) for c in cameras
    )
    assert all(camera.live for camera in cameras), "a file that ended would be started over and over"
    if cluster.name == "institute":
        assert all(len({camera.session for camera in one}) == 1 for one in shares), "one ingest, one room"


def test_topics_are_those_of_the_code(cluster: Build) -> None:
    topics = {o["metadata"]["name"]: o["spec"] for o in cluster.all("KafkaTopic")}
    jobs = [workload for workload in cluster.workloads if workload.kind == "Job"]
    assert bool(topics) != bool(jobs), "either operator or Job makes them"
    if not topics:
        return
    assert set(topics) == {topic.name for topic in wire.TOPICS}
    for topic in wire.TOPICS:
        spec = topics[topic.name]
        assert {name: str(value) for name, value in spec["config"].items()} == topic.config
        assert spec["replicas"] == 3
        assert spec["partitions"] == topic.partitions or topic.partitions > 1
    assert len({topics[topic.name]["partitions"] for topic in wire.TOPICS if topic.partitions > 1}) == 1


READS = {
    "ingest": {wire.CONSENTS.name},
    "spotter": {wire.FACE_FRAMES.name, wire.CONSENTS.name},
    "recognizer": {wire.APEX_WINDOWS.name, wire.CONSENTS.name},
    "cli": {wire.APEX_WINDOWS.name, wire.AU_GRAPHS.name, wire.CONSENTS.name},
}
WRITES = {
    "ingest": {wire.FACE_FRAMES.name, wire.DEAD_LETTERS.name},
    "spotter": {wire.APEX_WINDOWS.name, wire.DEAD_LETTERS.name},
    "recognizer": {wire.AU_GRAPHS.name, wire.DEAD_LETTERS.name},
    "cli": {wire.APEX_WINDOWS.name, wire.AU_GRAPHS.name, wire.CONSENTS.name},
}
GROUPS = {
    "ingest": {CONSENTS_GROUP},
    "spotter": {CONSENTS_GROUP, SpotterSettings().spotter_group},
    "recognizer": {CONSENTS_GROUP, RecognizerSettings().recognizer_group},
    "cli": {CONSENTS_GROUP},
}


def test_users_may_do_what_their_service_does_and_no_more(cluster: Build) -> None:
    for user in cluster.all("KafkaUser"):
        service = user["metadata"]["name"].removeprefix("microex-")
        may: dict[str, set[str]] = {"Read": set(), "Write": set()}
        groups = set()
        for rule in user["spec"]["authorization"]["acls"]:
            kind, name = rule["resource"]["type"], rule["resource"]["name"]
            assert rule["resource"].get("patternType", "literal") == "literal"
            assert set(rule["operations"]) <= {"Read", "Write", "Describe"} and "Describe" in rule["operations"]
            if kind == "group":
                groups.add(name)
            else:
                for operation in set(rule["operations"]) & set(may):
                    may[operation].add(name)
        assert may["Read"] == READS[service]
        assert may["Write"] == WRITES[service]
        assert groups == GROUPS[service]


def test_scaling_stays_within_partitions(cluster: Build) -> None:
    topics = {o["metadata"]["name"]: o["spec"]["partitions"] for o in cluster.all("KafkaTopic")}
    source = {"spotter": wire.FACE_FRAMES, "recognizer": wire.APEX_WINDOWS}
    for scaled in cluster.all("ScaledObject"):
        name, spec = scaled["spec"]["scaleTargetRef"]["name"], scaled["spec"]
        assert 1 <= spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
        assert spec["maxReplicaCount"] <= topics[source[name].name]
        behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert behaviour["scaleDown"]["stabilizationWindowSeconds"] >= 600
        [trigger] = spec["triggers"]
        assert trigger["metadata"]["query"] == f'sum(microex_{name}_lag_messages{{namespace="{cluster.namespace}"}})'
        assert trigger["metadata"]["ignoreNullValues"] == "false", "that nobody tells of lag is no lag of 0"
        assert "replicas" not in cluster.one("Deployment", name)["spec"], "an upgrade would undo the scaling"


def asked(cluster: Build) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Pods: how many at the most, and what each of their containers asks for."""
    for workload in cluster.workloads:
        yield cluster.most(workload), [workload.container["resources"]]
    for pool in cluster.all("KafkaNodePool"):
        yield pool["spec"]["replicas"], [pool["spec"]["resources"]]
    for kafka in cluster.all("Kafka"):
        operators = kafka["spec"]["entityOperator"]
        yield 1, [operator.get("resources", {}) for operator in operators.values()]


def test_everything_fits_into_the_quota(cluster: Build) -> None:
    """And everybody says what the quota counts, else no pod of theirs is let in."""
    [quota] = cluster.all("ResourceQuota")
    hard = {name: quantity(value) for name, value in quota["spec"]["hard"].items()}
    used = Counter({"pods": 0.0})
    for pods, containers in asked(cluster):
        used["pods"] += pods
        for resources in containers:
            for name in ("requests.cpu", "requests.memory", "limits.memory"):
                kind, _, resource = name.partition(".")
                used[name] += pods * quantity(resources[kind][resource])
    assert {name: value for name, value in used.items() if value > hard[name]} == {}


MEASURED = dict(re.findall(r"(?m)^\| (ingest|spotter|recognizer), .*\| (\d+) MiB", PAGE))
"""The most memory that a service took, MiB, as docs/operations.md has it."""
FPS, FACES = 30, 2
"""What the sizes there reckon with."""


def milliseconds(what: str) -> float:
    """CPU time as docs/operations.md has it, the largest figure of the row."""
    [row] = re.findall(rf"(?m)^\| {what} \| ([^|]+)\|", PAGE)
    return max(map(float, re.findall(r"([\d.]+) ms", row)))


def test_memory_is_what_was_measured_and_room_beside_it(cluster: Build) -> None:
    assert MEASURED.keys() == {"ingest", "spotter", "recognizer"}
    for name, measured in MEASURED.items():
        [workload] = [workload for workload in cluster.services if workload.name == name]
        resources = workload.container["resources"]
        assert quantity(resources["requests"]["memory"]) >= int(measured) * 2**20
        assert quantity(resources["limits"]["memory"]) >= 2 * int(measured) * 2**20


def test_cores_are_what_the_cameras_need(cluster: Build) -> None:
    if cluster.name not in ("research-room", "institute"):
        pytest.skip(f"{cluster.name} is not sized for its cameras")
    cores = {w.name: quantity(w.container["resources"]["requests"]["cpu"]) for w in cluster.services}
    most = {w.name: cluster.most(w) for w in cluster.services}
    [data] = [o["data"] for o in cluster.all("ConfigMap") if "cameras.yaml" in o["data"]]
    cameras = len(yaml.safe_load(data["cameras.yaml"])["cameras"])
    assert math.ceil(cameras / most["ingest"]) * FPS * milliseconds("ingest, a frame") / 1000 <= cores["ingest"]
    assert cameras * FACES * FPS * milliseconds("spotter, a face frame") / 1000 <= most["spotter"] * cores["spotter"]


def test_no_more_spotters_than_partitions(cluster: Build) -> None:
    [job] = [workload for workload in cluster.workloads if workload.kind == "Job"] or [None]
    if job is None:
        partitions = cluster.one("KafkaTopic", wire.FACE_FRAMES.name)["spec"]["partitions"]
    else:
        words = job.container["args"]
        partitions = int(words[words.index("--partitions") + 1])
    for name in ("spotter", "recognizer"):
        [workload] = [workload for workload in cluster.services if workload.name == name]
        assert 1 <= cluster.most(workload) <= partitions


def test_the_gpu_image_is_asked_for_a_gpu(cluster: Build) -> None:
    [recognizer] = [workload for workload in cluster.services if workload.name == "recognizer"]
    limits, image = recognizer.container["resources"]["limits"], recognizer.container["image"]
    assert ("nvidia.com/gpu" in limits) == image.startswith("microex-recognizer-gpu:")
    assert ("nodeAffinity" in str(recognizer.spec.get("affinity"))) == ("nvidia.com/gpu" in limits)


def test_monitoring_holds_the_rules_and_the_dashboards(cluster: Build) -> None:
    for rule in cluster.all("PrometheusRule"):
        assert rule["spec"]["groups"]
        maps = [o for o in cluster.all("ConfigMap") if o["metadata"].get("labels", {}).get("grafana_dashboard")]
        assert {name for o in maps for name in o["data"]} == {"detections.json", "pipeline.json", "camera.json"}
        assert all(yaml.safe_load(text)["title"] for o in maps for text in o["data"].values())
