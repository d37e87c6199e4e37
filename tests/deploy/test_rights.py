"""The rights in the manifests: with them the whole path works on a real Kafka over TLS, and no more is allowed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.errors import TopicAuthorizationFailedError

from microex.v1 import graph_pb2
from scripts import tools
from scripts.broker import Broker, free_port
from services.common import wire
from tests.deploy.cluster import K8S, Build, build
from tests.deploy.conftest import there
from tests.support.planted_video import BROW_RAISE, SMILE, plant
from tests.support.services import Service, run
from tests.support.topics import Installation, decoded

PROPERTIES = """
listeners=PLAINTEXT://127.0.0.1:$port,SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port,SSL://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.crt
ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^.*CN=([a-zA-Z0-9-]+).*$$/$$1/,DEFAULT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
"""Users over TLS are named by their certificate, as with Strimzi; who comes in plain text is the test itself."""


@dataclass
class Guarded:
    """A Kafka with the manifests' users; files: of a user."""

    plain: str
    secure: str
    folder: Path

    def env(self, user: str) -> dict[str, str]:
        """Settings of a service that shows this user's certificate."""
        return {
            "MICROEX_KAFKA_BOOTSTRAP_SERVERS": self.secure,
            "MICROEX_KAFKA_SECURITY_PROTOCOL": "SSL",
            "MICROEX_KAFKA_SSL_CA_FILE": str(self.folder / "ca.crt"),
            "MICROEX_KAFKA_SSL_CERT_FILE": str(self.folder / f"{user}.crt"),
            "MICROEX_KAFKA_SSL_KEY_FILE": str(self.folder / f"{user}.key"),
        }

    def client(self, user: str) -> dict[str, object]:
        """What a kafka-python client of this user connects with."""
        return {
            "bootstrap_servers": self.secure,
            "security_protocol": "SSL",
            "ssl_cafile": str(self.folder / "ca.crt"),
            "ssl_certfile": str(self.folder / f"{user}.crt"),
            "ssl_keyfile": str(self.folder / f"{user}.key"),
        }


@pytest.fixture(scope="module")
def manifests() -> Build:
    return build(there(tools.kustomize), K8S / "overlays" / "research-room", "research-room")


