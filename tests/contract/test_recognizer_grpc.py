"""What the recognizer's callers may rely on, over real gRPC in one process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from microex.v1 import graph_pb2, recognizer_pb2, recognizer_pb2_grpc, window_pb2
from services.common.errors import Fatal
from services.common.settings import ModelSettings
from services.recognizer.batcher import Batcher, Recognise
from services.recognizer.engine import Engine
from services.recognizer.pipeline import Pipeline
from services.recognizer.servicer import SERVICE, GrpcServer, RecognizerServicer
from tests.unit.recognizer.factories import window
from tests.unit.recognizer.fakes import Network

Request, StreamRequest = recognizer_pb2.RecognizeRequest, recognizer_pb2.RecognizeStreamRequest
INFO = recognizer_pb2.ModelInfoResponse(model=graph_pb2.Model(name="stag", digest="d"), emotions=["a"], max_batch=4)


@dataclass
class Served:
    """A server, a channel to it, and its stub."""

    server: GrpcServer
    channel: grpc.aio.Channel
    stub: "recognizer_pb2_grpc.RecognizerServiceAsyncStub"


@asynccontextmanager
async def served(
    recognise: Recognise,
    queue_max: int = 100,
    batch_max: int = 4,
    delay_s: float = 0.0,
    withdrawn: Callable[[str], bool] = lambda _: False,
) -> AsyncIterator[Served]:
    batcher = Batcher(recognise, batch_max, delay_s, queue_max)
    batcher.start()
    pipeline = Pipeline(batcher, None, INFO.model, withdrawn)
    server = GrpcServer("127.0.0.1", 0, RecognizerServicer(pipeline, INFO, ahead=batch_max))
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Served(server, channel, recognizer_pb2_grpc.RecognizerServiceStub(channel))
    await server.stop(0)
    await batcher.close()


def numbered(number: object) -> window_pb2.ApexWindow:
    return window_pb2.ApexWindow(window_id=str(number))


async def status(call: object) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value.code()


async def test_recognize_answers_as_the_engine_does() -> None:
    engine = Engine(ModelSettings(device="cpu"))
    async with served(engine.answers) as it:
        graph = (await it.stub.Recognize(Request(window=window(1)))).graph
    (expected,) = engine.recognise([window(1)])
    assert graph.stages.recognized_us > 0
    graph.stages.recognized_us = 0
    assert graph == expected


async def test_concurrent_callers_each_get_their_own_answer() -> None:
    async with served(Network(), queue_max=1000) as it:
        answers = await asyncio.gather(*(it.stub.Recognize(Request(window=numbered(i))) for i in range(300)))
    assert [answer.graph.window_id for answer in answers] == [str(i) for i in range(300)]


async def test_a_window_that_cannot_be_read_is_the_callers_fault() -> None:
    engine = Engine(ModelSettings(device="cpu"))
    async with served(engine.answers, delay_s=0.05) as it:
        good, bad = it.stub.Recognize(Request(window=window(1))), it.stub.Recognize(Request())
        assert await status(bad) == grpc.StatusCode.INVALID_ARGUMENT
        assert (await good).graph.window_id == window(1).window_id


async def test_a_full_queue_is_resource_exhausted() -> None:
    network = Network()
    network.go.clear()
    async with served(network, queue_max=1, batch_max=1) as it:
        first = it.stub.Recognize(Request(window=numbered(0)))
        await network.busy()
        others = [it.stub.Recognize(Request(window=numbered(i))) for i in (1, 2)]
        done, waiting = await asyncio.wait(map(asyncio.ensure_future, others), return_when=asyncio.FIRST_COMPLETED)
        (refused,) = done
        error = refused.exception()
        assert isinstance(error, grpc.aio.AioRpcError) and error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        network.go.set()
        assert (await first).graph.window_id == "0"
        await asyncio.gather(*waiting)


async def test_a_deadline_is_kept_and_spares_the_network() -> None:
    network = Network()
    network.go.clear()
    async with served(network, batch_max=1) as it:
        first = it.stub.Recognize(Request(window=numbered("first")))
        await network.busy()
        late = it.stub.Recognize(Request(window=numbered("late")), timeout=0.2)
        assert await status(late) == grpc.StatusCode.DEADLINE_EXCEEDED
        network.go.set()
        await first
        await it.stub.Recognize(Request(window=numbered("next")))
    assert network.batches == [["first"], ["next"]]


async def test_a_stream_is_answered_in_order() -> None:
    async with served(Network(), queue_max=8) as it:
        call = it.stub.RecognizeStream(StreamRequest(window=numbered(i)) for i in range(200))
        assert [answer.graph.window_id async for answer in call] == [str(i) for i in range(200)]


async def test_a_stream_answers_one_question_before_the_next() -> None:
    """A caller that waits for each answer before it asks again is not left waiting."""
    async with served(Network()) as it:
        call = it.stub.RecognizeStream()
        for i in range(5):
            await call.write(StreamRequest(window=numbered(i)))
            answer = await call.read()
            assert isinstance(answer, recognizer_pb2.RecognizeStreamResponse) and answer.graph.window_id == str(i)
        await call.done_writing()
        assert await call.read() == grpc.aio.EOF


async def test_a_stream_ends_at_its_first_bad_window() -> None:
    async with served(Network()) as it:
        call = it.stub.RecognizeStream(StreamRequest(window=numbered(i)) for i in (0, 1, "bad", 3))
        answered = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for answer in call:
                answered.append(answer.graph.window_id)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert answered == ["0", "1"]
        assert (await it.stub.Recognize(Request(window=numbered(4)))).graph.window_id == "4"


async def test_a_stream_that_its_caller_leaves_frees_its_places() -> None:
    network = Network()
    network.go.clear()
    async with served(network, queue_max=4, batch_max=4, delay_s=0) as it:
        call = it.stub.RecognizeStream(StreamRequest(window=numbered(i)) for i in range(50))
        reading = asyncio.ensure_future(call.read())
        await network.busy()
        call.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        network.go.set()
        answers = await asyncio.gather(*(it.stub.Recognize(Request(window=numbered(f"after {i}"))) for i in range(4)))
    assert [answer.graph.window_id for answer in answers] == [f"after {i}" for i in range(4)]


async def test_a_withdrawn_session_is_refused() -> None:
    async with served(Network(), withdrawn={"gone"}.__contains__) as it:
        code = await status(it.stub.Recognize(Request(window=window(1, session="gone"))))
        assert code == grpc.StatusCode.PERMISSION_DENIED
        assert (await it.stub.Recognize(Request(window=window(1, session="stays")))).graph.window_id


async def test_a_broken_network_is_internal() -> None:
    def broken(_windows: object) -> list[graph_pb2.AuGraph]:
        raise Fatal("the network failed")

    async with served(broken) as it:
        assert await status(it.stub.Recognize(Request(window=numbered(1)))) == grpc.StatusCode.INTERNAL


async def test_model_info() -> None:
    async with served(Network()) as it:
        assert await it.stub.ModelInfo(recognizer_pb2.ModelInfoRequest()) == INFO


async def test_health_says_serving_until_it_stops() -> None:
    async with served(Network()) as it:
        health = health_pb2_grpc.HealthStub(it.channel)
        for name in ("", SERVICE):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        stopping = asyncio.create_task(it.server.stop(5))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
        await stopping


async def test_reflection_lists_the_services_and_hands_out_the_contract() -> None:
    async with served(Network()) as it:
        call = reflection_pb2_grpc.ServerReflectionStub(it.channel).ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        names = {service.name for service in (await call.read()).list_services_response.service}
        await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE))
        (raw, *_) = (await call.read()).file_descriptor_response.file_descriptor_proto
        await call.done_writing()
    assert names >= {"microex.v1.RecognizerService", "grpc.health.v1.Health"}
    methods = [method.name for method in FileDescriptorProto.FromString(raw).service[0].method]
    assert methods == ["Recognize", "RecognizeStream", "ModelInfo"]


async def test_a_port_that_is_taken_is_fatal() -> None:
    async with served(Network()) as it:
        with pytest.raises(Fatal, match="MICROEX_GRPC_PORT"):
            GrpcServer("127.0.0.1", it.server.port, it.stub)  # type: ignore[arg-type]
