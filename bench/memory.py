"""Peak memory of `microex analyze` on a long video beside a short one: what it needs must not grow with length.

    python -m bench.memory VIDEO [--short 1] [--long 10]

VIDEO is repeated, without re-encoding, to the given minutes. The ratio is what matters (1.0: memory does not grow).
"""

import os
import subprocess
import sys
import tempfile
from math import ceil
from pathlib import Path

import click
import cv2
import imageio_ffmpeg


def seconds_of(video: Path) -> float:
    """Length of a video."""
    capture = cv2.VideoCapture(str(video))
    return float(capture.get(cv2.CAP_PROP_FRAME_COUNT) / capture.get(cv2.CAP_PROP_FPS))


def repeated(video: Path, minutes: float, folder: Path) -> Path:
    """The video over and over, at least that long."""
    laps = ceil(minutes * 60 / seconds_of(video))
    path = folder / f"{minutes:g} min.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-stream_loop", str(laps - 1), "-i", str(video)]
    subprocess.run([*command, "-c", "copy", str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


def peak_mb(video: Path, folder: Path) -> float:
    """Largest resident size of a process that analyses it."""
    command = [sys.executable, "-m", "services.cli", "analyze", str(video), "--out", str(folder / "out")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise click.ClickException(f"`microex analyze` failed on {video.name}; its own words are above")
    return usage.ru_maxrss / 1024


@click.command(help=__doc__.partition("\n")[0])
@click.argument("video", type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option("--short", default=1.0, show_default=True, help="Minutes of the short video.")
@click.option("--long", default=10.0, show_default=True, help="Minutes of the long one.")
def main(video: Path, short: float, long: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        peaks = [peak_mb(repeated(video, minutes, Path(name)), Path(name)) for minutes in (short, long)]
    click.echo(f"{short:g} min: {peaks[0]:.0f} MB   {long:g} min: {peaks[1]:.0f} MB   ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
