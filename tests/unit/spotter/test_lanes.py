"""Lanes: order in a stream, offsets held for one look-back, nothing released before its windows are safe."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from microex.v1 import frame_pb2, window_pb2
from services.common import wire
from services.common.errors import Poison
from services.spotter import lanes as lanes_module
from services.spotter.detector import LOOK_BACK_S, Step
from services.spotter.lanes import MARGIN_S, PATIENCE, Lanes

HOLD_S = LOOK_BACK_S + MARGIN_S


@dataclass(frozen=True)
class Record:
    offset: int
    value: bytes | None
    partition: int = 0
    topic: str = "microex.face-frames.v1"
    key: bytes | None = b"k"
    headers: tuple[tuple[str, bytes], ...] = ()


class FakeDetector:
    """Emits a window for frames whose crop says so; remembers in what order it was called."""

    seen: list[tuple[str, int]]
    made: int
    emits = True

    def __init__(self, whole: bool) -> None:
        self.whole = whole
        FakeDetector.made += 1

    def step(self, message: frame_pb2.FaceFrame) -> Step:
        if message.HasField("end"):
            return Step("end", 0)
        FakeDetector.seen.append((message.stream.camera, message.frame.moment.index))
        if message.frame.crop_jpeg == b"poison":
            raise Poison("no picture")
        if message.frame.crop_jpeg == b"bug":
            raise RuntimeError("a bug")
        window = window_pb2.ApexWindow(window_id=str(message.frame.moment.index), stream=message.stream)
        return Step(
            "analysed", message.frame.moment.time_us, windows=[window] if message.frame.crop_jpeg == b"window" else []
        )


class Desk:
    """Lanes with everything around them recorded."""

    def __init__(self, capacity: int = 1000) -> None:
        self.published: list[tuple[str, str]] = []
        self.buried: list[tuple[int, str]] = []
        self.refusals: dict[str, str] = {}
        self.failures: list[BaseException] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.now = 0.0
        self.pool = ThreadPoolExecutor(2)
        self.lanes = Lanes(self._publish, self._bury, self.refusals.get, self.pool, capacity, 60.0,
                           self.failures.append, lambda: self.now)  # fmt: skip
        self._offset = 0

    async def _publish(self, window: window_pb2.ApexWindow, stream: str, _trace: bytes | None) -> None:
        await self.gate.wait()
        self.published.append((stream, window.window_id))

    async def _bury(self, record: wire.Record, error: Exception) -> None:
        self.buried.append((record.offset, str(error)))

    async def send(self, message: frame_pb2.FaceFrame | bytes | None) -> int:
        value = message.SerializeToString() if isinstance(message, frame_pb2.FaceFrame) else message
        await self.lanes.take(Record(self._offset, value))
        self._offset += 1
        return self._offset - 1

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _fake_detector(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    FakeDetector.seen, FakeDetector.made = [], 0
    monkeypatch.setattr(lanes_module, "Detector", FakeDetector)
    yield


@pytest.fixture
async def desk() -> Any:
    desk = Desk()
    yield desk
    await desk.lanes.stop()
    desk.pool.shutdown()


def frame(index: int, seconds: float, camera: str = "a", crop: bytes = b"", session: str = "s") -> frame_pb2.FaceFrame:
    message = frame_pb2.FaceFrame(sequence=index)
    message.stream.session, message.stream.camera, message.stream.track = session, camera, "0.0.0"
    message.frame.moment.index, message.frame.moment.time_us = index, int(seconds * 1e6)
    message.frame.crop_jpeg = crop
    return message


def end(index: int, camera: str = "a") -> frame_pb2.FaceFrame:
    message = frame(index, 0, camera)
    message.end.reason = frame_pb2.End.REASON_SOURCE_END
    return message


async def test_order_holds_in_each_stream(desk: Desk) -> None:
    for i in range(200):
        await desk.send(frame(i, i / 30, camera="ab"[i % 2]))
    await desk.until(lambda: len(FakeDetector.seen) == 200)
    for camera in "ab":
        order = [index for c, index in FakeDetector.seen if c == camera]
        assert order == sorted(order)


async def test_offsets_are_held_for_the_look_back(desk: Desk) -> None:
    for i in range(20):
        await desk.send(frame(i, float(i)))
    newest = 19
    await desk.until(lambda: desk.lanes.positions() == {0: newest - HOLD_S})


async def test_a_quiet_stream_holds_back_its_whole_partition(desk: Desk) -> None:
    await desk.send(frame(0, 0.0, camera="quiet"))
    for i in range(40):
        await desk.send(frame(i, float(i), camera="busy"))
    await desk.until(lambda: len(FakeDetector.seen) == 41)
    assert desk.lanes.positions() == {0: 0}


@pytest.mark.parametrize("gap_s", [3.0, 9.0, 10.5, 1000.0])
async def test_a_frame_from_before_a_gap_is_held_until_one_after_it_is_old_enough(desk: Desk, gap_s: float) -> None:
    """Whoever began after the gap would not know for a look-back that it sees what the stream was."""
    for i, seconds in enumerate((0, 1, 2, 2 + gap_s, 4 + gap_s, 12.9 + gap_s)):
        await desk.send(frame(i, seconds))
    await desk.until(lambda: desk.lanes.positions() == {0: 2} and len(FakeDetector.seen) == 6)
    await desk.send(frame(6, 13.1 + gap_s))
    await desk.until(lambda: desk.lanes.positions() == {0: 3})


@pytest.mark.parametrize("back_s", [100.0, -1e4])
async def test_a_clock_that_was_set_holds_nothing_back_for_ever(desk: Desk, back_s: float) -> None:
    for i in range(20):
        await desk.send(frame(i, 200.0 + i))
    for i in range(20, 60):
        await desk.send(frame(i, 200.0 + i - back_s))
    await desk.until(lambda: desk.lanes.positions() == {0: 59 - HOLD_S})


async def test_nothing_is_released_before_its_window_is_acknowledged(desk: Desk) -> None:
    desk.gate.clear()
    await desk.send(frame(0, 0.0, crop=b"window"))
    for i in (1, 2):
        await desk.send(frame(i, 5.0 * i))
    await desk.send(frame(3, 17.0))
    await desk.until(lambda: len(FakeDetector.seen) == 4)
    assert desk.lanes.positions() == {0: 0}
    desk.gate.set()
    await desk.until(lambda: desk.lanes.positions() == {0: 1})
    assert desk.published == [("s/a/0.0.0", "0")]


async def test_the_end_of_a_stream_releases_all_of_it(desk: Desk) -> None:
    for i in range(5):
        await desk.send(frame(i, i / 30))
    await desk.send(end(5))
    await desk.until(lambda: desk.lanes.positions() == {0: 6})


async def test_a_silent_stream_is_let_go(desk: Desk) -> None:
    await desk.send(frame(0, 0.0))
    await desk.until(lambda: len(FakeDetector.seen) == 1)
    desk.now = 59.0
    desk.lanes.drop_silent()
    assert desk.lanes.positions() == {0: 0}
    desk.now = 61.0

    def let_go(offset: int) -> bool:
        desk.lanes.drop_silent()
        return desk.lanes.positions() == {0: offset}

    await desk.until(lambda: let_go(1))
    await desk.send(frame(1, 0.1))  # it was Kafka that could not be reached
    await desk.until(lambda: len(FakeDetector.seen) == 2)
    assert FakeDetector.made == 1
    desk.now = 61.0 * PATIENCE + 61.0
    await desk.until(lambda: let_go(2))
    await desk.send(frame(2, 0.2))
    await desk.until(lambda: FakeDetector.made == 2)


@pytest.mark.parametrize("value", [b"\xff\xff", None, b"", frame_pb2.FaceFrame().SerializeToString()])
async def test_what_is_no_face_frame_goes_to_the_dead_letters(desk: Desk, value: bytes | None) -> None:
    await desk.send(frame(0, 0.0))
    bad = await desk.send(value)
    await desk.send(frame(1, 0.1))
    await desk.until(lambda: len(FakeDetector.seen) == 2)
    assert [offset for offset, _ in desk.buried] == [bad]


async def test_an_unreadable_picture_goes_to_the_dead_letters_and_the_stream_goes_on(desk: Desk) -> None:
    await desk.send(frame(0, 0.0))
    bad = await desk.send(frame(1, 0.1, crop=b"poison"))
    await desk.send(frame(2, 0.2, crop=b"window"))
    await desk.until(lambda: desk.published)
    assert desk.buried == [(bad, "no picture")]


async def test_a_bug_is_reported_and_not_swallowed(desk: Desk) -> None:
    await desk.send(frame(0, 0.0, crop=b"bug"))
    await desk.until(lambda: desk.failures)
    assert isinstance(desk.failures[0], RuntimeError)


async def test_withdrawn_consent_drops_the_stream_and_what_is_held(desk: Desk) -> None:
    await desk.send(frame(0, 0.0))
    await desk.until(lambda: len(FakeDetector.seen) == 1)
    desk.refusals["s"] = "withdrawn"
    await desk.send(frame(1, 0.1))
    assert desk.lanes.positions() == {0: 2}
    assert FakeDetector.seen == [("a", 0)]


async def test_taking_waits_while_detectors_are_behind() -> None:
    desk = Desk(capacity=2)
    desk.gate.clear()
    await desk.send(frame(0, 0.0, crop=b"window"))
    await desk.send(frame(1, 0.1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await desk.send(frame(2, 0.2))
    desk.gate.set()
    await desk.until(lambda: desk.published)
    await desk.lanes.stop()
    desk.pool.shutdown()


async def test_stopping_lets_go_of_who_waits() -> None:
    """A rebalance comes when detectors are behind: reading has to go on, with the lanes that follow."""
    desk = Desk(capacity=1)
    desk.gate.clear()
    await desk.send(frame(0, 0.0, crop=b"window"))
    waiting = asyncio.create_task(desk.send(frame(1, 0.1)))
    await desk.until(lambda: FakeDetector.seen)
    await desk.lanes.stop()
    async with asyncio.timeout(10):
        await waiting
        await desk.send(frame(2, 0.2))
    assert desk.lanes.positions() == {0: 0}
    assert FakeDetector.seen == [("a", 0)]
    desk.pool.shutdown()


async def test_stopping_commits_nothing_that_is_held(desk: Desk) -> None:
    for i in range(3):
        await desk.send(frame(i, i / 30))
    await desk.until(lambda: len(FakeDetector.seen) == 3)
    await desk.lanes.stop()
    assert desk.lanes.positions() == {0: 0}
