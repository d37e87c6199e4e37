"""How steady the aligned crop is: smoothed placement against the raw one, for a still face and for a moving head.

    python -m bench.alignment VIDEO [--frames 150] [--noise 4]

Takes the first frame of VIDEO in which a face is found, moves it by a known similarity (or not at all), adds sensor
noise anew to every frame, and runs the real landmarker. All figures are crop pixels, root mean square over the crop:
jitter is how much the error changes from one frame to the next, error how far the crop lies from where it belongs
(for a moving head that includes the lag of smoothing).
"""

from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from services.common.settings import LandmarkSettings
from services.ingest.align import Placement, Smoother, place
from services.ingest.landmarks import Landmarker
from services.ingest.sources import Picture, open_video
from services.motion.convention import CROP_PX

FPS = 30

Affine = NDArray[np.float64]

_GRID = np.array([[x, y, 1] for x in range(0, CROP_PX + 1, 32) for y in range(0, CROP_PX + 1, 32)], float).T  # [3, N]


def still(_seconds: float, _eye: float) -> tuple[float, float, float, float]:
    """No motion: shift x, shift y (pixels), angle (radians), zoom (ratio)."""
    return 0, 0, 0, 1


def talking(seconds: float, eye: float) -> tuple[float, float, float, float]:
    """The head of somebody who talks: sways by a tenth of the eye distance, tilts by 3 degrees, leans by 3 %."""
    turn = 2 * np.pi * seconds
    return (
        0.1 * eye * np.sin(0.5 * turn),
        0.05 * eye * np.sin(0.9 * turn),
        0.05 * np.sin(0.4 * turn),
        1 + 0.03 * np.sin(0.3 * turn),
    )


def nodding(seconds: float, eye: float) -> tuple[float, float, float, float]:
    """Fast: up and down by a fifth of the eye distance twice a second."""
    return 0, 0.2 * eye * np.sin(4 * np.pi * seconds), 0, 1


def affine(placement: Placement, shift: tuple[float, float, float, float]) -> Affine:
    """[3, 3] of a head motion about the place of the face."""
    x, y, angle, zoom = shift
    middle = (placement.x, placement.y)
    matrix = np.vstack([cv2.getRotationMatrix2D(middle, -np.degrees(angle), zoom), [0, 0, 1]])
    matrix[:2, 2] += (x, y)
    return matrix


def errors(found: list[Affine], truth: list[Affine]) -> tuple[float, float]:
    """(jitter, error) in crop pixels; a constant offset is no error, because it moves nothing."""
    off = np.stack([np.linalg.inv(t) @ f @ _GRID - _GRID for f, t in zip(found, truth, strict=True)])[:, :2]
    off -= off.mean(0)

    def size(values: NDArray[np.float64]) -> float:
        return float(np.sqrt((values**2).sum(1).mean()))

    return size(np.diff(off, axis=0)), size(off)


def square(matrix: Affine) -> Affine:
    """[3, 3] of [2, 3]."""
    return np.vstack([matrix, [0, 0, 1]])


def first_face(video: Path, landmarker: Landmarker) -> tuple[Picture, Placement, float]:
    """The first picture with a face, where the crop lies in it, and its eye distance."""
    with open_video(video) as frames:
        for captured in frames:
            for face in landmarker(captured.picture, captured.time_us):
                return captured.picture, place(face.points), face.eye_distance
    raise click.ClickException("no face in this video")


@click.command()
@click.argument("video", type=click.Path(path_type=Path))
@click.option("--frames", default=150, show_default=True, help="Frames a case.")
@click.option("--noise", default=4.0, show_default=True, help="Standard deviation of the noise, grey levels.")
def main(video: Path, frames: int, noise: float) -> None:
    """Print jitter and error of the crop, raw and smoothed."""
    landmarker, random = Landmarker(LandmarkSettings()), np.random.default_rng(0)
    picture, origin, eye = first_face(video, landmarker)
    print(f"eye distance {eye:.0f} px, noise {noise:g} grey levels, {frames} frames at {FPS} fps; crop pixels RMS")
    print(f"{'':10}{'jitter raw':>12}{'smoothed':>10}{'ratio':>8}{'error raw':>12}{'smoothed':>10}")
    cases: tuple[Callable[[float, float], tuple[float, float, float, float]], ...] = (still, talking, nodding)
    clock_us = 10_000_000
    for case in cases:
        smoother, raw, smooth, truth = Smoother(), [], [], []
        for index in range(frames):
            clock_us += 1_000_000 // FPS
            motion = affine(origin, case(index / FPS, eye))
            moved = cv2.warpAffine(
                picture, motion[:2], picture.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            noisy = np.clip(moved + random.normal(0, noise, moved.shape), 0, 255).astype(np.uint8)
            faces = landmarker(noisy, clock_us)
            if not faces:
                continue
            placement = place(faces[0].points)
            raw.append(square(placement.to_picture()))
            smooth.append(square(smoother(placement, clock_us).to_picture()))
            truth.append(motion @ square(origin.to_picture()))
        (jitter, error), (less, lag) = errors(raw, truth), errors(smooth, truth)
        print(f"{case.__name__:10}{jitter:12.3f}{less:10.3f}{less / jitter:8.2f}{error:12.3f}{lag:10.3f}")
        clock_us += 2_000_000
    landmarker.close()


if __name__ == "__main__":
    main()
