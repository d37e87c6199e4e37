"""Live sources: they come back, the index goes on, times are those of capture, nothing tells the address."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Retryable
from services.ingest import feed as feed_module
from services.ingest.feed import Feed
from services.ingest.live import LONGEST_WAIT_S, Live, UtcClock, backoff_s
from services.ingest.sources import Captured
from tests.unit.ingest.fakes import FRAME_US, Clock, Connection

PICTURE = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_index_goes_on_over_reconnections(clock: Clock) -> None:
    stop = threading.Event()
    made = [Connection(clock, 5), Connection(clock, 0), Connection(clock, 0), Connection(clock, 6, bad=(3,))]
    waiting = iter(made)
    source = Live(lambda: next(waiting), stop, first_wait_s=0.0)  # type: ignore[arg-type, return-value]
    seen = []
    for captured in source:
        seen.append(captured)
        if len(seen) == 8:
            stop.set()
    # The first frame of each connection only sets its clock; the fourth of the last one cannot be decoded.
    assert [c.index for c in seen] == [0, 1, 2, 3, 4, 5, 7, 8]
    assert (np.diff([c.time_us for c in seen]) > 0).all()
    assert source.reconnects == 3
    assert not source.connected
    assert all(connection.released for connection in made)


@pytest.mark.parametrize("by_us", [-900_000, 900_000])
def test_steps_of_time_are_true_when_the_clock_is_corrected(clock: Clock, by_us: int) -> None:
    connection = Connection(clock, 50)
    connection.when = {20: lambda: clock.set(by_us)}
    source = Live(lambda: connection, threading.Event())  # type: ignore[arg-type, return-value]
    times = [captured.time_us for captured, _ in zip(source, range(48), strict=False)]
    assert set(np.diff(times)) == {FRAME_US}


@pytest.mark.parametrize("by_us", [-10_000_000, 10_000_000])
def test_a_clock_that_was_set_ends_the_run_and_lets_go_of_the_camera(clock: Clock, by_us: int) -> None:
    connection = Connection(clock, 50)
    connection.when = {20: lambda: clock.set(by_us)}
    source = Live(lambda: connection, threading.Event())  # type: ignore[arg-type, return-value]
    times = []
    with pytest.raises(Retryable, match="clock was set"):
        times.extend(captured.time_us for captured in source)
    assert connection.at == 20 and connection.released
    again = next(iter(Live(lambda: Connection(clock, 5), threading.Event())))  # type: ignore[arg-type, return-value]
    assert again.time_us == clock.now_us, "the next run is in UTC again"


@given(st.integers(0, 50))
def test_waits_double_with_jitter_up_to_a_limit(failures: int) -> None:
    whole = min(LONGEST_WAIT_S, 0.5 * 2**failures)
    assert 0.5 * whole <= backoff_s(failures) <= whole


def test_capture_times_are_even_though_arrivals_are_not() -> None:
    clock, random = UtcClock(), np.random.default_rng(0)
    captured_us = [1_000_000_000 + FRAME_US * n for n in range(600)]
    delays = random.exponential(15_000, 600).astype(int) + 5_000
    times = [clock.utc_us(FRAME_US * n, captured_us[n] + int(delays[n])) for n in range(600)]
    steps = np.diff([time for time in times[100:] if time is not None])
    assert np.percentile(np.abs(steps - FRAME_US), 95) < 1_000, "jitter of the network is gone"
    error = np.array(times[100:], float) - captured_us[100:]
    assert (error >= 0).all() and error.max() < 10_000, "what is left is the least delay"


def test_what_piled_up_while_a_source_was_opened_is_left_out() -> None:
    clock = UtcClock()
    assert [clock.utc_us(FRAME_US * n, 5_000_000 + 500 * n) for n in range(20)] == [None] * 20
    assert clock.utc_us(FRAME_US * 20, 5_010_000 + FRAME_US) == 5_010_000 + FRAME_US


def test_a_source_without_times_is_taken_at_its_arrivals() -> None:
    clock = UtcClock()
    arrivals = [1_000_000, 1_033_000, 1_080_000, 1_100_000]
    assert [clock.utc_us(0.0, arrived) for arrived in arrivals] == [None, *arrivals[1:]]


def test_a_source_whose_time_jumps_is_tied_anew() -> None:
    clock = UtcClock()
    for n in range(10):
        clock.utc_us(FRAME_US * n, 9_000_000 + FRAME_US * n)
    assert clock.utc_us(77_000_000, 9_400_000) == 9_400_000
    assert clock.utc_us(77_040_000, 9_445_000) == 9_440_000


def frames(count: int, gate: threading.Event | None = None):  # type: ignore[no-untyped-def]
    for index in range(count):
        yield Captured(index, index * FRAME_US, PICTURE)
    if gate:
        gate.wait(10)


def test_a_live_feed_drops_the_oldest_and_counts_them() -> None:
    gate, leave = threading.Event(), threading.Event()
    reached_end = threading.Event()

    def source():  # type: ignore[no-untyped-def]
        yield from frames(10)
        reached_end.set()
        gate.wait(10)

    feed = Feed(source(), size=4, drop_oldest=True, leave=leave)
    assert reached_end.wait(10)
    first, behind = feed.take(5)
    assert first is not None and (first.index, behind) == (6, 6)
    rest = [feed.take(5) for _ in range(3)]
    assert [(c.index, b) for c, b in rest if c] == [(7, 0), (8, 0), (9, 0)]
    gate.set()
    assert feed.take(5) == (None, 0) and feed.ended
    feed.stop()
    assert feed.join(5)


def test_large_pictures_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "MOST_BYTES", 3 * PICTURE.nbytes)
    large, reached_end = np.zeros((8, 8, 3), np.uint8), threading.Event()

    def source():  # type: ignore[no-untyped-def]
        yield from frames(6)
        yield from (Captured(index, index * FRAME_US, large) for index in range(6, 10))
        reached_end.set()

    feed = Feed(source(), size=24, drop_oldest=True, leave=threading.Event())
    assert reached_end.wait(10)
    assert feed.held == 2, "of those that are too large for the bound, two"
    assert [(c.index, behind) for c, behind in (feed.take(5), feed.take(5)) if c] == [(8, 8), (9, 0)]


def test_a_files_feed_waits_and_loses_nothing() -> None:
    feed = Feed(frames(50), size=3, drop_oldest=False, leave=threading.Event())
    seen = []
    while (taken := feed.take(5))[0] is not None:
        assert feed.held <= 3
        seen.append((taken[0].index, taken[1]))
    assert seen == [(n, 0) for n in range(50)]
    assert feed.ended and feed.error is None


def test_a_stopped_feed_lets_go_of_its_reader_and_tells_what_it_threw_away() -> None:
    feed = Feed(frames(50), size=3, drop_oldest=False, leave=threading.Event())
    assert feed.take(5)[0] is not None
    feed.stop()
    assert feed.take(5) == (None, 0)
    assert feed.discard() <= 3
    assert feed.join(5)


def test_an_error_of_the_source_comes_after_its_last_frame() -> None:
    def source():  # type: ignore[no-untyped-def]
        yield from frames(2)
        raise OSError("gone")

    feed = Feed(source(), size=8, drop_oldest=False, leave=threading.Event())
    assert [c.index for c, _ in (feed.take(5), feed.take(5)) if c] == [0, 1]
    assert feed.take(5) == (None, 0) and feed.ended
    assert isinstance(feed.error, OSError)
