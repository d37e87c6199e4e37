"""One lane a stream: order within it, streams beside each other, offsets held for one look-back.

    Kafka ──take──> lane of the stream ──batch──> detector in a thread ──windows──> Kafka
                        │                                                             │
                        └── offsets are released when older than the look-back ◄── acknowledged

A detector's state is a pure function of the last `LOOK_BACK_S` seconds of its stream. So a record's offset is released
only when every window decided so far is safe in Kafka, and a later frame is older than that too (and a margin): whoever
begins at the committed offset, after a crash or a rebalance, arrives at the same state, knows that it does, and emits
what is missing, whatever gaps the stream has. Nothing here knows Faust; agents.py feeds it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

from microex.v1 import frame_pb2, window_pb2
from services.common import wire
from services.common.errors import MicroexError, Poison
from services.common.ids import stream_key
from services.common.ledger import Ledger
from services.common.logs import get_logger
from services.spotter import metrics
from services.spotter.detector import LOOK_BACK_S, Detector, Step

log = get_logger(__name__)

MARGIN_S: Final = 1.0
"""Records are held this much longer than the look-back, so that commits may lag behind a little."""

PATIENCE: Final = 10
"""A silent stream's detector is kept this many times as long as its offsets are."""

BATCH: Final = 16
"""Frames of one stream that go to a thread together: fewer hops between threads, still fair to other streams."""

_LOOK_BACK_US: Final = int(LOOK_BACK_S * 1e6)
_HOLD_US: Final = int((LOOK_BACK_S + MARGIN_S) * 1e6)

Publish = Callable[[window_pb2.ApexWindow, str, bytes | None], Awaitable[None]]
"""Sends a window of a stream (with the trace it belongs to); returns when Kafka has acknowledged it."""
Bury = Callable[[wire.Record, MicroexError], Awaitable[None]]
"""Sends a dead letter; returns when Kafka has acknowledged it."""


@dataclass(frozen=True)
class Taken:
    """A record and the message in it."""

    record: wire.Record
    message: frame_pb2.FaceFrame


@dataclass
class Lane:
    """One stream.

    held: its frames that were analysed, each with the stream time that had passed by then, microseconds. Where a
    detector starts afresh, more than a look-back has passed.
    """

    key: str
    detector: Detector
    task: asyncio.Task[None] | None = None
    waiting: deque[Taken] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    held: deque[tuple[int, wire.Record]] = field(default_factory=deque)
    passed_us: int = 0
    newest_us: int = 0  # time of the last one that was analysed
    next_sequence: int = 0
    heard: float = 0.0  # clock at the last message


