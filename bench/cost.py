"""What a frame and a window cost in CPU time, and how large they are on Kafka: the figures that sizing begins with.

    python -m bench.cost VIDEO [--frames 300]

CPU time of the whole process, so what else the machine does matters little. One stream, one thread where it can be set.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click
import cv2
import torch
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from bench.path import BATCH, landmark_stage, recognise_stage, spot_stage, windows_of
from services.common.settings import AnalyzeSettings
from services.ingest.sources import open_video
from services.recognizer.engine import Engine

T = TypeVar("T")


def cost(work: Callable[[], T]) -> tuple[T, float]:
    """What the work returns, and the seconds of CPU that it took."""
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


@click.command(help=__doc__.partition("\n")[0])
@click.argument("video", type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option("--frames", default=300, show_default=True, help="Frames that are measured.")
def main(video: Path, frames: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    settings = AnalyzeSettings()
    with open_video(video) as source:
        pictures = [captured for captured, _ in zip(source, range(frames), strict=False)]
    table = Table(title=f"CPU time, {len(pictures)} frames of {video.name}")
    for column in ("what", "ms each", "each a second and core"):
        table.add_column(column, justify="left" if column == "what" else "right")

    def row(what: str, seconds: float, count: int) -> None:
        table.add_row(what, f"{1000 * seconds / count:.2f}", f"{count / seconds:,.0f}")

    messages, seconds = cost(lambda: landmark_stage(pictures, settings))
    row("frame in ingest", seconds, len(pictures))
    _, seconds = cost(lambda: spot_stage(messages))
    row("frame in the spotter", seconds, len(messages))
    engine, windows = Engine(settings), windows_of(messages, 8 * BATCH)
    recognise_stage(engine, windows[:BATCH])
    _, seconds = cost(lambda: recognise_stage(engine, windows))
    row(f"window in the recognizer, batches of {BATCH}, {engine.device}", seconds, len(windows))
    Console(width=120).print(table)
    print(f"a face frame on Kafka: {mean_size(messages):,.1f} kB; a window: {mean_size(windows):,.1f} kB")


def mean_size(messages: Sequence[Message]) -> float:
    """Kilobytes of a serialised message."""
    return sum(message.ByteSize() for message in messages) / len(messages) / 1000


if __name__ == "__main__":
    main()
