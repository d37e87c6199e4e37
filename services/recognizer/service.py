"""The composition root of `microex recognizer`: makes every part, joins them, and ends them in order."""

import asyncio
import signal
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from microex.v1 import graph_pb2, recognizer_pb2, window_pb2
from services.common.consent import ConsentWatch, OutOfSight
from services.common.kafka import Outbox
from services.common.logs import get_logger
from services.common.settings import RecognizerSettings
from services.common.status import StatusServer
from services.motion.aus import AUS
from services.motion.convention import VERSION as CONVENTION
from services.motion.rois import ROIS
from services.recognizer import metrics
from services.recognizer.batcher import Batcher
from services.recognizer.cache import Cache
from services.recognizer.consumer import SERVICE, WindowConsumer
from services.recognizer.engine import Engine
from services.recognizer.pipeline import Pipeline
from services.recognizer.servicer import GrpcServer, RecognizerServicer
from services.recognizer.tls import server_credentials

log = get_logger(__name__)

GRACE_S: Final = 20.0
"""How long stopping waits for what was begun."""


def run(settings: RecognizerSettings) -> None:
    """Run until SIGTERM or SIGINT, then finish what was begun.

    Raises Retryable when Kafka is away at the start or consents stay out of sight, Fatal when it cannot go on.
    """
    asyncio.run(_run(settings))


async def _run(settings: RecognizerSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as ending:  # what is made last ends first
        ending.callback(log.info, "recognizer ended")
        engine = await asyncio.to_thread(Engine, settings)
        _announce(engine)
        batcher = Batcher(engine.answers, settings.batch_max, settings.batch_delay_ms / 1000, settings.queue_max)
        batcher.start()
        ending.push_async_callback(batcher.close)
        serving = asyncio.Event()
        status = StatusServer(
            settings.http_host,
            settings.http_port,
            ready=lambda: None if serving.is_set() else "starting or ending",
            alive=lambda: batcher.problem,
        )
        status.start()
        ending.callback(status.stop)
        cache = await _start_cache(settings, engine, ending)
        outbox, consents = await _connect_kafka(settings, ending) if settings.consume else (None, None)
        pipeline = Pipeline(batcher, cache, engine.model, consents.withdrawn if consents else _nobody_withdrew)
        await _start_grpc(settings, engine, pipeline, ending)
        consumer = await _start_consumer(settings, pipeline, consents, outbox) if outbox and consents else None
        serving.set()
        ending.callback(serving.clear)
        await (_consume(consumer, stop) if consumer else stop.wait())
        log.info("recognizer ends")


def _announce(engine: Engine) -> None:
    model = engine.model
    metrics.MODEL.labels(model.name, model.version, model.digest, str(model.trained).lower()).set(1)
    log.info("model", digest=model.digest, trained=model.trained, device=str(engine.device))
    if not model.trained:
        log.warning("the model is not trained: its answers mean nothing")


def _nobody_withdrew(_session: str) -> bool:
    """Without Kafka there are no consent records to know of."""
    return False


async def _start_cache(settings: RecognizerSettings, engine: Engine, ending: AsyncExitStack) -> Cache | None:
    if settings.redis_url is None:
        return None
    cache = Cache(settings.redis_url.get_secret_value(), settings.cache_ttl_s, engine.model.digest)
    ending.push_async_callback(cache.close)
    await cache.start()
    ending.callback(asyncio.create_task(cache.watch()).cancel)
    return cache


async def _connect_kafka(settings: RecognizerSettings, ending: AsyncExitStack) -> tuple[Outbox, ConsentWatch]:
    outbox = await asyncio.to_thread(Outbox, settings)
    ending.callback(outbox.close)
    consents = ConsentWatch(settings, outbox, SERVICE)
    await asyncio.to_thread(consents.start)
    ending.callback(consents.stop)
    return outbox, consents


async def _start_grpc(settings: RecognizerSettings, engine: Engine, pipeline: Pipeline, ending: AsyncExitStack) -> None:
    info = recognizer_pb2.ModelInfoResponse(
        model=engine.model,
        emotions=engine.classes,
        aus=[au.code for au in AUS],
        rois=[roi.name for roi in ROIS],
        parameters=engine.parameters,
        device=str(engine.device),
        max_batch=settings.batch_max,
        convention=CONVENTION,
    )
    servicer = RecognizerServicer(pipeline, info, ahead=settings.batch_max)
    server = GrpcServer(settings.grpc_host, settings.grpc_port, servicer, server_credentials(settings))
    await server.start()
    ending.push_async_callback(server.stop, GRACE_S)
    log.info("gRPC", port=server.port)


async def _start_consumer(
    settings: RecognizerSettings, pipeline: Pipeline, consents: ConsentWatch, outbox: Outbox
) -> WindowConsumer:
    # Two batches keep the model busy; half of the queue stays for those who call over gRPC.
    in_flight = max(1, min(2 * settings.batch_max, settings.queue_max // 2))
    consumer = WindowConsumer(settings, partial(recognise_patiently, pipeline, consents), outbox, in_flight)
    await consumer.start()
    return consumer


async def recognise_patiently(
    pipeline: Pipeline, consents: ConsentWatch, window: window_pb2.ApexWindow
) -> graph_pb2.AuGraph:
    """The answer to a window that Kafka keeps: there is time until the queue has room and consents are in sight. Raises
    OutOfSight when they stay out of it, and what `Pipeline.recognise` raises."""
    while True:
        try:
            return await pipeline.recognise(window, patient=True)
        except OutOfSight:
            await asyncio.to_thread(consents.wait)


async def _consume(consumer: WindowConsumer, stop: asyncio.Event) -> None:
    """Read apex windows until told to stop, then finish what was begun. Raises what made the consumer give up."""
    working, told = asyncio.create_task(consumer.run()), asyncio.create_task(stop.wait())
    await asyncio.wait((working, told), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    consumer.stop()
    try:
        async with asyncio.timeout(GRACE_S):
            await working
    except TimeoutError:
        log.warning("windows were left unfinished; they will be read again", seconds=GRACE_S)
