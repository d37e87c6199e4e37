"""Kafka clients: how they connect, the producer that every part shares, topics."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from google.protobuf.message import Message
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.partitioner.default import murmur2

from services.common import wire
from services.common.errors import Fatal, Poison, Retryable
from services.common.logs import get_logger
from services.common.settings import KafkaSettings

log = get_logger(__name__)

DELIVERY_TIMEOUT_MS = 24 * 3_600_000
"""A broker that is away is waited for: back-pressure, not loss, is what the sender feels."""


CONNECTING: Final = {"bootstrap_timeout_ms": 10_000, "reconnect_backoff_max_ms": 1_000}
"""How long a kafka-python client looks for its first broker, and how long it waits at most before it looks again for
one that went away: by itself 30 s, longer than a service has to send its last records."""


def client_config(settings: KafkaSettings) -> dict[str, Any]:
    """What every client needs to connect, by the names of kafka-python and aiokafka alike where they agree."""
    config: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers.split(","),
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        files = {
            "ssl_cafile": settings.kafka_ssl_ca_file,
            "ssl_certfile": settings.kafka_ssl_cert_file,
            "ssl_keyfile": settings.kafka_ssl_key_file,
        }
        config |= {name: str(path) for name, path in files.items() if path is not None}
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        config |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    return config


def topic_name(settings: KafkaSettings, topic: wire.Topic) -> str:
    """The topic's name in this installation."""
    return settings.topic_prefix + topic.name


@lru_cache(maxsize=4096)
def partition_of(stream: str, partitions: int) -> int:
    """Partition of everything that is said about one stream: Kafka's own murmur2 of "session/camera/track"."""
    return int(murmur2(stream.encode()) & 0x7FFFFFFF) % partitions


def connect(make: Callable[[], Any], settings: KafkaSettings) -> Any:
    """What `make` makes; Retryable, naming the setting, when no broker answers."""
    try:
        return make()
    except KafkaError as error:
        raise Retryable(
            "no Kafka broker answers; check MICROEX_KAFKA_BOOTSTRAP_SERVERS, or run `make kafka`",
            brokers=settings.kafka_bootstrap_servers,
            error=type(error).__name__,
        ) from error


