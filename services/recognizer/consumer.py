"""Apex windows from Kafka to AU graphs on Kafka: at least once, in the order of each stream.

    read ── recognise, several at a time ── publish, in the order read ── acknowledged ── commit the finished prefix

All state lives on the event loop. A record is done when what it calls for is acknowledged: its AuGraph, or its dead
letter; nothing for a tombstone, nor for a session whose consent was withdrawn.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context
from aiokafka.structs import ConsumerRecord, TopicPartition
from google.protobuf.message import Message

from microex.v1 import graph_pb2, window_pb2
from services.common import wire
from services.common.errors import Poison, Retryable
from services.common.ids import stream_key
from services.common.kafka import Outbox, client_config, topic_name
from services.common.ledger import Ledger
from services.common.logs import get_logger
from services.common.settings import KafkaSettings, RecognizerSettings
from services.recognizer import metrics
from services.recognizer.detections import Detections
from services.recognizer.pipeline import Withdrawn

log = get_logger(__name__)

SERVICE: Final = "recognizer"

POLL_MS: Final = 250
COMMIT_EVERY_S: Final = 1.0
COMMIT_TIMEOUT_S: Final = 5.0
FIRST_RETRY_S: Final = 0.2
LONGEST_RETRY_S: Final = 10.0
MEASURE_LAG_EVERY_S: Final = 2.0
LAG_TIMEOUT_S: Final = 5.0
LEAVE_TIMEOUT_S: Final = 5.0

Recognise = Callable[[window_pb2.ApexWindow], Awaitable[graph_pb2.AuGraph]]


@dataclass(frozen=True)
class _Outgoing:
    """What a record calls for. outcome: as in the metric; stream: whose partition it goes to, default its own key's."""

    outcome: str
    topic: wire.Topic
    key: bytes
    message: Message
    headers: wire.Headers
    stream: str | None = None


class WindowConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka carries no types
    """recognise: one window to its graph, waiting as long as the queue is full; outbox: takes what is published;
    in_flight: records that are worked on at the same time, which bounds memory too: while there are that many, no more
    are read."""

    def __init__(self, settings: RecognizerSettings, recognise: Recognise, outbox: Outbox, in_flight: int) -> None:
        self._topic = topic_name(settings, wire.APEX_WINDOWS)
        self._recognise, self._outbox, self._limit = recognise, outbox, in_flight
        self._consumer = AIOKafkaConsumer(
            **_aiokafka_config(settings),
            group_id=settings.topic_prefix + settings.recognizer_group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        self._ledger = Ledger()
        self._detections = Detections()
        self._committed: dict[int, int] = {}
        self._stopping = asyncio.Event()
        self._in_flight = 0
        self._ended = asyncio.Event()  # set whenever a record ends
        self._in_order: asyncio.Queue[tuple[ConsumerRecord, asyncio.Task[_Outgoing | None]] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Connect and join the group. Raises Retryable when no broker answers or the topic is missing."""
        self._consumer.subscribe([self._topic], listener=self)
        try:
            await self._consumer.start()
        except KafkaError as error:
            await self._leave()
            raise Retryable(
                "apex windows cannot be read; was their topic made with `microex topics create`?",
                topic=self._topic,
                error=type(error).__name__,
            ) from error

    async def run(self) -> None:
        """Work until `stop`, then finish what was begun. Raises what nothing here can mend."""
        steps = [
            self._spawn(step)
            for step in (self._read(), self._publish(), self._commit_now_and_then(), self._watch_lag())
        ]
        try:
            await asyncio.gather(*steps)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._commit()
            await self._leave()

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()

    async def measure_lag(self) -> None:
        """Set the metric of lag by position. Raises KafkaError when Kafka does not answer."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        for partition, end in ends.items():
            if partition in self._consumer.assignment():  # it may have been taken away meanwhile
                lag = end - await self._consumer.position(partition)
                metrics.LAG.labels(str(partition.partition)).set(max(0, lag))

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Commit what is done before another may read on; what is not done, its next owner repeats."""
        await self._commit()
        self._ledger.forget()
        self._committed.clear()
        metrics.LAG.clear()  # whoever has the partitions next tells of them

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        log.info("reading apex windows", partitions=sorted(partition.partition for partition in assigned))

    async def _read(self) -> None:
        while not self._stopping.is_set():
            while self._in_flight >= self._limit:
                await self._next_end()
            # Nothing may be awaited between reading and noting: a rebalance would come between.
            try:
                batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=self._limit - self._in_flight)
            except KafkaError as error:
                raise Retryable("apex windows can no longer be read", error=type(error).__name__) from error
            for record in chain.from_iterable(batches.values()):
                self._begin(record)
        self._in_order.put_nowait(None)

    def _begin(self, record: ConsumerRecord) -> None:
        self._ledger.take(record.partition, record.offset)
        self._in_flight += 1
        metrics.IN_FLIGHT.set(self._in_flight)
        self._in_order.put_nowait((record, self._spawn(self._work(record))))

    def _end(self, record: ConsumerRecord, outcome: str) -> None:
        self._ledger.release(record.partition, record.offset)
        self._in_flight -= 1
        self._ended.set()
        metrics.IN_FLIGHT.set(self._in_flight)
        metrics.WINDOWS.labels(outcome).inc()

    async def _next_end(self) -> None:
        self._ended.clear()
        await self._ended.wait()

    async def _work(self, record: ConsumerRecord) -> _Outgoing | None:
        """What a record calls for; None for a tombstone, and for a window that is discarded."""
        if record.value is None:
            return None
        try:
            window = wire.decode(window_pb2.ApexWindow, record.value, record.headers)
            graph = await self._recognise(window)
        except Withdrawn:
            return None
        except Poison as error:
            log.warning(
                "window put aside",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                error=str(error),
            )
            return self._dead_letter(record, error)
        headers = wire.headers(graph_pb2.AuGraph, dict(record.headers).get("traceparent"))
        key, stream = graph.prediction_id.encode(), stream_key(window.stream)
        return _Outgoing("published", wire.AU_GRAPHS, key, graph, headers, stream)

    def _dead_letter(self, record: ConsumerRecord, error: Poison) -> _Outgoing:
        letter = wire.dead_letter(record, error, SERVICE)
        headers = wire.headers(type(letter), dict(record.headers).get("traceparent"))
        return _Outgoing("dead_letter", wire.DEAD_LETTERS, wire.letter_key(letter), letter, headers)

    async def _publish(self) -> None:
        """Hand over in the order in which records were read, so that streams keep theirs."""
        while entry := await self._in_order.get():
            record, work = entry
            if record.value is None:
                self._end(record, "tombstone")
            elif outgoing := await work:
                self._spawn(self._see_through(record, outgoing, await self._hand_over(outgoing)))
            else:
                self._end(record, "withdrawn")
        while self._in_flight:
            await self._next_end()

    async def _hand_over(self, outgoing: _Outgoing) -> Awaitable[object]:
        """Give it to Kafka's producer, however long that takes; returns what ends with its acknowledgement."""
        pause = FIRST_RETRY_S
        while True:
            try:
                future = await asyncio.to_thread(
                    self._outbox.send,
                    outgoing.topic,
                    outgoing.key,
                    outgoing.message,
                    stream=outgoing.stream,
                    headers=outgoing.headers,
                )
                return _acknowledgement(future)
            except Retryable as error:
                pause = await self._note_retry(error, pause)

    async def _see_through(self, record: ConsumerRecord, outgoing: _Outgoing, sent: Awaitable[object]) -> None:
        """Wait until it is acknowledged; send again what was not."""
        pause = FIRST_RETRY_S
        while True:
            try:
                await sent
                if isinstance(outgoing.message, graph_pb2.AuGraph):
                    self._detections.note(outgoing.message)
                return self._end(record, outgoing.outcome)
            except Retryable as error:
                pause = await self._note_retry(error, pause)
                sent = await self._hand_over(outgoing)

    async def _note_retry(self, error: Retryable, pause: float) -> float:
        """Wait a while, or until stopping; returns the next pause."""
        metrics.PUBLISH_RETRIES.inc()
        log.warning("record was not published; trying again", error=str(error), pause_s=pause)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), pause)
        return min(2 * pause, LONGEST_RETRY_S)

    async def _commit_now_and_then(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), COMMIT_EVERY_S)
            await self._commit()

    async def _watch_lag(self) -> None:
        """Say now and then how far each partition's end is away; while Kafka does not answer, the last word holds."""
        while not self._stopping.is_set():
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(LAG_TIMEOUT_S):
                    await self.measure_lag()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), MEASURE_LAG_EVERY_S)

    async def _commit(self) -> None:
        """Tell Kafka how far the finished prefix of each partition reaches."""
        positions = {p: to for p, to in self._ledger.positions().items() if self._committed.get(p) != to}
        if not positions:
            return
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                await self._consumer.commit({TopicPartition(self._topic, p): to for p, to in positions.items()})
        except (KafkaError, TimeoutError) as error:
            # Not lost: it is committed next time, or its windows are read and answered again.
            log.warning("offsets were not committed", error=type(error).__name__, text=str(error))
        else:
            self._committed |= positions

    async def _leave(self) -> None:
        """Leave the group and close the connections, as far as that is possible: Kafka may be away."""
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self._consumer.stop()
        except TimeoutError:
            log.warning("left without a word to Kafka, which does not answer", seconds=LEAVE_TIMEOUT_S)
        except asyncio.CancelledError:
            # aiokafka cancels its own fetches and lets that out; only when we were told to end is it meant for us.
            if (task := asyncio.current_task()) and task.cancelling():
                raise

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._let_go)
        return task

    def _let_go(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: when one has made `run` give up, the others need not complain as well


def _acknowledgement(future: Any) -> Awaitable[object]:
    """A future of kafka-python as one of this event loop; raises Retryable when the record was not accepted."""
    loop = asyncio.get_running_loop()
    acknowledged: asyncio.Future[object] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if acknowledged.done():  # nobody waits any more
            return
        if error is None:
            acknowledged.set_result(None)
        else:
            acknowledged.set_exception(Retryable("Kafka did not accept a record", error=type(error).__name__))

    future.add_callback(lambda _: loop.call_soon_threadsafe(settle, None))
    future.add_errback(lambda error: loop.call_soon_threadsafe(settle, error))
    return acknowledged


def _aiokafka_config(settings: KafkaSettings) -> dict[str, Any]:
    """How to connect, in aiokafka's words: as kafka-python's, with a TLS context in place of files."""
    config = client_config(settings)
    files = {name: config.pop(name, None) for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile")}
    if settings.kafka_security_protocol.endswith("SSL"):
        names = {"ssl_cafile": "cafile", "ssl_certfile": "certfile", "ssl_keyfile": "keyfile"}
        config["ssl_context"] = create_ssl_context(**{names[name]: path for name, path in files.items()})
    return config
