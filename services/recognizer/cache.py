"""Answers kept in Redis, so that a window that comes again is not computed again.

The key holds the session first, so that all of a session can be deleted; then the motion that was looked at, then the
model that answered. A cache that is down or slow costs one short wait, is then left alone for a while, and is tried
again by itself: an answer never fails for want of it.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

from google.protobuf.message import DecodeError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from microex.v1 import graph_pb2, window_pb2
from services.common.errors import Fatal
from services.common.ids import cache_prefix
from services.common.logs import get_logger
from services.recognizer import metrics

log = get_logger(__name__)

TIMEOUT_S: Final = 0.05
"""What a Redis that hangs may cost a caller."""

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 15.0
"""How long Redis is left alone after an error: the first pause, doubled with every further error up to the longest."""

PING_EVERY_S: Final = 15.0


def window_digest(motion: window_pb2.MotionTensor) -> str:
    """SHA-256 over all of a window that an answer depends on: values, shape, times, mask, whether the gain is known.

    Over fields, never over a serialised message, whose bytes may differ between libraries.
    """
    shape = (motion.frames, motion.rois, motion.patch, motion.magnitude_known, motion.convention)
    digest = hashlib.sha256(repr((shape, list(motion.times))).encode())
    digest.update(bytes(motion.seen))
    digest.update(motion.data)
    return digest.hexdigest()


class Cache:
    """A cache of answers that may fail.

    url: of Redis; ttl_s: how long an answer is kept; model_digest: whose answers; clock: seconds, never backwards.
    Raises Fatal for a malformed URL.
    """

    def __init__(self, url: str, ttl_s: int, model_digest: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s, self._model_digest, self._clock = ttl_s, model_digest, clock
        try:
            pool = BlockingConnectionPool.from_url(url, max_connections=16, retry=Retry(NoBackoff(), 0))
        except ValueError as error:
            # The URL may hold a password, and the error may hold the URL.
            raise Fatal("setting MICROEX_REDIS_URL is no URL of a Redis, such as redis://cache:6379/0") from error
        self._redis = Redis.from_pool(pool)
        self._pause_s, self._rests_until = FIRST_PAUSE_S, clock()

    async def start(self) -> None:
        """Find out whether Redis answers, for the metric; not answering is no error."""
        await self._attempt(self._redis.ping())

    async def watch(self) -> None:
        """Find out now and then, for the metric, whether Redis answers: without windows nobody else asks it."""
        while True:
            await asyncio.sleep(PING_EVERY_S)
            await self._attempt(self._redis.ping())

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    async def get(self, window: window_pb2.ApexWindow) -> graph_pb2.AuGraph | None:
        """The answer to the same motion in the same session, addressed to whoever asked first; None when there is none
        or the cache does not answer."""
        if self._resting():
            metrics.CACHE.labels("skipped").inc()
            return None
        reached, value = await self._attempt(self._redis.get(self._key(window)))
        if not reached:
            return None
        try:
            graph = graph_pb2.AuGraph.FromString(value) if isinstance(value, bytes) else None
        except DecodeError:
            log.warning("cache held what is no answer of ours")
            graph = None
        metrics.CACHE.labels("hit" if graph else "miss").inc()
        return graph

    async def put(self, window: window_pb2.ApexWindow, graph: graph_pb2.AuGraph) -> None:
        """Keep an answer."""
        if not self._resting():
            await self._attempt(self._redis.set(self._key(window), graph.SerializeToString(), ex=self._ttl_s))

    def _key(self, window: window_pb2.ApexWindow) -> str:
        return f"{cache_prefix(window.stream.session)}{window_digest(window.motion)}:{self._model_digest}"

    def _resting(self) -> bool:
        return self._clock() < self._rests_until

    async def _attempt(self, command: Awaitable[object]) -> tuple[bool, object]:
        """Whether Redis answered, and what."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                value = await command
        except (RedisError, OSError, TimeoutError) as error:
            self._rest(error)
            return False, None
        if self._pause_s > FIRST_PAUSE_S:
            log.info("cache answers again")
        self._pause_s = FIRST_PAUSE_S
        metrics.CACHE_UP.set(1)
        return True, value

    def _rest(self, error: Exception) -> None:
        metrics.CACHE.labels("error").inc()
        metrics.CACHE_UP.set(0)
        if self._resting():
            return  # one of several that were under way when the first one failed
        log.warning("cache does not answer; going on without", error=type(error).__name__, pause_s=self._pause_s)
        self._rests_until = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
