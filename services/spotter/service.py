"""The spotter as a process: what it is made of, how it starts and how it ends."""

import asyncio
import signal
from contextlib import AsyncExitStack

import cv2

from services.common.consent import ConsentWatch
from services.common.kafka import Outbox
from services.common.logs import get_logger
from services.common.settings import SpotterSettings
from services.common.status import StatusServer
from services.spotter.agents import SERVICE, Spotting, serve
from services.spotter.detector import DETECTOR_VERSION

log = get_logger(__name__)


def run(settings: SpotterSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises Retryable when Kafka is away at the start, Fatal when it cannot go on."""
    cv2.setNumThreads(1)  # pictures are small, and streams go side by side
    asyncio.run(_run(settings))


async def _run(settings: SpotterSettings) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    started: asyncio.Future[Spotting] = loop.create_future()
    status = StatusServer(
        settings.http_host,
        settings.http_port,
        ready=lambda: started.result().not_ready() if started.done() else "starting",
    )
    status.start()
    async with AsyncExitStack() as ending:
        ending.callback(log.info, "spotter ended")
        ending.callback(status.stop)
        outbox = await asyncio.to_thread(Outbox, settings)
        ending.callback(outbox.close)
        consents = ConsentWatch(settings, outbox, SERVICE)
        await asyncio.to_thread(consents.start)
        ending.callback(consents.stop)
        log.info("spotter starts", detector=DETECTOR_VERSION)
        await serve(settings, outbox, consents, stop, started)
