"""An installation of topics for one test, and reading them."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import Message
from kafka import TopicPartition

from microex.v1 import consent_pb2, frame_pb2
from services.common import wire
from services.common.ids import stream_key
from services.common.kafka import Outbox, create_topics, make_consumer, topic_name
from services.common.settings import KafkaSettings


class Installation:
    """Topics under a prefix of their own, with consent for the sessions named; a context manager."""

    def __init__(self, bootstrap: str, prefix: str, *sessions: str, partitions: int = 3) -> None:
        self.env = {"MICROEX_KAFKA_BOOTSTRAP_SERVERS": bootstrap, "MICROEX_TOPIC_PREFIX": prefix}
        self.settings = KafkaSettings(kafka_bootstrap_servers=bootstrap, topic_prefix=prefix)
        create_topics(self.settings, partitions)
        self.outbox = Outbox(self.settings)
        for session in sessions:
            self.consent(session, consent_pb2.Consent.STATE_ACTIVE)

    def __enter__(self) -> "Installation":
        return self

    def __exit__(self, *_: object) -> None:
        self.outbox.close()

    def consent(self, session: str, state: consent_pb2.Consent.State) -> None:
        """Record consent or its withdrawal; returns when Kafka has it."""
        record = consent_pb2.Consent(
            session=session, state=state, purpose=consent_pb2.Consent.PURPOSE_RESEARCH, recorded_us=wire.now_us()
        )
        self.outbox.send(wire.CONSENTS, session.encode(), record).get(timeout=30)

    def publish(self, message: frame_pb2.FaceFrame) -> None:
        """As ingest does."""
        key = stream_key(message.stream)
        self.outbox.send(wire.FACE_FRAMES, key.encode(), message, stream=key)

    def raw(self, topic: wire.Topic, key: bytes, value: bytes) -> None:
        """Past every check: what somebody else's producer might send."""
        self.outbox._producer.send(topic_name(self.settings, topic), key=key, value=value)

    def read(self, topic: wire.Topic, until: Callable[[list[Any]], bool], timeout_s: float = 90.0) -> list[Any]:
        """All records of a topic from its beginning, as soon as `until` is content with them; fails after the timeout
        by returning what there is."""
        records: list[Any] = []
        for record in self.follow(topic, timeout_s):
            if record is not None:
                records.append(record)
            elif until(records):
                break
        return records

    def follow(self, topic: wire.Topic, timeout_s: float) -> Iterator[Any]:
        """The records of a topic from its beginning; None whenever all that is there was given; ends at the timeout."""
        consumer = make_consumer(self.settings, None)
        name = topic_name(self.settings, topic)
        parts = [TopicPartition(name, p) for p in consumer.partitions_for_topic(name)]
        consumer.assign(parts)
        deadline = time.monotonic() + timeout_s
        try:
            while time.monotonic() < deadline:
                for records in consumer.poll(timeout_ms=200).values():
                    yield from records
                if all(consumer.position(part) >= end for part, end in consumer.end_offsets(parts).items()):
                    yield None
        finally:
            consumer.close()


def decoded(records: list[Any], cls: type[Message]) -> list[Any]:
    """The messages of records."""
    return [cls.FromString(record.value) for record in records]
