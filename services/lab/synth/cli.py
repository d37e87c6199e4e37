"""`microex synth`: labelled truth from still faces."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.common.errors import Fatal
from services.lab.synth import batch, clips, direct, faces, flow_images, measured, planted, spotted, tracks, videos
from services.lab.synth.algorithms import ALGORITHMS, Algorithm
from services.lab.synth.scene import mover_of
from services.lab.synth.styles import STYLES, Style

F = TypeVar("F", bound=Callable[..., Any])
Way = Literal["direct", "measured", "spotted", "images"]
WAYS: tuple[Way, ...] = ("direct", "measured", "spotted", "images")

BARREN = 10
"""Scenes in a row without a window, after which it is given up."""


@click.group()
def synth() -> None:
    """Make labelled videos, clips and flow images from still faces.

    Faces are moved by one of two independent motion styles, so that one can be held out: a muscle model, or an
    artist's blendshapes (downloaded once). The same options give the same output, byte for byte, on one CPU type.
    """


def _shared(function: F) -> F:
    """Options of every kind of output."""
    options = [
        click.option(
            "--faces",
            "folder",
            type=click.Path(path_type=Path),
            help="Folder of pictures: "
            "a neutral face in each, named after its identity; or one that holds them in `neutral`. "
            "[default: one public-domain portrait]",
        ),
        click.option(
            "--split",
            type=click.Choice(["train", "test", "all"]),
            default="all",
            show_default=True,
            help="Which identities; a quarter is kept for testing.",
        ),
        click.option(
            "--test-identity",
            "test",
            multiple=True,
            help="Keep this identity for testing, instead of those that their hashes choose; may be repeated.",
        ),
        click.option(
            "--style", type=click.Choice(STYLES), default="muscle", show_default=True, help="How AUs move skin."
        ),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Other seed, other output."),
        click.option(
            "--strength",
            type=click.FloatRange(0, 2),
            default=1.0,
            show_default=True,
            help="Of everything that disturbs; 0: only expressions move.",
        ),
        click.option(
            "--without",
            multiple=True,
            type=click.Choice(tracks.DISTRACTORS),
            help="Leave this disturbance out; may be repeated.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _size(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, int]:
    width, _, height = value.partition("x")
    if not (width.isdigit() and height.isdigit()) or not (64 <= int(width) <= 4096 and 64 <= int(height) <= 4096):
        raise click.BadParameter("give WIDTHxHEIGHT, such as 640x480, each 64 to 4096")
    return int(width), int(height)


@synth.command("videos")
@_shared
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for STEM.mp4 and STEM.json.")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="Videos; faces take turns.")
@click.option("--minutes", type=click.FloatRange(0.05), default=1.0, show_default=True, help="Of all videos together.")
@click.option("--fps", type=click.FloatRange(10, 240), default=30.0, show_default=True, help="Frames a second.")
@click.option("--size", callback=_size, default="640x480", show_default=True, help="Of the picture, pixels.")
@click.option(
    "--intensity",
    nargs=2,
    type=click.FloatRange(0.01, 1),
    default=videos.MICRO_STRENGTH,
    show_default=True,
    help="Lowest and highest intensity of the strongest AU of a micro-expression.",
)
def make_videos(
    out: Path,
    count: int,
    minutes: float,
    fps: float,
    size: tuple[int, int],
    intensity: tuple[float, float],
    **shared: Any,
) -> None:
    """Videos with expressions at known moments, and their labels.

    STEM.json holds fps, frames and events: kind, onset, apex and offset (frame numbers; the first, strongest and last
    frame that differs from neutral), emotion, and AUs with side and intensity (fraction of full displacement).
    """
    if intensity[0] >= intensity[1]:
        raise click.UsageError("--intensity takes the lower number first")
    stills = _stills(shared)
    with _progress("frames", count * round(minutes * 60 / count * fps)) as advance:
        made = videos.write(
            out,
            stills,
            count,
            minutes * 60 / count,
            fps,
            size,
            shared["style"],
            shared["seed"],
            _strengths(shared),
            intensity,
            advance,
        )
    click.echo(f"{len(made)} videos in {out}")


@synth.command("planted")
@click.argument(
    "footage", nargs=-1, required=True, metavar="VIDEO...", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for STEM.mp4 and STEM.json.")
@click.option("--rounds", type=click.IntRange(1), default=4, show_default=True, help="Videos made of each.")
@click.option("--style", type=click.Choice(STYLES), default="muscle", show_default=True, help="How AUs move skin.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Other seed, other output.")
@click.option(
    "--intensity",
    nargs=2,
    type=click.FloatRange(0.01, 1),
    default=(0.1, 0.6),
    show_default=True,
    help="Lowest and highest intensity of a micro-expression's AUs.",
)
def make_planted(
    footage: tuple[Path, ...], out: Path, rounds: int, style: Style, seed: int, intensity: tuple[float, float]
) -> None:
    """Real footage with micro-expressions planted into it, and their labels.

    What the faces do by themselves is not labelled: in `microex evaluate spotting --videos OUT`, recall means something
    and false alarms do not.
    """
    cv2.setNumThreads(1)
    with _progress("videos", rounds * len(footage)) as advance:
        for video in footage:
            planted.write(out, video, rounds, style, seed, intensity)
            advance(rounds)
    click.echo(f"{rounds * len(footage)} videos in {out}")


@synth.command("clips")
@_shared
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File, .npz.")
@click.option("--count", type=click.IntRange(1), default=1000, show_default=True, help="Clips.")
@click.option(
    "--way",
    type=click.Choice(WAYS),
    default="measured",
    show_default=True,
    help="direct: from AU fields; measured: flow on moved pictures; spotted: the windows that the spotter finds "
    "in whole scenes; images: from AU fields, through 28 x 28 flow images.",
)
@click.option(
    "--flow",
    "algorithms",
    multiple=True,
    type=click.Choice(ALGORITHMS),
    default=ALGORITHMS,
    show_default=True,
    help="Algorithms to measure with, drawn for each clip.",
)
def make_clips(out: Path, count: int, way: Way, algorithms: tuple[Algorithm, ...], **shared: Any) -> None:
    """Motion tensors with their labels, as arrays for training.

    motion [N, K, R, 3, P, P] float16 (K is 8, 1 for images), times, seen, present, magnitude_known, emotion (0
    negative, 1 positive, 2 surprise), aus [N, A], intensity [N, A, 2] (left, right), identity, style."""
    stills = _stills(shared) if way in ("measured", "spotted") else []
    with _progress("clips", count) as advance:
        parts: list[batch.Clips] = []
        while (done := sum(map(len, parts))) < count:
            rng = np.random.default_rng([shared["seed"], len(parts)])
            parts.append(_part(rng, way, stills, algorithms, min(CHUNK, count - done), len(parts), shared))
            advance(len(parts[-1]))
            if not sum(map(len, parts[-BARREN:])) and len(parts) >= BARREN:
                raise Fatal("the spotter finds nothing in these scenes: lower --strength", scenes=BARREN)
    clips.save(out, batch.join(parts)[:count])
    click.echo(f"{count} clips in {out}")


CHUNK = 32
"""Clips made of one face at a time."""


def _part(
    rng: np.random.Generator,
    way: Way,
    stills: list[faces.Still],
    algorithms: tuple[Algorithm, ...],
    count: int,
    number: int,
    shared: dict[str, Any],
) -> batch.Clips:
    style: Style = shared["style"]
    if way == "direct":
        return direct.clips(rng, count, style)
    if way == "images":
        return clips.image_clips(rng, count, style)
    still = stills[number % len(stills)]
    mover = mover_of(still, style)
    if way == "measured":
        return measured.clips(rng, count, [still], {still.identity: mover}, style, _strengths(shared), algorithms)
    return spotted.scene_clips(rng, still, mover, style, _strengths(shared))


@synth.command("flow-images")
@_shared
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for SUBJECT/{u_train,u_test}/CLASS/*.png."
)
@click.option(
    "--per-face", type=click.IntRange(1), default=9, show_default=True, help="Images of each face; classes take turns."
)
@click.option(
    "--flow",
    "algorithms",
    multiple=True,
    type=click.Choice(ALGORITHMS),
    default=("tvl1",),
    show_default=True,
    help="Algorithms to measure with, drawn for each image.",
)
@click.option(
    "--u-train/--no-u-train", default=True, show_default=True, help="Whether to repeat the other subjects' images."
)
def make_flow_images(out: Path, per_face: int, algorithms: tuple[Algorithm, ...], u_train: bool, **shared: Any) -> None:
    """Flow images of 28 x 28 pixels from onset to apex, as the code bases of MEGC 2019 keep them, and aus.csv."""
    stills = _stills(shared)
    with _progress("images", per_face * len(stills)) as advance:
        made = flow_images.write(
            out, stills, per_face, shared["style"], shared["seed"], _strengths(shared), algorithms, u_train, advance
        )
    click.echo(f"{made} images of {len(stills)} subjects in {out}")


def _stills(shared: dict[str, Any]) -> list[faces.Still]:
    cv2.setNumThreads(1)  # output must not depend on the number of cores
    if shared["folder"] is None and (shared["split"] != "all" or shared["test"]):
        raise Fatal("the portrait of the demonstration cannot be split: name a folder of faces with --faces")
    return faces.load(shared["folder"], shared["split"], shared["test"])


def _strengths(shared: dict[str, Any]) -> tracks.Strengths:
    return tracks.strengths(shared["strength"], shared["without"])


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, advance=done)
