"""Face frames to Kafka, keyed by stream."""

import threading
from collections import Counter

from microex.v1 import frame_pb2
from services.common import wire
from services.common.errors import Retryable
from services.common.ids import stream_key
from services.common.kafka import Outbox


class Publisher:
    """Publishes the messages of one camera. Sending waits while Kafka is away and the outbox is full."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._lock = threading.Lock()
        self._refusal: BaseException | None = None
        self._outcomes: Counter[str] = Counter(acknowledged=0, refused=0)

    def publish(self, messages: list[frame_pb2.FaceFrame]) -> None:
        """Hands messages on, stamped with the time of publishing. Raises as `check` does before each one: its stream
        has a hole, so nothing more may follow in this run."""
        for message in messages:
            self.check()
            key = stream_key(message.stream)
            message.stages.published_us = wire.now_us()
            future = self._outbox.send(wire.FACE_FRAMES, key.encode(), message, stream=key)
            future.add_callback(lambda _: self._settled("acknowledged", None))
            future.add_errback(lambda error: self._settled("refused", error))

    def check(self) -> None:
        """Raises Retryable when Kafka refused a message since the last time."""
        with self._lock:
            refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise Retryable("Kafka refused a face frame", error=type(refusal).__name__) from refusal

    def settled(self) -> dict[str, int]:
        """Messages that Kafka "acknowledged" and "refused" so far."""
        with self._lock:
            return dict(self._outcomes)

    def _settled(self, outcome: str, refusal: BaseException | None) -> None:
        with self._lock:
            self._outcomes[outcome] += 1
            self._refusal = self._refusal or refusal
