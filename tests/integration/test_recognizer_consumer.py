"""What the consumer commits, on a real Kafka, when acknowledgements come late, out of order or not at all."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial, partialmethod

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.errors import UnknownTopicOrPartitionError
from kafka.future import Future
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from microex.v1 import consent_pb2, dead_letter_pb2, graph_pb2, window_pb2
from services.common import wire
from services.common.consent import ConsentWatch
from services.common.errors import Fatal, Poison, Retryable
from services.common.ids import stream_key
from services.common.kafka import Outbox, make_consumer, topic_name
from services.common.settings import RecognizerSettings
from services.recognizer.batcher import Batcher
from services.recognizer.consumer import Recognise, WindowConsumer
from services.recognizer.pipeline import Pipeline, Withdrawn
from services.recognizer.service import recognise_patiently
from tests.support.topics import Installation, decoded
from tests.unit.recognizer.factories import window
from tests.unit.recognizer.fakes import Network

LAG = "microex_recognizer_lag_messages"


@pytest.fixture
def installation(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Installation]:
    with Installation(kafka_bootstrap, topic_prefix, "s", partitions=1) as installation:
        yield installation


class HeldOutbox:
    """Takes records and acknowledges each one when the test says so."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sent: asyncio.Queue[tuple[str, Future]] = asyncio.Queue()
        self.topics: list[str] = []

    def send(self, topic: wire.Topic, key: bytes, message: object, **_: object) -> Future:
        self.topics.append(topic.name)
        future = Future()
        self._loop.call_soon_threadsafe(self._sent.put_nowait, (key.decode(), future))
        return future

    async def take(self, count: int) -> list[tuple[str, Future]]:
        """The next records that were handed over."""
        async with asyncio.timeout(60):
            return [await self._sent.get() for _ in range(count)]