class Outbox:
    """An idempotent producer (acks=all) that bounds its memory and replaces itself after an error that it cannot
    survive. Safe to share between threads.

    buffer_mb: megabytes that Kafka has not acknowledged yet; `send` waits while there are more.
    """

    def __init__(self, settings: KafkaSettings, buffer_mb: int = 32) -> None:
        self._settings = settings
        self._limit = buffer_mb * 1_000_000
        self._in_flight = 0
        self._room = threading.Condition()
        self._renewal = threading.Lock()
        self._broken = False
        self._producer = self._connect()

    def _connect(self) -> KafkaProducer:
        return connect(
            lambda: KafkaProducer(
                **client_config(self._settings),
                **CONNECTING,
                acks="all",
                enable_idempotence=True,
                linger_ms=5,
                delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
                max_request_size=wire.MAX_REQUEST_BYTES,
                allow_auto_create_topics=False,
            ),
            self._settings,
        )

    def send(
        self,
        topic: wire.Topic,
        key: bytes,
        message: Message | None,
        *,
        stream: str | None = None,
        headers: wire.Headers | None = None,
    ) -> Any:
        """Hand a message to Kafka; returns a future that ends when it is acknowledged.

        message: None deletes the key (a tombstone). stream: the record goes to the partition of that stream key,
        else to that of its own key. Raises Poison without a key or for a message that is larger than the topic takes,
        Retryable when the topic's partitions cannot be learnt.
        """
        value = None if message is None else message.SerializeToString()
        if not key:
            raise Poison("a record needs a key", topic=topic.name)
        limit = int(topic.config.get("max.message.bytes", wire.MAX_MESSAGE_BYTES))
        if value is not None and len(value) > limit:
            raise Poison("message is larger than its topic takes", topic=topic.name, size=len(value), limit=limit)
        size = len(key) + len(value or b"")
        producer = self._sound_producer()
        name = topic_name(self._settings, topic)
        with self._room:
            self._room.wait_for(lambda: self._in_flight == 0 or self._in_flight + size <= self._limit)
            self._in_flight += size
        try:
            partition = partition_of(stream, len(producer.partitions_for(name))) if stream else None
            future = producer.send(
                name, key=key, value=value, partition=partition, headers=headers or wire.headers(topic.message)
            )
        except KafkaError as error:
            self._done(size)
            raise Retryable(
                "topic cannot be reached; was it made with `microex topics create`?",
                topic=name,
                error=type(error).__name__,
            ) from error
        future.add_callback(lambda _: self._done(size))
        future.add_errback(lambda error: self._failed(size, topic, error))
        return future

    def _sound_producer(self) -> KafkaProducer:
        with self._renewal:
            if self._broken:
                self.close(5.0)
                self._producer, self._broken = self._connect(), False
            return self._producer

    def _done(self, size: int) -> None:
        with self._room:
            self._in_flight -= size
            self._room.notify_all()

    def _failed(self, size: int, topic: wire.Topic, error: BaseException) -> None:
        # After an error that is not retried, an idempotent producer of kafka-python fails what comes next as well.
        self._broken = True
        log.error("record was not accepted", topic=topic.name, error=type(error).__name__)
        self._done(size)

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until all that was sent is acknowledged. Raises Retryable when it takes longer."""
        try:
            self._producer.flush(timeout=timeout_s)
        except KafkaError as error:
            raise Retryable("Kafka did not acknowledge in time", seconds=timeout_s) from error

    def close(self, timeout_s: float = 10.0) -> None:
        """Flush for at most that long, then let go."""
        try:
            self._producer.close(timeout=timeout_s)
        except KafkaError as error:
            log.warning("let go of records that Kafka did not acknowledge", error=type(error).__name__)


async def acknowledged(future: Any) -> None:
    """Wait, in asyncio, until what `Outbox.send` returned is acknowledged. Raises Fatal when Kafka refuses it."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if not outcome.done():
            outcome.set_exception(error) if error else outcome.set_result(None)

    future.add_callback(lambda _: loop.call_soon_threadsafe(settle, None))
    future.add_errback(lambda error: loop.call_soon_threadsafe(settle, error))
    try:
        await outcome
    except KafkaError as error:
        raise Fatal("Kafka refused a record", error=type(error).__name__) from error


def make_consumer(
    settings: KafkaSettings, group: str | None, topics: Iterable[wire.Topic] = (), **config: Any
) -> KafkaConsumer:
    """A consumer from the beginning of `topics`, whose offsets are committed by hand. config: kafka-python's own."""

    def make() -> KafkaConsumer:
        consumer = KafkaConsumer(
            **client_config(settings)
            | CONNECTING
            | {
                "group_id": group and settings.topic_prefix + group,
                "enable_auto_commit": False,
                "auto_offset_reset": "earliest",
                "allow_auto_create_topics": False,
            }
            | config
        )
        names = [topic_name(settings, topic) for topic in topics]
        if names and group:
            consumer.subscribe(names)
        return consumer

    return connect(make, settings)


def create_topics(settings: KafkaSettings, partitions: int | None = None, replication: int = 1) -> list[str]:
    """Make the topics that are not there yet, with their retention and sizes; returns the names of the new ones.

    partitions: for those that hold streams; default the table's. Raises Fatal when the cluster refuses.
    """
    admin = connect(lambda: KafkaAdminClient(**client_config(settings), **CONNECTING), settings)
    made = []
    try:
        for topic in wire.TOPICS:
            count = partitions if partitions and topic.partitions > 1 else topic.partitions
            name = topic_name(settings, topic)
            try:
                admin.create_topics(
                    {name: {"num_partitions": count, "replication_factor": replication, "configs": topic.config}},
                    wait_for_metadata=True,
                )
                made.append(name)
            except TopicAlreadyExistsError:
                log.info("topic is there already", topic=name)
            except KafkaError as error:
                raise Fatal("the cluster refused a topic", topic=name, error=str(error)) from error
    finally:
        admin.close()
    return made