@pytest.fixture(scope="module")
def kafka(manifests: Build, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder, authority, port = tmp_path_factory.mktemp("rights"), trustme.CA(), free_port()
    authority.cert_pem.write_to_path(folder / "ca.crt")
    broker = authority.issue_cert("127.0.0.1")
    (folder / "broker.pem").write_bytes(pkcs8(broker) + broker.cert_chain_pems[0].bytes())
    users = manifests.all("KafkaUser")
    for user in users:
        name = user["metadata"]["name"]
        certificate = authority.issue_cert(f"{name}.example.org", common_name=name)
        (folder / f"{name}.key").write_bytes(pkcs8(certificate))
        certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.crt")
    with Broker(properties=PROPERTIES.format(folder=folder, port=port)) as node:
        admin = KafkaAdminClient(bootstrap_servers=node.bootstrap)
        admin.create_acls([acl for user in users for acl in acls(user)])
        admin.close()
        yield Guarded(node.bootstrap, f"127.0.0.1:{port}", folder)


def pkcs8(certificate: trustme.LeafCert) -> bytes:
    """Its key as Kafka reads it."""
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def acls(user: dict[str, object]) -> Iterator[ACL]:
    """What Strimzi would tell Kafka of a KafkaUser."""
    spec, metadata = user["spec"], user["metadata"]
    assert isinstance(spec, dict) and isinstance(metadata, dict)
    for rule in spec["authorization"]["acls"]:
        pattern = ResourcePattern(ResourceType[rule["resource"]["type"].upper()], rule["resource"]["name"])
        for operation in rule["operations"]:
            allow = ACLPermissionType.ALLOW
            yield ACL(f"User:{metadata['name']}", "*", ACLOperation[operation.upper()], allow, pattern)


def test_the_whole_path_works_with_these_rights(kafka: Guarded, talking_face: Path, tmp_path: Path) -> None:
    """From consent to a graph, its export and its deletion, each service with its own certificate."""
    video = plant(talking_face, tmp_path / "film.mp4", [(SMILE, 2.0, 2.4, 0.3), (BROW_RAISE, 3.2, 4.4, 0.5)], 6)
    camera = {"session": "sitting-1", "camera": "film", "source": str(video)}
    (tmp_path / "cameras.yaml").write_text(json.dumps({"cameras": [camera]}))
    installation = Installation(kafka.plain, "")  # makes the topics, as the operator does
    operator = kafka.env("microex-cli")
    ok(run("consent", "grant", "sitting-1", "--purpose", "research", env=operator))
    with (
        Service("spotter", env=kafka.env("microex-spotter")) as spotter,
        Service("recognizer", "--grpc-port", "0", env=kafka.env("microex-recognizer")) as recognizer,
        Service("ingest", str(tmp_path / "cameras.yaml"), env=kafka.env("microex-ingest")) as ingest,
    ):
        assert ingest.wait() == 0, ingest.log()
        # What cannot be read goes to the dead letters; that is a right, too. Who starts later finds it there already.
        for service in (spotter, recognizer):
            service.until(lambda of=service: of.page("/readyz") == 200)
        garbage = KafkaProducer(bootstrap_servers=kafka.plain)
        garbage.send(wire.CONSENTS.name, key=b"x", value=b"\xff").get(timeout=30)
        garbage.close()
        spotter.until(lambda: spotter.total("microex_spotter_windows_total") >= 2)
        recognizer.until(lambda: recognizer.total("microex_recognizer_windows_total", outcome="published") >= 2)
        assert len(installation.read(wire.DEAD_LETTERS, lambda records: len(records) >= 2)) == 2
        recognizer.until(lambda: recognizer.total("microex_recognizer_lag_messages") == 0)
        assert [spotter.stop(), recognizer.stop()] == [0, 0], spotter.log() + recognizer.log()
    graphs = installation.read(wire.AU_GRAPHS, lambda records: len(records) >= 2)
    assert len({graph.prediction_id for graph in decoded(graphs, graph_pb2.AuGraph)}) >= 2
    ok(run("topics", "list", env=operator))
    ok(run("export", "--session", "sitting-1", "--out", str(tmp_path / "out"), env=operator))
    assert list((tmp_path / "out").rglob("events.csv"))
    ok(run("consent", "withdraw", "sitting-1", env=operator))
    assert "0 deleted" not in ok(run("forget", "sitting-1", env=operator))


def ok(done: object) -> str:
    """What a command printed. Fails when it failed."""
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    return str(done.stdout)  # type: ignore[attr-defined]


@pytest.mark.parametrize("user", ["microex-ingest", "microex-spotter"])
def test_nobody_reads_what_is_not_theirs(kafka: Guarded, user: str) -> None:
    Installation(kafka.plain, "").outbox.close()
    consumer = KafkaConsumer(**kafka.client(user), group_id=None)
    part = TopicPartition(wire.AU_GRAPHS.name, 0)
    consumer.assign([part])
    with pytest.raises(TopicAuthorizationFailedError):
        consumer.end_offsets([part])
        consumer.poll(timeout_ms=5000)
    consumer.close()


@pytest.mark.parametrize("user", ["microex-ingest", "microex-spotter", "microex-recognizer"])
def test_no_service_can_grant_consent(kafka: Guarded, user: str) -> None:
    Installation(kafka.plain, "").outbox.close()
    producer = KafkaProducer(**kafka.client(user), acks="all", max_block_ms=10_000)
    with pytest.raises(TopicAuthorizationFailedError):
        producer.send(wire.CONSENTS.name, key=b"s", value=b"").get(timeout=10)
    producer.close(timeout=1)
