"""Frames a second of the spotter on one core, beside bare JPEG decode and DIS optical flow on the same crops.

    python -m bench.spotter VIDEO... [--rounds 5]

Both are timed in CPU time of one thread, in turns, and the best round of each counts: the ratio is what matters. Beside
it, what one stream holds in memory. Real footage in which people talk asks most; a face at rest least.
"""

import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import cv2

from bench.path import landmark_stage, spot_floor, spot_stage
from microex.v1 import frame_pb2
from services.common.settings import LandmarkSettings
from services.ingest.sources import open_video
from services.spotter.core import Spotter

Messages = Sequence[frame_pb2.FaceFrame]


def face_frames(video: Path) -> list[frame_pb2.FaceFrame]:
    """What ingest makes of a video."""
    with open_video(video) as source:
        return landmark_stage(source, LandmarkSettings())


def milliseconds(work: Callable[[Messages], object], messages: Messages) -> float:
    """CPU time a frame."""
    began = time.thread_time()
    work(messages)
    return (time.thread_time() - began) / len(messages) * 1e3


def watched(messages: Messages) -> tuple[int, float]:
    """How many windows are found, and what a stream holds after its last frame, MB."""
    tracemalloc.start()
    spotter = Spotter()
    windows = sum(len(spotter.step(message).windows) for message in messages)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return windows, held / 1e6


@click.command(help=__doc__.partition("\n")[0])
@click.argument("videos", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option("--rounds", default=5, show_default=True, help="Turns of spotter and floor.")
def main(videos: tuple[Path, ...], rounds: int) -> None:
    cv2.setNumThreads(1)
    print(f"{'video':32}{'frames':>8}{'windows':>9}{'frames/s':>10}{'floor':>8}{'ratio':>7}{'MB':>6}")
    for video in videos:
        messages = face_frames(video)
        windows, held_mb = watched(messages)
        turns = [(milliseconds(spot_stage, messages), milliseconds(spot_floor, messages)) for _ in range(rounds)]
        own, bare = min(a for a, _ in turns), min(b for _, b in turns)
        print(
            f"{video.stem[:30]:32}{len(messages):8}{windows:9}{1e3 / own:10.0f}{1e3 / bare:8.0f}{own / bare:7.2f}"
            f"{held_mb:6.1f}"
        )


if __name__ == "__main__":
    main()