class Lanes:
    """All streams of the partitions that are assigned; made anew at each assignment.

    refused(session): why a session may not be processed, or None. capacity: messages in front of the detectors at the
    most. failed(error): called when a lane ended by an error that is not the message's fault.
    """

    def __init__(
        self,
        publish: Publish,
        bury: Bury,
        refused: Callable[[str], str | None],
        pool: ThreadPoolExecutor,
        capacity: int,
        silence_s: float,
        failed: Callable[[BaseException], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish, self._bury, self._refused, self._failed = publish, bury, refused, failed
        self._pool, self._silence_s, self._clock = pool, silence_s, clock
        self._room = asyncio.Semaphore(capacity)
        self._lanes: dict[str, Lane] = {}
        self._ledger = Ledger()
        self._stopped = False

    async def take(self, record: wire.Record) -> None:
        """Accept a record; waits while `capacity` messages are in front of the detectors. Stopped, it accepts none."""
        if self._stopped:
            return
        self._ledger.take(record.partition, record.offset)
        try:
            message = wire.decode(frame_pb2.FaceFrame, record.value, record.headers)
            key = stream_key(message.stream)
            if message.WhichOneof("body") is None:
                raise Poison("face frame is neither a frame nor an end")
        except Poison as error:
            await self._to_dead_letters(record, error)
            return
        refusal = self._refused(message.stream.session)
        if refusal:
            self._discard(record, message, key)
            return
        await self._room.acquire()
        if self._stopped:
            return
        lane = self._lanes.get(key) or self._open(key, message)
        lane.heard = self._clock()
        lane.waiting.append(Taken(record, message))
        lane.arrived.set()

    def positions(self) -> dict[int, int]:
        """Offsets to commit, by partition."""
        metrics.HELD.set(self._ledger.held())
        return self._ledger.positions()

    def taken(self) -> dict[int, int]:
        """Offset after the last record taken, by partition: the position that lag is measured from."""
        return self._ledger.taken()

    def drop_silent(self) -> None:
        """Release what is held of streams that nothing was heard of for long; nothing is emitted by guess. Their
        detectors wait longer: it may have been Kafka that could not be reached, and the stream goes on where it was."""
        for lane in list(self._lanes.values()):
            silent_s = self._clock() - lane.heard
            if lane.waiting or silent_s <= self._silence_s:
                continue
            if lane.held:
                log.warning("stream fell silent", stream=lane.key)
                metrics.SILENT.inc()
                self._release(lane, len(lane.held))
            if silent_s > PATIENCE * self._silence_s:
                self._close(lane)

    async def stop(self) -> None:
        """End every lane where it is. What is held stays uncommitted, for whoever takes over."""
        self._stopped = True
        self._room.release()  # who waits in `take` would wait for ever
        tasks = [lane.task for lane in self._lanes.values() if lane.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._lanes.clear()
        metrics.STREAMS.set(0)

    def _open(self, key: str, first: frame_pb2.FaceFrame) -> Lane:
        lane = Lane(key, Detector(whole=first.sequence == 0), next_sequence=first.sequence)
        self._lanes[key] = lane
        lane.task = asyncio.create_task(self._run(lane), name=f"lane {key}")
        lane.task.add_done_callback(self._ended)
        metrics.STREAMS.set(len(self._lanes))
        return lane

    def _close(self, lane: Lane) -> None:
        """Forget a stream and release all that was held or waiting for it."""
        self._release(lane, len(lane.held))
        for taken in lane.waiting:
            self._ledger.release(taken.record.partition, taken.record.offset)
            self._room.release()
        lane.waiting.clear()
        if self._lanes.get(lane.key) is lane:
            del self._lanes[lane.key]
        if lane.task is not None and lane.task is not asyncio.current_task():
            lane.task.cancel()
        metrics.STREAMS.set(len(self._lanes))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    async def _run(self, lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await lane.arrived.wait()
            batch = list(islice(lane.waiting, BATCH))
            results = await loop.run_in_executor(self._pool, _steps, lane.detector, [t.message for t in batch])
            for taken, result in zip(batch, results, strict=True):
                await self._settle(lane, taken, result)
                lane.waiting.popleft()
                self._room.release()
                if taken.message.HasField("end") and not lane.waiting:
                    self._close(lane)
                    return
            if not lane.waiting:
                lane.arrived.clear()

    async def _settle(self, lane: Lane, taken: Taken, result: "Result") -> None:
        """Publish what a message led to, then release what nobody needs any more."""
        message, record = taken.message, taken.record
        self._count(lane, message, result)
        if isinstance(result.step, Poison):
            await self._to_dead_letters(record, result.step)
            return
        trace = dict(record.headers or ()).get("traceparent")
        now_us = (message.frame.moment if message.HasField("frame") else message.end.last_seen).time_us
        for window in result.step.windows:
            window.stages.captured_us = message.stages.captured_us
            window.stages.published_us = message.stages.published_us
            window.stages.spotted_us = wire.now_us()
            await self._publish(window, lane.key, trace)
            kind = wire.kind_name(window.kind)
            metrics.WINDOWS.labels(window.stream.session, window.stream.camera, kind).inc()
            metrics.DELAY_SECONDS.observe((now_us - window.apex.time_us) / 1e6)
        if result.step.outcome != "analysed":  # whoever reads it again leaves it out again
            self._ledger.release(record.partition, record.offset)
            return
        step_us, lane.newest_us = now_us - lane.newest_us, now_us
        lane.passed_us += step_us if 0 < step_us <= _LOOK_BACK_US else _HOLD_US
        lane.held.append((lane.passed_us, record))
        while len(lane.held) > 1 and lane.held[1][0] <= lane.passed_us - _HOLD_US:
            self._release(lane, 1)

    def _release(self, lane: Lane, count: int) -> None:
        """So many of what is held, the oldest."""
        for _ in range(count):
            _, record = lane.held.popleft()
            self._ledger.release(record.partition, record.offset)

    def _count(self, lane: Lane, message: frame_pb2.FaceFrame, result: "Result") -> None:
        session, camera = message.stream.session, message.stream.camera
        if message.sequence > lane.next_sequence:
            metrics.FRAMES.labels(session, camera, "expired").inc(message.sequence - lane.next_sequence)
        lane.next_sequence = max(lane.next_sequence, message.sequence + 1)
        if message.HasField("end"):
            return
        metrics.STEP_SECONDS.observe(result.seconds)
        outcome: str
        reason: str | None
        if isinstance(result.step, Poison):
            outcome, reason = "rejected", "unreadable"
        else:
            outcome, reason = result.step.outcome, result.step.reason
            if outcome == "analysed" and not result.emits:
                outcome = "repeat"
            for dismissal in result.step.dismissed:
                metrics.DISMISSED.labels(dismissal).inc()
        metrics.FRAMES.labels(session, camera, outcome).inc()
        if outcome == "rejected":
            metrics.REJECTED.labels(reason or "other").inc()

    def _discard(self, record: wire.Record, message: frame_pb2.FaceFrame, key: str) -> None:
        """Consent does not hold: forget the stream and the record."""
        if key in self._lanes:
            self._close(self._lanes[key])
        self._ledger.release(record.partition, record.offset)
        if message.HasField("frame"):
            metrics.FRAMES.labels(message.stream.session, message.stream.camera, "rejected").inc()
            metrics.REJECTED.labels("consent").inc()

    async def _to_dead_letters(self, record: wire.Record, error: MicroexError) -> None:
        log.warning("record goes to the dead letters", partition=record.partition, offset=record.offset, why=str(error))
        await self._bury(record, error)
        metrics.POISON.inc()
        self._ledger.release(record.partition, record.offset)


@dataclass(frozen=True)
class Result:
    """What a detector made of one message, how long that took, and whether it was past its replay."""

    step: Step | Poison
    seconds: float
    emits: bool


def _steps(detector: Detector, messages: list[frame_pb2.FaceFrame]) -> list[Result]:
    """Run in a thread: OpenCV and NumPy let go of the interpreter's lock."""
    return list(map(partial(_step, detector), messages))


def _step(detector: Detector, message: frame_pb2.FaceFrame) -> Result:
    began = time.perf_counter()
    step: Step | Poison
    try:
        step = detector.step(message)
    except Poison as error:
        step = error
    return Result(step, time.perf_counter() - began, detector.emits)