class Echo:
    """Answers a window with its id; notes whom it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, asked: window_pb2.ApexWindow) -> graph_pb2.AuGraph:
        self.asked.append(asked.window_id)
        if asked.window_id.startswith("bad"):
            raise Poison("bad window")
        if asked.window_id.startswith("gone"):
            raise Withdrawn("consent was withdrawn")
        if asked.window_id.startswith("fatal"):
            raise Fatal("the network failed")
        return graph_pb2.AuGraph(prediction_id=asked.window_id, window_id=asked.window_id)


def publish(installation: Installation, *names: str) -> None:
    for name in names:
        one = window_pb2.ApexWindow(window_id=name, stream=window().stream)
        installation.outbox.send(wire.APEX_WINDOWS, name.encode(), one, stream=stream_key(one.stream))
    installation.outbox.flush(30)


def committed(installation: Installation) -> int | None:
    consumer = make_consumer(installation.settings, "microex-recognizer")
    try:
        return consumer.committed(TopicPartition(topic_name(installation.settings, wire.APEX_WINDOWS), 0))
    finally:
        consumer.close()


@asynccontextmanager
async def consuming(
    installation: Installation, recognise: Recognise, outbox: HeldOutbox | Outbox, in_flight: int = 10
) -> AsyncIterator[tuple[WindowConsumer, asyncio.Task[None]]]:
    """A consumer at work; leaving cuts it off."""
    settings = RecognizerSettings(**installation.settings.model_dump())
    consumer = WindowConsumer(settings, recognise, outbox, in_flight)  # type: ignore[arg-type]
    await consumer.start()
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def answering(consents: ConsentWatch) -> AsyncIterator[Recognise]:
    """What the service hands to its consumer."""
    batcher = Batcher(Network(), 4, 0, 16)
    batcher.start()
    yield partial(recognise_patiently, Pipeline(batcher, None, graph_pb2.Model(), consents.withdrawn), consents)
    await batcher.close()


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_only_the_acknowledged_prefix_is_committed(installation: Installation) -> None:
    names = [f"w{i}" for i in range(6)]
    publish(installation, *names)
    outbox, echo = HeldOutbox(), Echo()
    async with consuming(installation, echo, outbox):
        sent = await outbox.take(6)
        assert [key for key, _ in sent] == names, "published in the order of the stream"
        for i in (5, 3, 0, 1):
            sent[i][1].success(None)
        await settle()
    assert await asyncio.to_thread(committed, installation) == 2
    again = Echo()
    async with consuming(installation, again, outbox) as (consumer, task):
        for _, future in await outbox.take(4):
            future.success(None)
        consumer.stop()
        await task
    assert again.asked == names[2:]
    assert await asyncio.to_thread(committed, installation) == 6


async def test_what_kafka_refuses_is_sent_again(installation: Installation) -> None:
    publish(installation, "w0", "w1")
    outbox = HeldOutbox()
    async with consuming(installation, Echo(), outbox) as (consumer, task):
        (_, first), (_, second) = await outbox.take(2)
        second.success(None)
        first.failure(UnknownTopicOrPartitionError())
        ((key, retried),) = await outbox.take(1)
        assert key == "w0"
        retried.success(None)
        consumer.stop()
        await task
    assert await asyncio.to_thread(committed, installation) == 2


async def test_no_more_is_read_than_may_be_in_flight(installation: Installation) -> None:
    publish(installation, *(f"w{i}" for i in range(10)))
    outbox, echo = HeldOutbox(), Echo()
    async with consuming(installation, echo, outbox, in_flight=3) as (consumer, task):
        for done in range(0, 9, 3):
            sent = await outbox.take(3)
            assert len(echo.asked) == done + 3
            for _, future in sent:
                future.success(None)
        ((_, last),) = await outbox.take(1)
        consumer.stop()
        await settle()
        assert not task.done(), "what was begun is finished first"
        last.success(None)
        await task
    assert await asyncio.to_thread(committed, installation) == 10


async def test_lag_counts_what_was_not_read(installation: Installation) -> None:
    publish(installation, *(f"w{i}" for i in range(10)))
    outbox = HeldOutbox()
    async with consuming(installation, Echo(), outbox, in_flight=3) as (consumer, _):
        sent = await outbox.take(3)
        await consumer.measure_lag()
        assert REGISTRY.get_sample_value(LAG, {"partition": "0"}) == 7
        sent[0][1].success(None)
        await outbox.take(1)
        await consumer.measure_lag()
        assert REGISTRY.get_sample_value(LAG, {"partition": "0"}) == 6
        await consumer.on_partitions_revoked(set())
        assert REGISTRY.get_sample_value(LAG, {"partition": "0"}) is None, "its next owner tells"


async def test_each_record_ends_as_it_should(installation: Installation) -> None:
    publish(installation, "w0", "bad1", "gone2", "w3")
    installation.outbox.send(wire.APEX_WINDOWS, b"w0", None).get(30)
    outbox = HeldOutbox()
    async with consuming(installation, Echo(), outbox) as (consumer, task):
        sent = await outbox.take(3)
        assert [key for key, _ in sent] == ["w0", "bad1", "w3"]
        assert outbox.topics == [wire.AU_GRAPHS.name, wire.DEAD_LETTERS.name, wire.AU_GRAPHS.name]
        for _, future in sent:
            future.success(None)
        consumer.stop()
        await task
    assert await asyncio.to_thread(committed, installation) == 5


async def test_a_tombstone_is_no_window(installation: Installation) -> None:
    """Forgetting a session writes thousands: none is put aside, nor said to be."""
    installation.outbox.send(wire.APEX_WINDOWS, b"w0", None).get(30)
    publish(installation, "w1")
    outbox = HeldOutbox()
    with capture_logs() as logs:
        async with consuming(installation, Echo(), outbox) as (consumer, task):
            ((key, future),) = await outbox.take(1)
            assert key == "w1"
            future.success(None)
            consumer.stop()
            await task
    assert not [line for line in logs if line["event"] == "window put aside"]


async def test_a_record_that_fits_into_no_dead_letter_is_passed(installation: Installation) -> None:
    """Sent compressed, it is larger than any topic takes."""
    producer = KafkaProducer(
        bootstrap_servers=installation.settings.kafka_bootstrap_servers,
        compression_type="gzip",
        max_request_size=2_000_000,
    )
    producer.send(topic_name(installation.settings, wire.APEX_WINDOWS), key=b"k", value=b"\xff" * 700_000).get(30)
    producer.close()
    publish(installation, "w1")
    async with consuming(installation, Echo(), installation.outbox) as (consumer, task):
        read = partial(installation.read, wire.AU_GRAPHS, lambda rs: len(rs) == 1, 30.0)
        assert len(await asyncio.to_thread(read)) == 1
        consumer.stop()
        await task
    (letter,) = decoded(installation.read(wire.DEAD_LETTERS, lambda rs: len(rs) == 1), dead_letter_pb2.DeadLetter)
    assert not letter.HasField("payload") and "700000 bytes, SHA-256" in letter.error_text
    assert await asyncio.to_thread(committed, installation) == 2


async def test_while_consents_are_out_of_sight_windows_wait(installation: Installation) -> None:
    installation.consent("gone", consent_pb2.Consent.STATE_WITHDRAWN)
    consents = ConsentWatch(installation.settings)
    for one in (window(0, session="gone"), window(1)):
        installation.outbox.send(wire.APEX_WINDOWS, one.window_id.encode(), one, stream=stream_key(one.stream))
    installation.outbox.flush(30)
    async with answering(consents) as recognise:
        outbox = HeldOutbox()
        async with consuming(installation, recognise, outbox) as (consumer, task):
            async with asyncio.timeout(60):
                while REGISTRY.get_sample_value("microex_recognizer_windows_in_flight") != 2:
                    await asyncio.sleep(0.05)
            await settle()
            assert not outbox.topics and not task.done()
            assert not await asyncio.to_thread(committed, installation)
            await asyncio.to_thread(consents.start)
            ((_, future),) = await outbox.take(1)
            assert outbox.topics == [wire.AU_GRAPHS.name]
            future.success(None)
            consumer.stop()
            await task
        await asyncio.to_thread(consents.stop)
    assert await asyncio.to_thread(committed, installation) == 2


async def test_consents_that_stay_out_of_sight_end_it_for_another_try(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConsentWatch, "wait", partialmethod(ConsentWatch.wait, 0.1))
    publish(installation, "w0")
    async with (
        answering(ConsentWatch(installation.settings)) as recognise,
        consuming(installation, recognise, HeldOutbox()) as (_, task),
    ):
        with pytest.raises(Retryable, match="consents"):
            await task
    assert not await asyncio.to_thread(committed, installation)


async def test_leaving_while_the_broker_is_away_is_no_error(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka cancels its own fetches then, and lets that out; or it does not come back at all."""

    async def cancelled() -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("services.recognizer.consumer.LEAVE_TIMEOUT_S", 0.1)
    for stop in (cancelled, asyncio.Event().wait):
        async with consuming(installation, Echo(), HeldOutbox()) as (consumer, task):
            left = consumer._consumer.stop
            monkeypatch.setattr(consumer._consumer, "stop", stop)
            consumer.stop()
            await asyncio.wait([task], timeout=30)
            monkeypatch.setattr(consumer._consumer, "stop", left)
            assert task.done() and not task.cancelled() and task.exception() is None
        await left()


async def test_a_network_that_fails_ends_it_and_loses_nothing(installation: Installation) -> None:
    publish(installation, "w0", "fatal1", "w2")
    outbox = HeldOutbox()
    async with consuming(installation, Echo(), outbox) as (_, task):
        ((_, first),) = await outbox.take(1)
        first.success(None)
        with pytest.raises(Fatal):
            await task
    assert (await asyncio.to_thread(committed, installation) or 0) <= 1


async def test_what_is_done_is_committed_before_partitions_are_given_up(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.recognizer.consumer.COMMIT_EVERY_S", 3600)
    publish(installation, "w0", "w1", "w2", "w3")
    outbox = HeldOutbox()
    async with consuming(installation, Echo(), outbox):
        for _, future in (await outbox.take(4))[:2]:
            future.success(None)
        await settle()
        async with consuming(installation, Echo(), outbox):  # whoever gets the partition reads on from there
            assert [key for key, _ in await outbox.take(2)] == ["w2", "w3"]
            assert await asyncio.to_thread(committed, installation) == 2
