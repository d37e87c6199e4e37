"""The batcher: everyone gets their own answer, batches fill, queues end, who has gone is not waited for."""

import asyncio
from collections.abc import Sequence
from itertools import chain

import pytest

from microex.v1 import graph_pb2, window_pb2
from services.common.errors import Fatal, Poison, Retryable
from services.recognizer.batcher import Batcher
from tests.unit.recognizer.fakes import Network


def numbered(number: int) -> window_pb2.ApexWindow:
    return window_pb2.ApexWindow(window_id=str(number))


@pytest.fixture
def network() -> Network:
    return Network()


def started(network: Network, batch_max: int = 4, delay_s: float = 0.0, queue_max: int = 100) -> Batcher:
    batcher = Batcher(network, batch_max, delay_s, queue_max)
    batcher.start()
    return batcher


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_many_callers_each_get_their_own_answer(network: Network) -> None:
    batcher = started(network, batch_max=7, queue_max=1000)
    graphs = await asyncio.gather(*(batcher.submit(numbered(i)) for i in range(500)))
    await batcher.close()
    assert [graph.window_id for graph in graphs] == [str(i) for i in range(500)]
    assert max(map(len, network.batches)) <= 7
    assert [*chain(*network.batches)] == [str(i) for i in range(500)], "first come, first served"


async def test_a_batch_fills_while_the_network_is_busy(network: Network) -> None:
    network.go.clear()
    batcher = started(network)
    first = asyncio.create_task(batcher.submit(numbered(0)))
    await network.busy()
    rest = [asyncio.create_task(batcher.submit(numbered(i))) for i in range(1, 7)]
    await settle()
    network.go.set()
    await asyncio.gather(first, *rest)
    await batcher.close()
    assert network.batches == [["0"], ["1", "2", "3", "4"], ["5", "6"]]


async def test_a_full_batch_does_not_wait_for_the_delay(network: Network) -> None:
    batcher = started(network, batch_max=3, delay_s=3600)
    graphs = await asyncio.gather(*(batcher.submit(numbered(i)) for i in range(3)))
    assert len(graphs) == 3 and network.batches == [["0", "1", "2"]]
    await batcher.close()


async def test_the_delay_ends_the_wait_of_a_lonely_window(network: Network) -> None:
    batcher = started(network, batch_max=3, delay_s=0.02)
    assert (await batcher.submit(numbered(1))).window_id == "1"
    await batcher.close()


async def test_a_bad_window_fails_alone(network: Network) -> None:
    batcher = started(network, batch_max=3, delay_s=3600)
    outcomes = await asyncio.gather(
        batcher.submit(numbered(1)),
        batcher.submit(window_pb2.ApexWindow(window_id="bad")),
        batcher.submit(numbered(2)),
        return_exceptions=True,
    )
    await batcher.close()
    assert isinstance(outcomes[1], Poison)
    assert [outcome.window_id for outcome in outcomes if isinstance(outcome, graph_pb2.AuGraph)] == ["1", "2"]


async def test_a_full_queue_turns_away_and_recovers(network: Network) -> None:
    network.go.clear()
    batcher = started(network, batch_max=1, queue_max=2)
    first = asyncio.create_task(batcher.submit(numbered(0)))
    await network.busy()
    waiting = [asyncio.create_task(batcher.submit(numbered(i))) for i in (1, 2)]
    await settle()
    with pytest.raises(Retryable):
        await batcher.submit(numbered(3))
    patient = asyncio.create_task(batcher.submit(numbered(4), patient=True))
    await settle()
    assert not patient.done()
    network.go.set()
    assert (await patient).window_id == "4"
    await asyncio.gather(first, *waiting)
    await batcher.close()
    assert "3" not in [*chain(*network.batches)]


async def test_who_has_gone_is_dropped_before_the_forward_pass(network: Network) -> None:
    network.go.clear()
    batcher = started(network, batch_max=2, queue_max=2)
    first = asyncio.create_task(batcher.submit(numbered(0)))
    await network.busy()
    gone, stays = (asyncio.create_task(batcher.submit(numbered(i))) for i in (1, 2))
    await settle()
    gone.cancel()
    await settle()
    late = asyncio.create_task(batcher.submit(numbered(3)))  # the place is free again
    await settle()
    network.go.set()
    assert [(await task).window_id for task in (first, stays, late)] == ["0", "2", "3"]
    with pytest.raises(asyncio.CancelledError):
        await gone
    await batcher.close()
    assert network.batches == [["0"], ["2", "3"]]


async def test_all_of_a_waiting_batch_may_leave(network: Network) -> None:
    batcher = started(network, batch_max=2, delay_s=0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await batcher.submit(numbered(0))
    assert (await batcher.submit(numbered(1))).window_id == "1"
    await batcher.close()
    assert network.batches == [["1"]]


async def test_a_caller_that_leaves_during_the_forward_pass_harms_nobody(network: Network) -> None:
    network.go.clear()
    batcher = started(network, batch_max=2, delay_s=3600)
    gone, stays = (asyncio.create_task(batcher.submit(numbered(i))) for i in (1, 2))
    await network.busy()
    gone.cancel()
    await settle()
    network.go.set()
    assert (await stays).window_id == "2"
    assert (await asyncio.gather(batcher.submit(numbered(3)), batcher.submit(numbered(4))))[0].window_id == "3"
    await batcher.close()


async def test_closing_answers_what_waits_and_takes_nothing_more(network: Network) -> None:
    network.go.clear()
    batcher = started(network, batch_max=1, delay_s=3600)
    waiting = [asyncio.create_task(batcher.submit(numbered(i))) for i in range(3)]
    await network.busy()
    closing = asyncio.create_task(batcher.close())
    await settle()
    for patient in (False, True):
        with pytest.raises(Retryable):
            await batcher.submit(numbered(9), patient=patient)
    network.go.set()
    await closing
    assert [(await task).window_id for task in waiting] == ["0", "1", "2"]


async def test_a_broken_network_is_told_to_all_and_remembered() -> None:
    def broken(_windows: Sequence[window_pb2.ApexWindow]) -> list[graph_pb2.AuGraph | Poison]:
        raise Fatal("the network failed")

    batcher = Batcher(broken, 2, 3600, 10)
    batcher.start()
    assert batcher.problem is None
    outcomes = await asyncio.gather(*(batcher.submit(numbered(i)) for i in range(2)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Fatal, Fatal]
    assert batcher.problem == "the network failed"
    await batcher.close()
