"""The spotter on Kafka, and the only file that knows Faust.

Faust reads the face frames, keeps the group and commits. What it commits is what the ledger of the lanes says: Faust's
own reckoning commits past gaps and acknowledges what it skips in a rebalance.
"""

import asyncio
import ssl
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import faust
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from microex.v1 import window_pb2
from services.common import wire
from services.common.consent import ConsentWatch, OutOfSight
from services.common.errors import Fatal, MicroexError, Retryable
from services.common.kafka import Outbox, acknowledged, topic_name
from services.common.logs import get_logger
from services.common.settings import SpotterSettings
from services.spotter import metrics
from services.spotter.lanes import Lanes

log = get_logger(__name__)

SERVICE = "spotter"
LAG_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True)
class Record:
    """A record as wire.Record wants it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Iterable[tuple[str, bytes]]


class Spotting:
    """Joins Faust's stream of records to lanes, and lanes to the outbox; one life of a service."""

    def __init__(self, settings: SpotterSettings, outbox: Outbox, consents: ConsentWatch) -> None:
        self._settings, self._outbox, self._consents = settings, outbox, consents
        self._pool = ThreadPoolExecutor(settings.spotter_threads, thread_name_prefix="flow")
        self.lanes = self._new_lanes()
        self.joined = False
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.app = _app(settings, self)

    def _new_lanes(self) -> Lanes:
        return Lanes(
            publish=self._publish,
            bury=self._bury,
            refused=self._consents.refusal,
            pool=self._pool,
            capacity=self._settings.spotter_buffer_frames,
            silence_s=self._settings.stream_silence_s,
            failed=self._fail,
        )

    def _fail(self, error: BaseException) -> None:
        if not self.failure.done():
            self.failure.set_exception(error)

    async def assigned(self, partitions: set[TP]) -> None:
        """A new generation of the group: what was held is read again, so everything begins anew."""
        await self._begin_anew()
        self.joined = True
        log.info("joined the group", partitions=sorted(tp.partition for tp in partitions))

    async def revoked(self) -> None:
        """Membership is in doubt until the next assignment."""
        self.joined = False
        await self._begin_anew()

    async def _begin_anew(self) -> None:
        old, self.lanes = self.lanes, self._new_lanes()
        await old.stop()
        metrics.LAG.clear()  # whoever has the partitions next tells of them

    def not_ready(self) -> str | None:
        """Why the service is not ready; None when it is."""
        if not self.joined:
            return "not a member of the consumer group yet"
        # What aiokafka knows of the group: it forgets a coordinator that does not answer heartbeats, and its own
        # membership when it learns that it was put out.
        consumer: Any = self.app.consumer
        coordinator = consumer._thread._consumer._coordinator
        known = coordinator.coordinator_id is not None and coordinator.generation >= 0
        return None if known else "lost sight of the consumer group"

    async def read(self, stream: Any) -> None:
        """The agent: hand every record to its lane."""
        async for event in stream.noack().events():
            message = event.message
            record = Record(
                message.topic,
                message.partition,
                message.offset,
                message.key,
                message.value,
                tuple(dict(message.headers or {}).items()),
            )
            try:
                await self._take(self.lanes, record)
            except MicroexError as error:
                self._fail(error)

    async def _take(self, lanes: Lanes, record: Record) -> None:
        """Hand a record to its lane as soon as consents are in sight; lanes: those it was read for, as a rebalance
        makes others meanwhile. Raises OutOfSight when it takes too long: the record is held then, and read again."""
        while True:
            try:
                return await lanes.take(record)
            except OutOfSight:
                await asyncio.to_thread(self._consents.wait)

    async def housekeeping(self) -> None:
        """Once a second: streams that fell silent, lag by position; while Kafka does not answer, the last word on lag
        holds."""
        while True:
            await asyncio.sleep(1)
            self.lanes.drop_silent()
            if self.joined:
                with suppress(KafkaError, ConsumerNotStarted, TimeoutError):
                    async with asyncio.timeout(LAG_TIMEOUT_S):
                        await self.measure_lag()

    async def measure_lag(self) -> None:
        """Set the metric of lag for every assigned partition. One that nothing was taken from begins where the group
        has committed, else at the start: a spotter that hangs before its first record lags too. Raises KafkaError when
        Kafka does not answer."""
        lanes, consumer = self.lanes, cast(Any, self.app.consumer)
        assigned = [tp for tp in consumer.assignment() if tp.topic == self.app.frames.get_topic_name()]
        taken = lanes.taken()
        untouched = [tp for tp in assigned if tp.partition not in taken]
        first = await consumer.earliest_offsets(*untouched) if untouched else {}
        end = await consumer.highwaters(*assigned)
        if self.lanes is not lanes:
            return  # the partitions may be another's by now
        begun = {tp.partition: max(first[tp], consumer._committed_offset[tp] or 0) for tp in untouched}
        positions = begun | lanes.taken()  # more may have been taken while Kafka answered
        for tp in assigned:
            metrics.LAG.labels(str(tp.partition)).set(max(0, end[tp] - positions[tp.partition]))

    async def _publish(self, window: window_pb2.ApexWindow, stream: str, trace: bytes | None) -> None:
        headers = wire.headers(window_pb2.ApexWindow, trace)
        send = partial(
            self._outbox.send, wire.APEX_WINDOWS, window.window_id.encode(), window, stream=stream, headers=headers
        )
        await acknowledged(await asyncio.to_thread(send))

    async def _bury(self, record: wire.Record, error: MicroexError) -> None:
        letter = wire.dead_letter(record, error, SERVICE)
        send = partial(self._outbox.send, wire.DEAD_LETTERS, wire.letter_key(letter), letter)
        await acknowledged(await asyncio.to_thread(send))


