"""Frames a second of the spotter on one core, beside bare JPEG decode and DIS optical flow on the same crops.

    python bench/spotter.py VIDEO... [--rounds 5]

Both are timed in CPU time of one thread, in turns, and the best round of each counts: the ratio is what matters. Beside
it, what one stream holds in memory. Real footage in which people talk asks most; a face at rest least.
"""

import time
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import click
import cv2
import numpy as np

from microex.v1 import frame_pb2, stream_pb2
from services.common.settings import LandmarkSettings
from services.ingest.core import Ingest
from services.ingest.sources import open_video
from services.spotter.core import Spotter


def crops(video: Path) -> list[frame_pb2.FaceFrame]:
    """The face frames of a video."""
    with (
        closing(Ingest("bench", "bench", 0, stream_pb2.TIME_BASE_MEDIA, LandmarkSettings())) as ingest,
        open_video(video) as source,
    ):
        return [message for captured in source for message in ingest.step(captured) if message.HasField("frame")]


def spot(messages: list[frame_pb2.FaceFrame]) -> int:
    """All of the spotter; returns how many windows it found."""
    spotter = Spotter()
    return sum(len(spotter.step(message).windows) for message in messages)


def floor(messages: list[frame_pb2.FaceFrame]) -> None:
    """Decode each crop and measure its flow from the first one: DIS, ultrafast preset."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    first = None
    for message in messages:
        crop = cv2.imdecode(np.frombuffer(message.frame.crop_jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        first = crop if first is None else first
        dis.calc(first, crop, None)


def milliseconds(work: Callable[[], object], frames: int) -> float:
    """CPU time a frame."""
    began = time.thread_time()
    work()
    return (time.thread_time() - began) / frames * 1e3


def memory_mb(messages: list[frame_pb2.FaceFrame]) -> float:
    """What a stream holds after its last frame."""
    tracemalloc.start()
    spotter = Spotter()
    for message in messages:
        spotter.step(message)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held / 1e6


@click.command(help=__doc__.partition("\n")[0])
@click.argument("videos", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option("--rounds", default=5, show_default=True, help="Turns of spotter and floor.")
def main(videos: tuple[Path, ...], rounds: int) -> None:
    cv2.setNumThreads(1)
    print(f"{'video':32}{'frames':>8}{'windows':>9}{'frames/s':>10}{'floor':>8}{'ratio':>7}{'MB':>6}")
    for video in videos:
        messages = crops(video)
        found = spot(messages)
        turns = [
            (milliseconds(lambda m=messages: spot(m), len(m)), milliseconds(lambda m=messages: floor(m), len(m)))
            for m in [messages] * rounds
        ]
        own, bare = min(a for a, _ in turns), min(b for _, b in turns)
        print(
            f"{video.stem[:30]:32}{len(messages):8}{found:9}{1e3 / own:10.0f}{1e3 / bare:8.0f}{own / bare:7.2f}"
            f"{memory_mb(messages):6.1f}"
        )


if __name__ == "__main__":
    main()
