"""What may talk to what: NetworkPolicies, evaluated as Kubernetes does, against the flows that the picture shows."""

from typing import Any

from tests.deploy.cluster import Build, Workload

FLOWS = {
    ("recognizer", "valkey", 6379),
    ("cli", "valkey", 6379),
    ("cli", "recognizer", 50051),
}
TO_KAFKA = {"ingest", "spotter", "recognizer", "cli", "topics"}
SCRAPED = {"ingest", "spotter", "recognizer"}
PORTS = (53, 80, 443, 554, 5432, 6379, 8080, 9092, 9093, 9464, 50051)


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector selects what has these labels."""
    equal = selector.get("matchLabels", {}).items() <= labels.items()
    for rule in selector.get("matchExpressions", ()):
        assert rule["operator"] == "In"
        equal = equal and labels.get(rule["key"]) in rule["values"]
    return bool(equal)


def allowed(cluster: Build, labels: dict[str, str], way: str, peer: dict[str, Any], port: int) -> bool:
    """Whether a pod may talk to a peer. way: "egress" or "ingress"; peer: its labels, or what address or
    namespace it is. Where no policy selects the pod, everything is allowed."""
    side = "to" if way == "egress" else "from"
    policies = [
        policy["spec"]
        for policy in cluster.all("NetworkPolicy")
        if selects(policy["spec"]["podSelector"], labels) and way.capitalize() in policy["spec"]["policyTypes"]
    ]
    if not policies:
        return True
    rules = [rule for spec in policies for rule in spec.get(way, ())]
    return any(
        (not rule.get("ports") or port in [entry["port"] for entry in rule["ports"]])
        and (not rule.get(side) or any(matches(entry, peer) for entry in rule[side]))
        for rule in rules
    )


def matches(entry: dict[str, Any], peer: dict[str, Any]) -> bool:
    if "ipBlock" in entry:
        return peer.get("cidr") == entry["ipBlock"]["cidr"]
    if "namespaceSelector" in entry:
        if peer.get("namespace") != entry["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]:
            return False
        return "podSelector" not in entry or selects(entry["podSelector"], peer.get("labels", {}))
    return "labels" in peer and "namespace" not in peer and selects(entry["podSelector"], peer["labels"])


def test_between_pods_nothing_flows_but_what_the_picture_shows(cluster: Build) -> None:
    pods = {w.name: w.labels for w in cluster.workloads if w.name != "kafka"}
    flows = {
        (a, b, port)
        for a, sender in pods.items()
        for b, receiver in pods.items()
        for port in PORTS
        if a != b
        and allowed(cluster, sender, "egress", {"labels": receiver}, port)
        and allowed(cluster, receiver, "ingress", {"labels": sender}, port)
    }
    assert flows == FLOWS


def kafka_of(cluster: Build) -> tuple[dict[str, Any], int]:
    """Where the brokers are, and their port."""
    if cluster.all("Kafka"):
        return {"labels": {"strimzi.io/cluster": "kafka", "strimzi.io/kind": "Kafka"}}, 9093
    if any(w.name == "kafka" for w in cluster.workloads):
        return {"labels": {"app.kubernetes.io/name": "kafka"}}, 9092
    return {"cidr": "10.30.0.0/16"}, 9093


def test_who_talks_to_kafka(cluster: Build) -> None:
    kafka, port = kafka_of(cluster)
    workloads = [w for w in cluster.workloads if w.name != "kafka"]
    senders = {w.name for w in workloads if allowed(cluster, w.labels, "egress", kafka, port)}
    assert senders == TO_KAFKA & {w.name for w in workloads}
    others = {w.name for w in workloads for p in PORTS if p != port and allowed(cluster, w.labels, "egress", kafka, p)}
    assert not others
    [servers] = {cluster.environment(w.container)["MICROEX_KAFKA_BOOTSTRAP_SERVERS"] for w in workloads if w.ours}
    assert servers.endswith(f":{port}")


def reaches(cluster: Build, way: str, peer: dict[str, Any], port: int) -> set[str]:
    return {w.name for w in cluster.workloads if allowed(cluster, w.labels, way, peer, port)}


def test_who_talks_to_the_world(cluster: Build) -> None:
    everyone = {w.name for w in cluster.workloads}
    assert reaches(cluster, "egress", {"cidr": "10.20.0.0/16"}, 554) == {"ingest"}
    assert reaches(cluster, "egress", {"cidr": "0.0.0.0/0"}, 443) == set()
    names = {"namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}
    assert reaches(cluster, "egress", names, 53) == everyone
    assert reaches(cluster, "ingress", {"namespace": "monitoring"}, 9464) == SCRAPED
    assert reaches(cluster, "ingress", {"namespace": "default", "labels": {}}, 50051) == set()


def test_pods_that_no_policy_knows_are_cut_off(cluster: Build) -> None:
    stranger = Workload({"spec": {"template": {"metadata": {"labels": {"app": "stranger"}}}}})
    assert not allowed(cluster, stranger.labels, "egress", {"cidr": "0.0.0.0/0"}, 443)
    assert not allowed(cluster, stranger.labels, "ingress", {"labels": {}}, 80)
