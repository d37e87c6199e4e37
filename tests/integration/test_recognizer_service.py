"""The recognizer as a process on a real Kafka: garbage, crashes, rebalances, withdrawal; and what it commits."""

import json
import random
from pathlib import Path

import pytest
from google.protobuf import proto
from kafka import TopicPartition

from microex.v1 import consent_pb2, dead_letter_pb2, graph_pb2, window_pb2
from services.common import wire
from services.common.ids import stream_key
from services.common.kafka import make_consumer, topic_name
from tests.support.services import Service, microex_with, run
from tests.support.topics import Installation, decoded
from tests.unit.recognizer.factories import window

WINDOWS = "microex_recognizer_windows_total"


@pytest.fixture
def installation(installation: Installation) -> Installation:
    """For a recognizer that takes a free port and little of the machine."""
    installation.env |= {"MICROEX_GRPC_PORT": "0", "MICROEX_TORCH_THREADS": "1"}
    return installation


def publish(installation: Installation, windows: list[window_pb2.ApexWindow]) -> None:
    """As the spotter does."""
    for one in windows:
        installation.outbox.send(wire.APEX_WINDOWS, one.window_id.encode(), one, stream=stream_key(one.stream))
    installation.outbox.flush(30)


def graphs(installation: Installation, count: int) -> list[graph_pb2.AuGraph]:
    """All AU graphs, as soon as they answer that many windows."""
    records = installation.read(
        wire.AU_GRAPHS, lambda rs: len({g.window_id for g in decoded(rs, graph_pb2.AuGraph)}) >= count
    )
    return decoded(records, graph_pb2.AuGraph)


def unread(installation: Installation) -> int:
    """Records of apex windows that the group has not committed."""
    consumer = make_consumer(installation.settings, "microex-recognizer")
    name = topic_name(installation.settings, wire.APEX_WINDOWS)
    parts = [TopicPartition(name, part) for part in consumer.partitions_for_topic(name)]
    ends = consumer.end_offsets(parts)
    left = sum(end - (consumer.committed(part) or 0) for part, end in ends.items())
    consumer.close()
    return left


def in_stream_order(found: list[graph_pb2.AuGraph], sent: list[window_pb2.ApexWindow]) -> bool:
    """Whether the first answer to each window came in the order of its stream."""
    first = dict.fromkeys((graph.stream.camera, graph.window_id) for graph in found)
    return all(
        [i for c, i in first if c == camera] == [w.window_id for w in sent if w.stream.camera == camera]
        for camera in {w.stream.camera for w in sent}
    )


def test_a_thousand_malformed_records_stop_nothing(installation: Installation) -> None:
    rng = random.Random(7)
    good = [window(i, camera=f"c{i % 3}") for i in range(30)]
    halves = [window_pb2.ApexWindow(window_id="w"), window(1)]
    halves[1].motion.data = b"short"
    foreign = [("schema", b"microex.v1.ApexWindow;version=99")]
    producer = installation.outbox._producer
    name = topic_name(installation.settings, wire.APEX_WINDOWS)
    garbage: set[bytes] = set()
    for i, one in enumerate(good):
        publish(installation, [one])
        for j in range(34 if i < 10 else 33):
            key = f"garbage {i} {j}".encode()
            value, headers = rng.choice(
                [
                    (rng.randbytes(rng.randint(1, 300)), []),
                    (b"", []),
                    (rng.choice(halves).SerializeToString(), []),
                    (one.SerializeToString(), foreign),
                    (one.SerializeToString()[:-40], [("odd", b"\xff")]),
                ]
            )
            producer.send(name, key=key, value=value, partition=rng.randrange(3), headers=headers)
            garbage.add(key)
        producer.send(name, key=f"deleted {i}".encode(), value=None, partition=rng.randrange(3))
    producer.flush()
    assert len(garbage) == 1000
    with Service("recognizer", env=installation.env) as service:
        found = graphs(installation, len(good))
        letters = decoded(installation.read(wire.DEAD_LETTERS, lambda rs: len(rs) >= 1000), dead_letter_pb2.DeadLetter)
        service.until(lambda: service.total(WINDOWS) >= 1060)
        assert service.total(WINDOWS, outcome="tombstone") == 30
        assert service.stop() == 0
    assert len(found) == len(good) and in_stream_order(found, good)
    assert {letter.key for letter in letters} == garbage and len(letters) == 1000
    assert {(letter.service, letter.error_class, letter.topic) for letter in letters} == {
        ("recognizer", "Poison", name)
    }
    assert all(letter.error_text and letter.failed_us for letter in letters)
    assert unread(installation) == 0


