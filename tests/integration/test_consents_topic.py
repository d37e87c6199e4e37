"""Consents on a real Kafka: garbage stops nothing and ends in the dead letters, each record once; forgetting."""

import time

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from microex.v1 import consent_pb2, dead_letter_pb2, stream_pb2, window_pb2
from services.common import wire
from services.common.consent import ConsentWatch
from services.common.ids import stream_key
from services.common.kafka import topic_name
from tests.support.services import run
from tests.support.topics import Installation, decoded

ACTIVE, WITHDRAWN = consent_pb2.Consent.STATE_ACTIVE, consent_pb2.Consent.STATE_WITHDRAWN


@pytest.fixture
def garbage(installation: Installation) -> None:
    """1,000 malformed records among good ones of 20 sessions, half of which take consent back."""
    for i in range(1000):
        if i % 100 == 0:
            installation.consent(f"good-{i}", ACTIVE)
            installation.consent(f"taken-{i}", ACTIVE)
        if i % 100 == 50:
            installation.consent(f"taken-{i - 50}", WITHDRAWN)
        installation.raw(wire.CONSENTS, f"bad-{i}".encode(), (b"\xff\xff", b"\x0a\x05no")[i % 2])
    installation.outbox.flush(30)


@pytest.mark.usefixtures("garbage")
def test_a_thousand_malformed_records_stop_nothing(installation: Installation) -> None:
    for _ in range(2):  # a restart buries none of them again
        watch = ConsentWatch(installation.settings, installation.outbox, "ingest")
        watch.start()
        assert [watch.refusal(f"good-{i}") for i in range(0, 1000, 100)] == [None] * 10
        assert all(watch.withdrawn(f"taken-{i}") for i in range(0, 1000, 100))
        watch.stop()
    letters = decoded(installation.read(wire.DEAD_LETTERS, lambda rs: len(rs) >= 1000), dead_letter_pb2.DeadLetter)
    assert sorted(letter.key for letter in letters) == sorted(f"bad-{i}".encode() for i in range(1000))
    assert {letter.topic for letter in letters} == {installation.settings.topic_prefix + wire.CONSENTS.name}


def test_what_cannot_be_read_is_no_consent(installation: Installation) -> None:
    """A broken record may have been a withdrawal."""
    installation.consent("s", ACTIVE)
    installation.raw(wire.CONSENTS, b"s", b"\xff\xff")
    installation.outbox.flush(30)
    watch = ConsentWatch(installation.settings, installation.outbox, "ingest")
    watch.start()
    assert "no consent record" in (watch.refusal("s") or "")
    watch.stop()


def test_one_that_fits_into_no_dead_letter_hides_no_withdrawal(installation: Installation) -> None:
    installation.raw(wire.CONSENTS, b"big", b"\xff" * 700_000)
    installation.outbox.flush(30)
    watch = ConsentWatch(installation.settings, installation.outbox, "ingest")
    watch.start()
    installation.consent("s", WITHDRAWN)
    installation.consent("after", ACTIVE)
    until_allowed(watch, "after")
    assert watch.withdrawn("s")
    watch.stop()
    (letter,) = decoded(installation.read(wire.DEAD_LETTERS, lambda rs: len(rs) >= 1), dead_letter_pb2.DeadLetter)
    assert letter.key == b"big" and not letter.HasField("payload") and "700000 bytes, SHA-256" in letter.error_text


def until_allowed(watch: ConsentWatch, session: str) -> None:
    """Wait for a record that was written after the watch began."""
    deadline = time.monotonic() + 30
    while watch.refusal(session) is not None:
        assert time.monotonic() < deadline, watch.refusal(session)
        time.sleep(0.05)


def test_forgetting_that_kafka_refuses_is_no_success(installation: Installation) -> None:
    """An erasure that did not happen must not be reported as one."""
    topic = topic_name(installation.settings, wire.APEX_WINDOWS)
    for i in range(3):
        one = window_pb2.ApexWindow(
            window_id=f"w{i}", stream=stream_pb2.StreamKey(session="s", camera="c", track="0.0.0")
        )
        installation.outbox.send(wire.APEX_WINDOWS, one.window_id.encode(), one, stream=stream_key(one.stream)).get(30)
    admin = KafkaAdminClient(bootstrap_servers=installation.env["MICROEX_KAFKA_BOOTSTRAP_SERVERS"])
    tiny, large = ({"max.message.bytes": size} for size in ("20", str(wire.MAX_MESSAGE_BYTES)))
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=tiny)])
    refused = run("forget", "s", env=installation.env)
    assert refused.returncode == 75 and topic not in refused.stdout, refused.stderr
    assert "refused=3, of=3, error='MessageSizeTooLargeError'" in refused.stderr
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=large)])
    admin.close()
    again = run("forget", "s", env=installation.env)
    assert again.returncode == 0 and f"{topic}: 3 deleted" in again.stdout, again.stderr
