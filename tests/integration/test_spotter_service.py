"""The spotter on a real Kafka: garbage stops nothing, withdrawn consent stops at once, one that hangs is seen to."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from microex.v1 import consent_pb2, dead_letter_pb2, frame_pb2
from services.common import wire
from services.common.consent import ConsentWatch
from services.common.settings import SpotterSettings
from services.spotter.agents import Spotting, serve
from services.spotter.lanes import Lanes
from tests.support.services import Service
from tests.support.streams import face_frames, repeated
from tests.support.topics import Installation, decoded


@pytest.fixture(scope="module")
def clip(talking_face: Path) -> list[frame_pb2.FaceFrame]:
    return face_frames(talking_face)


def test_a_thousand_malformed_records_stop_nothing(clip: list[frame_pb2.FaceFrame], installation: Installation) -> None:
    """Between good frames: each is a dead letter, and every good frame is analysed."""
    stream = list(repeated(clip, "s", "c", 1))
    kinds = (b"\xff\xfe garbage", frame_pb2.FaceFrame().SerializeToString(), b"")
    bad = 0
    for i, message in enumerate(stream):
        installation.publish(message)
        for _ in range(4 if i < 200 else 2):
            if bad < 1000:
                installation.raw(wire.FACE_FRAMES, f"bad-{bad}".encode(), kinds[bad % 3])
                bad += 1
    installation.outbox.flush(60)
    with Service("spotter", env=installation.env) as spotter:
        records = installation.read(wire.DEAD_LETTERS, lambda rs: len(rs) >= 1000)
        analysed = {"outcome": "analysed"}
        spotter.until(lambda: spotter.total("microex_spotter_frames_total", **analysed) >= len(clip))
        good = spotter.total("microex_spotter_frames_total")
        assert spotter.stop() == 0
    letters = decoded(records, dead_letter_pb2.DeadLetter)
    assert bad == 1000
    assert sorted(letter.key for letter in letters) == sorted(f"bad-{i}".encode() for i in range(1000))
    assert {letter.error_class for letter in letters} == {"Poison"}
    assert {letter.payload for letter in letters} == set(kinds)
    assert good == len(clip)


def test_withdrawn_consent_discards_what_comes(clip: list[frame_pb2.FaceFrame], installation: Installation) -> None:
    stream = list(repeated(clip, "s", "c", 10))
    with Service("spotter", env=installation.env) as spotter:
        spotter.await_event("joined the group")
        for message in stream[:100]:
            installation.publish(message)
        spotter.until(lambda: spotter.total("microex_spotter_frames_total", outcome="analysed") >= 100)
        installation.consent("s", consent_pb2.Consent.STATE_WITHDRAWN)
        rest = iter(stream[100:-1])

        def one_more_is_rejected() -> float:
            installation.publish(next(rest))
            installation.outbox.flush(10)
            return spotter.total("microex_spotter_rejected_total", reason="consent")

        spotter.until(one_more_is_rejected, timeout_s=10)  # the limit that people are promised
        assert spotter.total("microex_spotter_streams") == 0
        assert spotter.stop() == 0


def test_one_that_hangs_before_its_first_record_lags(
    clip: list[frame_pb2.FaceFrame], installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every assigned partition tells its lag, also those that nothing was taken from."""
    for message in clip[:7]:
        installation.publish(message)
    installation.outbox.flush(30)

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    def lags() -> list[float | None]:
        return [REGISTRY.get_sample_value("microex_spotter_lag_messages", {"partition": str(p)}) for p in range(3)]

    async def scenario() -> None:
        stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
        settings = SpotterSettings(**installation.settings.model_dump())
        consents = ConsentWatch(settings, installation.outbox, "test")
        running = asyncio.create_task(serve(settings, installation.outbox, consents, stop, started))
        try:
            spotting: Spotting = await started
            async with asyncio.timeout(60):
                while None in lags():
                    assert not running.done(), running
                    await asyncio.sleep(0.1)
            assert spotting.joined
            assert spotting.lanes.taken() == {}
        finally:
            stop.set()
            await running

    monkeypatch.setattr(Lanes, "take", hang)
    asyncio.run(scenario())
    assert sorted(lag or 0 for lag in lags()) == [0, 0, 7]
