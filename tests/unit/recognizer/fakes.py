"""A network that answers at once or when told to, and remembers what it was asked."""

import asyncio
import threading
from collections.abc import Sequence

from microex.v1 import graph_pb2, window_pb2
from services.common.errors import Poison


class Network:
    """Answers a window with its own id, "bad" ones with Poison; notes its batches; waits for `go` when that is held."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()

    def __call__(self, windows: Sequence[window_pb2.ApexWindow]) -> list[graph_pb2.AuGraph | Poison]:
        self.batches.append([window.window_id for window in windows])
        self.begun.set()
        assert self.go.wait(30)
        return [
            Poison("bad window", window=window.window_id)
            if window.window_id.startswith("bad")
            else graph_pb2.AuGraph(window_id=window.window_id)
            for window in windows
        ]

    async def busy(self) -> None:
        """Until a forward pass is under way."""
        await asyncio.to_thread(self.begun.wait, 30)