def test_crash_and_rebalance_lose_nothing(installation: Installation) -> None:
    """SIGKILL in mid-stream, then a second recognizer that joins and leaves: one prediction a window and model."""
    sent = [window(i, camera=f"c{i % 4}") for i in range(400)]
    publish(installation, sent[:200])
    with Service("recognizer", env=installation.env) as first:
        first.await_event("reading apex windows")
        first.until(lambda: first.total(WINDOWS) >= 20)
        first.kill()
    with Service("recognizer", env=installation.env) as second:
        second.await_event("reading apex windows")
        with Service("recognizer", env=installation.env) as third:
            third.await_event("reading apex windows")
            publish(installation, sent[200:])
            assert third.stop() == 0
        found = graphs(installation, len(sent))
        assert second.stop() == 0
    assert {graph.window_id for graph in found} == {one.window_id for one in sent}
    assert len({graph.prediction_id for graph in found}) == len(sent)
    assert in_stream_order(found, sent)
    assert all(graph.stages.recognized_us for graph in found)
    assert unread(installation) == 0


def test_a_withdrawn_session_is_discarded(installation: Installation) -> None:
    installation.consent("gone", consent_pb2.Consent.STATE_WITHDRAWN)
    publish(installation, [window(1, session="gone"), window(2)])
    with Service("recognizer", env=installation.env) as service:
        (graph,) = graphs(installation, 1)
        service.until(lambda: service.total(WINDOWS) == 2)
        assert service.total(WINDOWS, outcome="withdrawn") == 1
        assert service.stop() == 0
    assert graph.window_id == window(2).window_id
    assert unread(installation) == 0


def test_repeats_come_from_the_cache(installation: Installation, redis_url: str) -> None:
    sent = [window(i, session="cached") for i in range(5)]
    installation.consent("cached", consent_pb2.Consent.STATE_ACTIVE)
    patient = microex_with("services.recognizer.cache", TIMEOUT_S=30.0)  # else what is found depends on the machine
    env = installation.env | {"MICROEX_REDIS_URL": redis_url}
    with Service("recognizer", env=env, command=patient) as service:
        publish(installation, sent)
        service.until(lambda: service.total(WINDOWS, outcome="published") == 5)
        publish(installation, sent)
        service.until(lambda: service.total(WINDOWS, outcome="published") == 10)
        assert service.total("microex_recognizer_cache_total", result="hit") == 5
        assert service.total("microex_recognizer_batch_windows_sum") == 5
        assert service.total("microex_recognizer_cache_up") == 1
    found = decoded(installation.read(wire.AU_GRAPHS, lambda rs: len(rs) >= 10), graph_pb2.AuGraph)
    by_id: dict[str, list[graph_pb2.AuGraph]] = {}
    for graph in found:
        graph.stages.recognized_us = 0
        by_id.setdefault(graph.window_id, []).append(graph)
    assert len(by_id) == 5
    assert all(first == second for first, second in by_id.values())


def test_without_kafka_and_redis_it_answers_grpc(tmp_path: Path) -> None:
    """`microex recognize` against a process that has neither, with one window in a file and with many."""
    many, one = tmp_path / "many.windows", tmp_path / "one.bin"
    with many.open("wb") as file:
        for i in range(3):
            proto.serialize_length_prefixed(window(i), file)
    one.write_bytes(window(1).SerializeToString())
    env = {
        "MICROEX_CONSUME": "false",
        "MICROEX_GRPC_PORT": "0",
        "MICROEX_REDIS_URL": "redis://127.0.0.1:1/0",
        "MICROEX_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
    with Service("recognizer", env=env) as service:
        address = f"127.0.0.1:{service.await_event('gRPC')['port']}"
        answers = [
            json.loads(line) for line in run("recognize", "--grpc", address, "--json", str(many)).stdout.splitlines()
        ]
        assert [answer["window_id"] for answer in answers] == [window(i).window_id for i in range(3)]
        table = run("recognize", "--grpc", address, str(one))
        assert table.returncode == 0 and window(1).window_id in table.stdout
        assert service.total("microex_recognizer_cache_up") == 0
        assert service.total("microex_recognizer_requests_total", method="RecognizeStream", code="OK") == 2
        assert service.stop() == 0
    away = run("recognize", "--grpc", address, "--timeout", "2", str(one))
    assert away.returncode == 75 and away.stderr.startswith("microex: ") and away.stderr.count("\n") == 1
    one.write_bytes(b"no window")
    wrong = run("recognize", "--grpc", address, str(one))
    assert wrong.returncode == 65 and "no apex windows" in wrong.stderr
