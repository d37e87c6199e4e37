"""Many live streams on one core, Kafka in the loop: does the lag of the spotter stay flat?

    make kafka
    python -m bench.streams VIDEO [--streams 20] [--seconds 60] [--fps 30]

The face frames of a video, over and over, are published as so many streams at once, each at the pace of a camera. One
`microex spotter` process is held to one core and the publisher to the others; every five seconds its own metrics are
read: frames analysed, how far it is behind the end of the topic, and the CPU time that it took. Hold Kafka to the other
cores too, if there are few (`taskset -a -p`).
"""

import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

import click

from microex.v1 import frame_pb2
from tests.support.services import MICROEX, Service
from tests.support.streams import face_frames, repeated
from tests.support.topics import Installation

SESSION: Final = "bench"
EVERY_S: Final = 5.0
"""Between two lines."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def publish(
    bootstrap: str,
    prefix: str,
    frames: list[frame_pb2.FaceFrame],
    streams: int,
    fps: float,
    seconds: float,
    core: int,
    go: Event,
) -> None:
    """Every stream's next frame, `fps` times a second, from any core but that one, where there are others."""
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {core} or {core})
    installation = Installation(bootstrap, prefix, SESSION, partitions=streams)
    laps = int(seconds * fps / len(frames)) + 1
    sources: list[Iterator[frame_pb2.FaceFrame]] = [
        repeated(frames, SESSION, f"camera-{k}", laps) for k in range(streams)
    ]
    go.set()
    began = time.monotonic()
    for tick in range(int(seconds * fps)):
        for source in sources:
            installation.publish(next(source))
        time.sleep(max(0.0, began + (tick + 1) / fps - time.monotonic()))  # the pace of a camera
    installation.outbox.close()


def cpu_s(pid: int) -> float:
    """CPU time that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@click.command(help=__doc__.partition("\n")[0])
@click.argument("video", type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option("--streams", default=20, show_default=True)
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--fps", default=30.0, show_default=True)
@click.option("--core", default=0, show_default=True, help="The one that the spotter is held to.")
@click.option("--bootstrap", default="127.0.0.1:9092", show_default=True, help="Kafka.")
def main(video: Path, streams: int, seconds: float, fps: float, core: int, bootstrap: str) -> None:
    frames, prefix = face_frames(video), f"bench-{os.getpid()}-"
    go = multiprocessing.Event()
    publisher = multiprocessing.Process(
        target=publish, args=(bootstrap, prefix, frames, streams, fps, seconds, core, go)
    )
    publisher.start()
    go.wait()
    env = {"MICROEX_KAFKA_BOOTSTRAP_SERVERS": bootstrap, "MICROEX_TOPIC_PREFIX": prefix}
    with Service("spotter", env=env, command=["taskset", "-c", str(core), *MICROEX]) as spotter:
        spotter.await_event("joined the group")
        start = began = time.monotonic()
        cpu_at, seen_at = cpu_s(spotter.process.pid), 0.0
        print(f"{'seconds':>8}{'analysed/s':>12}{'behind':>8}{'windows':>9}{'cores':>7}")
        while publisher.is_alive():
            publisher.join(EVERY_S)
            now, cpu = time.monotonic(), cpu_s(spotter.process.pid)
            seen = spotter.total("microex_spotter_frames_total", outcome="analysed")
            behind = spotter.total("microex_spotter_lag_messages")
            found = spotter.total("microex_spotter_windows_total")
            rate, cores = (seen - seen_at) / (now - began), (cpu - cpu_at) / (now - began)
            print(f"{now - start:8.1f}{rate:12.0f}{behind:8.0f}{found:9.0f}{cores:7.2f}", flush=True)
            began, cpu_at, seen_at = now, cpu, seen
        spotter.stop()


if __name__ == "__main__":
    main()
