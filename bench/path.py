"""Frames a second of every stage of the path and of the whole, on one real video, beside the floor of each.

    python -m bench.path VIDEO [--frames 300] [--rounds 3]

A floor is the least that a stage could be made of, measured in the same run on the same frames: bare FaceLandmarker,
bare JPEG decode and optical flow, bare forward pass. Stage and floor take turns, and the best round of each counts.
The ratio is what matters (1.0: nothing but the floor); absolute figures are this machine's.
"""

import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import click
import cv2
import mediapipe
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from microex.v1 import frame_pb2, stream_pb2, window_pb2
from services.analyze.pipeline import analyse
from services.common.settings import AnalyzeSettings, LandmarkSettings
from services.ingest.core import Ingest
from services.ingest.landmarks import Landmarker
from services.ingest.sources import Captured, open_video
from services.motion.tensor import unpack
from services.recognizer.engine import Engine
from services.recognizer.stag.batch import collate
from services.spotter.core import Spotter
from services.spotter.reading import decoded

BATCH = 32
Work = Callable[[], int]
"""Does the work once; returns how many frames (or windows) it went through."""


def rate(work: Work) -> float:
    """Per second, once."""
    began = time.perf_counter()
    count = work()
    return count / (time.perf_counter() - began)


def versus(stage: Work, floor: Work, rounds: int) -> tuple[float, float]:
    """Best rates of both, taken in turns so that whatever else the machine does meets both."""
    pairs = [(rate(stage), rate(floor)) for _ in range(rounds)]
    return max(s for s, _ in pairs), max(f for _, f in pairs)


def landmark_stage(frames: Iterable[Captured], settings: LandmarkSettings) -> list[frame_pb2.FaceFrame]:
    """All of ingest: landmarks, tracks, alignment, quality, JPEG, message."""
    with closing(Ingest("bench", "bench", 0, stream_pb2.TIME_BASE_MEDIA, settings)) as ingest:
        messages = [message for captured in frames for message in ingest.step(captured)]
    return [message for message in messages if message.HasField("frame")]


def landmark_floor(frames: list[Captured], settings: AnalyzeSettings) -> int:
    """MediaPipe alone, on the same pictures."""
    with closing(Landmarker(settings)) as landmarker:
        bare = landmarker._landmarker
        for ms, captured in enumerate(frames):
            rgb = cv2.cvtColor(captured.picture, cv2.COLOR_BGR2RGB)
            bare.detect_for_video(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb), 40 * ms)
    return len(frames)


def spot_stage(messages: Sequence[frame_pb2.FaceFrame]) -> int:
    """All of the spotter: decoding, flow, head motion, curves, decisions, windows."""
    spotter = Spotter()
    for message in messages:
        spotter.step(message)
    return len(messages)


def spot_floor(messages: Sequence[frame_pb2.FaceFrame]) -> int:
    """Decode each crop and measure its flow from the first one: DIS, ultrafast preset."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    first = decoded(messages[0].frame.crop_jpeg)
    for message in messages:
        crop = cv2.imdecode(np.frombuffer(message.frame.crop_jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        dis.calc(first, crop, None)  # type: ignore[call-overload]  # cv2's stubs want room for the answer
    return len(messages)


def windows_of(messages: list[frame_pb2.FaceFrame], count: int) -> list[window_pb2.ApexWindow]:
    """`count` windows for the recognizer: those of the video, over and over."""
    spotter = Spotter()
    found = [window for message in messages for window in spotter.step(message).windows]
    if not found:
        raise click.ClickException("the spotter finds nothing in this video, so there is nothing to recognise")
    return [found[i % len(found)] for i in range(count)]


def recognise_stage(engine: Engine, windows: list[window_pb2.ApexWindow]) -> int:
    """All of the engine: reading windows, the forward pass, writing graphs."""
    for start in range(0, len(windows), BATCH):
        engine.recognise(windows[start : start + BATCH])
    return len(windows)


@torch.inference_mode()
def recognise_floor(engine: Engine, windows: list[window_pb2.ApexWindow]) -> int:
    """The forward pass alone, on one batch that is ready."""
    batch = collate([unpack(window.motion) for window in windows[:BATCH]], engine.device)
    for _ in range(0, len(windows), BATCH):
        engine._network(batch)
    return len(windows)


def whole(video: Path, settings: AnalyzeSettings, engine: Engine) -> int:
    """`microex analyze`, files and picture included."""
    with tempfile.TemporaryDirectory() as folder:
        return int(analyse(video, Path(folder), "bench", "bench", settings, engine).summary["frames"]["read"])


def read_floor(video: Path) -> int:
    """Decode the video alone."""
    capture = cv2.VideoCapture(str(video))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


@click.command(help=__doc__.partition("\n")[0])
@click.argument("video", type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option("--frames", default=300, show_default=True, help="Frames that the stages are measured on.")
@click.option("--rounds", default=3, show_default=True, help="Turns of each stage and its floor.")
def main(video: Path, frames: int, rounds: int) -> None:
    cv2.setNumThreads(1)
    settings, engine = AnalyzeSettings(), Engine(AnalyzeSettings())
    with open_video(video) as source:
        pictures = [captured for captured, _ in zip(source, range(frames), strict=False)]
    messages = landmark_stage(pictures, settings)
    windows = windows_of(messages, 8 * BATCH)

    table = Table(title=f"{len(pictures)} frames of {video.name}, {platform.processor() or platform.machine()}")
    for column in ("stage", "per second", "floor", "per second", "times the floor's time"):
        table.add_column(column, justify="left" if column in ("stage", "floor") else "right")

    def row(name: str, floor_name: str, stage: float, floor: float) -> float:
        table.add_row(name, f"{stage:,.1f}", floor_name, f"{floor:,.1f}", f"{floor / stage:.2f}")
        return 1 / floor

    found = versus(lambda: len(landmark_stage(pictures, settings)), lambda: landmark_floor(pictures, settings), rounds)
    least = row("ingest, frames", "bare FaceLandmarker", *found)
    found = versus(lambda: spot_stage(messages), lambda: spot_floor(messages), rounds)
    least += row("spotter, frames", "bare JPEG decode + DIS ultrafast", *found)
    found = versus(lambda: recognise_stage(engine, windows), lambda: recognise_floor(engine, windows), rounds)
    row(f"recognizer, windows, {engine.device}", f"bare forward pass, batches of {BATCH}", *found)
    analysed, reading = versus(lambda: whole(video, settings, engine), lambda: read_floor(video), rounds)
    row("analyze, frames", "decode + both floors above", analysed, 1 / (least + 1 / reading))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
