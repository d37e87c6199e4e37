"""Consents on a real Kafka: garbage between them stops nothing and ends in the dead letters, each record once."""

import pytest

from microex.v1 import consent_pb2, dead_letter_pb2
from services.common import wire
from services.common.consent import ConsentWatch
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
