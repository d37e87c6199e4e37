"""A small client: windows from a file, answers from a recognizer, a table for people."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import grpc
from google.protobuf import proto
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError
from rich.console import Console
from rich.table import Table

from microex.v1 import graph_pb2, recognizer_pb2, recognizer_pb2_grpc, window_pb2
from services.common import wire
from services.common.errors import Fatal, MicroexError, Poison, Retryable

_SIDES: Final = {graph_pb2.SIDE_LEFT: "left", graph_pb2.SIDE_RIGHT: "right", graph_pb2.SIDE_BOTH: "both"}
_WRONG: Final = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED}
_LATER: Final = {
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE,
}
_EDGES_SHOWN: Final = 6


def read_windows(path: Path) -> list[window_pb2.ApexWindow]:
    """The windows in a file: one serialised ApexWindow, or many with their length before each.

    Raises Poison when the file cannot be read or holds something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Poison("file cannot be read", file=str(path), error=error.strerror) from error
    windows = _one(data) or _delimited(data)
    if not windows or not all(window.window_id for window in windows):
        raise Poison("file holds no apex windows", file=str(path))
    return windows


def _one(data: bytes) -> list[window_pb2.ApexWindow]:
    """The window that the data is as a whole, if it is one."""
    try:
        window = window_pb2.ApexWindow.FromString(data)
    except DecodeError:
        return []
    return [window] if window.window_id and window.HasField("motion") else []


def _delimited(data: bytes) -> list[window_pb2.ApexWindow]:
    """The windows that the data is one after another; empty when it is something else."""
    stream, windows = BytesIO(data), []
    try:
        while (window := proto.parse_length_prefixed(window_pb2.ApexWindow, stream)) is not None:
            windows.append(window)
    except (DecodeError, ValueError):
        return []
    return windows


def ask(
    address: str,
    windows: list[window_pb2.ApexWindow],
    timeout_s: float,
    credentials: grpc.ChannelCredentials | None = None,
) -> Iterator[graph_pb2.AuGraph]:
    """The recognizer's answers, in order. address: host:port; credentials: TLS, None for plain text.

    Raises Retryable when it is away, busy or slow, Poison when it refuses a window, Fatal when it is broken.
    """
    requests = (recognizer_pb2.RecognizeStreamRequest(window=window) for window in windows)
    with grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address) as channel:
        stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
        try:
            for response in stub.RecognizeStream(requests, timeout=timeout_s):
                yield response.graph
        except grpc.RpcError as error:
            raise _told(error, address) from error


def _told(error: grpc.RpcError, address: str) -> MicroexError:
    """The error that a status code stands for."""
    code, details = error.code(), error.details()
    kind = Poison if code in _WRONG else Retryable if code in _LATER else Fatal
    return kind(f"the recognizer answers {code.name}: {details}", address=address)


def show(graph: graph_pb2.AuGraph, as_json: bool) -> None:
    """Print one answer: for machines on one line, for people as a table."""
    if as_json:
        print(MessageToJson(graph, preserving_proto_field_name=True, indent=None))
        return
    console = Console()
    console.print(_table(graph))
    if not graph.model.trained:
        console.print("The model is not trained: this answer means nothing.", style="yellow")


def _table(graph: graph_pb2.AuGraph) -> Table:
    kind = wire.kind_name(graph.kind)
    emotions = "  ".join(f"{c.label} {c.probability:.2f}" for c in graph.emotion.probabilities)
    at = " / ".join(f"{moment.time_us / 1e6:.3f}" for moment in (graph.onset, graph.apex, graph.offset))
    edges = sorted(graph.edges, key=lambda edge: -edge.weight)[:_EDGES_SHOWN]
    table = Table(title=f"{graph.window_id}  {kind}  {graph.emotion.label}", title_justify="left", show_header=False)
    table.add_row("onset / apex / offset", f"{at} s")
    table.add_row("emotion", emotions)
    table.add_row("action units", "\n".join(_describe(au) for au in graph.aus if au.active) or "none active")
    table.add_row("strongest edges", "\n".join(f"{e.source} → {e.target}  {e.weight:.2f}" for e in edges))
    return table


def _describe(au: graph_pb2.ActionUnit) -> str:
    size = f", {au.intensity:.0%} of its full displacement" if au.HasField("intensity") else ""
    return f"{au.au} {au.name}, {_SIDES[au.side]}, p {au.probability:.2f}{size}"
