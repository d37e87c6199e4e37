"""The recognizer over gRPC: RecognizerService, the standard health service, and reflection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from microex.v1 import graph_pb2, recognizer_pb2, recognizer_pb2_grpc
from services.common.errors import Fatal, MicroexError, Poison, Retryable
from services.common.wire import MAX_REQUEST_BYTES
from services.recognizer import metrics
from services.recognizer.pipeline import Pipeline, Withdrawn

SERVICE: Final = recognizer_pb2.DESCRIPTOR.services_by_name["RecognizerService"].full_name

Requests = AsyncIterator[recognizer_pb2.RecognizeStreamRequest]


def status_of(error: MicroexError) -> grpc.StatusCode:
    """What a caller is told: try later, mend the window, or that the recognizer is broken."""
    if isinstance(error, Withdrawn):
        return grpc.StatusCode.PERMISSION_DENIED
    if isinstance(error, Poison):
        return grpc.StatusCode.INVALID_ARGUMENT
    return grpc.StatusCode.RESOURCE_EXHAUSTED if isinstance(error, Retryable) else grpc.StatusCode.INTERNAL


class RecognizerServicer(recognizer_pb2_grpc.RecognizerServiceServicer):
    """Answers over gRPC.

    info: what ModelInfo says; ahead: windows of one stream that are worked on at the same time.
    """

    def __init__(self, pipeline: Pipeline, info: recognizer_pb2.ModelInfoResponse, ahead: int) -> None:
        self._pipeline, self._info, self._ahead = pipeline, info, ahead

    async def Recognize(
        self, request: recognizer_pb2.RecognizeRequest, context: Any
    ) -> recognizer_pb2.RecognizeResponse:
        """One window; a full queue is the caller's to deal with."""
        async with _answering("Recognize", context):
            return recognizer_pb2.RecognizeResponse(graph=await self._pipeline.recognise(request.window))

    async def RecognizeStream(
        self, request_iterator: Requests, context: Any
    ) -> AsyncIterator[recognizer_pb2.RecognizeStreamResponse]:
        """Many windows, answered in order. A full queue holds the stream up: gRPC's flow control tells the sender."""
        async with _answering("RecognizeStream", context):
            async for graph in self._in_order(request_iterator):
                yield recognizer_pb2.RecognizeStreamResponse(graph=graph)

    async def ModelInfo(
        self, request: recognizer_pb2.ModelInfoRequest, context: Any
    ) -> recognizer_pb2.ModelInfoResponse:
        """Which model answers."""
        async with _answering("ModelInfo", context):
            return self._info

    async def _in_order(self, requests: Requests) -> AsyncIterator[graph_pb2.AuGraph]:
        """Work on a few windows at a time, reading on while the first of them is awaited."""
        slots = asyncio.Semaphore(self._ahead)
        answers: asyncio.Queue[asyncio.Task[graph_pb2.AuGraph] | None] = asyncio.Queue()
        working: set[asyncio.Task[graph_pb2.AuGraph]] = set()

        async def read() -> None:
            try:
                await slots.acquire()
                async for request in requests:
                    task = asyncio.create_task(self._pipeline.recognise(request.window, patient=True))
                    working.add(task)
                    answers.put_nowait(task)
                    await slots.acquire()
            finally:
                answers.put_nowait(None)

        reader = asyncio.create_task(read())
        try:
            while oldest := await answers.get():
                yield await oldest
                working.discard(oldest)
                slots.release()
            await reader
        finally:
            for task in (reader, *working):
                task.cancel()
            await asyncio.gather(reader, *working, return_exceptions=True)


@asynccontextmanager
async def _answering(method: str, context: Any) -> AsyncIterator[None]:
    """Hold the caller's deadline, turn errors into status codes, and count."""
    code = grpc.StatusCode.UNKNOWN
    try:
        async with asyncio.timeout(context.time_remaining()):
            yield
        code = grpc.StatusCode.OK
    except MicroexError as error:
        code = status_of(error)
        await context.abort(code, str(error))
    except TimeoutError:
        code = grpc.StatusCode.DEADLINE_EXCEEDED
        await context.abort(code, "the deadline passed before the answer was there")
    except (asyncio.CancelledError, GeneratorExit):
        code = grpc.StatusCode.CANCELLED
        raise
    finally:
        metrics.REQUESTS.labels(method, code.name).inc()


class GrpcServer:
    """The server with its three services.

    credentials: TLS; None: plain text. Raises Fatal when the address cannot be listened on.
    """

    def __init__(
        self, host: str, port: int, servicer: RecognizerServicer, credentials: grpc.ServerCredentials | None = None
    ) -> None:
        # Without SO_REUSEPORT a port that is taken is an error, not half of the callers gone astray.
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", MAX_REQUEST_BYTES)]
        self._server = grpc.aio.server(options=options)
        self._health = health.aio.HealthServicer()
        recognizer_pb2_grpc.add_RecognizerServiceServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        try:
            listen, address = self._server, f"{host}:{port}"
            self.port = (
                listen.add_secure_port(address, credentials) if credentials else listen.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise Fatal(
                "cannot listen for gRPC; choose another MICROEX_GRPC_PORT (0 takes a free one)", host=host, port=port
            ) from error

    async def start(self) -> None:
        """Serve, and say so."""
        await self._server.start()
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float) -> None:
        """Say that it ends, take nothing more, let what runs finish for that long."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
