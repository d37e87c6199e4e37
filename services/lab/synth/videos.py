"""Videos of faces with known expressions: an .mp4 and its labels, `<stem>.json`, beside it."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from services.common.errors import Fatal
from services.lab.synth import tracks as distractors
from services.lab.synth.faces import Still
from services.lab.synth.render import Picture, Plate
from services.lab.synth.scene import Expression, Mover, Scene, draw_expression, mover_of
from services.lab.synth.styles import Style

MICRO_STRENGTH: Final = (0.08, 0.45)
MACRO_STRENGTH: Final = (0.25, 0.9)
"""Lowest and highest intensity of an expression."""
MACRO_SHARE: Final = 0.25
FIRST_S: Final = 1.5
"""Nothing happens so soon."""
GAP_S: Final = (1.2, 4.0)
"""Neutral between two expressions, seconds, lowest and highest."""
EYE_DISTANCE: Final = (0.20, 0.29)
"""Of the face in the frame, as a share of the frame's height."""


def script(
    rng: np.random.Generator, seconds: float, intensity: tuple[float, float] = MICRO_STRENGTH
) -> list[Expression]:
    """Expressions one after the other, each followed by neutral, the last over before the end.

    intensity: lowest and highest of the strongest AU of a micro-expression."""
    found: list[Expression] = []
    at = FIRST_S
    while True:
        expression = draw_next(rng, at, intensity)
        end = at + expression.course.whole_s + expression.lags.max()
        if end > seconds - 0.5:
            return found
        found.append(expression)
        at = end + rng.uniform(*GAP_S)


def draw_next(
    rng: np.random.Generator, start_s: float, intensity: tuple[float, float], macro_share: float = MACRO_SHARE
) -> Expression:
    """An expression that starts then; intensity: see `script`."""
    if rng.random() < macro_share:
        return draw_expression(rng, "macro", start_s, MACRO_STRENGTH)
    expression = draw_expression(rng, "micro", start_s, intensity)
    drawn = expression.drawn
    return replace(expression, drawn=replace(drawn, intensity=drawn.intensity.clip(max=intensity[1])))


def scene(
    rng: np.random.Generator,
    still: Still,
    mover: Mover,
    size: tuple[int, int],
    fps: float,
    seconds: float,
    strength: distractors.Strengths,
    intensity: tuple[float, float] = MICRO_STRENGTH,
) -> Scene:
    """A scene of its own. size: (width, height); intensity: see `script`."""
    times = np.arange(round(seconds * fps)) / fps
    height = min(size[1], size[0] * 3 // 4)
    eye_distance = float(rng.uniform(*EYE_DISTANCE)) * height
    centre = (size[0] * rng.uniform(0.47, 0.53), size[1] / 2 - 0.42 * eye_distance + size[1] * rng.uniform(-0.02, 0.02))
    plate = Plate(still, mover.sheets, size, eye_distance, (float(centre[0]), float(centre[1])))
    return Scene(plate, mover, distractors.draw(rng, times, strength), script(rng, seconds, intensity), fps)


def write(
    folder: Path,
    stills: list[Still],
    count: int,
    seconds: float,
    fps: float,
    size: tuple[int, int],
    style: Style,
    seed: int,
    strength: distractors.Strengths,
    intensity: tuple[float, float] = MICRO_STRENGTH,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Path]:
    """Makes `count` videos of `seconds` each, faces in turn; returns their paths. intensity: see `script`; progress:
    told of every frame.

    Raises Fatal when a video cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    movers: dict[str, Mover] = {}
    paths = []
    for i in range(count):
        still = stills[i % len(stills)]
        if still.identity not in movers:
            movers = {still.identity: mover_of(still, style)}  # one at a time: they are large
        rng = np.random.default_rng([seed, i])
        made = scene(rng, still, movers[still.identity], size, fps, seconds, strength, intensity)
        path = folder / f"{style}-{still.identity}-{seed}-{i:04d}.mp4"
        with writer(path, made.tracks.codec, fps, size) as put:
            for number in range(len(made)):
                put(made.frame(number))
                progress(1)
        labels = {"fps": fps, "frames": len(made), "events": made.labels}
        path.with_suffix(".json").write_text(json.dumps(labels, indent=1) + "\n")
        paths.append(path)
    return paths


@contextmanager
def writer(path: Path, codec: str, fps: float, size: tuple[int, int]) -> Iterator[Callable[[Picture], None]]:
    """Takes the frames of a video, [H, W, 3] uint8 BGR each. Raises Fatal when it cannot be written."""
    with _quiet():
        file = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
    if not file.isOpened():
        raise Fatal("video cannot be written", file=str(path))
    yield file.write
    file.release()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps OpenCV from saying that Motion JPEG is unusual in an .mp4; its writer has no other way to be told."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
