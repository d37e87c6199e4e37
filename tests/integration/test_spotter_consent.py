"""The spotter while consents cannot be read: nothing is discarded and nothing committed, however long that takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partialmethod

import pytest

from microex.v1 import frame_pb2, stream_pb2
from services.common.consent import ConsentWatch, OutOfSight
from services.common.settings import SpotterSettings
from services.spotter.agents import Spotting, serve
from tests.support.topics import Installation


@asynccontextmanager
async def spotting(
    installation: Installation, consents: ConsentWatch
) -> AsyncIterator[tuple[Spotting, asyncio.Task[None]]]:
    """A spotter that has taken one message of the session "s"."""
    key = stream_pb2.StreamKey(session="s", camera="c", track="0.0.0")
    installation.publish(frame_pb2.FaceFrame(stream=key, end=frame_pb2.End(reason=frame_pb2.End.REASON_SOURCE_END)))
    installation.outbox.flush(30)
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    settings = SpotterSettings(**installation.settings.model_dump())
    running = asyncio.create_task(serve(settings, installation.outbox, consents, stop, started))
    spotting: Spotting = await started
    try:
        async with asyncio.timeout(90):
            while not spotting.lanes.taken():
                assert not running.done(), running
                await asyncio.sleep(0.05)
        yield spotting, running
    finally:
        stop.set()
        await asyncio.gather(running, return_exceptions=True)


async def test_while_consents_are_out_of_sight_frames_wait(installation: Installation) -> None:
    consents = ConsentWatch(installation.settings)
    async with spotting(installation, consents) as (spotter, running):
        assert list(spotter.lanes.positions().values()) == [0]
        await asyncio.to_thread(consents.start)
        async with asyncio.timeout(60):
            while list(spotter.lanes.positions().values()) != [1]:
                assert not running.done(), running
                await asyncio.sleep(0.05)
    consents.stop()


async def test_consents_that_stay_out_of_sight_end_it_for_another_try(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConsentWatch, "wait", partialmethod(ConsentWatch.wait, 1.0))
    async with spotting(installation, ConsentWatch(installation.settings)) as (spotter, running):
        with pytest.raises(OutOfSight):
            await running
        assert list(spotter.lanes.positions().values()) in ([0], [])