async def serve(
    settings: SpotterSettings,
    outbox: Outbox,
    consents: ConsentWatch,
    stop: asyncio.Event,
    started: "asyncio.Future[Spotting]",
) -> None:
    """Run until `stop` is set. Raises Retryable when consents stay out of sight, Fatal when Faust or a lane dies."""
    spotting = Spotting(settings, outbox, consents)
    started.set_result(spotting)
    await spotting.app.start()
    keeping = asyncio.create_task(spotting.housekeeping())
    stopping = asyncio.create_task(stop.wait())
    dying = asyncio.create_task(spotting.app.wait_until_stopped())
    try:
        ends: set[asyncio.Future[Any]] = {stopping, dying, keeping, spotting.failure}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            ended = next((t for t in (spotting.failure, keeping) if t.done()), None)
            cause = ended.exception() if ended else spotting.app.crash_reason
            if isinstance(cause, Retryable):
                raise cause
            raise Fatal("the spotter cannot go on", error=repr(cause)) from cause
    finally:
        keeping.cancel()
        await spotting.app.stop()
        await spotting.lanes.stop()


class _Consumer(driver.Consumer):
    """Commits what the ledger says, and nothing else."""

    def _filter_committable_offsets(self, _tps: Iterable[TP]) -> dict[TP, int]:
        app = cast(_App, self.app)
        name = app.frames.get_topic_name()
        positions = {TP(name, p): offset for p, offset in app.spotting.lanes.positions().items()}
        return {tp: offset for tp, offset in positions.items() if self._should_commit(tp, offset)}


class _Transport(driver.Transport):
    Consumer = _Consumer


class _App(faust.App):
    spotting: Spotting
    frames: Any

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self)


def _app(settings: SpotterSettings, spotting: Spotting) -> _App:
    app = _App(
        settings.topic_prefix + settings.spotter_group,
        broker=[f"kafka://{host}" for host in settings.kafka_bootstrap_servers.split(",")],
        broker_credentials=_credentials(settings),
        datadir=str(settings.spotter_data_dir or tempfile.mkdtemp(prefix="microex-spotter-")),
        broker_session_timeout=10.0,  # a dead spotter's streams move on after this
        broker_max_poll_records=50,
        stream_buffer_maxsize=settings.spotter_buffer_frames,
        stream_wait_empty=False,  # what is held is never acknowledged before a rebalance; it is read again after it
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        key_serializer="raw",
        value_serializer="raw",
    )
    app.spotting = spotting
    app.frames = app.topic(
        topic_name(settings, wire.FACE_FRAMES),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )
    app.agent(app.frames, concurrency=1, name="read")(spotting.read)

    async def assigned(*signal: Any, **_: Any) -> None:
        await spotting.assigned(signal[-1])

    async def revoked(*_signal: Any, **_: Any) -> None:
        await spotting.revoked()

    app.on_partitions_assigned.connect(assigned, weak=False)
    app.on_partitions_revoked.connect(revoked, weak=False)
    return app


def _credentials(settings: SpotterSettings) -> Any:
    protocol = settings.kafka_security_protocol
    context = None
    if protocol.endswith("SSL"):
        context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
        if settings.kafka_ssl_cert_file:
            context.load_cert_chain(settings.kafka_ssl_cert_file, settings.kafka_ssl_key_file)
    if protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None
