"""Gathers windows of concurrent callers into batches and hands each caller its own answer.

    submit ─┐                  ┌─ forward pass in a thread ─┐
    submit ─┼─> bounded queue ─┤  (size reached, or the     ├─> each caller's own future
    submit ─┘                  └─ first has waited enough) ─┘

Everything but the forward pass runs on the event loop, so there are no locks.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from microex.v1 import graph_pb2, window_pb2
from services.common.errors import Fatal, Poison, Retryable
from services.recognizer import metrics

Recognise = Callable[[Sequence[window_pb2.ApexWindow]], Sequence[graph_pb2.AuGraph | Poison]]


@dataclass(frozen=True, eq=False)
class _Waiting:
    """window: what to look at; since: when it came, seconds of the event loop's clock; answer: what is awaited."""

    window: window_pb2.ApexWindow
    since: float
    answer: asyncio.Future[graph_pb2.AuGraph]


class Batcher:
    """A dynamic batcher around `recognise`, which is called from one thread, one batch at a time.

    recognise: as `Engine.answers`; batch_max: windows in a batch at the most; delay_s: how long a batch waits to fill
    after its first window came; queue_max: windows that may wait.
    """

    def __init__(self, recognise: Recognise, batch_max: int, delay_s: float, queue_max: int) -> None:
        self._recognise = recognise
        self._batch_max, self._delay_s, self._queue_max = batch_max, delay_s, queue_max
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = False
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="forward")
        self._task: asyncio.Task[None] | None = None
        self.problem: str | None = None
        """Why the network cannot be used any more; None while it can."""

    def start(self) -> None:
        """Begin to work, on the running event loop."""
        self._note_change()
        self._task = asyncio.create_task(self._run(), name="batcher")

    async def close(self) -> None:
        """Take nothing more, answer what waits, end."""
        self._closing = True
        self._note_change()
        if self._task:
            await self._task
        self._worker.shutdown()

    async def submit(self, window: window_pb2.ApexWindow, *, patient: bool = False) -> graph_pb2.AuGraph:
        """The answer for one window.

        patient: wait for room while the queue is full. Raises Retryable when the queue is full otherwise, or closing,
        Poison when the window cannot be recognised, Fatal when the network failed. A caller that is cancelled, by its
        deadline for example, leaves the queue.
        """
        while patient and not self._room.is_set():
            await self._room.wait()
        if self._closing:
            raise Retryable("the recognizer is shutting down")
        if len(self._queue) >= self._queue_max:
            metrics.QUEUE_FULL.inc()
            raise Retryable("the queue of the recognizer is full", windows=self._queue_max)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(window, loop.time(), loop.create_future())
        self._queue.append(waiting)
        self._note_change()
        try:
            return await waiting.answer
        finally:
            if waiting in self._queue:  # cancelled before its turn
                self._queue.remove(waiting)
                metrics.ABANDONED.inc()
                self._note_change()

    def _note_change(self) -> None:
        metrics.QUEUE_DEPTH.set(len(self._queue))
        self._arrived.set()
        if self._closing or len(self._queue) < self._queue_max:
            self._room.set()
        else:
            self._room.clear()

    async def _run(self) -> None:
        while await self._something_waits():
            await self._fill()
            if batch := self._take():
                await self._answer(batch)

    async def _something_waits(self) -> bool:
        """True as soon as there is work; False when there never will be."""
        while not self._queue and not self._closing:
            await self._next_arrival()
        return bool(self._queue)

    async def _fill(self) -> None:
        """Wait until a batch is full or the oldest window has waited long enough."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._queue[0].since + self._delay_s):
                while len(self._queue) < self._batch_max and not self._closing:
                    await self._next_arrival()

    async def _next_arrival(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    def _take(self) -> list[_Waiting]:
        """The oldest windows whose callers still wait."""
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._batch_max:
            waiting = self._queue.popleft()
            if waiting.answer.done():  # cancelled this very moment
                metrics.ABANDONED.inc()
            else:
                batch.append(waiting)
        self._note_change()
        return batch

    async def _answer(self, batch: list[_Waiting]) -> None:
        windows = [waiting.window for waiting in batch]
        metrics.BATCH_SIZE.observe(len(windows))
        try:
            outcomes = await asyncio.get_running_loop().run_in_executor(self._worker, self._forward, windows)
        except Exception as error:  # noqa: BLE001, whatever it is, the callers must learn of it
            if isinstance(error, Fatal):
                self.problem = str(error)
            outcomes = [error] * len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.answer.done():  # cancelled during the forward pass
                continue
            if isinstance(outcome, Exception):
                waiting.answer.set_exception(outcome)
            else:
                waiting.answer.set_result(outcome)

    def _forward(self, windows: list[window_pb2.ApexWindow]) -> Sequence[graph_pb2.AuGraph | Exception]:
        with metrics.FORWARD_SECONDS.time():
            return self._recognise(windows)
