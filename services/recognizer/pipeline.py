"""One window to one answer: consent, then the cache, else the batcher. gRPC and Kafka share it."""

from collections.abc import Callable

from microex.v1 import graph_pb2, window_pb2
from services.common import wire
from services.common.errors import Poison
from services.recognizer import metrics
from services.recognizer.answer import address, read
from services.recognizer.batcher import Batcher
from services.recognizer.cache import Cache


class Withdrawn(Poison):
    """The session's consent was taken back: the window is discarded, not put aside."""


class Pipeline:
    """batcher: started; cache: started, or None to keep nothing; model: whose answers these are; withdrawn: whether a
    session's consent was taken back."""

    def __init__(
        self, batcher: Batcher, cache: Cache | None, model: graph_pb2.Model, withdrawn: Callable[[str], bool]
    ) -> None:
        self._batcher, self._cache, self._model, self._withdrawn = batcher, cache, model, withdrawn

    async def recognise(self, window: window_pb2.ApexWindow, *, patient: bool = False) -> graph_pb2.AuGraph:
        """The answer, stamped with the time of answering.

        patient: wait while the queue is full. Raises Retryable for a full queue otherwise, Poison for a window that
        cannot be recognised, Withdrawn for one that may not be, Fatal when the network failed.
        """
        self._check_consent(window)
        graph = await self._remembered(window)
        if graph is None:
            graph = await self._batcher.submit(window, patient=patient)
            self._check_consent(window)  # it may have waited a while
            if self._cache:
                await self._cache.put(window, graph)
        graph.stages.recognized_us = wire.now_us()
        metrics.PREDICTIONS.labels(graph.emotion.label, wire.kind_name(graph.kind)).inc()
        return graph

    def _check_consent(self, window: window_pb2.ApexWindow) -> None:
        if self._withdrawn(window.stream.session):
            raise Withdrawn("consent for the session was withdrawn", session=window.stream.session)

    async def _remembered(self, window: window_pb2.ApexWindow) -> graph_pb2.AuGraph | None:
        if self._cache is None:
            return None
        read(window)  # a window that cannot be recognised gets no answer, whatever the cache holds
        graph = await self._cache.get(window)
        return address(graph, window, self._model) if graph else None
