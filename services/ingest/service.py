"""Ingest as a process: what it is made of, how it starts and how it ends."""

import queue
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import cv2
from prometheus_client import REGISTRY

from services.common.consent import ConsentWatch
from services.common.errors import Fatal, Retryable
from services.common.kafka import Outbox
from services.common.logs import get_logger
from services.common.settings import IngestSettings
from services.common.status import StatusServer
from services.ingest.camera import Camera
from services.ingest.cameras import read_cameras, share
from services.ingest.metrics import Cameras

log = get_logger(__name__)

SERVICE: Final = "ingest"

LEAVE_S: Final = 10.0
"""After SIGTERM: how long cameras may take to end, and Kafka to acknowledge what they sent."""


def run(path: Path, settings: IngestSettings) -> int:
    """Run the cameras of one file until SIGTERM or SIGINT, or until all of them ended; returns the exit code: 0, or
    that of the first camera that was given up, or whose last frames Kafka refused.

    Raises Fatal for a bad file and for a session without consent, Retryable when Kafka is away at the start or does
    not take the last frames in time.
    """
    configs = share(read_cameras(path), settings.ingest_ordinal, settings.ingest_replicas)
    cv2.setNumThreads(1)  # a thread a camera is enough
    news: queue.SimpleQueue[str] = queue.SimpleQueue()  # its put may be called from a signal handler
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: news.put("stop"))
    with ExitStack() as ending:
        ending.callback(log.info, "ingest ended")
        cameras: list[Camera] = []
        status = StatusServer(settings.http_host, settings.http_port, lambda: _not_ready(cameras))
        status.start()
        ending.callback(status.stop)
        outbox = Outbox(settings, settings.producer_buffer_mb)
        ending.callback(outbox.close, 1.0)
        consents = ConsentWatch(settings, outbox, SERVICE)
        consents.start()
        ending.callback(consents.stop)
        for session in sorted({config.session for config in configs}):
            if (refusal := consents.refusal(session)) is not None:
                raise Fatal(refusal)
        cameras.extend(Camera(config, settings, consents, outbox) for config in configs)
        ending.callback(REGISTRY.unregister, Cameras(cameras, REGISTRY))
        _run_all(cameras, news)
        _flush(outbox, news)
        for camera in cameras:
            camera.confirm()
    return next((camera.error.exit_code for camera in cameras if camera.error is not None), 0)


def _run_all(cameras: list[Camera], news: "queue.SimpleQueue[str]") -> None:
    """A thread a camera, until all ended or were told to. Raises Retryable when one does not end in time."""

    def work(camera: Camera) -> None:
        camera.run()
        news.put("camera ended")

    threads = [
        threading.Thread(target=work, args=(camera,), name=camera.config.camera, daemon=True) for camera in cameras
    ]
    for thread in threads:
        thread.start()
    running = len(threads)
    while running and news.get() != "stop":
        running -= 1
    if running:
        log.info("told to stop")
        news.put("stop")  # who waits later has to know, too
    for camera in cameras:
        camera.stop()
    deadline = time.monotonic() + LEAVE_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        raise Retryable("a camera did not end in time; Kafka may not be taking its frames", seconds=LEAVE_S)


def _flush(outbox: Outbox, news: "queue.SimpleQueue[str]") -> None:
    """Waits until Kafka has all; Retryable when it does not answer and we are told to stop."""
    while True:
        try:
            return outbox.flush(LEAVE_S)
        except Retryable:
            log.warning("waiting for Kafka to acknowledge the last frames")
            while not news.empty():
                if news.get() == "stop":
                    raise


def _not_ready(cameras: list[Camera]) -> str | None:
    """None once frames can come from one camera at least."""
    if not cameras:
        return "starting"
    return None if any(camera.connected for camera in cameras) else "no camera gives frames"
