"""The local Kafka that `make kafka` and every other integration test rest on."""

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from scripts import broker
from scripts.broker import ROOT, Broker, BrokerError


def topics(bootstrap: str) -> set[str]:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        return set(admin.list_topics())
    finally:
        admin.close()


def test_shared_kafka_answers_and_holds_no_topic_of_this_test(kafka_bootstrap: str, topic_prefix: str) -> None:
    assert not [name for name in topics(kafka_bootstrap) if name.startswith(topic_prefix)]


def test_topics_outlive_a_crash_of_the_broker() -> None:
    with Broker() as kafka:
        admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        admin.create_topics({"kept": {"num_partitions": 1, "replication_factor": 1}})
        admin.close()
        before = kafka.bootstrap
        kafka.kill()
        kafka.start()
        assert kafka.bootstrap == before
        assert "kept" in topics(kafka.bootstrap)
    assert not kafka.folder.exists()


def test_kafka_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from scripts.broker import Broker\n"
        "b = Broker(folder=Path(sys.argv[1])); b.start(); print(b.process.pid, flush=True); input()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    watch = os.pidfd_open(int(starter.stdout.readline()))
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    ended, _, _ = select.select([watch], [], [], 30)
    assert ended, "Kafka lives on though the process that started it was killed"


def test_start_status_and_stop_from_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(broker, "LOCAL", tmp_path)
    monkeypatch.setattr(broker, "LOCAL_PORT", broker.free_port())
    assert broker.status() == "Kafka does not run"
    try:
        assert "runs on" in broker.start()
        assert "runs already" in broker.start()
        assert "runs on" in broker.status()
    finally:
        assert broker.stop() == "Kafka has ended"
    assert broker.stop() == broker.status() == "Kafka does not run"


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} .* is taken"):
            Broker(port).start()
